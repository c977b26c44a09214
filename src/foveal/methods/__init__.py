"""The methods there are. Adding one: a file with its formula, a line here, its test, its docs."""

from __future__ import annotations

from difflib import get_close_matches

from foveal.errors import MethodError
from foveal.methods import cam
from foveal.methods.method import Method

METHODS: dict[str, Method] = {method.name: method for method in (*cam.FAMILY,)}


def find_method(name: str) -> Method:
    """The method called `name`, whatever its case and punctuation ("Grad-CAM" is "gradcam").

    Raises:
        MethodError: when there is none, with the nearest names.
    """
    plain = {_plain(key): key for key in METHODS} | {_plain(m.title): m.name for m in METHODS.values()}
    if _plain(name) in plain:
        return METHODS[plain[_plain(name)]]
    near = get_close_matches(_plain(name), plain, n=2) or list(METHODS)
    raise MethodError(f"there is no method {name!r}: did you mean {' or '.join(plain.get(n, n) for n in near)}?")


def _plain(name: str) -> str:
    return name.casefold().replace("plusplus", "++").replace("-", "").replace("_", "").replace(" ", "")


__all__ = ["METHODS", "Method", "find_method"]
