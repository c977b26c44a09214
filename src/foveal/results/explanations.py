"""What `foveal.compare` gives: one target, explained by several methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from foveal.errors import ResultError
from foveal.results.explanation import Explanation, explanation_facts, explanation_fields
from foveal.results.result import Result, check_kind, checked_index
from foveal.results.storage import read_photo, write_photo
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    import os

    from PIL import Image

    from foveal.render.drawing import ScaleRule
    from foveal.render.scale import Sign
    from foveal.storage.manifest import Saved

ARRAYS = "explanations.npz"
IMAGES, COLUMNS = 6, 6  # in one sheet of a notebook


@dataclass(frozen=True, eq=False)
class Explanations(Result, Sequence[Explanation]):
    """Explanations of the same images and target, one per method, in the order they were asked for.

        whys = foveal.compare(model, "bird.jpg", methods=["gradcam", "hirescam"])
        whys["hirescam"].map; whys[0]; len(whys); whys.figure().save("methods.png")

    explanations        the explanations, one per method.
    """

    FORMAT: ClassVar[str] = "foveal-explanations/1"

    explanations: tuple[Explanation, ...]

    def __post_init__(self) -> None:
        if not self.explanations:
            raise ResultError("There is no explanation to hold.")

    @property
    def methods(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(why.method for why in self.explanations)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What a reader must know of any of them, each once."""
        return tuple(dict.fromkeys(note for why in self.explanations for note in why.notes))

    @property
    def seconds(self) -> float:  # type: ignore[override]
        """The time that all took together."""
        return max(why.seconds for why in self.explanations)

    @property
    def versions(self) -> Mapping[str, str]:  # type: ignore[override]
        """What they were made with."""
        return self.explanations[0].versions

    @overload
    def __getitem__(self, which: int | str) -> Explanation: ...

    @overload
    def __getitem__(self, which: slice) -> Explanations: ...

    def __getitem__(self, which: int | str | slice) -> Explanation | Explanations:
        """By number, or by the name of the method; several by a slice.

        Raises:
            ResultError: for a method or number that is not among them.
        """
        if isinstance(which, slice):
            return Explanations(self.explanations[which])
        if isinstance(which, str):
            if which not in self.methods:
                raise ResultError(f"There is no map by {which!r}; there are those by {', '.join(self.methods)}.")
            which = self.methods.index(which)
        return self.explanations[checked_index(which, len(self), "explanation")]

    def __len__(self) -> int:
        return len(self.explanations)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.explanations)

    def drawn(
        self, *, size: int | None = None, alpha: float | None = None, sign: Sign | None = None,
        scale: ScaleRule | float | None = None, colors: str | None = None, contour: bool | None = None,
    ) -> Explanations:  # fmt: skip
        """The same explanations, drawn in another way wherever they are drawn, see `Explanation.drawn`."""
        return Explanations(
            tuple(
                why.drawn(size=size, alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
                for why in self.explanations
            )
        )

    def figure(
        self, kind: str = "methods", *, layers: Sequence[str] | None = None, side: int = 224,
        alpha: float | None = None, sign: Sign | None = None, scale: ScaleRule | float | None = None,
        colors: str | None = None, contour: bool | None = None, title: str | None = None,
    ) -> Image.Image:  # fmt: skip
        """One row per image: its photo, then the map of each method and layer with its color bar.

        Args:
            kind: "methods".
            layers: those shown; all of each explanation if left out.
            side: long side of an overlay in pixels.
            title: above the figure; the model's name if left out, nothing if "".
            alpha, sign, scale, colors, contour: as in `Explanation.figure`.

        Raises:
            ResultError: for a kind or layer that is not here, or a value that cannot be drawn with.
        """
        from foveal.render.figure_page import figure_page

        check_kind(kind, "methods")
        drawing = self[0].drawing.with_given(alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        return figure_page(self._rows, layers=self._known(layers), side=side, drawing=drawing, title=title).image()

    def save_figure(
        self, file: str | os.PathLike[str], *, layers: Sequence[str] | None = None, side: int | None = None,
        alpha: float | None = None, sign: Sign | None = None, scale: ScaleRule | float | None = None,
        colors: str | None = None, contour: bool | None = None, title: str | None = None,
    ) -> Path:  # fmt: skip
        """The same figure as a file, see `Explanation.save_figure`."""
        from foveal.render.figure_file import save_figure

        drawing = self[0].drawing.with_given(alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        return save_figure(Path(file), self._rows, layers=self._known(layers), side=side, drawing=drawing, title=title)

    @property
    def _rows(self) -> list[tuple[tuple[Explanation, ...], int]]:
        return [(self.explanations, i) for i in range(len(self[0]))]

    def _known(self, layers: Sequence[str] | None) -> Sequence[str] | None:
        for layer in layers or ():
            for why in self.explanations:
                if layer not in why.layers:
                    raise ResultError(f"There is no map of {layer!r} by {why.method}; it has {', '.join(why.layers)}.")
        return layers

    def by_name(self) -> Mapping[str, Explanation]:
        """By the names that `foveal.measure` gives them: the method, numbered where there are several."""
        named: dict[str, Explanation] = {}
        for why in self.explanations:
            names = (f"{why.method} {number}" if number > 1 else why.method for number in count(1))
            named[next(name for name in names if name not in named)] = why
        return named

    def to_html(self) -> str:
        """What a notebook shows: sheets of the first images by a few methods each, scores and notes."""
        from foveal.render.fragment import result_fragment

        shown = [Explanations(tuple(why[:IMAGES] for why in self.explanations[k : k + COLUMNS]))
                 for k in range(0, len(self), COLUMNS)]  # fmt: skip
        return result_fragment([(some.figure(), some._alt()) for some in shown], self._words())

    def _alt(self) -> str:
        first = self.explanations[0]
        asked = "; ".join(f"{photo.source}, {target}" for photo, target in zip(first.photos, first.target, strict=True))
        return f"Maps by {', '.join(self.methods)} of {asked}."

    def _words(self) -> str:
        """Each image once, then the notes."""
        first = self.explanations[0]
        head = f"{first.model}: {len(first)} image{'s' * (len(first) != 1)}, {len(self)} methods, {self.seconds:.2g} s"
        lines = [f"  {first.photos[i].source}: {first.summary(i)}" for i in range(min(len(first), IMAGES))]
        left_out = [f"  … and {len(first) - IMAGES} more"] if len(first) > IMAGES else []
        return "\n".join([head, *lines, *left_out, *(f"  note: {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """What was explained, how, and what came out but for the maps themselves."""
        return {
            "explanations": [why.to_dict() for why in self.explanations],
            "notes": list(self.notes),
            "seconds": self.seconds,
            "versions": dict(self.versions),
        }

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The figure, the photos once, and explanations.npz with the maps of each method."""
        self.figure().save(aside / "methods.png")
        arrays = {
            f"{number}/{layer}": map
            for number, why in enumerate(self.explanations)
            for layer, map in why.maps.items()
        }  # fmt: skip
        write_arrays(aside / ARRAYS, arrays)
        photos = self.explanations[0].photos
        return {
            "explanations": [explanation_facts(why) for why in self.explanations],
            "photos": [write_photo(aside, photo, f"photo-{i:04d}") for i, photo in enumerate(photos)],
            "arrays": described(arrays),
        }

    @classmethod
    def _read(cls, saved: Saved) -> Explanations:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        photos = tuple(read_photo(saved, photo) for photo in saved["photos"])
        whys = []
        for number, facts in enumerate(saved["explanations"]):
            maps = {layer["name"]: arrays[f"{number}/{layer['name']}"] for layer in facts["layers"]}
            whys.append(Explanation(**explanation_fields(facts, maps, photos)))
        return cls(tuple(whys))

    def __str__(self) -> str:
        return "\n".join(str(why) for why in self.explanations)

    __repr__ = __str__
