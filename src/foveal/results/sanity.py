"""What `foveal.sanity` gives: curves of how far explanations change when they must, and when they must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MARGIN = 0.15
"""How far above the null the likeness may be when everything is random."""
KEPT = 0.5
"""How alike the maps may be on average while layers forget: more says that late layers hardly matter to it."""


@dataclass(frozen=True)
class Checked:
    """One method.

    curve       after each step of forgetting: how alike the map still is, by "spearman", "absolute", "ssim", "hog".
    null        the same of two networks that are random altogether.
    classes     Spearman's between the maps of two classes; None where none was asked.
    stability   the largest relative change of the map, a radius each.
    """

    curve: tuple[Mapping[str, float], ...]
    null: Mapping[str, float]
    classes: float | None
    stability: tuple[float, ...]

    @property
    def kept(self) -> float:
        """Spearman's, the mean over the steps of forgetting."""
        return sum(step["spearman"] for step in self.curve) / len(self.curve)

    @property
    def passed(self) -> bool:
        """Whether the map is lost on the way, and at the end is no more like the original than chance has it."""
        return self.kept <= KEPT and all(
            self.curve[-1][how] <= max(self.null[how], 0.0) + MARGIN for how in ("spearman", "ssim")
        )


@dataclass(frozen=True, eq=False)
class Sanity:
    """Methods by name; `layers` are the last that forgot at each step, `radii` those of stability."""

    checked: Mapping[str, Checked]
    layers: tuple[str, ...]
    radii: tuple[float, ...]
    model: str
    pictures: int
    cascading: bool = True
    seconds: float = 0.0

    def sentence(self, method: str) -> str:
        """The finding, as a person would say it."""
        one = self.checked[method]
        end, null = one.curve[-1]["spearman"], one.null["spearman"]
        said = "passes" if one.passed else "fails"
        why = (
            f"while layers forget, its map correlates {one.kept:.2f} with the original on average, {end:.2f} when all "
            f"have (two random networks' {null:.2f}); structural similarity {one.curve[-1]['ssim']:.2f} "
            f"({one.null['ssim']:.2f})"
        ).replace("-", "−")
        classes = "" if one.classes is None else f"; maps of two classes correlate {one.classes:.2f}".replace("-", "−")
        return f"{method} {said}: {why}{classes}"

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "model": self.model, "pictures": self.pictures, "layers": list(self.layers), "radii": list(self.radii),
            "cascading": self.cascading,
            "methods": {
                name: {
                    "passed": one.passed, "sentence": self.sentence(name), "curve": [dict(step) for step in one.curve],
                    "null": dict(one.null), "classes": one.classes, "stability": list(one.stability),
                }
                for name, one in self.checked.items()
            },
        }  # fmt: skip

    def picture(self, how: str = "spearman", *, width: int = 1000) -> Image.Image:
        """The curves: how alike the maps still are, by how much has been forgotten; the null of each at the end."""
        from foveal.render.sanity import curves

        return curves(self, how, width=width)

    def __str__(self) -> str:
        head = f"{self.model}: {self.pictures} pictures, layers forgotten from {self.layers[0]} to {self.layers[-1]}"
        lines = [head]
        for name, one in self.checked.items():
            lines.append("  " + self.sentence(name))
            steps = " ".join(f"{step['spearman']:5.2f}" for step in one.curve).replace("-", "−")
            lines.append(f"    likeness by step   {steps}")
            moved = " ".join(
                f"{value:.2g} at {radius:g}" for value, radius in zip(one.stability, self.radii, strict=True)
            )
            lines.append(f"    relative change    {moved}")
        return "\n".join(lines)

    __repr__ = __str__
