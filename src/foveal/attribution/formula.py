"""What a plain function says of itself as the formula of a method, and whether what it returned is a map.

def mine(A, G, *, power=2):          name "mine"; needs gradients; one option, power=2
    return (G.abs() ** power * A).sum(1)

def norm(A): …                       needs activations only
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from foveal.errors import FovealError, MethodError

Option: TypeAlias = "float | int | str | bool | None"

_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class FormulaError(MethodError):
    """A formula failed, or returned something else than a map. It is never left out of a comparison in silence."""


@dataclass(frozen=True)
class FormulaSignature:
    """How a formula is called.

    Attributes:
        gradients: it takes the cotangents G after the activations A.
        required: G has no default.
        options: keyword -> default, of the parameters that follow; numbers, texts, flags and None.
    """

    gradients: bool
    required: bool
    options: Mapping[str, Option]


def signature_of(formula: Callable[..., Any], name: str) -> FormulaSignature:
    """How `formula` is called: (A) or (A, G), and options that have defaults.

    The second parameter is G if it has no default, or is called G. What cannot be inspected takes (A, G).

    Raises:
        MethodError: where it takes nothing, or needs more than A and G.
    """
    try:
        parameters = list(inspect.signature(formula).parameters.values())
    except (TypeError, ValueError):  # written in C
        return FormulaSignature(gradients=True, required=False, options={})
    places = [p for p in parameters if p.kind in _BY_PLACE]
    any_number = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    second = places[1] if len(places) > 1 else None
    gradients = any_number if second is None else second.default is second.empty or second.name == "G"
    rest = [*places[1 + (second is not None and gradients) :]]
    rest += [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if not (places or any_number) or any(p.default is p.empty for p in rest):
        raise MethodError(
            f"{name} takes ({', '.join(map(str, parameters))}), but the formula of a method takes (A) or (A, G): "
            "activations and gradients (n, c, h, w); give every other parameter a default, and it becomes an option"
        )
    options = {p.name: p.default for p in rest if p.default is None or isinstance(p.default, str | int | float)}
    return FormulaSignature(gradients, second is not None and second.default is second.empty, options)


def name_of(formula: Callable[..., Any]) -> str:
    """What a method is called that is given as a function: as the function is; "lambda" for a lambda."""
    while isinstance(formula, partial):
        formula = formula.func
    name = getattr(formula, "__name__", None) or type(formula).__name__
    return "lambda" if name == "<lambda>" else str(name)


@contextmanager
def formula_failures(name: str, formula: Callable[..., Any], A: Tensor) -> Iterator[None]:
    """What a formula raises, in one sentence with the file and the line; `__cause__` has the traceback.

    Raises:
        FormulaError: for any exception but foveal's own, linear algebra that does not converge, and full memory.
    """
    try:
        yield
    except (FovealError, torch.linalg.LinAlgError, torch.OutOfMemoryError):  # type: ignore[attr-defined]
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise FormulaError(
            f"{name} failed at activations {tuple(A.shape)} with {type(error).__name__}: {lines[0].rstrip('.')}"
            + _line_of(error, formula)
        ) from error


def _line_of(error: Exception, formula: Callable[..., Any]) -> str:
    """ " (my.py, line 12)": the last line that ran in the file of the formula."""
    code = getattr(inspect.unwrap(formula), "__code__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def check_map(name: str, M: Any, A: Tensor) -> Tensor:
    """`M`, if it is a map of the activations `A`: a floating tensor (n, h, w) on their device.

    Raises:
        FormulaError: with what it is instead, and what to return.
    """
    wanted = (A.shape[0], *A.shape[2:])
    letters = "(n, h, w)" if A.ndim == 4 else "(n, *space)"
    if not isinstance(M, Tensor):
        raise FormulaError(f"{name} returned {_kind(M)}: return a torch tensor {letters}, here {_shown(wanted)}")
    if tuple(M.shape) != wanted:
        raise FormulaError(
            f"{name} returned the shape {_shown(M.shape)} for activations {_shown(A.shape)}: a map is {letters}, here "
            f"{_shown(wanted)}{_hint(M.shape, wanted)}"
        )
    if not M.is_floating_point():
        raise FormulaError(f"{name} returned numbers of type {M.dtype}: return floating-point numbers, map.float()")
    if M.device != A.device:
        raise FormulaError(f"{name} returned a map on {M.device}, but the activations are on {A.device}: keep it there")
    return M


def check_unchanged(name: str, tensors: Mapping[str, Tensor], versions: Sequence[int]) -> None:
    """FormulaError where the formula wrote into what it was given, which other methods use, too."""
    changed = [
        letter for (letter, tensor), before in zip(tensors.items(), versions, strict=True) if tensor._version != before
    ]
    if changed:
        raise FormulaError(
            f"{name} changes {' and '.join(changed)} in place, and other methods use the same tensor: change a copy, "
            f"{changed[0]}.clone(), or use the operation without the underscore, {changed[0]}.relu()"
        )


def _kind(value: Any) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return "None (is a return missing?)" if value is None else f"an object of type {kind}"


def _shown(shape: Sequence[int]) -> str:
    return str(tuple(shape))


def _hint(shape: Sequence[int], wanted: Sequence[int]) -> str:
    if len(shape) == len(wanted) + 1:
        return "; sum over the channels, .sum(1)" if shape[1] > 1 else "; remove the second axis, .squeeze(1)"
    if tuple(shape) == tuple(wanted[1:]):
        return "; keep the first axis, which holds the images"
    return ""
