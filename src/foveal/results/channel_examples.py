"""What channels respond to, with the pictures that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from foveal.errors import UnknownLayer
from foveal.images import load_images

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from PIL import Image

    from foveal.engine.structure import Stage
    from foveal.images import Preprocessing


@dataclass(frozen=True)
class ChannelExample:
    """One picture in which a channel is strong.

    Attributes:
        file: the picture.
        place: row and column in the stage.
        value: the activation there.
    """

    file: Path
    place: tuple[int, int]
    value: float


@dataclass(frozen=True, eq=False)
class ChannelExamples:
    """For each channel of each stage the pictures of a set where its largest activation is largest.

    Attributes:
        model: its name.
        files: the pictures that were looked at.
        stages: by name.
        values: stage -> (c, m), largest activations, the largest first.
        pictures: stage -> (c, m), numbers of the files.
        places: stage -> (c, m, 2), rows and columns.
        notes: what a reader should know.
    """

    model: str
    files: tuple[Path, ...]
    stages: Mapping[str, Stage]
    values: Mapping[str, Float[Tensor, "c m"]] = field(repr=False)
    pictures: Mapping[str, Int[Tensor, "c m"]] = field(repr=False)
    places: Mapping[str, Int[Tensor, "c m 2"]] = field(repr=False)
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()

    def entries(self, layer: str, channel: int) -> tuple[ChannelExample, ...]:
        """Where a channel is strongest; pictures in which it is nowhere on are left out.

        Raises:
            LayerError: for a stage or channel that is not in here.
        """
        if layer not in self.values or not 0 <= channel < len(self.values[layer]):
            known = ", ".join(f"{name} (0..{len(v) - 1})" for name, v in self.values.items())
            raise UnknownLayer(f"there are no examples of channel {channel} of {layer!r}: it knows {known}")
        rows = zip(
            self.pictures[layer][channel].tolist(),
            self.places[layer][channel].tolist(),
            self.values[layer][channel].tolist(),
            strict=True,
        )
        return tuple(ChannelExample(self.files[i], (y, x), value) for i, (y, x), value in rows if value > 0)

    def crops(self, layer: str, channel: int, *, side: int = 96) -> list[Image.Image]:
        """The parts of those pictures that the channel sees where it is strongest, as squares."""
        return self.crops_of([(layer, channel)], side=side)[layer, channel]

    def crops_of(
        self, channels: Sequence[tuple[str, int]], *, side: int = 96
    ) -> dict[tuple[str, int], list[Image.Image]]:
        """The same of several channels (layer, number); each picture is read once."""
        from foveal.render.feature import seen_at

        entries = {key: self.entries(*key) for key in channels}
        wanted: dict[Path, list[tuple[tuple[str, int], int]]] = {}
        for key, found in entries.items():
            for rank, entry in enumerate(found):
                wanted.setdefault(entry.file, []).append((key, rank))
        crops: dict[tuple[tuple[str, int], int], Image.Image] = {}
        for file, places in wanted.items():
            photo = load_images(file, self.preprocessing).photos[0]
            for key, rank in places:
                crops[key, rank] = seen_at(photo, self.stages[key[0]], entries[key][rank].place, side=side)
        return {key: [crops[key, rank] for rank in range(len(found))] for key, found in entries.items()}
