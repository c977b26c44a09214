"""How a photo becomes the network's input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from PIL import Image

from foveal.errors import ImageError, UnknownPreprocessing, counted, shown
from foveal.images.geometry import Geometry

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

Resize = Literal["short", "exact", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Channels = Literal["RGB", "BGR", "L"]

# What Pillow makes of red, green and blue (ITU-R BT.601).
GRAY = np.array([0.299, 0.587, 0.114], np.float32)

# A sliver of a photo would grow to gigabytes when its short side is brought to size.
LARGEST_RESIZE = 2**28
LONGEST = 2**15  # pixels of an input's side
SMALLEST, LARGEST = 1e-30, 1e30  # what single precision divides by, and holds
LARGEST_FOR_UNIT_PIXELS = 8  # a mean or deviation above is one of pixels of 0 to 255, or of 12 bits


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes the network's input: resize, crop or pad, then `x = (pixel / 255 - mean) / std`.

    size            (h, w) fed to the network, or the side of a square.
    resize          "short": short side to `resize_to`, keeping proportions, then the central `size`; black
                    where the photo is too small for it. "exact": squeezed to `size`. "pad": the whole photo,
                    shrunk or enlarged to fit inside `size`, on a ground of the mean color (zero, to the
                    network).
    resize_to       short side in pixels before the crop; None is the smaller side of `size`.
    channels        order of the input's channels; "L" is one gray channel.
    mean, std       one number a channel, in that order, or one number for all, for pixels scaled to 0..1.

    The arithmetic is that of torchvision's `Resize`, `CenterCrop` and `Normalize` on a PIL image.
    """

    size: tuple[int, int]
    resize: Resize = "short"
    resize_to: int | None = None
    interpolation: Interpolation = "bilinear"
    channels: Channels = "RGB"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        count = 1 if self.channels == "L" else 3
        for name, one_for_each in (("size", 2), ("mean", count), ("std", count)):
            object.__setattr__(self, name, _spread(getattr(self, name), one_for_each))
        for problem in _problems(self):
            raise ImageError(f"Cannot use this preprocessing: {problem}.")

    def geometry(self, photo_size: tuple[int, int]) -> Geometry:
        """Where the pixels of a photo of (H, W) end up."""
        resized = self._resized(photo_size)
        (height, width), (h, w) = photo_size, self.size
        offset = (_margin(resized[0], h), _margin(resized[1], w))
        scale = (resized[0] / height, resized[1] / width)
        return Geometry(photo_size, self.size, scale, (float(offset[0]), float(offset[1])))

    def apply(
        self, photo: Image.Image | Float32[NDArray[np.float32], "H W c"]
    ) -> Float32[NDArray[np.float32], "c h w"]:
        """The network's input, made from an upright photo: an image of 8 bits, or (H, W, 1 or 3) in 0..1."""
        pixels = self._in_8_bits(photo) if isinstance(photo, Image.Image) else self._in_depth(photo)
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        ground = mean if self.resize == "pad" else np.zeros_like(mean)
        return np.ascontiguousarray(((self._framed(pixels, ground) - mean) / std).transpose(2, 0, 1))

    def undo(self, tensor: Float32[NDArray[np.float32], "c h w"]) -> NDArray[np.uint8]:
        """The (h, w, 3) image that a network input shows."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels = tensor.transpose(1, 2, 0) * std + mean
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        gray_or_rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        return np.round(np.clip(gray_or_rgb, 0, 1) * 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a sidecar or manifest; `from_dict` reads them back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing written in a sidecar; a field that is left out has its default."""
        names = [field.name for field in fields(cls)]
        if not isinstance(saved, Mapping):
            raise ImageError(f"Cannot read the preprocessing: it is {shown(saved)}, not fields with values.")
        unknown = sorted(set(saved) - set(names), key=str)
        if unknown:
            near = get_close_matches(str(unknown[0]), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(names)}."
            raise ImageError(f"Cannot read the preprocessing: unknown field {shown(unknown[0])}; {hint}")
        if "size" not in saved:
            raise ImageError("Cannot read the preprocessing: no field 'size'; add \"size\": [height, width].")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
        return cls(**values)

    def to_json(self) -> str:
        """The text of a JSON file that says the same."""
        fields = ",\n".join(f' "{name}": {json.dumps(value)}' for name, value in self.to_dict().items())
        return "{\n" + fields + "\n}\n"

    @staticmethod
    def named(
        name: str,
        size: int | tuple[int, int] | None = None,
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        resize: Resize | None = None,
    ) -> Preprocessing:
        """A preprocessing by name, with another size or other numbers if given.

            >>> Preprocessing.named("gray", 128, mean=0.45, std=0.25).size
            (128, 128)

        Args:
            name: "imagenet" (short side 256, central 224×224, RGB, mean and std of ImageNet), or "gray" (one channel,
                224×224, values from −1 to 1).
            size: side of the input, or (h, w); the short side before the crop changes in proportion.
            mean, std: one number for every channel, or one a channel, for pixels scaled to 0..1.
            resize: "short" (cut to the center), "exact" (squeezed to the size) or "pad" (whole, with bars).

        Raises:
            ImageError: for another name, and numbers that do not fit.
        """
        if name not in PRESETS:
            near = get_close_matches(str(name), PRESETS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the names are {', '.join(PRESETS)}."
            raise UnknownPreprocessing(f"There is no preprocessing named {shown(name)}: {hint}")
        return PRESETS[name].changed((size, size) if isinstance(size, int) else size, mean=mean, std=std, resize=resize)

    def changed(
        self,
        size: tuple[int, int] | None = None,
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        resize: Resize | None = None,
    ) -> Preprocessing:
        """The same with another size (h, w), mean, standard deviation or resize; see `named`."""
        changes: dict[str, Any] = {"mean": self._for_each_channel(mean), "std": self._for_each_channel(std)}
        if size:
            short = self.resize_to and round(self.resize_to * min(size) / min(self.size))
            changes |= {"size": size, "resize_to": short}
        changed = replace(self, **{name: value for name, value in changes.items() if value is not None})
        if resize in (None, self.resize):
            return changed
        return replace(changed, resize=resize, resize_to=None)

    def _for_each_channel(self, numbers: float | Sequence[float] | None) -> tuple[float, ...] | None:
        if numbers is None:
            return None
        each = tuple(numbers) if isinstance(numbers, Sequence) else (numbers,)
        return each * (len(self.mean) if len(each) == 1 else 1)

    def _in_8_bits(self, photo: Image.Image) -> NDArray[np.float32]:
        """The resized pixels, rounded to 8 bits as torchvision has them."""
        picture = photo.convert("L" if self.channels == "L" else "RGB")
        height, width = self._resized((photo.height, photo.width))
        resized = picture.resize((width, height), Image.Resampling[self.interpolation.upper()])
        return np.asarray(resized, dtype=np.float32).reshape(height, width, -1) / np.float32(255)

    def _in_depth(self, photo: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same without rounding."""
        height, width = self._resized((photo.shape[0], photo.shape[1]))
        if self.channels == "L" and photo.shape[2] == 3:
            photo = photo @ GRAY[:, None]
        bands = [
            Image.fromarray(np.ascontiguousarray(photo[..., band])).resize(
                (width, height), Image.Resampling[self.interpolation.upper()]
            )
            for band in range(photo.shape[2])
        ]
        pixels = np.stack([np.asarray(band, np.float32) for band in bands], 2).clip(0, 1)
        return pixels if self.channels == "L" else np.broadcast_to(pixels, (height, width, 3))

    def _resized(self, photo_size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the whole photo after resizing, before crop or pad."""
        height, width = photo_size
        if self.resize == "exact":
            return self.size
        if self.resize == "pad":
            ratio = min(self.size[0] / height, self.size[1] / width)
            return max(1, round(height * ratio)), max(1, round(width * ratio))
        short = self.resize_to or min(self.size)
        long = int(short * max(photo_size) / min(photo_size))  # torchvision rounds down
        if short * long > LARGEST_RESIZE:
            raise ImageError(
                f"Cannot resize a photo of {width}×{height} to a short side of {short}: the long side would "
                f"be {long}; crop it, or set resize to exact or pad."
            )
        return (short, long) if height <= width else (long, short)

    def _framed(self, pixels: NDArray[np.float32], ground: NDArray[np.float32]) -> NDArray[np.float32]:
        """The central `size` of the resized pixels, on the ground where they do not reach."""
        (h, w), (height, width) = self.size, pixels.shape[:2]
        top, left = _margin(height, h), _margin(width, w)
        frame = np.broadcast_to(ground, (h, w, pixels.shape[2])).copy()
        kept = pixels[max(top, 0) : max(top, 0) + h, max(left, 0) : max(left, 0) + w]
        y, x = max(-top, 0), max(-left, 0)
        frame[y : y + kept.shape[0], x : x + kept.shape[1]] = kept
        return frame


def _margin(length: int, kept: int) -> int:
    """What is cut off before the central `kept`, or minus what is added; rounded as torchvision does."""
    return round((length - kept) / 2) if length >= kept else -((kept - length) // 2)


def _spread(value: object, count: int) -> object:
    """One number as so many, a list as a tuple; anything else as it is."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) * count if isinstance(value, int | float) and not isinstance(value, bool) else value


def _problems(p: Preprocessing) -> list[str]:
    """What is wrong with these settings, in words."""
    problems = []
    if not (isinstance(p.size, tuple) and len(p.size) == 2 and all(_whole(side) for side in p.size)):
        problems.append(f"size must be two positive whole numbers (h, w) up to {LONGEST}, not {shown(p.size)}")
    if p.resize_to is not None and not _whole(p.resize_to):
        problems.append(f"resize_to must be a positive whole number up to {LONGEST} or None, not {shown(p.resize_to)}")
    for name, choices in (("resize", Resize), ("interpolation", Interpolation), ("channels", Channels)):
        value = getattr(p, name)
        if not isinstance(value, str) or value not in get_args(choices):
            problems.append(f"{name} must be one of {', '.join(get_args(choices))}, not {shown(value)}")
    count = 1 if p.channels == "L" else 3
    for name in ("mean", "std"):
        numbers = getattr(p, name)
        if not (isinstance(numbers, tuple) and len(numbers) == count and all(_number(x) for x in numbers)):
            wanted = counted(count, "number")
            problems.append(f"{name} must be {wanted} for channels={shown(p.channels)}, not {shown(numbers)}")
        elif max(map(abs, numbers)) > LARGEST_FOR_UNIT_PIXELS:
            problems.append(
                f"{name} {shown(_fewest(numbers))} looks like a number for pixels of 0 to 255, and here pixels are "
                "scaled to 0..1: divide mean and std by 255"
            )
        elif name == "std" and min(numbers) <= SMALLEST:
            problems.append(f"std must be positive, not {shown(numbers)}")
    return problems


def _fewest(numbers: tuple[float, ...]) -> float | tuple[float, ...]:
    """One number where all are the same."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


PRESETS = {
    "imagenet": Preprocessing(size=(224, 224), resize_to=256),
    "gray": Preprocessing(size=(224, 224), channels="L", mean=(0.5,), std=(0.5,)),
}
"""What `Preprocessing.named` knows; "grey" is another spelling."""
PRESETS["grey"] = PRESETS["gray"]

USUAL = {1: PRESETS["gray"], 3: PRESETS["imagenet"]}
"""What is mostly right for a network, by the number of its input channels."""
