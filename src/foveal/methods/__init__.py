"""The methods there are, and how they are found. `known.py` lists them by family."""

from typing import TYPE_CHECKING

from foveal._lazy import lazily
from foveal.attribution.method import Method
from foveal.methods.find import MethodLike, MethodsLike, find_method, find_methods, is_method, optional, register
from foveal.methods.known import METHODS, USUAL
from foveal.methods.own_code import own_sources
from foveal.methods.registry import WORDS

if TYPE_CHECKING:
    from foveal.methods.known import COMPARING, FAST

__all__ = [
    "COMPARING",
    "FAST",
    "METHODS",
    "USUAL",
    "WORDS",
    "Method",
    "MethodLike",
    "MethodsLike",
    "find_method",
    "find_methods",
    "is_method",
    "optional",
    "own_sources",
    "register",
]

__getattr__ = lazily(__name__, {"COMPARING": "known", "FAST": "known"})
