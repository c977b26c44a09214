"""An explanation as files, and back."""

from __future__ import annotations

import re
import warnings
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image

from foveal.images import Geometry, Photo, Place
from foveal.results.explanation import Explanation
from foveal.storage.arrays import described, dtype_name, read_arrays, write_arrays
from foveal.storage.folder import written_aside
from foveal.storage.manifest import Saved, load, write_manifest
from foveal.storage.naming import plain_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

Kind = TypeVar("Kind", bound=Explanation)
FORMAT = "foveal-explanation/1"
MAPS = "maps.npz"


def save_explanation(
    why: Explanation, folder: Path, *, format: str = FORMAT, also: Callable[[Path], Mapping[str, Any]] | None = None
) -> Path:
    """Photos, overlays, maps.npz (one array a layer, under the layer's name) and manifest.json.

    `also` writes what else belongs to a richer kind of result, and returns what the manifest is to say of it.
    """
    with written_aside(folder) as aside:
        more = also(aside) if also else {}
        photos, overlays = [], []
        for i, photo in enumerate(why.photos):
            stem = _stem(why, i)
            photos.append(describe_photo(photo, _free(aside, stem)))
            Image.fromarray(photo.pixels).save(aside / photos[-1]["file"])
            for layer in why.layers:
                name = _free(aside, f"{stem}-{plain_name(layer)}")
                why.overlay(i, layer=layer).save(aside / name)
                overlays.append({"file": name, "photo": i, "layer": layer})
        write_arrays(aside / MAPS, why.maps)
        write_manifest(aside, {**_facts(why), "format": format, "photos": photos, "overlays": overlays, **more})
    return folder


def load_explanation(folder: Path) -> Explanation:
    """The explanation in a folder, every file it needs checked against the manifest."""
    return load(folder, FORMAT, lambda saved: load_as(Explanation, saved))


def load_as(kind: type[Kind], saved: Saved, **more: Any) -> Kind:
    """An explanation of a kind that has `more` fields."""
    with saved.open(MAPS) as file:
        maps = read_arrays(file, saved["layers"])
    return kind(
        maps=maps,
        photos=tuple(read_photo(saved, one) for one in saved["photos"]),
        score=_tensor(saved["score"]),
        probability=_tensor(saved["probability"]),
        target=tuple(saved["target"]),
        target_spec=saved["target_spec"],
        method=saved["method"],
        parameters=saved["parameters"],
        where={layer: Place.from_dict(place) for layer, place in saved.get("where", {}).items()},
        measured=saved.get("measured", {}),
        model=saved["model"],
        notes=tuple(saved["notes"]),
        seconds=float(saved["seconds"]),
        versions=saved["versions"],
        **more,
    )


def _facts(why: Explanation) -> dict[str, Any]:
    """Everything but arrays and pictures."""
    return {
        "method": why.method,
        "parameters": dict(why.parameters),
        "measured": dict(why.measured),
        "model": why.model,
        "target": list(why.target),
        "target_spec": dict(why.target_spec),
        "score": _numbers(why.score),
        "probability": _numbers(why.probability),
        "layers": described(why.maps),
        "where": {layer: place.to_dict() for layer, place in why.where.items()},
        "notes": list(why.notes),
        "remarks": list(why.remarks),
        "seconds": why.seconds,
        "versions": dict(why.versions),
    }


def describe_photo(photo: Photo, file: str) -> dict[str, Any]:
    """What a manifest holds of a photo."""
    return {
        "file": file,
        "source": photo.source,
        "notes": list(photo.notes),
        "geometry": photo.geometry.to_dict(),
    }


def read_photo(saved: Saved, one: Mapping[str, Any]) -> Photo:
    """The photo that was described."""
    with saved.open(one["file"]) as file, warnings.catch_warnings():
        # What was saved may be larger than Pillow's warning; its error, at twice that, stays.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(file, formats=["PNG"]) as image:
            pixels = np.array(image.convert("RGB"))
    return Photo(pixels, Geometry.from_dict(one["geometry"]), one["source"], tuple(one["notes"]))


def _numbers(values: Tensor | None) -> dict[str, Any] | None:
    """Values and their type; JSON has no word for NaN, so what is not finite is written as text."""
    if values is None:
        return None
    plain = [x if np.isfinite(x) else str(x) for x in values.detach().double().tolist()]
    return {"dtype": dtype_name(values), "values": plain}


def _tensor(saved: Mapping[str, Any] | None) -> Tensor | None:
    if saved is None:
        return None
    values = torch.tensor([float(x) for x in saved["values"]], dtype=torch.float64)
    return values.to(getattr(torch, saved["dtype"]))


def _stem(why: Explanation, i: int) -> str:
    """A file name for picture i: that of its source, numbered if there are several."""
    name = plain_name(re.split(r"[\\/]", why.photos[i].source)[-1].rsplit(".", 1)[0], most=60, instead="picture")
    return f"{i:0{len(str(len(why) - 1))}d}-{name}" if len(why) > 1 else name


def _free(folder: Path, stem: str) -> str:
    """The name of a new picture: a photo may be called as a figure is, and layers may differ in punctuation alone."""
    names = (f"{stem}-{number}.png" if number > 1 else f"{stem}.png" for number in count(1))
    return next(name for name in names if not (folder / name).exists())
