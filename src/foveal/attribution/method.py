"""What a method is: a formula, what it is a formula of, and what is worth knowing about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from foveal.attribution.formula import (
    Option,
    check_map,
    check_unchanged,
    formula_failures,
    name_of,
    signature_of,
)
from foveal.errors import MethodError, UnknownMethod, shown

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.passes import Rules

Needs: TypeAlias = Literal["activations", "gradients", "forwards"]

Caution = Callable[[Tensor, Tensor, Tensor], "str | None"]
"""(A, G, map) -> what a reader must know before believing this map, or None."""


_FROM_SIGNATURE: Any = None
"""Stands for what the signature of the formula says."""

_NAME = re.compile(r"\w[\w .+-]*")


@dataclass(frozen=True)
class Method:
    """A way to explain: a name and a formula; everything else has a default.

        mine = foveal.Method("mine", formula=lambda A, G: (G.abs() * A).sum(1))
        foveal.explain(model, "bird.jpg", method=mine)

    Attributes:
        name: what `method=` and `--method` take, and results are called by: letters, digits, and any of " _.+-".
        title: the name in print; the name if left out.
        formula: to the raw, signed map, from what the method needs; options follow by name.
        needs: "activations": formula(A) or formula(A, G) -> (n, h, w) that looks at no target; the forward pass stops
            at the layer.
            "gradients": formula(A, G) with the cotangents G = d score / d A, or what `rules` make of them.
            "forwards": formula(probe) -> (h, w) for one image; the probe runs the network again (`PerturbationScorer`).
            If left out, the signature says which of the first two: (A) or (A, G).
        about: one line: what the map shows and when it is exact.
        citation: the source.
        condition: where it applies, "any layer" mostly.
        caution: looks at a finished map for a known trap of the method.
        between: names of the operations that may lie between the layer and the score; None for any.
        rules: made of the options; how the backward pass treats each operation. None is the derivative.
        place: the layer when none is named: the "last stage", or the "input" itself.
        similarity: it explains targets that compare embeddings, and no others.
        options: what can be set, with the values that hold; if left out, the parameters of the formula after A and G,
            with their defaults.
        cost: passes through the network for an image, if `needs` does not say it: "1/channel".
        looks_inside: it needs "forwards" and, besides, gradients or layers, so that scores alone are not enough.

    Raises:
        MethodError: for a name that cannot stand in a file name or behind `--method`, or a formula that does not fit.
    """

    name: str
    title: str = ""
    formula: Callable[..., Tensor] = _FROM_SIGNATURE
    needs: Needs = _FROM_SIGNATURE
    about: str = ""
    citation: str = ""
    condition: str = "any layer"
    caution: Caution | None = None
    between: frozenset[str] | None = None
    rules: Callable[..., Rules] | None = None
    place: Literal["last stage", "input"] = "last stage"
    similarity: bool = False
    options: Mapping[str, Option] = field(default=_FROM_SIGNATURE, hash=False)
    cost: str = ""
    looks_inside: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise MethodError(
                f"{shown(self.name)} cannot be the name of a method: use letters, digits, and any of '_', '-', '+', '.'"
            )
        if not callable(self.formula):
            raise MethodError(f"the formula of {self.name} is {shown(self.formula)}: give a function f(A, G)")
        if self.needs not in (None, *get_args(Needs)):
            raise MethodError(f"{self.name} needs {shown(self.needs)}: say {', '.join(get_args(Needs))}")
        object.__setattr__(self, "title", self.title or self.name)
        if self.needs == "forwards" or self.rules:
            object.__setattr__(self, "options", self.options or {})
            return
        signature = signature_of(self.formula, self.name)
        if self.needs == "activations" and signature.required:
            raise MethodError(
                f"{self.name} needs activations alone, but its formula takes gradients, too: leave out needs="
            )
        if self.needs == "gradients" and not signature.gradients:
            raise MethodError(f"{self.name} needs gradients, but its formula takes activations alone: f(A, G)")
        if self.needs is None:
            object.__setattr__(self, "needs", "gradients" if signature.gradients else "activations")
        if self.options is None:
            object.__setattr__(self, "options", signature.options)

    @classmethod
    def of(cls, given: Method | Callable[..., Tensor]) -> Method:
        """A plain function `f(A, G) -> (n, h, w)` as a method called as the function is; a method as it is.

        Raises:
            MethodError: for a function that takes something else.
        """
        return given if isinstance(given, Method) else cls(name_of(given), formula=given)

    def __call__(self, A: Float[Tensor, "n c h w"], G: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
        """The map of a method that needs activations or gradients, computed in single precision at least.

        Raises:
            FormulaError: where the formula fails, returns something else than a map, or changes A or G in place.
        """
        options = {} if self.rules else self.options
        blind = self.needs == "activations" and not signature_of(self.formula, self.name).gradients
        with _without_autocast(A.device.type):
            parts = [self._map(options, {"A": a} if blind else {"A": a, "G": g}) for _, (a, g) in in_cache(A, G)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _map(self, options: Mapping[str, Option], given: Mapping[str, Tensor]) -> Tensor:
        A, versions = given["A"], [tensor._version for tensor in given.values()]
        with formula_failures(self.name, self.formula, A):
            M = self.formula(*given.values(), **options)
        check_unchanged(self.name, given, versions)
        return check_map(self.name, M, A)

    @property
    def differentiable(self) -> bool:
        """Whether its maps can be differentiated themselves: what changes the backward pass cannot."""
        return self.needs != "forwards" and self.rules is None

    @property
    def scores_alone(self) -> bool:
        """Whether it runs the network on altered copies and needs no gradient."""
        return self.needs == "forwards" and not self.looks_inside

    def backward_rules(self) -> Rules | None:
        """How its backward pass treats operations; None is the derivative."""
        return self.rules(**self.options) if self.rules else None

    def spelled(self, defaults: Mapping[str, Option]) -> str:
        """The name with the options that differ from `defaults`: "scorecam:clusters=64"."""
        changed = [f"{key}={value}" for key, value in self.options.items() if value != defaults.get(key)]
        return self.name + (":" + ",".join(changed) if changed else "")

    def with_options(self, given: Mapping[str, str]) -> Method:
        """The same with some options set, read from text.

        Raises:
            MethodError: for an option there is not, or a value of another kind.
        """
        if not given:
            return self
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
