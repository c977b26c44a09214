"""Whatever a person calls a picture, as the network's input and the photo to draw on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import torch
from PIL import Image

from foveal.errors import ImageError, printable
from foveal.images.geometry import Geometry
from foveal.images.named_bytes import NamedBytes
from foveal.images.place import Place
from foveal.images.planes import plane
from foveal.images.selection import AS_IT_IS, TO_LOOK_AT, Selection
from foveal.images.size_notes import size_notes
from foveal.images.tensors import check_plain, values_of
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray

    from foveal.images.preprocessing import Preprocessing
    from foveal.images.samples import Decoded

OneImage: TypeAlias = "str | os.PathLike[str] | BytesIO | Image.Image | NDArray[Any] | torch.Tensor"
ImageLike: TypeAlias = "OneImage | Iterable[OneImage]"

NO_FILE = ("image", "array", "tensor")
"""Sources of photos that came from no file."""

NO_LISTS = (bytes, bytearray, memoryview, dict, AbstractSet)
DEEPEST = 16
LONG = 16  # times as wide as high: rather a signal than a picture


@dataclass(frozen=True, eq=False)
class Photo:
    """The upright original, what explanations are drawn on.

    `source` is where it came from: a path, "image", "array" or "tensor". `notes` say what had to be decided
    to read it: which frame, what was put behind transparency, how a tensor's colors were rebuilt. `origin` is where
    its pixels lie in space, as its file says, for maps that go back out (`why.save_map`).

    Of a signal or a volume `values` (c, *space) are what the network is shown, and `pixels` the signal as a band one
    pixel high, or the middle slice.
    """

    pixels: UInt8[NDArray[np.uint8], "H W 3"]
    geometry: Geometry
    source: str
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Any] | None = None
    values: Float[NDArray[np.float32], " c *space"] | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or shape != (*self.geometry.photo_size, 3):
            raise ImageError(
                f"A photo of size {self.geometry.photo_size} needs uint8 pixels (H, W, 3), "
                f"but got {self.pixels.dtype} {shape}."
            )

    @property
    def space(self) -> tuple[int, ...]:
        """The size of the network's input: (h, w), (length,) or (d, h, w)."""
        return self.geometry.input_size if self.values is None else self.values.shape[1:]

    def with_places(self, places: Mapping[tuple[int, int], Place]) -> Photo:
        """The same photo of a result whose maps, by their size, lie there."""
        if self.geometry.places == places:
            return self
        return replace(self, geometry=replace(self.geometry, places=places))


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures ready for the network, and the photos they were made from."""

    tensor: Float[torch.Tensor, "n c *space"]
    photos: tuple[Photo, ...]


def load_images(images: ImageLike | Batch, preprocessing: Preprocessing | None = None, *, axes: int = 2) -> Batch:
    """The network's input and the photos to draw on.

    A picture is a path, the bytes of a file (`io.BytesIO`), a PIL image, an array (H, W) or (H, W, 1..4) of whole
    numbers or of floats in 0..1 (more bands and other ranges where the preprocessing says which), a uint8 tensor
    (c, H, W), or a float tensor (c, h, w) or (n, c, h, w). Float tensors are taken as the network's input, as they
    are; everything else goes through `preprocessing`. Lists may mix them. The network's input is made of all bits that
    there are, the photo of 8.

        >>> import torch
        >>> load_images(torch.zeros(2, 3, 32, 32)).tensor.shape
        torch.Size([2, 3, 32, 32])

    A `Batch` comes back as it is, so that pictures used several times need reading once.

    `axes` is how many axes of space one image has that is given as floats: 1 for signals (c, length) or (n, c, length),
    2 for pictures, 3 for volumes (n, c, d, h, w); what has five axes is always a batch of volumes.

    Raises ImageError, one sentence, for whatever cannot be read.
    """
    if isinstance(images, Batch):
        return images
    inputs: list[torch.Tensor] = []
    photos: list[Photo] = []
    for image in one_by_one(images, axes):
        tensor, photo = _load(image, preprocessing, axes)
        inputs.append(tensor)
        photos.append(replace(photo, notes=(*photo.notes, *_taken_as(images)) if axes == 2 else photo.notes))
    if not inputs:
        raise ImageError("Cannot load images from an empty list: pass at least one.")
    if isinstance(images, torch.Tensor) and images.is_floating_point() and images.ndim > inputs[0].ndim:
        return Batch(images, tuple(photos))  # the caller's own tensor, not a copy
    _check_alike(inputs)
    return Batch(torch.stack(inputs), tuple(photos))


def photo_of(image: OneImage, selection: Selection = TO_LOOK_AT) -> Photo:
    """The upright original of one image, to look at; no network is asked.

    Args:
        selection: which frame of it.

    Raises:
        ImageError: for whatever cannot be read.
    """
    if _is_input(image):
        return _photo_of_input(image, None, 2)
    decoded, source = _decoded(image, selection)
    pixels = np.array(decoded.image)
    return Photo(pixels, Geometry.identity((pixels.shape[0], pixels.shape[1])), source, decoded.notes, decoded.origin)


def _taken_as(images: ImageLike) -> tuple[str, ...]:
    """What three axes were read as, where they might have been several signals."""
    if not _is_input(images) or images.ndim != 3:
        return ()
    channels, *space = images.shape
    likely = channels in (1, 3, 4) and max(space) < LONG * min(space)
    return () if likely else (f"read as one image of {channels} channels, {space[0]} × {space[1]}",)


def one_by_one(images: ImageLike, axes: int, depth: int = 0) -> Iterator[OneImage]:
    """Single pictures, out of batches and nested lists."""
    if isinstance(images, torch.Tensor):
        check_plain(images)
    if isinstance(images, (str, os.PathLike, Image.Image, BytesIO)):
        yield images
    elif isinstance(images, (np.ndarray, torch.Tensor)):
        if images.ndim == (axes + 2 if _is_input(images) else 4) or images.ndim == 5:
            yield from images
        else:
            yield images
    elif isinstance(images, Iterable) and not isinstance(images, NO_LISTS):
        if depth == DEEPEST:
            raise ImageError(f"Cannot read images from lists in lists, {DEEPEST} deep or more: pass one list.")
        for image in images:
            yield from one_by_one(image, axes, depth + 1)
    else:
        hint = "; a set has no order" if isinstance(images, AbstractSet) else ""
        raise ImageError(
            f"Cannot read an image from a {type(images).__name__}: pass a path, a PIL image, an array, "
            f"a tensor, or a list of these{hint}."
        )


def _load(image: OneImage, preprocessing: Preprocessing | None, axes: int) -> tuple[torch.Tensor, Photo]:
    if _is_input(image):
        return image, _photo_of_input(image, preprocessing, axes)
    decoded, source = _decoded(image, preprocessing.selection if preprocessing else TO_LOOK_AT)
    if preprocessing is None:
        raise ImageError(
            f"Cannot make a network input from {source!r}: the preprocessing of the network is not known; pass "
            "preprocessing=foveal.Preprocessing(size=(h, w), …) (in Python also foveal.Preprocessing.named('gray', "
            "size), 'imagenet' for three channels, or a model from foveal.load_model)."
        )
    pixels = np.array(decoded.image)
    geometry = preprocessing.geometry((pixels.shape[0], pixels.shape[1]))
    tensor = torch.from_numpy(preprocessing.apply(decoded.source))
    notes = (*decoded.notes, *preprocessing.notes(decoded.source), *size_notes(geometry))
    return tensor, Photo(pixels, geometry, source, notes, decoded.origin)


def _is_input(image: object) -> TypeGuard[torch.Tensor]:
    """Whether it is the network's input already."""
    return isinstance(image, torch.Tensor) and image.is_floating_point()


