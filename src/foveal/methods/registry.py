"""All methods by name: those of foveal, by family, and those that were registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from foveal.attribution.method import Method
from foveal.errors import UnknownMethod
from foveal.methods.listing import as_html, as_text

WORDS = ("all", "fast", "usual")
"""What stands for several methods."""

OWN = "Registered"
"""The family of methods that are not foveal's own."""


class MethodRegistry(Mapping[str, Method]):
    """The methods by name, as a read-only mapping that prints itself as a table, also in a notebook.

    foveal.METHODS                     # the table
    foveal.METHODS["gradcam"].about
    """

    def __init__(self, families: Mapping[str, tuple[Method, ...]]) -> None:
        self._families = {family: {method.name: method for method in methods} for family, methods in families.items()}
        self._own: dict[str, Method] = {}

    @property
    def families(self) -> dict[str, tuple[Method, ...]]:
        """What kind of method each is; those that were registered come last."""
        every = {**self._families, OWN: self._own}
        return {family: tuple(methods.values()) for family, methods in every.items() if methods}

    def __getitem__(self, name: str) -> Method:
        for methods in (*self._families.values(), self._own):
            if name in methods:
                return methods[name]
        raise UnknownMethod(f"there is no method {name!r}: `foveal methods` lists them")

    def __iter__(self) -> Iterator[str]:
        return iter([name for methods in (*self._families.values(), self._own) for name in methods])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return as_text(self.families)

    def _repr_html_(self) -> str:
        return as_html(self.families)

    def known(self, name: str) -> Method | None:
        """The method of that name or title, whatever case and punctuation; None if there is none."""
        wanted = plain(name)
        every = [method for methods in (*self._families.values(), self._own) for method in methods.values()]
        return next((method for method in every if wanted in (plain(method.name), plain(method.title))), None)

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


@lru_cache(maxsize=256)
def plain(name: str) -> str:
    """A name without case and punctuation: "Grad-CAM" is "gradcam"."""
    return name.casefold().replace("plusplus", "++").replace("-", "").replace("_", "").replace(" ", "")


def _again(known: Method, method: Method) -> bool:
    """Whether it is the same definition, run again, as a cell of a notebook is."""
    old, new = ((getattr(m.formula, "__module__", ""), getattr(m.formula, "__qualname__", "")) for m in (known, method))
    return known.name == method.name and old == new and "<" not in new[1] and bool(new[1])
