"""What `foveal.explain` gives: the maps, what they explain, and the photos to draw them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias

from foveal.engine.address import INPUT
from foveal.errors import ResultError
from foveal.images import Place
from foveal.images.planes import plane
from foveal.render.overlay import draw_overlay
from foveal.render.scale import Limit, Sign, choose_scale, number
from foveal.results.notes import map_notes, photo_notes
from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import (
    describe_numbers,
    photo_stem,
    read_numbers,
    read_photo,
    write_photo,
    write_picture,
)
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.naming import plain_name
from foveal.targets.target import PER_IMAGE

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo
    from foveal.storage.manifest import Saved

MAPS = "maps.npz"
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


@dataclass(frozen=True, eq=False)
class Explanation(Result):
    """Which evidence a network used, at one or more layers, for one or more pictures.

    maps            layer name -> (n, h, w), raw and signed, at the layer's own resolution; the deepest layer last. Of
                    signals (n, length), of volumes (n, d, h, w), which are drawn one pixel high, or by their middle.
    photos          the n originals.
    score           (n,) the explained score; None where a method needs no decision.
    probability     (n,) in 0..1 where the score has one.
    target          n times, what was explained, in words: "jay (17)".
    target_spec     the same for machines.
    parameters      the method's options.
    measured        what the method found out about itself: layer -> what -> a number a picture.
    notes           what a reader must know before believing the maps; what the maps (not numbers, all zero, none in
                    favor) and the photos (first frame) themselves tell is added.
    seconds         the time it took.
    where           layer name -> where the cells of its map lie on the network's input, as `photos[i].geometry.
                    map_to_photo` takes it; those left out lie edge to edge.

    It draws itself (`overlay`, `figure`), in a notebook too, prints a summary, and saves and loads itself. Indexing
    gives the explanation of one picture.
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
    _told: tuple[str, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.photos)
        if not self.maps or n == 0 or len(self.target) != n:
            raise ResultError(
                f"An explanation needs a map, a photo and a target a picture, but got {len(self.maps)} layers, "
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

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the explained layers, in the network's order."""
        return tuple(self.maps)

    @property
    def layer(self) -> str:
        """The deepest of them."""
        return self.layers[-1]

    @property
    def map(self) -> Float[Tensor, "n h w"]:
        """The maps of the deepest layer."""
        return self.maps[self.layer]

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, i: int | slice) -> Explanation:
        """The explanation of one image, or of several by a slice.

        Raises:
            ResultError: for a slice that holds no image.
        """
        rows = slice_of(i, len(self))
        each = PER_IMAGE.get(str(self.target_spec.get("kind")), ())
        spec = {key: _only(value, rows) if key in each else value for key, value in self.target_spec.items()}
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
            raise ResultError(f"Cannot fuse the one map of {self.layer}: explain several layers, layer='all' say.")
        note = "each layer's map was divided by its largest value before they were fused: shares, no parts of the score"
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

    def on_photo(self, i: int = 0, *, layer: str | None = None) -> Float[NDArray[Any], "H W"]:
        """Picture i's map in the pixels of its photo, NaN where the network did not look; `layer` as in `overlay`."""
        place = self.where.get(self.layer if layer is None else layer)
        return self.photos[i].geometry.map_to_photo(plane(self._map(layer)[i]), place=place)

    def overlay(
        self,
        i: int = 0,
        *,
        layer: str | None = None,
        sign: Sign = "auto",
        alpha: float = 0.85,
        scale: Literal["auto", "image", "batch", "robust"] | float = "auto",
        color_bar: bool = True,
        cmap: str | None = None,
        side: int | None = None,
    ) -> Image.Image:
        """Picture i's photo with its map on it, and a bar with the raw values.

        layer       which one; None is the deepest.
        sign        "positive", "negative", "signed", or "auto": signed if the negative part is worth a color.
        alpha       how far the strongest evidence covers the photo.
        scale       the value that gets the last color: the largest of this "image", of the "batch", a number, or
                    "robust", which 98 % of this image's values do not exceed: for sparse maps of early layers.
                    "auto" is robust for maps of pixels, else image.
        cmap        the name of a colormap, such as "viridis" (needs `pip install 'foveal[colormaps]'`); None is
                    foveal's own.
        side        long side of the drawn photo in pixels; None is its own size.
        """
        map = self._map(layer)
        limit: Limit = None
        if scale == "auto":
            scale = "robust" if (layer or self.layer) == INPUT else "image"
        if scale == "batch":
            common = choose_scale(map.detach().cpu().float().numpy(), sign=sign)
            sign, limit = common.sign, common.limit
        elif scale == "robust":
            limit = "robust"
        elif scale != "image":
            if not (isinstance(scale, (int, float)) and 0 < scale < float("inf")):
                raise ResultError(
                    f"Cannot draw to scale {scale!r}: it is 'auto', 'image', 'batch', 'robust' or a number above 0."
                )
            limit = float(scale)
        return draw_overlay(
            self.photos[i], map[i], place=self.where.get(layer or self.layer), sign=sign, limit=limit, alpha=alpha,
            color_bar=color_bar, cmap=cmap, side=side,
        )  # fmt: skip

    def figure(self, kind: str = "layers", *, layers: Sequence[str] | None = None, side: int = 256) -> Image.Image:
        """A row a picture: the photo, then the overlay at each layer."""
        check_kind(kind, "layers")
        from foveal.render.figures import layer_sheet

        return layer_sheet(self, layers=layers, side=side)

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
        count = f"{len(self)} picture" + "s" * (len(self) != 1)
        lines = [f"{self.method} of {self.model}: {count}, layers {', '.join(self.layers)}, {self.seconds:.2g} s"]
        shown = min(len(self), 10)
        lines += [f"  {self.photos[i].source}: {self.summary(i)}" for i in range(shown)]
        if shown < len(self):
            lines.append(f"  … and {len(self) - shown} more")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def caption_lines(self, i: int = 0) -> tuple[str, ...]:
        """What was explained for picture i, and how much of it there was: "jay (17)", "score 8.31", "97 %"."""
        lines = [self.target[i]]
        if self.score is not None:
            lines.append(f"score {number(float(self.score[i]))}")
        if self.probability is not None:
            lines.append(f"{100 * float(self.probability[i]):.3g} %")
        return tuple(lines)

    def summary(self, i: int = 0) -> str:
        """The same in one line: "jay (17), score 8.31, 97 %"."""
        return ", ".join(self.caption_lines(i))

    @property
    def _given(self) -> tuple[str, ...]:
        """The notes without those that its own maps and photos tell."""
        return tuple(note for note in self.notes if note not in self._told)

    def _map(self, layer: str | None) -> Float[Tensor, "n h w"]:
        name = self.layer if layer is None else layer
        if name not in self.maps:
            raise ResultError(f"There is no map of layer {name!r} here; there are {', '.join(self.layers)}.")
        return self.maps[name]


def explanation_facts(why: Explanation) -> dict[str, Any]:
    """Everything but arrays and pictures, as a manifest has it."""
    return {
        "method": why.method,
        "parameters": dict(why.parameters),
        "measured": dict(why.measured),
        "model": why.model,
        "target": list(why.target),
        "target_spec": dict(why.target_spec),
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
    i = range(count)[i]
    return slice(i, i + 1)


def _only(values: JSON, rows: slice) -> JSON:
    """These entries of a list; what is no list holds for every image."""
    return list(values[rows]) if isinstance(values, (list, tuple)) else values
