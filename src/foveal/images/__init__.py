"""Pictures in, network input out, and the way back onto the photo."""

from foveal.images.folders import labeled_pictures, pictures_in
from foveal.images.geometry import Geometry
from foveal.images.load import Batch, ImageLike, Photo, load_images
from foveal.images.place import Place
from foveal.images.preprocessing import Preprocessing

__all__ = [
    "Batch",
    "Geometry",
    "ImageLike",
    "Photo",
    "Place",
    "Preprocessing",
    "labeled_pictures",
    "load_images",
    "pictures_in",
]
