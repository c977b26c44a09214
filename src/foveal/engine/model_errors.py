"""Whatever a person's model raises, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from foveal.engine.input_channels import first_convolution
from foveal.errors import FovealError, ModelError, counted


@contextmanager
def model_errors(model: nn.Module, given: Sequence[Any]) -> Iterator[None]:
    """Run `model` on `given` in here: its own errors become the cause of a ModelError that names the shapes."""
    try:
        yield
    except FovealError:
        raise
    except Exception as error:
        shapes = ", ".join(_shape(value) for value in given)
        why = _other_channels(model, given, error) or reason(error)
        raise ModelError(f"running {type(model).__name__} on {shapes} failed: {why}") from error


def _other_channels(model: nn.Module, given: Sequence[Any], error: Exception) -> str | None:
    """What to say where the first convolution takes more or fewer channels than the image has."""
    image = given[0] if given else None
    first = first_convolution(model) if isinstance(image, Tensor) and image.ndim == 4 else None
    if first is None or not isinstance(image, Tensor) or "channels" not in str(error):
        return None
    if first.channels == image.shape[1]:
        return None
    preset = {1: "gray", 3: "imagenet"}.get(first.channels)
    hint = f"; for images pass preprocessing=foveal.Preprocessing.named('{preset}')" if preset else ""
    takes, has = counted(first.channels, "channel"), image.shape[1]
    return f"its first convolution, {first.name}, takes {takes}, and the input has {has}{hint}"


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
