"""Whatever a person's model raises, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from foveal.errors import FovealError, ModelError


@contextmanager
def model_errors(model: nn.Module, given: Sequence[Any]) -> Iterator[None]:
    """Run `model` on `given` in here: its own errors become the cause of a ModelError that names the shapes."""
    try:
        yield
    except FovealError:
        raise
    except Exception as error:
        shapes = ", ".join(_shape(value) for value in given)
        raise ModelError(f"running {type(model).__name__} on {shapes} failed: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def out_of_memory(error: BaseException | None) -> bool:
    """Whether memory was the reason, on a processor or an accelerator; also of an error told in a sentence."""
    if error is None:
        return False
    words = str(error)
    short = isinstance(error, MemoryError) or "out of memory" in words or "can't allocate memory" in words
    return short or (isinstance(error, FovealError) and out_of_memory(error.__cause__))


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
