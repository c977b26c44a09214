"""Public functions check what they are given by keyword, by the annotations they have anyway.

@checked
def flow(…, *, mass: float = 1.0, progress: Progress | None = None): …

foveal.flow(model, x, mass="all")      # MethodError: flow cannot take mass='all': give a number
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from functools import wraps
from numbers import Integral, Real
from os import PathLike
from typing import Any, ParamSpec, TypeAlias, TypeVar

from foveal.engine.select import named_layers
from foveal.errors import MethodError, shown

P = ParamSpec("P")
R = TypeVar("R")
Reader: TypeAlias = Callable[[str, Any], Any]
"""(verb, value) -> the value as the verb takes it."""

LAYERS = {"layer", "embedding"}
"""Keywords that take names of layers."""

WRONG = object()
"""What a reader gives for a value that is not of its kind."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, refusing keywords of the wrong type in one sentence; numbers of NumPy become Python's.

    Layers that are given as modules of the model, which is the first argument, become their names.

    Raises:
        MethodError: from the function, when it is called.
        LayerError: for a module that is not part of the model.
    """
    readers = {name: reader for name, reader in _readers(function) if reader is not None}

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in LAYERS & kwargs.keys():
            kwargs[name] = named_layers(args[0] if args else kwargs.get("model"), kwargs[name])
        for name, value in kwargs.items():
            if name in readers:
                kwargs[name] = readers[name](function.__name__, value)
        return function(*args, **kwargs)

    return called


def _readers(function: Callable[..., Any]) -> list[tuple[str, Reader | None]]:
    parameters = inspect.signature(function).parameters.values()
    return [
        (parameter.name, _reader(parameter.name, str(parameter.annotation)))
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    ]


def _reader(name: str, annotation: str) -> Reader | None:
    """What reads a value of such an annotation; None for those that the function itself must understand."""
    kind, optional = annotation.removesuffix(" | None"), annotation.endswith(" | None")
    read, words = KINDS.get("seed" if name == "seed" else kind, (None, ""))
    if read is None:
        return None

    def reader(verb: str, value: Any) -> Any:
        result = value if value is None and optional else read(value)
        if result is WRONG:
            raise MethodError(
                f"{verb} cannot take {name}={shown(value)}: give {words}" + (", or None" if optional else "")
            )
        return result

    return reader


def _whole(value: Any) -> Any:
    """A number that fits 64 bits; True, which Python takes for 1, is none."""
    if not isinstance(value, Real) or _is_flag(value) or not -(2**63) <= float(value) < 2**63:
        return WRONG  # also for NaN
    whole = int(float(value)) if not isinstance(value, Integral) else int(value)
    return whole if whole == value else WRONG


def _real(value: Any) -> Any:
    if not isinstance(value, Real) or _is_flag(value) or not math.isfinite(value):
        return WRONG
    return float(value)


def _reals(value: Any) -> Any:
    each = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(each, list | tuple):
        return WRONG
    numbers = tuple(_real(number) for number in each)
    return WRONG if WRONG in numbers else numbers


def _flag(value: Any) -> Any:
    return bool(value) if _is_flag(value) else WRONG


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, str) else WRONG


def _names(value: Any) -> Any:
    return value if isinstance(value, str) or _each(value) else WRONG


def _names_or_flag(value: Any) -> Any:
    return bool(value) if _is_flag(value) else value if _each(value) else WRONG


def _each(value: Any) -> bool:
    """Whether it is several names, in order."""
    return isinstance(value, list | tuple) and all(isinstance(part, str) for part in value)


def _count_or_word(value: Any) -> Any:
    return value if isinstance(value, str) else _whole(value)


def _method(value: Any) -> Any:
    return value if isinstance(value, str) or (callable(value) and not isinstance(value, type)) else WRONG


def _methods(value: Any) -> Any:
    several = isinstance(value, Sequence | Set | Mapping | ValuesView) and not isinstance(value, str)
    return value if all(_method(each) is not WRONG for each in (value if several else [value])) else WRONG


def _for_each(value: Any) -> Any:
    several = isinstance(value, list | tuple) or _is_a("Tensor", "ndarray")(value) is not WRONG
    return value if several and getattr(value, "ndim", 1) > 0 else WRONG


def _callable(value: Any) -> Any:
    return value if callable(value) else WRONG


def _named(value: Any) -> Any:
    return value if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) else WRONG


def _sequence(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or _is_a("Tensor")(value) is not WRONG else WRONG


def _is_a(*kinds: str) -> Callable[[Any], Any]:
    """Of a class by its name, so that none has to be imported here."""
    return lambda value: value if any(base.__name__ in kinds for base in type(value).__mro__) else WRONG


KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bool": (_flag, "True or False"),
    "int": (_whole, "a whole number"),
    "float": (_real, "a number"),
    "int | str": (_count_or_word, "a whole number or 'auto'"),
    "Callable[[Mapping[str, Any]], None]": (_callable, "a function"),
    "seed": (lambda value: WRONG if (number := _whole(value)) is WRONG or number < 0 else number, "a number from 0 up"),
    **dict.fromkeys(("str", "LayerName", "Mode", "Of", "Precision", "RuleName"), (_text, "a name")),
    **dict.fromkeys(("Sequence[str] | str", "str | Sequence[str]"), (_names, "a name or a list")),
    "MethodLike": (_method, "a name, a foveal.Method or a function f(A, G)"),
    "MethodsLike": (_methods, "a name, a foveal.Method, a function f(A, G), or a list of these"),
    "Sequence[str] | bool": (_names_or_flag, "True, False or a list of names"),
    "Sequence[Bool[NDArray[np.bool_], 'H W']]": (_for_each, "one mask per image, (H, W)"),
    "Sequence[Sequence[Box]]": (_for_each, "one list of boxes per image"),
    "str | Path": (lambda value: value if isinstance(value, str | PathLike) else WRONG, "a file name"),
    "str | torch.device": (_is_a("str", "device"), "the name of a device"),
    **dict.fromkeys(("Sequence[str | int]", "Sequence[str | int] | Tensor"), (_sequence, "a list of names or numbers")),
    "Sequence[float]": (_reals, "a list of numbers"),
    "Mapping[str, Any]": (_named, "a dict of arguments by name"),
    "Sequence[Any] | Tensor": (_sequence, "a tuple of arguments"),
    "Progress": (_callable, "a function"),
    "Callable[[str, int, int], None]": (_callable, "a function"),
    "Preprocessing": (
        _is_a("Preprocessing"), "a foveal.Preprocessing, such as foveal.Preprocessing.named('gray', 128)"
    ),
    **{
        name: (_is_a(name), f"a foveal {name}")
        for name in ("Setting", "ObjectiveWeights", "Schedule", "Grouping")
    },
}  # fmt: skip
"""Annotations to what reads them, and what to ask for."""
