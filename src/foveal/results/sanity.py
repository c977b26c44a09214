"""What `foveal.sanity` gives: how maps change when weights are randomized, and when the image changes a little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.results.result import Result, check_kind, finite

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from foveal.storage.manifest import Saved

MARGIN = 0.15
"""How far above the null the similarity may be when all weights are random."""
KEPT = 0.5
"""How similar the maps may be on average while layers are randomized: more means that late layers hardly matter."""


LISTED = 5  # layers named one by one


@dataclass(frozen=True)
class Checked:
    """One method. What is not known, because maps are the same everywhere or no numbers, is NaN.

    curve       after each step: how similar the map still is to the original, by "spearman", "absolute", "ssim", "hog".
    null        the same of two networks that are random altogether.
    classes     Spearman's between the maps of two classes; None where none was asked.
    stability   the largest relative change of the map, a radius each.
    changed     of each step, whether its layers gave something else afterwards; empty where all did.
    blank       whether the maps of the network itself are all the same everywhere, or not numbers.
    """

    curve: tuple[Mapping[str, float], ...]
    null: Mapping[str, float]
    classes: float | None
    stability: tuple[float, ...]
    changed: tuple[bool, ...] = ()
    blank: bool = False

    @property
    def telling(self) -> tuple[Mapping[str, float], ...]:
        """The steps that changed something."""
        changed = self.changed or (True,) * len(self.curve)
        return tuple(step for step, differs in zip(self.curve, changed, strict=True) if differs)

    @property
    def kept(self) -> float:
        """Spearman's, the mean over the steps that changed something; NaN where there is none."""
        known = [step["spearman"] for step in self.telling if not isnan(step["spearman"])]
        return sum(known) / len(known) if known else nan

    @property
    def undefined(self) -> str | None:
        """Why there is no verdict; None where there is one."""
        if self.blank:
            return "its maps are constant, or not numbers"
        if not self.telling:
            return "randomizing layers did not change their output for these images"
        if isnan(self.telling[-1]["spearman"]):
            return "with all layers randomized, its maps are constant, or not numbers"
        if isnan(self.null["spearman"]):
            return "the maps of random networks are constant, or not numbers, so there is nothing to compare with"
        return None

    @property
    def passed(self) -> bool:
        """Whether the map is lost on the way, and is at the end no more similar to the original than by chance."""
        return (
            self.undefined is None
            and self.kept <= KEPT
            and all(self.telling[-1][how] <= max(self.null[how], 0.0) + MARGIN for how in ("spearman", "ssim"))
        )

    @property
    def verdict(self) -> str:
        """ "passes", "fails" or "has no verdict"."""
        if self.undefined is not None:
            return "has no verdict"
        return "passes" if self.passed else "fails"


@dataclass(frozen=True, eq=False)
class Sanity(Result):
    """Methods by name; `layers` are the last that were randomized at each step, `radii` those of stability.

    `notes` say which layers made no difference, and what was left out.
    """

    FORMAT: ClassVar[str] = "foveal-sanity/1"

    checked: Mapping[str, Checked]
    layers: tuple[str, ...]
    radii: tuple[float, ...]
    model: str
    pictures: int
    cascading: bool = True
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def summary(self, method: str) -> str:
        """The finding, as a person would say it."""
        check = self.checked[method]
        classes = (
            ""
            if check.classes is None
            else f"; correlation of the maps of two classes {check.classes:.2f}".replace("-", "−")
        )
        if check.undefined is not None:
            return f"{method} {check.verdict}: {check.undefined}{classes}"
        end, null = check.telling[-1]["spearman"], check.null["spearman"]
        why = (
            f"correlation with the original map: mean {check.kept:.2f} while layers are randomized, {end:.2f} at the "
            f"end (two random networks: {null:.2f}); structural similarity at the end {check.telling[-1]['ssim']:.2f} "
            f"({check.null['ssim']:.2f})"
        ).replace("-", "−")
        return f"{method} {check.verdict}: {why}{classes}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "model": self.model, "pictures": self.pictures, "layers": list(self.layers), "radii": list(self.radii),
            "cascading": self.cascading, "notes": list(self.notes),
            "seconds": self.seconds, "versions": dict(self.versions),
            "methods": {
                name: {
                    "passed": check.passed, "verdict": check.verdict, "summary": self.summary(name),
                    "curve": finite(check.curve), "changed": list(check.changed),
                    "null": finite(check.null), "classes": check.classes,
                    "stability": finite(check.stability),
                }
                for name, check in self.checked.items()
            },
        }  # fmt: skip

    def figure(self, kind: str = "spearman", *, side: int = 1000) -> Image.Image:
        """The curves: how similar the maps still are, by how many layers are random; the null of each beside them.

        Args:
            kind: how similarity is measured: "spearman", "absolute", "ssim", "hog".
            side: the width in pixels.
        """
        from foveal.render.sanity import curves

        check_kind(kind, "spearman", "absolute", "ssim", "hog")
        return curves(self, kind, width=side)

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The curves as an image; all numbers stand in the manifest."""
        self.figure().save(aside / "sanity.png")
        return {
            "checked": {name: asdict(check) for name, check in self.checked.items()}, "layers": list(self.layers),
            "radii": list(self.radii), "model": self.model, "pictures": self.pictures, "cascading": self.cascading,
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> Sanity:
        checked = {name: _checked(facts) for name, facts in saved["checked"].items()}
        return cls(
            checked, tuple(saved["layers"]), tuple(saved["radii"]), saved["model"], saved["pictures"],
            saved["cascading"], tuple(saved["notes"]), float(saved["seconds"]), saved["versions"],
        )  # fmt: skip

    def __str__(self) -> str:
        head = (
            f"{self.model}: {self.pictures} image{'s' * (self.pictures != 1)}, layers randomized from "
            f"{self.layers[0]} to {self.layers[-1]}"
        )
        lines = [head]
        for name, check in self.checked.items():
            lines.append("  " + self.summary(name))
            steps = " ".join(_short(step["spearman"], "5.2f") for step in check.curve).replace("-", "−")
            lines.append(f"    correlation by step  {steps}")
            moved = " ".join(
                f"{_short(value, '.2g')} at {radius:g}"
                for value, radius in zip(check.stability, self.radii, strict=True)
            )
            lines.append(f"    relative change      {moved}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


def _checked(facts: Mapping[str, Any]) -> Checked:
    listed = {name: tuple(facts[name]) for name in ("curve", "stability", "changed")}
    return Checked(**{**facts, **listed})


def counted(names: Sequence[str]) -> str:
    """A few of them by name."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _short(value: float, form: str) -> str:
    return "    ?" if isnan(value) else format(value, form)
