"""How a photo becomes the network's input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foveal.errors import ImageError, UnknownPreprocessing, shown
from foveal.images.geometry import Geometry
from foveal.images.preprocessing_checks import (
    Channels,
    Interpolation,
    Resize,
    as_tuple,
    channel_count,
    problems,
    spread,
)
from foveal.images.selection import Selection

if TYPE_CHECKING:
    from jaxtyping import Float32
    from numpy.typing import NDArray

# What Pillow makes of red, green and blue (ITU-R BT.601).
GRAY = np.array([0.299, 0.587, 0.114], np.float32)

# A sliver of a photo would grow to gigabytes when its short side is brought to size.
LARGEST_RESIZE = 2**28

OF_FILES = ("range", "clip", "bands", "composite", "frame", "axis", "transform")
"""Settings that are written only where they are not as usual."""


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

    What follows is for files of more than 8 bits, more than three bands, or several pictures (docs/inputs.md):

    range           the file's values that are black and white, 0 and 1 here; None is what the file or its bits say.
    clip            what lies beyond the range is cut to 0 and 1, with a note; False keeps it, so that range=(0, 1)
                    and clip=False leave values in the file's own units for mean and std.
    bands           numbers of the file's bands that are the channels, in that order, from 0.
    composite       the three bands that overlays show as red, green and blue (or one, in gray); None is what the file
                    says, else the first three.
    frame           number of the frame, page or slice, from 0; None is the first, and the middle slice of a volume.
    axis            the axis of a volume, 0 to 2, along which slices are taken.
    transform       what `of` learned of a transform, which then makes the input; settings above do not.

    The arithmetic is that of torchvision's `Resize`, `CenterCrop` and `Normalize` on a PIL image.
    """

    size: tuple[int, int]
    resize: Resize = "short"
    resize_to: int | None = None
    interpolation: Interpolation = "bilinear"
    channels: Channels = "RGB"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    range: tuple[float, float] | None = None
    clip: bool = True
    bands: tuple[int, ...] | None = None
    composite: tuple[int, ...] | None = None
    frame: int | None = None
    axis: int = 2
    transform: Any = field(default=None, repr=False)  # a LearnedTransform, which nothing reads from a file

    def __post_init__(self) -> None:
        if isinstance(self.transform, str):
            raise ImageError(
                f"Cannot read the preprocessing: it was the transform {shown(self.transform)}, which no file holds; "
                "pass it again."
            )
        for name in ("range", "bands", "composite"):
            object.__setattr__(self, name, as_tuple(getattr(self, name)))
        if self.bands is not None and self.channels == "RGB":
            object.__setattr__(self, "channels", "bands")
        for name, count in (("size", 2), ("mean", channel_count(self)), ("std", channel_count(self))):
            object.__setattr__(self, name, spread(getattr(self, name), count))
        for problem in problems(self):
            raise ImageError(f"Cannot use this preprocessing: {problem}.")

    @classmethod
    def of(cls, transform: Callable[..., Any], *, takes: str | None = None) -> Preprocessing:
        """The preprocessing that a transform of torchvision, timm or albumentations is, or any of one's own.

            why = foveal.explain(my_module, "bird.jpg", preprocessing=foveal.Preprocessing.of(my_transform))

        The transform itself makes the network's input. Where each pixel of it lies in the photo, what its numbers
        are for black and white, and which channel is red is learned by giving it pictures of known values.

        Args:
            transform: takes a PIL image (or an array, as albumentations does) and returns the network's input.
            takes: "pil" or "array" (H, W, 3) of 8 bits; if left out, what the transform accepts.

        Raises:
            ImageError: for a transform that is random, turns, mirrors or warps the photo, or gives no input of one
                or three channels that grows evenly with the gray of the photo.
        """
        from foveal.images.learned import is_same, learned, readable
        from foveal.images.transform_classes import read_as_settings

        if isinstance(transform, Preprocessing):
            return transform
        try:
            run = readable(transform, takes)
            made = learned(run, transform)
            settings = read_as_settings(transform)
            if settings and is_same(run, (plain := cls(made.size, **settings)).apply):
                return plain
        except ImageError as error:
            raise ImageError(f"Cannot learn a preprocessing from a {type(transform).__name__}: {error}") from error
        channels: Any = made.channels
        return cls(made.size, channels=channels, mean=made.mean, std=made.std, clip=False, transform=made)

    @property
    def selection(self) -> Selection:
        """What of a file becomes the picture."""
        return Selection(self.range, self.clip, self.bands, self.composite, self.frame, self.axis)

    def geometry(self, photo_size: tuple[int, int]) -> Geometry:
        """Where the pixels of a photo of (H, W) end up."""
        if self.transform:
            made: Geometry = self.transform.geometry(photo_size)
            return made
        resized = self._resized(photo_size)
        (height, width), (h, w) = photo_size, self.size
        offset = (_margin(resized[0], h), _margin(resized[1], w))
        scale = (resized[0] / height, resized[1] / width)
        return Geometry(photo_size, self.size, scale, (float(offset[0]), float(offset[1])))

    def apply(
        self, photo: Image.Image | Float32[NDArray[np.float32], "H W c"]
    ) -> Float32[NDArray[np.float32], "c h w"]:
        """The network's input, made from an upright photo: an image of 8 bits, or (H, W, 1 or 3) in 0..1."""
        if self.transform:
            x: NDArray[np.float32] = self.transform.apply(photo)
            return x
        if isinstance(photo, Image.Image) and self.channels == "bands":
            photo = np.asarray(photo.convert("RGB"), np.float32)[..., list(self.bands or ())] / np.float32(255)
        pixels = self._in_8_bits(photo) if isinstance(photo, Image.Image) else self._in_depth(photo)
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        ground = mean if self.resize == "pad" else np.zeros_like(mean)
        return np.ascontiguousarray(((self._framed(pixels, ground) - mean) / std).transpose(2, 0, 1))

    def notes(self, photo: Image.Image | Float32[NDArray[np.float32], "H W c"]) -> tuple[str, ...]:
        """What a reader must know of how such a photo becomes the input."""
        lost = self.transform is not None and not isinstance(photo, Image.Image)
        return ("the transform takes 8 bits, and the file has more",) if lost else ()

    def undo(self, tensor: Float32[NDArray[np.float32], "c h w"]) -> NDArray[np.uint8]:
        """The (h, w, 3) image that a network input shows."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels = tensor.transpose(1, 2, 0) * std + mean
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        if self.channels == "bands":
            pixels = pixels[..., self._shown_channels()]
        gray_or_rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        return np.round(np.clip(gray_or_rgb, 0, 1) * 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a sidecar or manifest; `from_dict` reads them back."""
        usual = {one.name: one.default for one in fields(self) if one.name in OF_FILES}
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {k: v for k, v in said.items() if k not in usual or v != usual[k]}
        plain |= {"transform": self.transform.name} if self.transform else {}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing written in a sidecar; a field that is left out has its default."""
        names = [one.name for one in fields(cls)]
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
        bands: Sequence[int] | None = None,
        **of_files: Any,
    ) -> Preprocessing:
        """The same with another size (h, w), mean, standard deviation or resize; see `named`.

        Args:
            bands: numbers of the bands that are the channels, from 0.
            of_files: `range`, `clip`, `composite`, `frame` and `axis`; None leaves them as they are.

        Raises:
            ImageError: for settings that do not fit, and where a transform makes the input in its own way.
        """
        made = (size, mean, std, resize, bands)
        if self.transform and any(value is not None for value in made):
            raise ImageError("Cannot change the preprocessing: it is a transform; change that, and pass it again.")
        count = len(self.mean) if bands is None else len(bands)
        changes: dict[str, Any] = {"mean": _for_each(mean, count), "std": _for_each(std, count), **of_files}
        if size:
            short = self.resize_to and round(self.resize_to * min(size) / min(self.size))
            changes |= {"size": size, "resize_to": short}
        if bands is not None:
            changes |= {"bands": tuple(bands), "channels": "bands"}
        changed = replace(self, **{name: value for name, value in changes.items() if value is not None})
        if resize in (None, self.resize):
            return changed
        return replace(changed, resize=resize, resize_to=None)

    def _shown_channels(self) -> list[int]:
        """The channels of the composite, as far as the network has them, else the first three or the first."""
        bands = self.bands or ()
        wanted = [bands.index(band) for band in self.composite or () if band in bands]
        return wanted if len(wanted) in (1, 3) else [0, 1, 2] if len(bands) >= 3 else [0]

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
        pixels = np.stack([np.asarray(band, np.float32) for band in bands], 2)
        pixels = pixels.clip(0, 1) if self.clip else pixels
        return pixels if self.channels in ("L", "bands") else np.broadcast_to(pixels, (height, width, 3))

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
                f"be {long}; crop it, or set resize='pad' in the preprocessing."
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


def _for_each(numbers: float | Sequence[float] | None, count: int) -> tuple[float, ...] | None:
    """A number for each channel; None where there is none."""
    if numbers is None:
        return None
    each = tuple(numbers) if isinstance(numbers, Sequence) else (numbers,)
    return each * count if len(each) == 1 else each


def _margin(length: int, kept: int) -> int:
    """What is cut off before the central `kept`, or minus what is added; rounded as torchvision does."""
    return round((length - kept) / 2) if length >= kept else -((kept - length) // 2)


PRESETS = {
    "imagenet": Preprocessing(size=(224, 224), resize_to=256),
    "gray": Preprocessing(size=(224, 224), channels="L", mean=(0.5,), std=(0.5,)),
}
"""What `Preprocessing.named` knows; "grey" is another spelling."""
PRESETS["grey"] = PRESETS["gray"]

USUAL = {1: PRESETS["gray"], 3: PRESETS["imagenet"]}
"""What is mostly right for a network, by the number of its input channels."""
