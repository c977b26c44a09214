"""What a network takes beside the image."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from foveal.errors import ModelError


@dataclass(frozen=True)
class Arguments:
    """Further arguments of a network's forward, and the place of the image among them.

    Tensors with one row an image follow the images: `row` takes those of one, and where an image is asked about in
    `k` copies its rows are repeated `k` times. Everything else goes in as it is.

    Attributes:
        n: how many images there are.
        positional: what stands beside the image; `...` stands for the image where it does not come first, also inside
            lists, tuples and dicts: `([..., other],)`.
        keywords: what is given by name; `...` is the image where it is given by name.
    """

    n: int = 1
    positional: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            leaves = tree_leaves((self.positional, dict(self.keywords)))
        except RecursionError as error:
            raise ModelError("inputs or keywords contain themselves: pass lists and dicts without loops") from error
        if sum(leaf is ... for leaf in leaves) > 1:
            raise ModelError("`...` in inputs and keywords stands for the image: write it once")
        if any(_hides_the_image(leaf) for leaf in leaves):
            raise ModelError("`...` stands for the image: it is found only in lists, tuples and dicts")

    def bind(self, x: Tensor, fresh: Callable[[Tensor], Tensor] | None = None) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with the image in its place; the rows of one image as often as `x` has copies of it.

        Args:
            fresh: what to do to each further tensor, such as copying it.
        """
        positional, keywords = self._each(partial(_fitting, n=self.n, count=len(x), fresh=fresh))
        if not any(leaf is ... for leaf in tree_leaves((positional, keywords))):
            return [x, *positional], keywords
        whole: tuple[list[Any], dict[str, Any]] = tree_map(
            lambda leaf: x if leaf is ... else leaf, ([*positional], keywords)
        )
        return whole

    def row(self, image: int) -> Arguments:
        """Those of one image."""
        return self.rows(image, image + 1)

    def rows(self, start: int, stop: int) -> Arguments:
        """Those of the images from `start` to `stop`."""
        each = self._each(lambda tensor: tensor[start:stop] if self._a_row_an_image(tensor) else tensor)
        return Arguments(stop - start, *each)

    def every(self, step: int) -> Arguments:
        """Those of every `step`-th image."""
        each = self._each(lambda tensor: tensor[::step] if self._a_row_an_image(tensor) else tensor)
        return Arguments(len(range(0, self.n, step)), *each)

    def repeated(self, times: int) -> Arguments:
        """Those of each image, as often in succession."""
        each = self._each(lambda t: t.repeat_interleave(times, 0) if self._a_row_an_image(t) else t)
        return Arguments(self.n * times, *each)

    def key(self) -> Hashable:
        """Equal where a network runs alike: shapes of tensors, and plain values."""
        leaves = tree_leaves((self.positional, dict(self.keywords)))
        kinds = tuple((leaf.shape[1:], leaf.dtype) if isinstance(leaf, Tensor) else _plain(leaf) for leaf in leaves)
        return (len(self.positional), tuple(self.keywords), kinds)

    def _a_row_an_image(self, tensor: Tensor) -> bool:
        return tensor.ndim > 0 and len(tensor) == self.n

    def _each(self, change: Callable[[Tensor], Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def changed(value: Any) -> Any:
            return tree_map(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, value)

        return tuple(map(changed, self.positional)), {key: changed(value) for key, value in self.keywords.items()}


def extra_inputs(n: int, inputs: Sequence[Any] | Tensor, keywords: Mapping[str, Any] | None) -> Arguments:
    """`Arguments` as people write them: a tensor alone is one input."""
    return Arguments(n, (inputs,) if isinstance(inputs, Tensor) else tuple(inputs), dict(keywords or {}))


def _fitting(tensor: Tensor, *, n: int, count: int, fresh: Callable[[Tensor], Tensor] | None) -> Tensor:
    tensor = fresh(tensor) if fresh else tensor
    if n == 1 and count > 1 and tensor.ndim > 0 and len(tensor) == 1:
        return tensor.expand(count, *tensor.shape[1:])
    return tensor


def _hides_the_image(leaf: Any) -> bool:
    """Whether `...` is in a container whose parts are not looked at."""
    inside = leaf.values() if isinstance(leaf, Mapping) else leaf if isinstance(leaf, AbstractSet) else ()
    return any(part is ... for part in inside)


def _plain(value: Any) -> Hashable:
    return value if isinstance(value, str | int | float | bool | None) else type(value).__name__
