"""Maps on their photos: the part of an explanation that draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.engine.address import INPUT
from foveal.errors import ResultError
from foveal.images.place import laid
from foveal.images.planes import planar
from foveal.render.drawing import Drawing, ScaleRule, scale_of
from foveal.results.result import checked_index

if TYPE_CHECKING:
    import os

    from jaxtyping import Float
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.images import Photo, Place
    from foveal.render.scale import Sign


class DrawnMaps:
    """The maps of n images at one or more layers, which lie on their photos; explanations have them."""

    maps: Mapping[str, Float[Tensor, "n h w"]]
    photos: tuple[Photo, ...]
    target_spec: Mapping[str, Any]
    where: Mapping[str, Place]
    drawing: Drawing

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the explained layers, in the network's order."""
        return tuple(self.maps)

    @property
    def layer(self) -> str:
        """The deepest of them."""
        return self.layers[-1]

    @property
    def map(self) -> Float[Tensor, "n h w"]:
        """The maps of the deepest layer."""
        return self.maps[self.layer]

    def __len__(self) -> int:
        return len(self.photos)

    def on_photo(self, i: int = 0, *, layer: str | None = None) -> Float[NDArray[Any], "H W"]:
        """Image i's map in the pixels of its photo, NaN where the network did not look; `layer` as in `overlay`.

        Of a signal (1, length), of a volume the middle slice; `on_input` has all of it.
        """
        photo = self.photos[checked_index(i, len(self))]
        place = self.where.get(self.layer if layer is None else layer)
        cells, place = planar(_array(self._map(layer)[i]), place, photo.space)
        return photo.geometry.map_to_photo(cells, place=place)

    def on_input(self, i: int = 0, *, layer: str | None = None) -> Float[Tensor, "*space"]:
        """Image i's map at the resolution of the network's input: (h, w), (length,) of a signal, (d, h, w) of a volume.

        Interpolated linearly along each axis from where its cells lie, 0 where none lies; `layer` as in `overlay`.

        Raises:
            ResultError: for an image or layer that is not here, or a map with other axes than the input.
        """
        photo, name = self.photos[checked_index(i, len(self))], layer or self.layer
        map = self._map(name)[i]
        if map.ndim != len(photo.space):
            raise ResultError(
                f"The map of {name!r} has {map.ndim} axes of space, and the input has {len(photo.space)}."
            )
        return laid(map, photo.space, self.where.get(name))

    def save_map(self, file: str | os.PathLike[str], i: int = 0, *, layer: str | None = None) -> Path:
        """Image i's raw map as a file that lies where the picture lay: GeoTIFF, NIfTI or DICOM, by its ending.

            why.save_map("scene-map.tif")    # real numbers in the scene's pixels, with its coordinates

        Args:
            file: .tif or .tiff for any picture (with coordinates where it came from a GeoTIFF); .nii or .nii.gz for one
                from a NIfTI file; .dcm for one from a DICOM file, as a Parametric Map of real numbers.
            layer: as in `overlay`.

        Raises:
            ResultError: for another ending, or a picture that came from another kind of file.
            MissingExtra: without nibabel or pydicom.
        """
        from foveal.results.map_file import save_map

        name = self.layer if layer is None else layer
        i = checked_index(i, len(self))
        map, photo = self._map(name)[i], self.photos[i]
        return save_map(Path(file), map, photo, None if map.ndim > 2 else self.on_photo(i, layer=name), name)

    def overlay(
        self,
        i: int = 0,
        *,
        layer: str | None = None,
        size: int | None = None,
        alpha: float | None = None,
        sign: Sign | None = None,
        scale: ScaleRule | float | None = None,
        colors: str | None = None,
        contour: bool | None = None,
        color_bar: bool = True,
    ) -> Image.Image:
        """Image i's photo with its map on it, and a bar with the raw values; a box or region asked about is outlined.

        Args:
            i: which image, counted from 0.
            layer: which one; None is the deepest.
            size: long side of the drawn photo in pixels; its own if left out, 2048 at most.
            alpha: how far the strongest evidence covers the photo, 0..1; 0.65 if left out, 0.5 on gray photos.
            sign: "positive", "negative", "signed", or "auto": signed if the negative part is worth a color.
            scale: the value that gets the last color: the largest of this "image", of the "batch", a number, or
                "robust", the 98th percentile of this map. "auto" is robust for maps of pixels, else image.
            colors: the name of a colormap, such as "viridis" (needs `pip install 'foveal[colormaps]'`).
            contour: lines at a quarter, a half and three quarters of the scale instead of a veil.
            color_bar: whether the bar stands beside it.

        Raises:
            ResultError: for an image or layer that is not here, or a value that cannot be drawn with.
        """
        from foveal.render.outline import outline_of
        from foveal.render.overlay import draw_overlay

        i, layer = checked_index(i, len(self)), layer or self.layer
        drawing = self.drawing.with_given(
            size=size, alpha=alpha, sign=sign, scale=scale, colors=colors, contour=contour
        )
        chosen = scale_of(self._map(layer), i, drawing, robust=layer == INPUT)
        return draw_overlay(
            self.photos[i], self._map(layer)[i], place=self.where.get(layer), sign=chosen.sign, limit=chosen.limit,
            alpha=drawing.alpha, color_bar=color_bar, colors=drawing.colors, contour=drawing.contour, side=drawing.size,
            outline=outline_of(self.target_spec, i),
        )  # fmt: skip

    def _known(self, layers: Sequence[str] | None) -> Sequence[str] | None:
        for layer in layers or ():
            self._map(layer)
        return layers

    def _map(self, layer: str | None) -> Float[Tensor, "n h w"]:
        name = self.layer if layer is None else layer
        if name not in self.maps:
            raise ResultError(f"There is no map of layer {name!r} here; there are {', '.join(self.layers)}.")
        return self.maps[name]


def _array(map: Tensor) -> NDArray[Any]:
    """In single precision at least."""
    tensor = map.detach().cpu()
    return (tensor if tensor.element_size() > 4 else tensor.float()).numpy()
