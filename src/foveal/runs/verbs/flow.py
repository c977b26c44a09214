"""`foveal.flow` of every picture: a map of each layer, and what it keeps and adds up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.api.flow import flow, flow_remarks
from foveal.engine.select import LayerSpec
from foveal.methods.naflow import Mode
from foveal.runs.verbs.explain import deletion_tests, layer_setting
from foveal.runs.verbs.verb import Ask, Columns, Decides, general_notes
from foveal.storage.fingerprint import fingerprint

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.images import ImageLike
    from foveal.models.model import Model

NUMBERS = ("kept", "total", "offset")


@dataclass(frozen=True, kw_only=True)
class FlowEach:
    """A map of each layer, with the share of neurons kept, the sum of the evidence, and what is beside it.

    Attributes:
        layer, mode, mass, zero, coefficients, reference, iterations, tolerance, damping: as in `foveal.flow`.
        audit: whether the deepest map has a deletion test.
    """

    name: ClassVar[str] = "flow"
    decides: ClassVar[Decides] = "always"
    alone: ClassVar[bool] = False

    layer: LayerSpec = None
    mode: Mode = "exact"
    mass: float = 1.0
    zero: float = 0.0
    coefficients: str = "contribution"
    reference: str | ImageLike | None = None
    iterations: int = 30
    tolerance: float = 1e-5
    damping: float = 1.0
    audit: bool = False

    def made_by(self, model: Model) -> str:
        return f"naflow:mode={self.mode}"

    def settings(self) -> Mapping[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name not in ("layer", "reference")}
        file = isinstance(self.reference, str) and Path(self.reference).is_file()
        reference = Path(str(self.reference)) if file else self.reference
        return {
            **plain,
            "layer": layer_setting(self.layer),
            "reference": None if reference is None else fingerprint(reference=reference),
        }

    def begin(self, model: Model) -> Ask:
        return self._columns

    def _columns(self, context: Context) -> Columns:
        given = {name: value for name, value in vars(self).items() if name not in ("layer", "audit")}
        why = flow(
            context.subject, context.batch, context.target, layer="all" if self.layer is None else self.layer, **given
        )
        numbers = {
            f"{what}_{layer}": [why.number(layer, what, i) for i in range(len(why))]
            for layer in why.layers
            for what in (*NUMBERS, *(["residual"] if self.mode != "exact" else []))
        }
        together = {*flow_remarks(why)}
        return Columns(
            why,
            {**numbers, **(deletion_tests(context, why) if self.audit else {})},
            remarks=[flow_remarks(why[i]) for i in range(len(why))],
            notes=tuple(note for note in general_notes(why) if note not in together),
            asked=self._asked(),
        )

    def _asked(self) -> dict[str, str]:
        """The reference by its name or its file; one in memory has neither."""
        if not isinstance(self.reference, str | Path):
            return {}
        file = Path(self.reference)
        return {"reference": str(file.absolute() if file.is_file() else self.reference)}
