"""Errors a caller may want to catch, and how strangers' words stand in their sentences.

Each message is one sentence: what was tried, with what, what to do.
"""

from __future__ import annotations

import re
from threading import RLock

# Control characters (which a terminal obeys), line separators, marks that turn the direction of text around, and halves
# of characters, which is how Python keeps the bytes of file names that are no text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

WARNINGS = RLock()
"""Held by whoever changes what becomes of warnings for a while: Python keeps that for all threads together."""


class FovealError(Exception):
    """Any failure that foveal detects itself; the message says what was tried and what to do."""

    def __str__(self) -> str:
        """The message, with nothing in it that a terminal obeys, whatever strangers called their files and layers."""
        return printable(Exception.__str__(self))


class FovealWarning(UserWarning):
    """A warning about files, given where there is no result yet that could have the note."""


class ImageError(FovealError, ValueError):
    """An image that cannot be read, or a tensor that is not an image."""


class ModelError(FovealError, ValueError):
    """A model that cannot be found, built, loaded or run."""


class LayerError(FovealError, ValueError):
    """A layer that does not exist, is not spatial, or never reaches the score."""


class TargetError(FovealError, ValueError):
    """A target that does not fit the model's output."""


class MethodError(FovealError, ValueError):
    """A method that is unknown, or does not apply to this network or layer."""


class ResultError(FovealError, ValueError):
    """A saved result that is incomplete, damaged or of another kind."""


class NoSuchItem(ResultError, IndexError):
    """A number beyond the images, explanations or parts that a result has."""


class UnknownName(FovealError):
    """A name that does not exist here, or that is ambiguous: the command line ends with status 2."""


class UnknownModel(UnknownName, ModelError):
    """A model that does not exist, or an unknown task."""


class UnknownLayer(UnknownName, LayerError):
    """A layer or stage that this network does not have."""


class UnknownTarget(UnknownName, TargetError):
    """A class that this network does not have, or a name that several classes share."""


class UnknownMethod(UnknownName, MethodError, KeyError):
    """A method, a metric or one of their options and choices that does not exist; `foveal.METHODS` raises it, too."""


class UnknownPreprocessing(UnknownName, ImageError):
    """A preprocessing that does not exist."""


class MissingExtra(FovealError, ImportError):
    """An optional library is not installed; the message names the extra that installs it."""


def counted(number: int, thing: str, plural: str = "") -> str:
    """A number with its noun: "1 image", "3 images"; `plural` where that is not the noun with an s."""
    return f"{number} {thing if number == 1 else plural or thing + 's'}"


def printable(text: str) -> str:
    """The text with everything that does not print written as an escape: "\\x1b[2J" for what would clear the screen."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, whose breaks and tabs stay."""
    return re.sub("[^\n\t]+", lambda found: printable(found[0]), text)


def shown(value: object, *, most: int = 80) -> str:
    """A value as a person would write it, in a few words and one line, for a sentence about it."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError, ArithmeticError, MemoryError, OSError):
        # Of numbers with thousands of digits, and of strangers' classes.
        text = f"a {type(value).__name__}"
    return printable(text if len(text) <= most else f"{text[:most]}…")
