"""What `foveal run` asks of every photo: a verb and its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.flow import MODES
from foveal.cli.lists import repeatable

if TYPE_CHECKING:
    from foveal.runs.verbs.verb import Verb

VERBS = ("explain", "flow", "measure", "match", "parts")
PANEL = "What is asked"


def asked(flags: str, help: str, **details: Any) -> Any:
    """An option of a verb: its flags with spaces between, and which verbs have it."""
    return typer.Option(*flags.split(), help=help, rich_help_panel=PANEL, **details)


@dataclass(frozen=True)
class VerbOptions:
    """The verb, and what it takes; what is not named is left to the verb."""

    verb: Annotated[str, asked(
        "--verb", "The question: explain, flow, measure, match or parts, as the commands of these names.",
        metavar="VERB", callback=one_of(*VERBS),
    )] = "explain"  # fmt: skip
    method: Annotated[str | None, asked(
        "--method --methods", "Of explain and measure: a method (default: gradcam), see `foveal methods`; or "
        "my.py:mine.", metavar="METHOD",
    )] = None  # fmt: skip
    layer: options.Layers = None
    resolution: Annotated[int | None, asked(
        "--resolution -r", "Of explain and parts: maps at N times the resolution: 2, 4 or 8.", min=1, metavar="N",
    )] = None  # fmt: skip
    audit: Annotated[bool, asked(
        "--audit", "Of explain, flow and measure: compare hiding the marked positions with hiding others.",
    )] = False  # fmt: skip
    contributions: Annotated[bool, asked(
        "--contributions", "Of explain and measure: also keep what each channel contributes, for `foveal reasons`.",
    )] = False  # fmt: skip
    mode: Annotated[str | None, asked(
        "--mode", "Of flow: exact (default), project, cascade, cascade_all or damped.", metavar="MODE",
        callback=one_of(*MODES),
    )] = None  # fmt: skip
    mass: Annotated[float | None, asked(
        "--mass", "Of flow: keep the smallest number of neurons with this share of the evidence.", metavar="SHARE",
    )] = None  # fmt: skip
    metric: Annotated[list[str] | None, repeatable(
        "metric", metavar="METRIC",
        help="Of measure: deletion, road … (default: the usual set). Of match: cosine (default), euclidean …",
    )] = None  # fmt: skip
    baseline_maps: Annotated[bool, asked(
        "--baseline-maps", "Of measure: also baseline maps to compare with: noise, center, edges …",
    )] = False  # fmt: skip
    references: Annotated[list[Path] | None, asked(
        "--references", "Of match: a folder, a table of paths and labels, or an image; repeat it for several images.",
        metavar="PHOTOS",
    )] = None  # fmt: skip
    embedding: Annotated[str | None, asked(
        "--embedding", "Of match: the embedding to compare (default: found automatically).", metavar="LAYER",
    )] = None  # fmt: skip
    count: Annotated[int | None, asked("--count -n", "Of parts: how many. Default: 3.", min=1, metavar="N")] = None

    def find(self) -> Verb:
        """The verb with its options.

        Raises:
            FovealError: for options of another verb.
        """
        from foveal.runs.verbs.find import find_verb

        references = [str(path) for path in self.references or ()]
        given: dict[str, Any] = {
            "method": self.method,
            "layer": options.layer_spec(self.layer),
            "resolution": self.resolution,
            "audit": self.audit or None,
            "contributions": self.contributions or None,
            "mode": self.mode,
            "mass": self.mass,
            "baseline_maps": self.baseline_maps or None,
            "references": references[0] if len(references) == 1 else references or None,
            "embedding": self.embedding,
            "count": self.count,
            **self._metric(),
        }
        return find_verb(self.verb, {name: value for name, value in given.items() if value is not None})

    def _metric(self) -> dict[str, Any]:
        """A match compares by one metric, which has another name than those that a map is measured by."""
        if self.verb != "match" or not self.metric:
            return {"metrics": self.metric}
        if len(self.metric) > 1:
            raise typer.BadParameter(f"a match has one --metric, not {len(self.metric)}")
        return {"metric": self.metric[0]}
