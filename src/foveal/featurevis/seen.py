"""What a network computes from images: maps, pooled features, output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from foveal.featurevis.few_passes import mean_and_deviation

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.task import Task


@dataclass(frozen=True, eq=False)
class Seen:
    """The network's results for k images of one task.

    Attributes:
        images: (k, c, h, w) in 0..1, before any random transform.
        maps: layer -> (k, c, h, w), channels first; (k, c) for layers without a map.
        output: of the whole network; None if the forward pass stopped earlier.
        labels: class names, if known.
        task: what the output means, if known.
    """

    images: Float[Tensor, "k c h w"]
    maps: Mapping[str, Tensor]
    output: Any = None
    labels: Sequence[str] | None = None
    task: Task | None = None
    _pooled: dict[str, Tensor] = field(default_factory=dict)

    def features(self, layer: str) -> Float[Tensor, "k c"]:
        """The layer's mean over positions."""
        if layer not in self._pooled:
            self._pooled[layer] = pooled(self.maps[layer])
        return self._pooled[layer]


def pooled(maps: Tensor) -> Float[Tensor, "k c"]:
    """(k, c, h, w) over positions, (k, t, c) over tokens; (k, c) unchanged. Half precision is summed in single."""
    maps = maps.float() if maps.dtype.itemsize < 4 else maps
    return maps.mean((2, 3)) if maps.ndim == 4 else maps.mean(1) if maps.ndim == 3 else maps.flatten(1)


def moments(maps: Tensor) -> tuple[Float[Tensor, "k c"], Float[Tensor, "k c"]]:
    """Mean and deviation of each channel over positions; no deviation without positions."""
    maps = maps.float() if maps.dtype.itemsize < 4 else maps
    over = maps.flatten(2) if maps.ndim == 4 else maps.mT if maps.ndim == 3 else maps[..., None]
    return mean_and_deviation(over)


def parts_of(seen: Seen, counts: Sequence[int]) -> list[Seen]:
    """The results, task by task, each with its number of images.

    Split rather than sliced: the gradient of all parts is written once, not once per part.
    """
    if len(counts) == 1:
        return [seen]
    images = seen.images.split(list(counts))
    maps = {layer: maps.split(list(counts)) for layer, maps in seen.maps.items()}
    leaves, spec = tree_flatten(seen.output)
    outputs = [leaf.split(list(counts)) if isinstance(leaf, Tensor) and leaf.ndim else leaf for leaf in leaves]
    return [
        Seen(
            images[t],
            {layer: each[t] for layer, each in maps.items()},
            tree_unflatten([leaf[t] if isinstance(leaf, tuple) else leaf for leaf in outputs], spec),
            seen.labels,
            seen.task,
        )
        for t in range(len(counts))
    ]
