"""What `foveal.explain` gives: the maps, what they explain, and the photos to draw them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from foveal.errors import ResultError
from foveal.images import Place
from foveal.render.drawing import Drawing, ScaleRule
from foveal.render.scale import Sign, number, percent, typeset
from foveal.results.drawn_maps import DrawnMaps
from foveal.results.notes import map_notes, photo_notes
from foveal.results.result import Result, check_kind, checked_index, finite
from foveal.results.storage import (
    describe_numbers,
    photo_stem,
    read_numbers,
    read_photo,
    write_photo,
    write_picture,
)
from foveal.results.value_words import value_words
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.naming import plain_name
from foveal.targets.target import PER_IMAGE

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.storage.manifest import Saved

MAPS = "maps.npz"
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


@dataclass(frozen=True, eq=False)
class Explanation(DrawnMaps, Result):
    """Which evidence a network used, at one or more layers, for one or more images.

    maps            layer name -> (n, h, w), raw and signed, at the layer's own resolution; the deepest layer last. Of
                    signals (n, length), of volumes (n, d, h, w), which are drawn one pixel high, or by their middle.
    photos          the n originals.
    score           (n,) the explained score; None where a method needs no decision.
    probability     (n,) in 0..1 where the score has one.
    target          n times, what was explained, in words: "jay (17)".
    target_spec     the same for machines.
    parameters      the method's options.
    measured        what the method found out about itself: layer -> what -> one number per image.
    notes           what a reader must know before believing the maps; what the maps (not numbers, all zero, none in
                    favor) and the photos (first frame) themselves tell is added.
    seconds         the time it took.
    where           layer name -> where the positions of its map lie on the network's input, as `photos[i].geometry.
                    map_to_photo` takes it; those left out lie edge to edge.
    drawing         how its overlays look where they are not told otherwise, see `drawn`; it is not saved.

    It draws itself (`overlay`, `figure`), in a notebook too, prints a summary, and saves and loads itself. Indexing
    gives the explanation of one image.
    """

    FORMAT: ClassVar[str] = "foveal-explanation/1"

    maps: Mapping[str, Float[Tensor, "n h w"]]
    photos: tuple[Photo, ...]
    score: Float[Tensor, " n"] | None
    probability: Float[Tensor, " n"] | None
    target: tuple[str, ...]
    target_spec: Mapping[str, JSON]
    method: str
    parameters: Mapping[str, JSON]
    model: str
    measured: Mapping[str, JSON] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, Place] = field(default_factory=dict)
    drawing: Drawing = field(default=Drawing(), repr=False)
    _told: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.photos)
        if not self.maps or n == 0 or len(self.target) != n:
            raise ResultError(
                f"An explanation needs a map, a photo and a target for each image, but got {len(self.maps)} layers, "
                f"{n} photos, {len(self.target)} targets."
            )
        for layer, map in self.maps.items():
            signals = all(photo.geometry.photo_size[0] == 1 for photo in self.photos)  # drawn one pixel high
            flat = map.ndim < (2 if signals else 3)
            if flat or len(map) != n or 0 in map.shape or not map.is_floating_point():
                raise ResultError(
                    f"The map of {layer!r} must be ({n}, h, w) real numbers, but is {map.dtype} {tuple(map.shape)}."
                )
        for name in ("score", "probability"):
            values = getattr(self, name)
            if values is not None and tuple(values.shape) != (n,):
                raise ResultError(f"The {name} must have shape ({n},), but has {tuple(values.shape)}.")
        lie: dict[tuple[int, int], set[Place | None]] = {}
        for layer, map in self.maps.items():
            if map.ndim == 3:
                lie.setdefault((map.shape[-2], map.shape[-1]), set()).add(self.where.get(layer))
        # Where maps of one size lie apart, the place has to be asked for by layer.
        places = {size: place for size, (place, *others) in lie.items() if place and not others}
        object.__setattr__(self, "photos", tuple(photo.with_places(places) for photo in self.photos))
        told = (*map_notes(self.maps), *photo_notes(self.photos))
        object.__setattr__(self, "_told", told)
        object.__setattr__(self, "notes", tuple(dict.fromkeys((*self.notes, *told))))

    def __getitem__(self, i: int | slice) -> Explanation:
        """The explanation of one image, or of several by a slice.

        Raises:
            ResultError: for a slice that holds no image.
        """
        rows = slice_of(i, len(self))
        each = PER_IMAGE.get(str(self.target_spec.get("kind")), ())
        spec = {key: _only(value, rows) if key in each else value for key, value in self.target_spec.items()}
        if (rows.start or 0) % self.labels_each or len(self.photos[rows]) % self.labels_each:
            spec.pop("each")  # some labels of an image are rows like others
        return replace(
            self,
            maps={layer: map[rows] for layer, map in self.maps.items()},
            photos=self.photos[rows],
            score=None if self.score is None else self.score[rows],
            probability=None if self.probability is None else self.probability[rows],
            target=self.target[rows],
            target_spec=spec,
            notes=self._given,
            measured={
                at: {key: _only(value, rows) for key, value in numbers.items()} for at, numbers in _by_layer(self)
            },
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[i] for i in range(len(self)))

    def fused(self, rule: str = "mean") -> Explanation:
        """One map made of those of all layers by "mean", "product" or "max", as `foveal.results.fusion` has them.

            foveal.explain(model, x, layer="all", method="layercam").fused("max").layer    # "max of layer1, layer2, …"

        At the resolution of the finest. Each layer counts alike, scaled by its own largest absolute value.
        """
        from foveal.results.fusion import finest, fuse

        if len(self.layers) < 2:
            raise ResultError(f"Cannot fuse the one map of {self.layer}: explain several layers, as layer='all' does.")
        note = "each layer's map was divided by its largest value before the fusion: shares, not parts of the score"
        name, maps = f"{rule} of {', '.join(self.layers)}", list(self.maps.values())
        places = [self.where.get(layer) for layer in self.layers]
        place = places[finest(maps)]
        return replace(
            self,
            maps={name: fuse(maps, rule, places=places, image=self.photos[0].geometry.input_size)},
            where={name: place} if place else {},
            parameters={**self.parameters, "fused": rule},
            notes=(*self._given, note),
        )

    def drawn(
        self, *, size: int | None = None, alpha: float | None = None, sign: Sign | None = None,
        scale: ScaleRule | float | None = None, colors: str | None = None, contour: bool | None = None,
    ) -> Self:  # fmt: skip
        """The same explanation, which draws itself in another way wherever it is drawn: shown, saved, in a figure.

            why.drawn(colors="viridis", contour=True).save("out/")

        The choices are those of `overlay`; what is left out stays as it is.
        """
        given = self.drawing.with_given(size=size, alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        return replace(self, drawing=given, notes=self._given)

    def figure(
        self, kind: str = "layers", *, layers: Sequence[str] | None = None, side: int = 256, alpha: float | None = None,
        sign: Sign | None = None, scale: ScaleRule | float | None = None, colors: str | None = None,
        contour: bool | None = None, title: str | None = None,
    ) -> Image.Image:  # fmt: skip
        """One row per image: the photo, then the overlay at each layer with its color bar.

        Args:
            kind: "layers"; or "labels", of a result of `foveal.Labels`: each image with a map a label of one layer,
                all on one scale.
            layers: those shown; all if left out.
            side: long side of an overlay in pixels.
            title: above the figure; the model's name if left out, nothing if "".
            alpha, sign, scale, colors, contour: as in `overlay`; "auto" is one sign for the whole figure, and the
                scale "robust".

        Raises:
            ResultError: for a kind or layer that is not here, or a value that cannot be drawn with.
        """
        check_kind(kind, "layers", *(["labels"] if self.labels_each > 1 else []))
        if kind == "labels":
            from foveal.render.label_sheet import label_sheet

            layer = (self._known(layers) or [self.layer])[-1]
            return label_sheet(self, self.labels_each, layer=layer, side=side, title=title)
        from foveal.render.figure_page import figure_page

        drawing = self.drawing.with_given(alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        return figure_page(self._rows, layers=self._known(layers), side=side, drawing=drawing, title=title).image()

    def save_figure(
        self, file: str | os.PathLike[str], *, layers: Sequence[str] | None = None, side: int | None = None,
        alpha: float | None = None, sign: Sign | None = None, scale: ScaleRule | float | None = None,
        colors: str | None = None, contour: bool | None = None, title: str | None = None,
    ) -> Path:  # fmt: skip
        """The same figure as a file: .pdf and .svg with text as text, .png, .jpg and others in pixels.

        Args:
            file: its name; the ending says the kind. PDF needs `pip install 'foveal[pdf]'`.
            side: of an overlay in pixels; 512 in vectors and 256 in pixels if left out.
            layers, alpha, sign, scale, colors, contour, title: as in `figure`.

        Raises:
            ResultError: for an ending or value that there is not, or where nothing can be written.
            MissingExtra: for a PDF without ReportLab.
        """
        from foveal.render.figure_file import save_figure

        drawing = self.drawing.with_given(alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour)
        return save_figure(Path(file), self._rows, layers=self._known(layers), side=side, drawing=drawing, title=title)

    def to_html(self, *, side: int = 320) -> str:
        """An HTML fragment with the overlays, what they explain, and the notes; needs no other file."""
        from foveal.render.fragment import explanation_fragment

        return explanation_fragment(self, side=side)

    def to_dict(self) -> dict[str, Any]:
        """What was explained, how, and what came out but for the maps themselves."""
        scores = {"score": self.score, "probability": self.probability}
        facts = {
            **explanation_facts(self),
            **{name: None if values is None else values.tolist() for name, values in scores.items()},
            "pictures": [photo.source for photo in self.photos],
        }
        return {name: finite(value) for name, value in facts.items()}

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """Photos, overlays, and maps.npz, one array a layer, under the layer's name."""
        photos, overlays = [], []
        for i, photo in enumerate(self.photos):
            stem = photo_stem(photo, i, len(self))
            photos.append(write_photo(aside, photo, stem))
            for layer in self.layers:
                name = write_picture(aside, self.overlay(i, layer=layer), f"{stem}-{plain_name(layer)}")
                overlays.append({"file": name, "photo": i, "layer": layer})
        write_arrays(aside / MAPS, self.maps)
        return {**explanation_facts(self), "photos": photos, "overlays": overlays}

    @classmethod
    def _read(cls, saved: Saved) -> Self:
        return cls(**cls._fields(saved))

    @classmethod
    def _fields(cls, saved: Saved) -> dict[str, Any]:
        with saved.open(MAPS) as file:
            maps = read_arrays(file, saved["layers"])
        photos = tuple(read_photo(saved, photo) for photo in saved["photos"])
        return explanation_fields(saved.content, maps, photos)

    def __str__(self) -> str:
        images = len(self) // self.labels_each
        count = f"{images} image" + "s" * (images != 1)
        count += f" with {self.labels_each} labels each" if self.labels_each > 1 else ""
        lines = [f"{self.method} of {self.model}: {count}, layers {', '.join(self.layers)}, {self.seconds:.2g} s"]
        shown = min(len(self), 10)
        lines += [f"  {self.photos[i].source}: {self.summary(i)}" for i in range(shown)]
        if shown < len(self):
            lines.append(f"  … and {len(self) - shown} more")
        if self.meaning:
            lines.append(f"  output: {self.meaning}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def caption_lines(self, i: int = 0) -> tuple[str, ...]:
        """What was explained for image i, and how much of it there was: "jay (17)", "score −8.31", "97 %".

        Of a predicted value the value itself: "age (0) above 30", "value 34, 4 above 30".
        """
        i = checked_index(i, len(self))
        lines = [self.target[i]]
        if value := value_words(self.target_spec, i):
            lines.append(value)
        elif self.score is not None:
            lines.append(f"score {typeset(number(float(self.score[i])))}")
        if self.probability is not None:
            lines.append(percent(float(self.probability[i])))
        return tuple(lines)

    def summary(self, i: int = 0) -> str:
        """The same in one line: "jay (17), score 8.31, 97 %"."""
        return ", ".join(self.caption_lines(i))

    @property
    def meaning(self) -> str:
        """What the network's output means, and how that is known: "classes (timm's configuration)".

        "" where what is explained is not read from the output.
        """
        return str(self.target_spec.get("meaning", ""))

    @property
    def labels_each(self) -> int:
        """How many rows in succession are of one image: its labels, where `foveal.Labels` was explained; else 1."""
        each = self.target_spec.get("each", 1)
        return each if isinstance(each, int) else 1

    @property
    def _rows(self) -> list[tuple[list[Explanation], int]]:
        return [([self], i) for i in range(len(self))]

    @property
    def _given(self) -> tuple[str, ...]:
        """The notes without those that its own maps and photos tell."""
        return tuple(note for note in self.notes if note not in self._told)


def explanation_facts(why: Explanation) -> dict[str, Any]:
    """Everything but arrays and images, as a manifest has it."""
    return {
        "method": why.method,
        "parameters": dict(why.parameters),
        "measured": dict(why.measured),
        "model": why.model,
        "target": list(why.target),
        "target_spec": dict(why.target_spec),
        "meaning": why.meaning,
        "score": describe_numbers(why.score),
        "probability": describe_numbers(why.probability),
        "layers": described(why.maps),
        "where": {layer: place.to_dict() for layer, place in why.where.items()},
        "notes": list(why.notes),
        "seconds": why.seconds,
        "versions": dict(why.versions),
    }


def explanation_fields(
    facts: Mapping[str, Any], maps: Mapping[str, Tensor], photos: tuple[Photo, ...]
) -> dict[str, Any]:
    """The fields of the explanation that such facts are of."""
    return {
        "maps": maps,
        "photos": photos,
        "score": read_numbers(facts["score"]),
        "probability": read_numbers(facts["probability"]),
        "target": tuple(facts["target"]),
        "target_spec": facts["target_spec"],
        "method": facts["method"],
        "parameters": facts["parameters"],
        "where": {layer: Place.from_dict(place) for layer, place in facts.get("where", {}).items()},
        "measured": facts.get("measured", {}),
        "model": facts["model"],
        "notes": tuple(facts["notes"]),
        "seconds": float(facts["seconds"]),
        "versions": facts["versions"],
    }


def _by_layer(why: Explanation) -> list[tuple[str, Mapping[str, JSON]]]:
    return [(at, numbers) for at, numbers in why.measured.items() if isinstance(numbers, Mapping)]


def slice_of(i: int | slice, count: int) -> slice:
    """The rows of one image, or of several, as a slice."""
    if isinstance(i, slice):
        return i
    i = checked_index(i, count)
    return slice(i, i + 1)


def _only(values: JSON, rows: slice) -> JSON:
    """These entries of a list; what is no list holds for every image."""
    return list(values[rows]) if isinstance(values, (list, tuple)) else values
