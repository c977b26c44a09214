"""Pictures in, network input out, and the way back onto the photo. Names are imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily

if TYPE_CHECKING:
    from foveal.images.folders import is_folder, labeled_pictures, pictures_in
    from foveal.images.geometry import Geometry
    from foveal.images.load import Batch, ImageLike, Photo, load_images
    from foveal.images.place import Place
    from foveal.images.preprocessing import Preprocessing

_HOME = {
    "Batch": "load",
    "Geometry": "geometry",
    "ImageLike": "load",
    "Photo": "load",
    "Place": "place",
    "Preprocessing": "preprocessing",
    "is_folder": "folders",
    "labeled_pictures": "folders",
    "load_images": "load",
    "pictures_in": "folders",
}

__all__ = [
    "Batch",
    "Geometry",
    "ImageLike",
    "Photo",
    "Place",
    "Preprocessing",
    "is_folder",
    "labeled_pictures",
    "load_images",
    "pictures_in",
]

__getattr__ = lazily(__name__, _HOME)
