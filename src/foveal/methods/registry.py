"""All methods by name: those of foveal, by family, and those that were registered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module

from foveal.attribution.method import Method
from foveal.errors import UnknownMethod

WORDS = ("all", "fast", "usual")
"""What stands for several methods."""

OWN = "Registered"
"""The family of methods that are not foveal's own."""


class MethodRegistry(Mapping[str, Method]):
    """The methods by name, as a read-only mapping that prints itself as a table, also in a notebook.

    foveal.METHODS                     # the table
    foveal.METHODS["gradcam"].about

    Each file of `foveal.methods` has its own in `FAMILY`. It is imported when they are asked for: a method by its name
    needs the files up to its own, the rest all of them.
    """

    def __init__(self, families: Mapping[str, Sequence[str]]) -> None:
        """Args: families: names of files by family."""
        self._files = families
        self._own: dict[str, Method] = {}

    @property
    def families(self) -> dict[str, tuple[Method, ...]]:
        """What kind of method each is; those that were registered come last."""
        of_files = {family: [m for file in files for m in _methods_in(file)] for family, files in self._files.items()}
        every = {**of_files, OWN: self._own.values()}
        return {family: tuple(methods) for family, methods in every.items() if methods}

    @property
    def registered(self) -> Collection[str]:
        """Names of the methods that are not foveal's own."""
        return self._own.keys()

    def __getitem__(self, name: str) -> Method:
        for method in self._every():
            if method.name == name:
                return method
        raise UnknownMethod(f"there is no method {name!r}: `foveal methods` lists them")

    def __iter__(self) -> Iterator[str]:
        return iter([method.name for method in self._every()])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        from foveal.methods.listing import as_text

        return as_text(self.families)

    def _repr_html_(self) -> str:
        from foveal.methods.listing import as_html

        return as_html(self.families)

    def known(self, name: str) -> Method | None:
        """The method of that name or title, whatever case and punctuation; None if there is none."""
        wanted = plain(name)
        return next((method for method in self._every() if wanted in (plain(method.name), plain(method.title))), None)

    def _every(self) -> Iterator[Method]:
        """In the order of families; files that nobody got to are not imported."""
        for files in self._files.values():
            for file in files:
                yield from _methods_in(file)
        yield from [*self._own.values()]

    def add(self, method: Method) -> None:
        """Make a method known by its name.

        Raises:
            UnknownMethod: when another method has that name, or it stands for several methods.
        """
        if plain(method.name) in WORDS:
            raise UnknownMethod(f"{method.name!r} stands for several methods: register this one by another name")
        known = self.known(method.name) or self.known(method.title)
        if known is not None and known != method and not (known.name in self._own and _again(known, method)):
            raise UnknownMethod(
                f"there is a method {known.name!r} already: register this one by another name, "
                f"foveal.register(…, name='my-{known.name}')"
            )
        if known is not None:
            self._own.pop(known.name, None)
        if known is None or known.name not in self:
            self._own[method.name] = method


def _methods_in(file: str) -> tuple[Method, ...]:
    methods: tuple[Method, ...] = import_module(f"foveal.methods.{file}").FAMILY
    return methods


@lru_cache(maxsize=256)
def plain(name: str) -> str:
    """A name without case and punctuation: "Grad-CAM" is "gradcam"."""
    return name.casefold().replace("plusplus", "++").replace("-", "").replace("_", "").replace(" ", "")


def _again(known: Method, method: Method) -> bool:
    """Whether it is the same definition, run again, as a cell of a notebook is."""
    old, new = ((getattr(m.formula, "__module__", ""), getattr(m.formula, "__qualname__", "")) for m in (known, method))
    return known.name == method.name and old == new and "<" not in new[1] and bool(new[1])
