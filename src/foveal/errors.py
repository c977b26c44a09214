"""Errors a caller may want to catch. Each message is one sentence: what was tried, with what, what to do."""

from __future__ import annotations

from foveal.printable import printable


class FovealError(Exception):
    """Any failure foveal foresaw: its message is meant to be read by the person who asked."""

    def __str__(self) -> str:
        """The message, with nothing in it that a terminal obeys, whatever strangers called their files and layers."""
        return printable(super().__str__())


class FovealWarning(UserWarning):
    """What a person should know of their files, where there is no result yet to carry the remark."""


class ImageError(FovealError, ValueError):
    """A picture that cannot be read, or a tensor that is no picture."""


class ModelError(FovealError, ValueError):
    """A model that cannot be found, built, loaded or run."""


class LayerError(FovealError, ValueError):
    """A layer that does not exist, is not spatial, or never reaches the score."""


class TargetError(FovealError, ValueError):
    """A decision that does not fit the model's output."""


class MethodError(FovealError, ValueError):
    """A method that is unknown, or does not apply to this network or layer."""


class ResultError(FovealError, ValueError):
    """A saved result that is incomplete, damaged or of another kind."""


class MissingExtra(FovealError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""