def _decoded(image: OneImage, selection: Selection = AS_IT_IS) -> tuple[Decoded, str]:
    """The upright RGB picture and where it came from."""
    if isinstance(image, (str, os.PathLike)):
        from foveal.images.decode import decode_file

        path = Path(os.fsdecode(image))
        return decode_file(path, selection), _named(path)
    if isinstance(image, NamedBytes):
        from foveal.images.decode import decode_named

        return decode_named(image, image.name, selection), _named(Path(image.name))
    if isinstance(image, BytesIO):
        from foveal.images.decode import decode_upload

        return decode_upload(image, selection), "image"
    if isinstance(image, Image.Image):
        return _decode_opened(image, selection), _named(
            Path(os.fsdecode(getattr(image, "filename", "") or "image")), "image"
        )
    if isinstance(image, torch.Tensor):
        if image.ndim != 3:
            raise ImageError(f"Cannot read an image from a tensor of {image.dtype} {tuple(image.shape)}.")
        return _decode_array(values_of(image).transpose(1, 2, 0), selection), "tensor"
    return _decode_array(image, selection), "array"


def _named(path: Path, plain: str = "") -> str:
    """A file's name for people: without what a terminal obeys, and unlike the names of what came from no file."""
    name = printable(str(path))
    return name if name == plain or name not in NO_FILE else f"./{name}"


