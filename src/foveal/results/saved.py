"""An explanation as files, and back."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from PIL import Image

from foveal.errors import FovealError, ResultError
from foveal.images import Geometry, Photo, Place
from foveal.results.explanation import Explanation
from foveal.results.folder import listed_file, read_manifest, write_manifest, written_aside

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
        photos, overlays = [], []
        for i, photo in enumerate(why.photos):
            stem = _stem(why, i)
            Image.fromarray(photo.pixels).save(aside / f"{stem}.png")
            photos.append(describe_photo(photo, f"{stem}.png"))
            for layer in why.layers:
                name = f"{stem}-{plain_name(layer)}.png"
                if (aside / name).exists():  # two layers whose names differ only in punctuation
                    name = f"{stem}-{plain_name(layer)}-{why.layers.index(layer)}.png"
                why.overlay(i, layer=layer).save(aside / name)
                overlays.append({"file": name, "photo": i, "layer": layer})
        write_arrays(aside / MAPS, why.maps)
        more = also(aside) if also else {}
        write_manifest(aside, {**_facts(why), "format": format, "photos": photos, "overlays": overlays, **more})
    return folder


def load_explanation(folder: Path) -> Explanation:
    """The explanation in a folder, every file it needs checked against the manifest."""
    return load_as(Explanation, folder, read_manifest(folder, FORMAT))


def load_as(kind: type[Kind], folder: Path, manifest: Mapping[str, Any], **more: Any) -> Kind:
    """An explanation of a kind that has `more` fields."""
    maps = listed_file(folder, manifest, MAPS)
    try:
        pictures = [listed_file(folder, manifest, saved["file"]) for saved in manifest["photos"]]
    except (KeyError, TypeError) as error:
        raise unfit(folder, error) from error
    try:
        return kind(
            maps=read_arrays(maps, manifest["layers"]),
            photos=tuple(read_photo(path, saved) for path, saved in zip(pictures, manifest["photos"], strict=True)),
            score=_tensor(manifest["score"]),
            probability=_tensor(manifest["probability"]),
            target=tuple(manifest["target"]),
            target_spec=manifest["target_spec"],
            method=manifest["method"],
            parameters=manifest["parameters"],
            where={layer: Place.from_dict(place) for layer, place in manifest.get("where", {}).items()},
            measured=manifest.get("measured", {}),
            model=manifest["model"],
            notes=tuple(manifest["notes"]),
            seconds=float(manifest["seconds"]),
            versions=manifest["versions"],
            **more,
        )
    except (FovealError, OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise unfit(folder, error) from error


def unfit(folder: Path, error: Exception) -> ResultError:
    """What to say when a manifest and its files do not fit."""
    return ResultError(f"Cannot load {str(folder)!r}: its manifest and its files do not fit together ({error!r}).")


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
        "layers": [
            {"name": layer, "shape": list(map.shape), "dtype": dtype_name(map)} for layer, map in why.maps.items()
        ],
        "where": {layer: place.to_dict() for layer, place in why.where.items()},
        "notes": list(why.notes),
        "remarks": list(why.remarks),
        "seconds": why.seconds,
        "versions": dict(why.versions),
    }


def write_arrays(path: Path, maps: Mapping[str, Tensor]) -> None:
    """An .npz whose arrays may have any name: numpy's own writer cannot call one "file"."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for layer, map in maps.items():
            tensor = map.detach().cpu()
            array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            with archive.open(f"{layer}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def read_arrays(path: Path, layers: list[dict[str, Any]]) -> dict[str, Tensor]:
    """The arrays that the manifest lists, each of the shape and type it says.

    Raises:
        ValueError: when one has another shape.
    """
    with np.load(path, allow_pickle=False) as archive:
        maps = {layer["name"]: torch.from_numpy(archive[layer["name"]]) for layer in layers}
    for layer in layers:
        if list(maps[layer["name"]].shape) != layer["shape"]:
            raise ValueError(f"map of {layer['name']} has another shape")
    return {layer["name"]: maps[layer["name"]].to(getattr(torch, layer["dtype"])) for layer in layers}


def describe_photo(photo: Photo, file: str) -> dict[str, Any]:
    """What a manifest holds of a photo."""
    return {
        "file": file,
        "source": photo.source,
        "notes": list(photo.notes),
        "geometry": photo.geometry.to_dict(),
    }


def read_photo(path: Path, saved: Mapping[str, Any]) -> Photo:
    """The photo that was described."""
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB"))
    return Photo(pixels, Geometry.from_dict(saved["geometry"]), saved["source"], tuple(saved["notes"]))


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


def dtype_name(tensor: Tensor) -> str:
    """ "float32"."""
    return str(tensor.dtype).removeprefix("torch.")


def _stem(why: Explanation, i: int) -> str:
    """A file name for picture i: that of its source, numbered if there are several."""
    name = plain_name(re.split(r"[\\/]", why.photos[i].source)[-1].rsplit(".", 1)[0])[:60] or "picture"
    return f"{i:0{len(str(len(why) - 1))}d}-{name}" if len(why) > 1 else name


def plain_name(name: str) -> str:
    """The name in characters that every file system takes."""
    return re.sub(r"[^\w.]+", "_", name).strip("._") or "_"
