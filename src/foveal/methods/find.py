"""From what a person gives as `method` to methods: names, `Method`s, functions, code in files, installed packages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set, ValuesView
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast, overload

from torch import Tensor

from foveal.attribution.formula import Option, name_of, signature_of
from foveal.attribution.method import Method
from foveal.errors import UnknownMethod, shown
from foveal.methods import known
from foveal.methods.known import METHODS, USUAL
from foveal.methods.own_code import from_code, from_package, is_code, packaged
from foveal.methods.registry import WORDS, plain

Formula: TypeAlias = Callable[..., Tensor]
MethodLike: TypeAlias = "str | Method | Formula"
"""A name with options ("scorecam:clusters=64"), a `Method`, a function f(A, G) -> (n, h, w), or "my.py:mine"."""

MethodsLike: TypeAlias = "MethodLike | Collection[MethodLike]"
"""One or several; "usual", "fast" and "all" stand for several."""

F = TypeVar("F", bound="Method | Formula")


def find_method(given: MethodLike) -> Method:
    """The method that `given` names or is.

    Args:
        given: a name, whatever its case and punctuation ("Grad-CAM" is "gradcam"), options after a colon
            ("scorecam:clusters=64", "lrp-epsilon:epsilon=0.1"); a `Method`; a function `f(A, G) -> (n, h, w)`, called
            by its own name; "my.py:mine" or "package.module:mine" for one that is written there.

    Raises:
        MethodError: when there is none, with the nearest names; for options it does not have; for a function of your
            own that is called like a method of foveal.
    """
    if isinstance(given, str) and given.strip():
        return _by_text(given)
    if not is_method(given) or isinstance(given, str):
        raise UnknownMethod(
            f"{shown(given)} is no method: give a name of those that `foveal methods` lists, a foveal.Method, or a "
            "function f(A, G) -> (n, h, w)"
        )
    return _distinct(given)


def find_methods(methods: MethodsLike) -> dict[str, Method]:
    """Methods by the name they answer to, each once; "usual", "fast" and "all" stand for several.

    Of different methods of the same name, the second is called "name-2", and so on.
    """
    named: dict[str, Method] = {}
    given: list[Method] = []
    for method in [find_method(name) for each in _each(methods) for name in _several(each)]:
        if method in given:
            continue
        given.append(method)
        defaults, number, own = _defaults(method), 1, method
        while (name := own.spelled(defaults)) in named:
            number += 1
            own = replace(method, name=f"{method.name}-{number}")
        named[name] = own
    return named


def optional(methods: MethodsLike) -> frozenset[str]:
    """Names of the methods that no one asked for by name, and that are left out where they do not apply."""
    words = [each for each in _each(methods) if isinstance(each, str) and each in WORDS]
    if not words:
        return frozenset()
    others = [each for each in _each(methods) if not (isinstance(each, str) and each in WORDS)]
    return frozenset(find_methods(words)) - frozenset(find_methods(others))


def is_method(given: Any) -> TypeGuard[MethodLike]:
    """Whether it can be given as a method: a text, a `Method` or a function."""
    return isinstance(given, str | Method) or (callable(given) and not isinstance(given, type))


@overload
def register(method: F, name: str | None = None, *, title: str = "", about: str = "", citation: str = "") -> F: ...


@overload
def register(
    method: None = None, name: str | None = None, *, title: str = "", about: str = "", citation: str = ""
) -> Callable[[F], F]: ...


def register(
    method: Any = None, name: str | None = None, *, title: str = "", about: str = "", citation: str = ""
) -> Any:
    """Make a method of your own known by name, wherever a method is named; also as a decorator.

        @foveal.register
        def mine(A, G, *, power=2):
            return (G.abs() ** power * A).sum(1)

        foveal.explain(model, "bird.jpg", method="mine:power=1")

    Args:
        method: a function `f(A, G) -> (n, h, w)`, or `f(A)`, or a `foveal.Method`.
        name: what it is called; its own name if left out.
        title: the name in print.
        about: one line on what the map shows.
        citation: the source.

    Returns what was given. To register the same object twice changes nothing; a definition that runs again, as in a
    cell of a notebook, replaces itself.

    Raises:
        MethodError: when another method has that name, or it is no method.
    """
    if method is None:
        return lambda later: register(later, name, title=title, about=about, citation=citation)
    if isinstance(method, str):
        raise UnknownMethod(f"cannot register the name {method!r} alone: write @foveal.register(name={method!r})")
    if not is_method(method):
        raise UnknownMethod(f"cannot register {shown(method)}: give a function f(A, G) or a foveal.Method")
    if not isinstance(method, Method):
        formula = cast("Formula", method)
        METHODS.add(Method(name or name_of(formula), title, formula, about=about, citation=citation))
        return method
    given = {"name": name, "title": title, "about": about, "citation": citation}
    METHODS.add(replace(method, **{key: value for key, value in given.items() if value}))  # type: ignore[arg-type]
    return method


def _each(methods: MethodsLike) -> list[MethodLike]:
    several = isinstance(methods, Sequence | Set | Mapping | ValuesView) and not isinstance(methods, str)
    return list(methods) if several else [methods]  # type: ignore[arg-type,list-item]


def _several(given: MethodLike) -> tuple[MethodLike, ...]:
    """What a word stands for."""
    if not isinstance(given, str) or given not in WORDS:
        return (given,)
    own = tuple([name for name in METHODS.registered if METHODS[name].needs != "forwards"])
    every = {"all": (*METHODS,), "fast": (*known.FAST, *known.COMPARING, *own), "usual": (*USUAL, *known.COMPARING)}
    return every[given]


def _by_text(text: str) -> Method:
    if is_code(text, known=lambda name: _known(name) is not None):
        given, options = from_code(text)
        method = _distinct(given)
    else:
        name, _, options = text.partition(":")
        method = _named(name)
    return method.with_options(_pairs(method.name, options))


def _named(name: str) -> Method:
    if method := _known(name):
        return method
    near = {plain(key): key for key in (*METHODS, *packaged())} | {plain(m.title): m.name for m in METHODS.values()}
    close = list(dict.fromkeys(near[key] for key in get_close_matches(plain(name), near, n=2)))
    hint = f"did you mean {' or '.join(close)}?" if close else "`foveal methods` lists them"
    raise UnknownMethod(f"there is no method {name!r}: {hint}")


def _known(name: str) -> Method | None:
    """The method of that name; installed packages are asked where foveal has none."""
    method = METHODS.known(name)
    if method is None and (given := from_package(name)) is not None:
        register(given[1], given[0])
        method = METHODS.known(name)
    return method


def _distinct(given: Method | Formula) -> Method:
    """A method of your own, whose name must not be that of another: results go by it."""
    name = given.name if isinstance(given, Method) else name_of(given)
    known = METHODS.known(name)
    if known is None:
        return Method.of(given)
    if known.formula is (given.formula if isinstance(given, Method) else given):
        return given if isinstance(given, Method) else known
    raise UnknownMethod(
        f"a method called {name!r} is known already, and yours is another: rename the function "
        f"(in Python also foveal.Method('my-{known.name}', formula=…))"
    )


def _defaults(method: Method) -> Mapping[str, Option]:
    if method.name in METHODS:
        return METHODS[method.name].options
    own = method.needs != "forwards" and method.rules is None
    return signature_of(method.formula, method.name).options if own else method.options


def _pairs(name: str, text: str) -> dict[str, str]:
    pairs = dict(option.partition("=")[::2] for option in text.split(",") if option)
    for key, value in pairs.items():
        if not value:
            raise UnknownMethod(f"cannot read the option {key!r} of {name}: write {name}:{key}=VALUE")
    return {key.strip(): value.strip() for key, value in pairs.items()}
