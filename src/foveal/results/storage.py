"""Fields of results as files and plain values, and back: photos, pictures, short lists of numbers, stages."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from foveal.engine.positions import Cells
from foveal.engine.structure import Stage
from foveal.images import Geometry, Photo, Place
from foveal.storage.arrays import described, dtype_name, read_arrays, write_arrays
from foveal.storage.naming import plain_name

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.storage.manifest import Saved

VALUES = "values"


def write_photo(folder: Path, photo: Photo, stem: str) -> dict[str, Any]:
    """The photo as PNG under a free name, a signal or a volume beside it as .npz; what a manifest holds of it."""
    content: dict[str, Any] = {
        "file": write_picture(folder, Image.fromarray(photo.pixels), stem),
        "source": photo.source,
        "notes": list(photo.notes),
        "geometry": photo.geometry.to_dict(),
        **({"origin": dict(photo.origin)} if photo.origin else {}),
    }
    if photo.values is not None:
        arrays = {VALUES: torch.from_numpy(photo.values)}
        content[VALUES] = {"file": Path(content["file"]).with_suffix(".npz").name, "arrays": described(arrays)}
        write_arrays(folder / content[VALUES]["file"], arrays)
    return content


def read_photo(saved: Saved, photo: Mapping[str, Any]) -> Photo:
    """The photo that was described."""
    with saved.open(photo["file"]) as file, warnings.catch_warnings():
        # What was saved may be larger than Pillow's warning; its error, at twice that, stays.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(file, formats=["PNG"]) as image:
            pixels = np.array(image.convert("RGB"))
    values = None
    if kept := photo.get(VALUES):
        with saved.open(kept["file"]) as file:
            values = read_arrays(file, kept["arrays"])[VALUES].numpy()
    geometry, notes = Geometry.from_dict(photo["geometry"]), tuple(photo["notes"])
    return Photo(pixels, geometry, photo["source"], notes, photo.get("origin"), values)


def write_picture(folder: Path, image: Image.Image, stem: str) -> str:
    """The picture as PNG; its name, which no other file bears.

    A photo may be called as a figure is, and layers may differ in punctuation alone.
    """
    names = (f"{stem}-{number}.png" if number > 1 else f"{stem}.png" for number in count(1))
    name = next(name for name in names if not (folder / name).exists())
    image.save(folder / name)
    return name


def photo_stem(photo: Photo, i: int, total: int) -> str:
    """A file name for photo i of so many: that of its source, numbered if there are several."""
    name = plain_name(re.split(r"[\\/]", photo.source)[-1].rsplit(".", 1)[0], most=60, instead="picture")
    return f"{i:0{len(str(total - 1))}d}-{name}" if total > 1 else name


def describe_numbers(values: Tensor | None) -> dict[str, Any] | None:
    """Values and their type; JSON has no word for NaN, so what is not finite is written as text."""
    if values is None:
        return None
    plain = [x if np.isfinite(x) else str(x) for x in values.detach().double().tolist()]
    return {"dtype": dtype_name(values), "values": plain}


def read_numbers(content: Mapping[str, Any] | None) -> Tensor | None:
    """The values that were described."""
    if content is None:
        return None
    values = torch.tensor([float(x) for x in content["values"]], dtype=torch.float64)
    return values.to(getattr(torch, content["dtype"]))


def describe_stage(stage: Stage) -> dict[str, Any]:
    """A stage of a network as plain values."""
    place = Place(*stage.place).to_dict() if stage.place else None
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(stage).items()}
    return {**plain, "place": place}


def read_stage(content: Mapping[str, Any]) -> Stage:
    """The stage that was described."""
    pairs = {name: tuple(content[name]) for name in ("shape", "stride", "receptive_field")}
    place = Place.from_dict(content["place"]) if content.get("place") else None
    cells = Cells(place.offset, place.step, place.turned) if place else None
    return Stage(**{**content, **pairs, "place": cells})
