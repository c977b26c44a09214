"""What is wrong with the settings of a preprocessing, in words."""

from __future__ import annotations

from typing import Any, Literal, Protocol, get_args

from foveal.errors import counted, shown

Resize = Literal["short", "exact", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Channels = Literal["RGB", "BGR", "L", "bands"]

LONGEST = 2**15  # pixels of an input's side
SMALLEST, LARGEST = 1e-30, 1e30  # what single precision divides by, and holds
LARGEST_FOR_UNIT_PIXELS = 8  # a mean or deviation above is one of pixels of 0 to 255, or of 12 bits
MOST_BANDS = 4096


class InputSettings(Protocol):
    """The fields of a preprocessing, which may hold anything before they are checked."""

    @property
    def size(self) -> Any: ...
    @property
    def resize(self) -> Any: ...
    @property
    def resize_to(self) -> Any: ...
    @property
    def interpolation(self) -> Any: ...
    @property
    def channels(self) -> Any: ...
    @property
    def mean(self) -> Any: ...
    @property
    def std(self) -> Any: ...
    @property
    def range(self) -> Any: ...
    @property
    def clip(self) -> Any: ...
    @property
    def bands(self) -> Any: ...
    @property
    def composite(self) -> Any: ...
    @property
    def frame(self) -> Any: ...
    @property
    def axis(self) -> Any: ...
    @property
    def transform(self) -> Any: ...


def spread(value: object, count: int) -> object:
    """One number as so many, a list as a tuple; anything else as it is."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) * count if isinstance(value, int | float) and not isinstance(value, bool) else value


def as_tuple(value: Any) -> Any:
    """A list or a `range` as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list | range) else value


def channel_count(p: InputSettings) -> int:
    """How many channels the network's input has."""
    if p.channels == "bands":
        return len(p.bands) if isinstance(p.bands, tuple) else 0
    return 1 if p.channels == "L" else 3


def problems(p: InputSettings) -> list[str]:
    """What is wrong, if anything."""
    found = []
    if not (isinstance(p.size, tuple) and len(p.size) == 2 and all(_side(side) for side in p.size)):
        found.append(f"size must be two positive whole numbers (h, w) up to {LONGEST}, not {shown(p.size)}")
    if p.resize_to is not None and not _side(p.resize_to):
        found.append(f"resize_to must be a positive whole number up to {LONGEST} or None, not {shown(p.resize_to)}")
    for name, choices in (("resize", Resize), ("interpolation", Interpolation), ("channels", Channels)):
        value = getattr(p, name)
        if not isinstance(value, str) or value not in get_args(choices):
            found.append(f"{name} must be one of {', '.join(get_args(choices))}, not {shown(value)}")
    return found or [*_of_files(p), *_numbers(p)]


def _of_files(p: InputSettings) -> list[str]:
    """Problems of what is chosen from a file."""
    found = []
    if p.range is not None and not (
        isinstance(p.range, tuple) and len(p.range) == 2 and all(map(_number, p.range)) and p.range[0] != p.range[1]
    ):
        found.append(f"range must be two different numbers (black, white), not {shown(p.range)}")
    if not isinstance(p.clip, bool):
        found.append(f"clip must be true or false, not {shown(p.clip)}")
    for name in ("bands", "composite"):
        numbers = getattr(p, name)
        if numbers is not None and not (isinstance(numbers, tuple) and numbers and all(map(_count, numbers))):
            found.append(f"{name} must be whole numbers from 0, not {shown(numbers)}")
    if not found and p.composite is not None and len(p.composite) not in (1, 3):
        found.append(f"composite must be three bands, or one, not {shown(p.composite)}")
    if (p.bands is None) == (p.channels == "bands"):
        found.append(
            f"channels {shown(p.channels)} and bands {shown(p.bands)} contradict each other: leave channels out"
        )
    if p.transform is not None and p.transform.size != p.size:
        found.append(f"size {shown(p.size)} is not that of the transform, {shown(p.transform.size)}")
    if p.transform is not None and p.bands is not None and len(p.bands) not in (1, 3):
        found.append(f"the transform takes one band or three, not {len(p.bands)}")
    if p.frame is not None and not _count(p.frame):
        found.append(f"frame must be a whole number from 0, or None, not {shown(p.frame)}")
    if not _count(p.axis) or p.axis > 2:
        found.append(f"axis must be 0, 1 or 2, not {shown(p.axis)}")
    return found


def _numbers(p: InputSettings) -> list[str]:
    """Problems of the mean and the standard deviation."""
    found, count = [], channel_count(p)
    for name in ("mean", "std"):
        numbers = getattr(p, name)
        if not (isinstance(numbers, tuple) and len(numbers) == count and all(_number(x) for x in numbers)):
            wanted = counted(count, "number")
            found.append(f"{name} must be {wanted} for channels={shown(p.channels)}, not {shown(numbers)}")
        elif p.clip and max(map(abs, numbers)) > LARGEST_FOR_UNIT_PIXELS:
            found.append(
                f"{name} {shown(_fewest(numbers))} looks like a number for pixels of 0 to 255, and here pixels are "
                "scaled to 0..1: divide mean and std by 255, or by what is white"
            )
        elif name == "std" and min(numbers) <= SMALLEST:
            found.append(f"std must be positive, not {shown(numbers)}")
    return found


def _fewest(numbers: tuple[float, ...]) -> float | tuple[float, ...]:
    """One number where all are the same."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_BANDS


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