def _decode_opened(image: Image.Image, selection: Selection) -> Decoded:
    """A picture that the caller opened; one that was not loaded yet can be read from its file once more."""
    from foveal.images.decode import decode_image

    path = Path(os.fsdecode(getattr(image, "filename", "") or ""))
    try:
        again = (lambda: Image.open(path)) if path.is_file() else None
        return decode_image(image, _head(path) if again else b"", again, selection)
    except ImageError as error:
        raise ImageError(f"Cannot read the PIL image {str(path)!r}: {error}") from error
    except DAMAGE as error:
        raise ImageError(f"Cannot read the PIL image {str(path)!r}: {reason(error)}.") from error


def _head(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(65536)


def _decode_array(array: NDArray[Any], selection: Selection) -> Decoded:
    """Pixels as numpy, OpenCV or imageio give them: (H, W) or (H, W, 1..4); more where bands are chosen."""
    from foveal.images.decode import decode_array

    shape = array.shape
    too_many = selection.bands is None and selection.asks and shape[2:] > (4,)
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in shape or too_many:
        raise ImageError(
            f"Cannot read an image from an array of {array.dtype} {shape}: pass pixels (H, W) or "
            "(H, W, 1 to 4), or (H, W, c) with bands=(0, 1, …) in the preprocessing, or a float tensor (c, h, w) if it "
            "is the network's input."
        )
    if np.ma.is_masked(array):
        raise ImageError(f"Cannot read an image from an array of shape {shape} with masked pixels: fill them first.")
    try:
        return decode_array(np.asarray(array), selection)
    except ImageError as error:
        raise ImageError(f"Cannot read an image from an array of shape {shape}: {error}") from error


def _photo_of_input(tensor: torch.Tensor, preprocessing: Preprocessing | None, axes: int) -> Photo:
    """The picture a network input shows, as well as it can be rebuilt."""
    with np.errstate(over="ignore"):  # what is too large for single precision is refused below
        values = values_of(tensor).astype(np.float32, copy=False)
    shape = values.shape
    if values.ndim not in (axes + 1, 4) or 0 in shape:
        raise ImageError(f"Expected a float tensor (c, h, w) or (n, c, h, w), but got shape {shape}.")
    if not np.isfinite(values).all():
        raise ImageError(f"The input tensor of shape {shape} has NaN or infinite values: clean it first.")
    shown = values if values.ndim == 3 else np.stack([plane(channel) for channel in values])
    kept = None if values.ndim == 3 else values.copy()
    geometry = Geometry.identity((shown.shape[1], shown.shape[2]))
    if preprocessing is not None and len(preprocessing.mean) == shape[0]:
        return Photo(preprocessing.undo(shown), geometry, "tensor", values=kept)
    notes = ("colors stretched from least to greatest value",) if kept is None else ()
    return Photo(_stretched(shown), geometry, "tensor", notes, values=kept)


def _stretched(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Three channels as RGB, others by their mean; least value black, greatest white."""
    shown = values if len(values) == 3 else values.mean(axis=0, keepdims=True)
    low, high = shown.min(), shown.max()
    light = shown - low if high > low else np.full_like(shown, 0.5)
    if high > low:
        light /= high - low
    light *= 255
    np.rint(light, out=light)
    return np.broadcast_to(light, (3, *values.shape[1:])).transpose(1, 2, 0).astype(np.uint8)


def _check_alike(inputs: list[torch.Tensor]) -> None:
    """A batch needs one shape, one kind of number and one device."""
    kinds = {(tuple(x.shape), str(x.dtype), str(x.device)) for x in inputs}
    if len(kinds) > 1:
        listed = " and ".join(f"{shape} {dtype} on {device}" for shape, dtype, device in sorted(kinds)[:2])
        raise ImageError(f"Cannot make one batch of network inputs that differ: {listed}.")
