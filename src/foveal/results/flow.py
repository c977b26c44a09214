"""What `foveal.flow` gives: an explanation of every layer, with what each layer keeps and what it adds up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.errors import ResultError
from foveal.render.scale import number
from foveal.results.explanation import Explanation, slice_of
from foveal.results.result import check_kind, checked_index, finite
from foveal.results.stages import aligned
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    import os

    import numpy as np
    from jaxtyping import Bool, Float
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.storage.manifest import Saved

HEAD = ("layer", "score", "left-out neurons removed", "kept neurons removed", "offset")
TITLE = "The score, and what is left of it; the offset is what biases after the layer add"
COMPARED_HEAD = ("layer", "score", "left-out neurons from reference", "kept neurons from reference", "reference")
COMPARED_TITLE = "The score, and what is left of it; the last column is the score of the reference"
ARRAYS = "flow.npz"
BESIDE = ("signed", "kept")
SHOWN = 3  # images of many
FRAME = 260  # milliseconds
# WebP without loss, which shows every color of the tables; a GIF has 256 for photo, map and letters together.
ANIMATION: dict[str, Any] = {
    "format": "WEBP",
    "lossless": True,
    "quality": 30,
    "method": 2,
    "save_all": True,
    "loop": 0,
}


@dataclass(frozen=True)
class Audited:
    """The score with neurons of one layer removed, for each of n images.

    score               of the image as it is.
    without_abandoned   with the left-out neurons set to zero: equal to the score if they do not influence it.
    without_kept        with the kept neurons set to zero: close to the offset if these hold all evidence.
    offset              the part of the score that no neuron of the layer accounts for; NaN for similarities.

    Of a flow by differences, neurons are set to the reference's activations, and the offset is its score.
    """

    layer: str
    score: Float[Tensor, " n"]
    without_abandoned: Float[Tensor, " n"]
    without_kept: Float[Tensor, " n"]
    offset: Float[Tensor, " n"]

    def values(self) -> tuple[list[float], ...]:
        """The four scores of all images."""
        return tuple(scores.tolist() for scores in (self.score, self.without_abandoned, self.without_kept, self.offset))

    def to_dict(self) -> dict[str, Any]:
        """As plain data; None for what is no number."""
        values = {
            name: getattr(self, name).tolist() for name in ("score", "without_abandoned", "without_kept", "offset")
        }
        return {"layer": self.layer} | {name: finite(scores) for name, scores in values.items()}


@dataclass(frozen=True, eq=False)
class Audit:
    """`Flow.audit`: the score without the left-out neurons of each layer, and without the kept ones.

    layers      one entry a layer.
    compared    the name of the reference whose activations take the place of the neurons; "" where zeros do.
    """

    layers: tuple[Audited, ...]
    compared: str = ""

    @property
    def head(self) -> tuple[str, ...]:
        """The names of the columns."""
        return COMPARED_HEAD if self.compared else HEAD

    def __iter__(self) -> Iterator[Audited]:
        return iter(self.layers)

    def rows(self) -> list[tuple[str, ...]]:
        """A row a layer and image, under `head`: the layer, then the scores."""
        return [
            (entry.layer, *(f"{value:.4g}".replace("-", "−") for value in each))
            for entry in self.layers
            for each in zip(*entry.values(), strict=True)
        ]

    def _repr_html_(self) -> str:
        from foveal.render.fragment import table_fragment

        return table_fragment(self.head, self.rows(), title=COMPARED_TITLE if self.compared else TITLE)

    def __str__(self) -> str:
        return aligned(self.head, self.rows())

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class Flow(Explanation):
    """How the evidence for one decision comes together, layer by layer, shallow to deep.

    Everything an `Explanation` has; `maps` are Σ_c ReLU(B ⊙ G), at least 0, one map per layer. Beside them

    signed          layer -> (n, h, w), Σ_c A ⊙ G: evidence for and against; sums to `total`.
    kept            layer -> (n, h, w) in 0..1, the share of the channels kept at each position.
    measured        layer -> "kept", the share of neurons kept; "total", the sum of the signed map; "offset",
                    score − total, what biases (and curvature) after the layer account for, or, by differences,
                    the score of the reference; "residual" and
                    "iterations" of the inversion, 0 where none was needed.
    """

    FORMAT: ClassVar[str] = "foveal-flow/1"

    signed: Mapping[str, Float[Tensor, "n h w"]] = field(default_factory=dict)
    kept: Mapping[str, Float[Tensor, "n h w"]] = field(default_factory=dict)
    auditor: Callable[[Any], Audit] | None = field(default=None, repr=False)

    def __getitem__(self, i: int | slice) -> Flow:
        rows = slice_of(i, len(self))
        flow = super().__getitem__(rows)
        assert isinstance(flow, Flow)
        return replace(
            flow,
            signed={layer: map[rows] for layer, map in self.signed.items()},
            kept={layer: map[rows] for layer, map in self.kept.items()},
            auditor=None,
        )

    def number(self, layer: str, what: str, i: int = 0) -> float:
        """What was measured of a layer: "kept", "total", "offset", "residual", "iterations"."""
        measured: Any = self.measured[layer]
        return float(measured[what][checked_index(i, len(self))])

    def audit(self, progress: Callable[[str, int, int], None] | None = None) -> Audit:
        """Set the left-out neurons of each layer to zero and run on, then the kept ones: how does the score change?

        By differences, neurons are set to the reference's activations instead.
        Two partial forward passes a layer and image. Raises ResultError for a flow that was loaded or is a part of
        another: it has no network.
        """
        if self.auditor is None:
            raise ResultError(
                "this flow was loaded or cut out of a larger one, so it has no network to audit: audit the flow "
                "that foveal.flow returned"
            )
        return self.auditor(progress)

    def figure(  # type: ignore[override]
        self, kind: str = "layers", *, layers: Sequence[str] | None = None, side: int = 224, i: int = 0,
        common: bool = False, audit: Audit | None = None, inside: Bool[NDArray[np.bool_], "h w"] | None = None,
    ) -> Image.Image:  # fmt: skip
        """The maps of all images from shallow to deep, one row per image; or a strip of one image.

        Args:
            kind: "layers"; or "strip": image i's maps, the neurons kept, and curves by depth.
            layers: of the rows; all if left out.
            common: one scale for all layers of a strip, instead of one each.
            audit: adds the curve of the score after the left-out neurons are removed.
            inside: (h, w) on the photo, true on the object: adds the curve of how much evidence lies there.
        """
        from foveal.render.flow import film_strip, layer_rows

        check_kind(kind, "layers", "strip")
        if kind == "strip":
            return film_strip(self, i, side=side, common=common, audit=audit, inside=inside)
        return layer_rows(self, layers=layers, side=side)

    def to_html(self, *, side: int = 224) -> str:
        """What a notebook shows: the strips of the first images, with maps of `side` pixels, and the numbers."""
        from foveal.render.fragment import result_fragment

        strips = [(self.figure("strip", i=i, side=side), self._alt(i)) for i in range(min(len(self), SHOWN))]
        return result_fragment(strips, str(self))

    def _alt(self, i: int) -> str:
        layers = "; ".join(f"{layer} {self.caption(layer, i)}" for layer in self.layers)
        return f"Attention flow for {self.target[i]} in {self.photos[i].source}. {layers}."

    def correlations(self, i: int = 0) -> Image.Image:
        """How alike the maps of image i are, each layer with each."""
        from foveal.render.flow import correlation_picture

        return correlation_picture(self, i)

    def animation(self, i: int = 0, *, side: int = 320) -> list[Image.Image]:
        """Frames of attention forming on image i; `save` writes them as an animated WebP."""
        from foveal.render.flow import frames

        return frames(self, i, side=side)

    def save(self, folder: str | os.PathLike[str], *, audit: Audit | None = None) -> Path:
        """As an explanation, with a strip and an animation per image, and flow.npz for what is beside the maps.

        Args:
            audit: is drawn into the strips and written to the manifest.
        """
        return self._saved(Path(folder), lambda aside: self._write(aside, audit))

    def _write(self, aside: Path, audit: Audit | None = None) -> Mapping[str, Any]:
        for i in range(len(self)):
            number = f"-{i}" if len(self) > 1 else ""
            self.figure("strip", i=i, audit=audit).save(aside / f"strip{number}.png")
            first, *rest = self.animation(i)
            first.save(aside / f"flow{number}.webp", append_images=rest, duration=FRAME, **ANIMATION)
        arrays = {f"{what}/{layer}": map for what in BESIDE for layer, map in getattr(self, what).items()}
        write_arrays(aside / ARRAYS, arrays)
        more = {"flow": described(arrays), "audit": [entry.to_dict() for entry in audit] if audit else None}
        return {**super()._write(aside), **more}

    @classmethod
    def _fields(cls, saved: Saved) -> dict[str, Any]:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["flow"])
        more: dict[str, dict[str, Any]] = {what: {} for what in BESIDE}
        for name, array in arrays.items():
            what, _, layer = name.partition("/")
            more[what][layer] = array
        return {**super()._fields(saved), **more}

    def __str__(self) -> str:
        lines = [super().__str__()]
        for i in range(min(len(self), SHOWN)):
            lines.append(f"  {self.photos[i].source}, from shallow to deep:")
            lines += [f"    {layer:24} {self.caption(layer, i)}" for layer in self.layers]
        return "\n".join(lines)

    __repr__ = __str__

    def caption(self, layer: str, i: int = 0) -> str:
        """ "43 % of neurons kept; evidence 5.2, score 8.1"; how well an inversion went, where there was one."""
        total, offset = self.number(layer, "total", i), self.number(layer, "offset", i)
        said = (
            f"{100 * self.number(layer, 'kept', i):.3g} % of neurons kept; evidence {number(total)}, "
            f"score {number(total + offset)}"
        )
        if self.parameters.get("reference"):
            said += f", reference {number(offset)}"
        count = self.number(layer, "iterations", i)
        if count:
            said += f", residual {self.number(layer, 'residual', i):.1e} after {count:.0f} iterations"
        return said
