"""One operation, and where its tensors lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from torch import Tensor

from foveal.engine.positions.axis import Along, nowhere


class Cells(NamedTuple):
    """Where the cells of a map lie: cell (i, j) around the image's point `offset` + (i, j) · `step`.

    Attributes:
        offset: (y, x) in pixels, the middle of the first cell; a number for each axis of space.
        step: (y, x), from one cell to the next; negative where the map is mirrored.
        turned: the map's rows are the image's columns; `offset` and `step` are (y, x) all the same.
    """

    offset: tuple[float, ...]
    step: tuple[float, ...]
    turned: bool = False


@dataclass(frozen=True, eq=False)
class Where:
    """Where the elements of one tensor lie.

    Attributes:
        axes: along the image's y and x, or whatever axes of space it has.
        lost: the operation after which this is not known; `axes` are of no use then.
        by: the last operation that rearranged or summed elements, to be named where no place comes of it.
        known: what was worked out of it before.
    """

    axes: tuple[Along, ...]
    lost: str = ""
    by: str = ""
    known: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def unknown(cls, ndim: int, lost: str, axes: int) -> Where:
        return cls((nowhere(ndim),) * axes, lost)


@dataclass(frozen=True, eq=False)
class Call:
    """One operation as it ran.

    Attributes:
        inputs: those of its tensors that depend on the image, and where they lie.
        outputs: the tensors it gave.
    """

    func: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    inputs: Sequence[tuple[Tensor, Where]]
    outputs: Sequence[Tensor]

    @cached_property
    def name(self) -> str:
        """ATen's, without the underscore of what writes into its argument."""
        return plain_name(self.func)

    @property
    def out(self) -> Tensor:
        return self.outputs[0]

    def __getitem__(self, argument: str) -> Any:
        """None where it was left out, or there is no such argument."""
        if argument in self.kwargs:
            return self.kwargs[argument]
        at = _arguments(self.func).get(argument, len(self.args))
        return self.args[at] if at < len(self.args) else None

    @property
    def first(self) -> Tensor:
        return tensors_in(self.args)[0]

    def of(self, tensor: Tensor, k: int) -> Along:
        """Along axis k; what does not depend on the image is nowhere."""
        where = next((where for known, where in self.inputs if known is tensor), None)
        return where.axes[k] if where else nowhere(tensor.ndim)


def tensors_in(given: Iterable[Any]) -> list[Tensor]:
    """Those among the arguments or results of an operation, which nests no deeper than lists."""
    tensors: list[Tensor] = []
    for value in given:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, list | tuple):
            tensors += [part for part in value if isinstance(part, Tensor)]
    return tensors


@lru_cache(maxsize=1024)
def plain_name(func: Any) -> str:
    """The name of an ATen operation, without the underscore of what writes into its argument: `relu_` is "relu"."""
    name: str = func.overloadpacket.__name__
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


@lru_cache(maxsize=1024)
def _arguments(func: Any) -> dict[str, int]:
    return {argument.name: at for at, argument in enumerate(func._schema.arguments)}
