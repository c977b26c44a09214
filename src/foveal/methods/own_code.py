"""Methods that foveal does not bring: written in a file or module, or brought by an installed package.

my.py:mine, package.module:mine           a function f(A, G), or a `Method`
[project.entry-points."foveal.methods"]   in a package's pyproject.toml; loaded when a name is asked for that is
mine = "package.module:mine"              otherwise unknown
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from foveal.attribution.method import Method
from foveal.errors import FovealError, MethodError, ModelError, UnknownMethod, UnknownModel, shown
from foveal.methods.registry import plain
from foveal.storage.reading import reason

GROUP = "foveal.methods"

_CODE = re.compile(r"(?P<where>.+?\.py|[^\W\d][\w.]*):(?P<name>[^\W\d]\w*)(:(?P<options>.*))?")

_loaded: dict[tuple[str, str, int], Any] = {}
"""Objects by file, name and the time at which the file was changed: a file runs once."""


def is_code(text: str, known: Callable[[str], bool]) -> bool:
    """Whether a text points to code: a file, or a module that is not the name of a method, which `known` says."""
    where = text.partition(":")[0]
    if text.endswith(".py") or ".py:" in text:
        return True
    return _CODE.fullmatch(text) is not None and ("." in where or find_spec(where) is not None) and not known(where)


def from_code(text: str) -> tuple[Method | Callable[..., Tensor], str]:
    """What "my.py:mine:power=1" points to, and the text of its options.

    Raises:
        MethodError: when there is no such file, module or name, when it fails, or is no method.
    """
    match = _CODE.fullmatch(text)
    if match is None:
        raise UnknownMethod(f"which function of {text} is the method? Write '{text.rstrip(':')}:NAME'")
    made = _object(match["where"], match["name"])
    if isinstance(made, type) or not (isinstance(made, Method) or callable(made)):
        raise MethodError(
            f"{match['where']}:{match['name']} is {shown(made)}: name a function f(A, G) -> (n, h, w), or a "
            "foveal.Method"
        )
    return made, match["options"] or ""


def packaged() -> dict[str, EntryPoint]:
    """Methods that installed packages bring, by name; none of them is loaded."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def from_package(name: str) -> tuple[str, Method | Callable[..., Tensor]] | None:
    """The name and the method that an installed package brings under this name; None if none does.

    Raises:
        MethodError: when it cannot be loaded.
    """
    entry = next((entry for key, entry in packaged().items() if plain(key) == plain(name)), None)
    if entry is None:
        return None
    try:
        return entry.name, entry.load()
    except FovealError:
        raise
    except Exception as error:
        package = entry.dist.name if entry.dist else entry.value
        raise MethodError(
            f"the method {entry.name} of the package {package} cannot be loaded: {type(error).__name__}, "
            f"{reason(error)}"
        ) from error


def _object(where: str, name: str) -> Any:
    path = Path(where)
    key = (str(path.resolve()), name, path.stat().st_mtime_ns) if where.endswith(".py") and path.is_file() else None
    if key in _loaded:
        return _loaded[key]
    try:
        from foveal.models.from_factory import own_object

        made = own_object(f"{where}:{name}", what="a method")
    except UnknownModel as error:
        raise UnknownMethod(str(error)) from error
    except ModelError as error:
        raise MethodError(str(error)) from error
    if key is not None:
        _loaded[key] = made
    return made


def own_sources(methods: Iterable[Method]) -> dict[str, str]:
    """Name -> source of the formula, of methods that are not foveal's own: numbers that are kept depend on it."""
    return {m.name: _source(m.formula) for m in methods if not str(m.formula.__module__).startswith("foveal.")}


def _source(formula: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(formula)
    except (OSError, TypeError):  # written in C, typed into a prompt, or an object
        return repr(getattr(getattr(formula, "__code__", None), "co_code", type(formula).__qualname__))
