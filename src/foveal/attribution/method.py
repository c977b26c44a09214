"""What a method is: a formula, what it is a formula of, and what is worth knowing about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.errors import UnknownMethod

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import Rules

Option: TypeAlias = "float | int | str | bool | None"

Caution = Callable[[Tensor, Tensor, Tensor], "str | None"]
"""(A, G, map) -> what a reader must know before believing this map, or None."""


@dataclass(frozen=True)
class Method:
    """A way to explain.

    Attributes:
        name: what `method=` and `--method` take.
        title: the name in print.
        formula: to the raw, signed map, from what the method needs; options follow by name.
        needs: "activations": formula(A, G) -> (n, h, w) that looks at no decision; the forward stops at the layer.
            "gradients": formula(A, G) with the cotangents G = d score / d A, or what `rules` make of them.
            "forwards": formula(probe) -> (h, w) for one image; the probe asks the network again (`PerturbationScorer`).
        about: one line: what the map shows and when it is exact.
        condition: where it applies, "any layer" mostly.
        citation: the source.
        caution: looks at a finished map for a known trap of the method.
        between: names of the operations that may lie between the layer and the score; None for any.
        rules: made of the options; how the backward pass treats each operation. None is the derivative.
        place: the layer when none is named: the "last stage", or the "input" itself.
        similarity: it explains decisions that compare embeddings, and no others.
        options: what can be set, with the values that hold.
    """

    name: str
    title: str
    formula: Callable[..., Tensor]
    needs: Literal["activations", "gradients", "forwards"]
    about: str
    citation: str
    condition: str = "any layer"
    caution: Caution | None = None
    between: frozenset[str] | None = None
    rules: Callable[..., Rules] | None = None
    place: Literal["last stage", "input"] = "last stage"
    similarity: bool = False
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)

    def __call__(self, A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The map of a method that needs activations or gradients, computed in single precision at least."""
        options = {} if self.rules else self.options
        with _without_autocast(A.device.type):
            parts = [self.formula(a, g, **options) for _, (a, g) in in_cache(A, G)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @property
    def differentiable(self) -> bool:
        """Whether its maps can be differentiated themselves: what changes the backward pass cannot."""
        return self.needs != "forwards" and self.rules is None

    def backward_rules(self) -> Rules | None:
        """How its backward pass treats operations; None is the derivative."""
        return self.rules(**self.options) if self.rules else None

    def spelled(self, defaults: Mapping[str, Option]) -> str:
        """The name with the options that differ: "scorecam:clusters=64"."""
        changed = [f"{key}={value}" for key, value in self.options.items() if value != defaults.get(key)]
        return self.name + (":" + ",".join(changed) if changed else "")

    def with_options(self, given: Mapping[str, str]) -> Method:
        """The same with some options set, read from text.

        Raises:
            MethodError: for an option there is not, or a value of another kind.
        """
        for key in given:
            if key not in self.options:
                known = ", ".join(f"{name}={value}" for name, value in self.options.items()) or "none"
                raise UnknownMethod(f"{self.name} has no option {key!r}; its options are: {known}")
        return replace(self, options={**self.options, **{key: self._read(key, text) for key, text in given.items()}})

    def _read(self, key: str, text: str) -> Option:
        default: Any = self.options[key]
        if text.casefold() in ("none", "auto") and (default is None or text.casefold() == default):
            return default  # type: ignore[no-any-return]
        kind = int if default is None else type(default)
        try:
            if kind is bool:
                return {"true": True, "false": False}[text.casefold()]
            return kind(text)
        except (KeyError, ValueError):
            raise UnknownMethod(f"cannot read {key}={text} for {self.name}: it is a {kind.__name__}") from None


_CACHED = 2**20  # numbers


def in_cache(A: Tensor, G: Tensor) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
    """A and G a few images at a time, in single precision at least, with the rows they are.

    Formulas look at each image on its own, so a processor may take as many at once as fit its cache: the intermediate
    results of a large batch would go through main memory, several times slower.
    """
    rows = max(1, _CACHED // A[0].numel()) if A.device.type == "cpu" else len(A)
    for start in range(0, len(A), rows):
        few = slice(start, start + rows)
        yield few, (_at_least_single(A[few]), _at_least_single(G[few]))


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Formulas keep their precision also where the caller's forwards do not."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def _at_least_single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype.itemsize < 4 else tensor
