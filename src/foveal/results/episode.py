"""What `foveal.episode` gives: a few-shot decision, and what speaks for each of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.results.explanation import Explanation


@dataclass(frozen=True, eq=False)
class Episode:
    """n queries between the classes of a support.

    evidence        class -> its explanation on all queries.
    support         class -> its examples.
    chances         (n, classes), the softmax of the similarities.
    notes           what a reader must know; `remarks` adds what the explanations say.
    """

    evidence: Mapping[str, Explanation]
    support: Mapping[str, tuple[Photo, ...]]
    chances: Float[Tensor, "n classes"]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.evidence)

    @property
    def decided(self) -> tuple[str, ...]:
        """The most likely class of each query."""
        return tuple(self.classes[k] for k in self.chances.argmax(1).tolist())

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and those of the explanations."""
        said = [remark for why in self.evidence.values() for remark in why.remarks]
        return tuple(dict.fromkeys([*self.notes, *said]))

    def figure(self, *, side: int = 192) -> Image.Image:
        """The support above, then a row a query: its photo, and the evidence for each class on one scale."""
        from foveal.render.episode import episode_sheet

        return episode_sheet(self, side=side)

    def __str__(self) -> str:
        first = next(iter(self.evidence.values()))
        lines = [f"{first.method} of {first.model}: between {', '.join(self.classes)}"]
        for photo, name, row in zip(first.photos, self.decided, self.chances.tolist(), strict=True):
            said = ", ".join(f"{c} {100 * chance:.0f} %" for c, chance in zip(self.classes, row, strict=True))
            lines.append(f"  {photo.source}: {name}  ({said})")
        return "\n".join([*lines, *(f"  note: {remark}" for remark in self.remarks)])

    __repr__ = __str__

    def _repr_png_(self) -> bytes:
        from foveal.render.fragment import png

        return png(self.figure())
