"""The preprocessing that somebody's transform is, learned by giving it pictures of known values.

black, white        which pixels of the input show the photo, and which numbers are black and white
a ramp in x, in y   how far to the right and down in the photo each of these pixels lies
red                 the order of the channels
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from foveal.errors import ImageError
from foveal.images.geometry import Geometry
from foveal.images.probes import PROBED, axis_of, gray, noise, ramp
from foveal.images.transform_classes import random_part
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

    Run: TypeAlias = Callable[[Image.Image], NDArray[np.float32]]

LEVELS = (0, 51, 128, 204, 255)
MOST_SIZES = 4096
"""Sizes of photos for which it is remembered."""

SAME = 1e-4
"""Inputs that differ by less are the same."""


@dataclass(frozen=True, eq=False)
class LearnedTransform:
    """A transform that makes the network's input, and the way back to the photo that was learned from it.

    Attributes:
        run: what it makes of a PIL image, (c, h, w).
        size: (h, w) of that.
        channels: "RGB", "BGR" or "L".
        mean, std: (c,), so that an input is (pixel / 255 - mean) / std.
        name: what it is, in one line.
    """

    run: Run
    size: tuple[int, int]
    channels: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str
    _known: dict[tuple[int, int], Geometry] = field(default_factory=dict, repr=False)

    def geometry(self, photo_size: tuple[int, int]) -> Geometry:
        """Where the pixels of a photo of (H, W) end up, as ramps of that size do.

        Raises:
            ImageError: where it turns, mirrors or warps such a photo, or makes another size of it.
        """
        if photo_size not in self._known:
            if len(self._known) > MOST_SIZES:
                self._known.clear()
            self._known[photo_size] = _geometry(self.run, photo_size, self.size)
        return self._known[photo_size]

    def apply(
        self, photo: Image.Image | Float32[NDArray[np.float32], "H W c"]
    ) -> Float32[NDArray[np.float32], "c h w"]:
        """The network's input; of more than 8 bits it gets 8.

        Raises:
            ImageError: where the input of this photo has another size.
        """
        if not isinstance(photo, Image.Image):
            bits = np.round(np.clip(photo, 0, 1) * 255).astype(np.uint8)
            photo = Image.fromarray(np.broadcast_to(bits, (*bits.shape[:2], 3)).copy())
        out = self.run(photo)
        _check_sides(out.shape[1:], self.size, (photo.height, photo.width))
        return np.ascontiguousarray(out)


def readable(transform: Callable[..., Any], takes: str | None = None) -> Run:
    """A function from a PIL image to (c, h, w) float32, of a transform that always does the same.

    Raises:
        ImageError: for one that is random, or takes or gives something else.
    """
    if not callable(transform) or takes not in (None, "pil", "array"):
        raise ImageError("pass a transform that can be called, and takes='pil' or 'array' or nothing.")
    if part := random_part(transform):
        raise ImageError(f"{part} is random: pass the transform of the evaluation, not that of the training.")
    with random_state_kept():
        run = _runner(transform, takes)
        photo = noise(PROBED)
        first = run(photo)
        if any(not np.array_equal(first, run(photo)) for _ in range(3)):
            raise ImageError("it is random: pass the transform of the evaluation, not that of the training.")
    return run


def learned(run: Run, transform: object) -> LearnedTransform:
    """What `run` does, found out.

    Raises:
        ImageError: where it mirrors, turns or warps, or its numbers do not grow evenly with gray.
    """
    with random_state_kept():
        first = run(noise(PROBED))
        black, white = _black_and_white(run)
        std = 1 / (white - black)
        mean = tuple((-black * std).tolist())
        size, name = (first.shape[1], first.shape[2]), " ".join(str(transform).split())
        made = LearnedTransform(run, size, _order(run, black, white), mean, tuple(std.tolist()), name)
        for photo_size in (PROBED, PROBED[::-1]):
            made.geometry(photo_size)
    return made


def is_same(run: Run, apply: Callable[[Image.Image], NDArray[np.float32]]) -> bool:
    """Whether two ways to make an input agree on two pictures."""
    with random_state_kept():
        return all(_same(apply(photo), run(photo)) for photo in (noise(PROBED), noise((97, 61))))


def _runner(transform: Callable[..., Any], takes: str | None) -> Run:
    """A function from a PIL image to (c, h, w), however the transform wants and gives it."""
    named = any(kind.__module__.startswith("albumentations") for kind in type(transform).__mro__)

    def as_array(image: Image.Image) -> Any:
        pixels = np.asarray(image)
        return transform(image=pixels) if named else transform(pixels)

    ways = {"pil": transform, "array": as_array}
    tried = [takes] if takes else ["array"] if named else ["pil", "array"]
    failed: BaseException | None = None
    for way in tried:
        try:
            _input(ways[way](noise(PROBED)))
        except ImageError:
            raise
        except DAMAGE as error:
            failed = failed or error
        else:
            return lambda image: _input(ways[way](image))
    assert failed is not None
    raise ImageError(f"it takes neither a PIL image nor an array ({reason(failed)}).") from failed


def _input(given: Any) -> NDArray[np.float32]:
    """(c, h, w) out of what a transform returns."""
    if isinstance(given, Mapping):
        given = next((given[name] for name in ("image", "pixel_values") if name in given), None)
    rows_first = isinstance(given, np.ndarray)
    if not rows_first and not hasattr(given, "detach"):
        raise ImageError(f"it returns a {type(given).__name__}: let it end in a tensor (torchvision's ToTensor).")
    values = np.asarray(given if rows_first else given.detach().cpu())
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.dtype.kind != "f":
        raise ImageError(f"it returns whole numbers ({values.dtype}): let it end in the real numbers of the network.")
    if values.ndim == 2:
        values = values[None]
    elif rows_first and values.ndim == 3 and values.shape[2] in (1, 3):
        values = values.transpose(2, 0, 1)
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise ImageError(f"it returns the shape {values.shape}: inputs of one or three channels are read back.")
    return values.astype(np.float32)


def _black_and_white(run: Run) -> tuple[NDArray[Any], NDArray[Any]]:
    """(c,) what black and white become in the middle of the input."""
    each = np.stack([run(gray(PROBED, level)) for level in LEVELS]).astype(np.float64)
    middle = each[:, :, each.shape[2] // 2, each.shape[3] // 2]
    black, white = middle[0], middle[-1]
    if not (white - black > 0).all():
        raise ImageError("white does not become larger than black in the middle of its input, so it cannot be read.")
    expected = black + np.outer(np.array(LEVELS) / 255, white - black)
    if np.abs(middle - expected).max() > 0.01 * float((white - black).max()):
        raise ImageError("its numbers do not grow evenly with the gray of the photo.")
    return black, white


def _order(run: Run, black: NDArray[Any], white: NDArray[Any]) -> str:
    if len(black) == 1:
        return "L"
    shares = []
    for color in ((255, 0, 0), (0, 0, 255)):
        out = run(Image.new("RGB", PROBED[::-1], color))
        shares.append((out[:, out.shape[1] // 2, out.shape[2] // 2] - black) / (white - black))
    if max(float(np.ptp(share)) for share in shares) < 0.01:
        return "RGB"  # one gray, three times
    first, last = (min(red[0], blue[2]) for red, blue in (shares, shares[::-1]))
    if max(first, last) < 0.99:
        raise ImageError("its channels are neither red, green and blue nor blue, green and red.")
    return "RGB" if first >= last else "BGR"


def _geometry(run: Run, photo: tuple[int, int], size: tuple[int, int]) -> Geometry:
    with random_state_kept():
        dark, light, down, right = (
            run(probe).astype(np.float64).mean(0)
            for probe in (gray(photo, 0), gray(photo, 255), ramp(photo, 0), ramp(photo, 1))
        )
    _check_sides(dark.shape, size, photo)
    span = light - dark
    shown = span > 0.5 * span.max()
    if not shown.any() or span.max() <= 0:
        raise ImageError("nothing of the photo's gray reaches its input.")
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = [np.where(shown, (values - dark) / span, 0) for values in (down, right)]
    (sy, oy), (sx, ox) = (axis_of(axis, levels[axis], shown, photo) for axis in (0, 1))
    return Geometry(photo, size, (sy, sx), (oy, ox))


@contextmanager
def random_state_kept() -> Iterator[None]:
    """The random numbers of Python, NumPy and torch go on afterwards as if nothing had been drawn."""
    import torch

    own, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(own)
            np.random.set_state(numpys)  # noqa: NPY002


def _same(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() < SAME)


def _check_sides(sides: tuple[int, ...], size: tuple[int, int], photo: tuple[int, int]) -> None:
    if sides != size:
        raise ImageError(
            f"the transform makes {sides[0]}×{sides[1]} of a photo of {photo[1]}×{photo[0]}, and {size[0]}×{size[1]} "
            "of others: give it a size that does not depend on the photo."
        )
