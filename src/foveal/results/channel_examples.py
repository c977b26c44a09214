"""What channels respond to, with the images that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from foveal.errors import ImageError, UnknownLayer
from foveal.images import Preprocessing, load_images
from foveal.results.result import Result, check_kind, finite
from foveal.results.storage import describe_stage, read_stage
from foveal.storage.arrays import described, read_arrays, write_arrays

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from PIL import Image

    from foveal.engine.structure import Stage
    from foveal.storage.manifest import Saved

ARRAYS = "channels.npz"
TENSORS = ("values", "pictures", "places")


@dataclass(frozen=True)
class ChannelExample:
    """One image in which a channel is strong.

    Attributes:
        file: the image.
        place: row and column in the stage.
        value: the activation there.
    """

    file: Path
    place: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class ChannelExamples(Result):
    """For each channel of each stage the images of a set where its largest activation is largest.

    Attributes:
        model: its name.
        files: the images that were looked at.
        stages: by name.
        values: stage -> (c, m), largest activations, the largest first.
        images: stage -> (c, m), numbers of the files.
        places: stage -> (c, m, 2), rows and columns.
        notes: what a reader should know.
        seconds: the time it took.
        versions: what they were found with.
    """

    FORMAT: ClassVar[str] = "foveal-channels/1"

    model: str
    files: tuple[Path, ...]
    stages: Mapping[str, Stage]
    values: Mapping[str, Float[Tensor, "c m"]] = field(repr=False)
    pictures: Mapping[str, Int[Tensor, "c m"]] = field(repr=False)
    places: Mapping[str, Int[Tensor, "c m 2"]] = field(repr=False)
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def entries(self, layer: str, channel: int) -> tuple[ChannelExample, ...]:
        """Where a channel is strongest; images in which it is nowhere on are left out.

        Raises:
            LayerError: for a stage or channel that is not in here.
        """
        if layer not in self.values or not 0 <= channel < len(self.values[layer]):
            known = ", ".join(f"{name} (0..{len(v) - 1})" for name, v in self.values.items())
            raise UnknownLayer(f"there are no examples of channel {channel} of {layer!r}: there are some of {known}")
        rows = zip(
            self.pictures[layer][channel].tolist(),
            self.places[layer][channel].tolist(),
            self.values[layer][channel].tolist(),
            strict=True,
        )
        return tuple(ChannelExample(self.files[i], (y, x), value) for i, (y, x), value in rows if value > 0)

    def crops(self, layer: str, channel: int, *, side: int = 96) -> list[Image.Image]:
        """The parts of those images that the channel sees where it is strongest, as squares."""
        return self.crops_of([(layer, channel)], side=side)[layer, channel]

    def crops_of(
        self, channels: Sequence[tuple[str, int]], *, side: int = 96
    ) -> dict[tuple[str, int], list[Image.Image]]:
        """The same of several channels (layer, number); each image is read once."""
        from foveal.render.feature import seen_at

        entries = {key: self.entries(*key) for key in channels}
        wanted: dict[Path, list[tuple[tuple[str, int], int]]] = {}
        for key, ranked in entries.items():
            for rank, entry in enumerate(ranked):
                wanted.setdefault(entry.file, []).append((key, rank))
        crops: dict[tuple[tuple[str, int], int], Image.Image] = {}
        for file, places in wanted.items():
            photo = load_images(file, self.preprocessing).photos[0]
            for key, rank in places:
                crops[key, rank] = seen_at(photo, self.stages[key[0]], entries[key][rank].place, side=side)
        return {key: [crops[key, rank] for rank in range(len(ranked))] for key, ranked in entries.items()}

    def strongest(self, layer: str, count: int) -> list[int]:
        """The channels of a stage with the largest activations, the largest first."""
        if layer not in self.values:
            raise UnknownLayer(f"there are no examples of {layer!r}: there are some of {', '.join(self.values)}")
        peaks = self.values[layer][:, 0] if self.values[layer].shape[1] else self.values[layer].sum(1)
        return [int(k) for k in peaks.argsort(descending=True, stable=True)[:count]]

    def figure(
        self, kind: str = "examples", *, layer: str | None = None, channels: Sequence[int] | None = None,
        most: int = 8, side: int = 96,
    ) -> Image.Image:  # fmt: skip
        """One row per channel: what it sees where it is strongest. The images are read again.

        Args:
            kind: "examples".
            layer: a stage; None is the last.
            channels: of it; None are those with the largest activations, `most` of them.
        """
        from foveal.render.figures import grid

        check_kind(kind, "examples")
        layer = [*self.values][-1] if layer is None else layer
        numbers = self.strongest(layer, most) if channels is None else list(channels)
        crops = self.crops_of([(layer, k) for k in numbers], side=side)
        rows = [f"channel {k}\nmaximum {self.entries(layer, k)[0].value:.3g}" if crops[layer, k] else f"channel {k}"
                for k in numbers]  # fmt: skip
        return grid(
            [crops[layer, k] for k in numbers],
            rows=rows,
            title=f"Images where channels of {layer}, {self.model}, are strongest",
            caption=" ".join(
                [
                    "Each crop is the receptive field of the neuron.",
                    *(f"{note[:1].upper()}{note[1:]}." for note in self.notes),
                ]
            ),
            side=side,
        )

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        """The figure, as long as the image files are where they were."""
        try:
            return super()._shown()
        except ImageError:
            return []

    def to_dict(self) -> dict[str, Any]:
        """Where each channel of each stage is strongest."""
        return {
            **self._facts(),
            "channels": {
                layer: [
                    [{"file": str(entry.file), "place": list(entry.place), "value": finite(entry.value)}
                     for entry in self.entries(layer, k)]
                    for k in range(len(values))
                ]
                for layer, values in self.values.items()
            },
        }  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        return {
            "model": self.model, "pictures": [str(file) for file in self.files], "notes": list(self.notes),
            "stages": {name: describe_stage(stage) for name, stage in self.stages.items()},
            "preprocessing": self.preprocessing and self.preprocessing.to_dict(),
            "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The numbers, in channels.npz; the images stay where they are."""
        arrays = {f"{what}/{name}": getattr(self, what)[name] for what in TENSORS for name in self.values}
        write_arrays(aside / ARRAYS, arrays)
        return {**self._facts(), "layers": list(self.values), "arrays": described(arrays)}

    @classmethod
    def _read(cls, saved: Saved) -> ChannelExamples:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        preprocessing = saved["preprocessing"]
        values, pictures, places = ({name: arrays[f"{what}/{name}"] for name in saved["layers"]} for what in TENSORS)
        return cls(
            saved["model"],
            tuple(Path(file) for file in saved["pictures"]),
            {name: read_stage(stage) for name, stage in saved["stages"].items()},
            values,
            pictures,
            places,
            preprocessing=Preprocessing.from_dict(preprocessing) if preprocessing else None,
            notes=tuple(saved["notes"]),
            seconds=float(saved["seconds"]),
            versions=saved["versions"],
        )

    def __str__(self) -> str:
        counts = ", ".join(f"{layer} {len(values)}" for layer, values in self.values.items())
        lines = [f"{self.model}: channels of {len(self.files)} images, by stage {counts}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__
