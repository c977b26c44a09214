"""Portraits as files, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from foveal.results.facet import Facet
from foveal.results.feature_images import FeatureImage, FeatureImages
from foveal.results.storage import describe_photo, read_photo
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.folder import written_aside
from foveal.storage.manifest import Saved, load, write_manifest
from foveal.storage.naming import plain_name

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "foveal-portraits/1"
ARRAYS = "portraits.npz"
TENSORS = ("image", "channels", "target", "attained", "before")


def save_portraits(faces: FeatureImages, folder: Path) -> Path:
    """portrait-….png, sheet.png, strip.png, bars-….png, plane.png, the photos, portraits.npz and manifest.json."""
    with written_aside(folder) as aside:
        _draw(faces, aside)
        photos = []
        for i, photo in enumerate(faces.photos):
            name = f"photo-{i:04d}.png"
            Image.fromarray(photo.pixels).save(aside / name)
            photos.append(describe_photo(photo, name))
        arrays = _arrays(faces)
        write_arrays(aside / ARRAYS, arrays)
        manifest = {
            "format": FORMAT,
            "model": faces.model,
            "parameters": dict(faces.parameters),
            "portraits": [{**one.facts(), "curve": [list(p) for p in one.curve]} for one in faces],
            "facets": [{"members": list(f.members), "size": f.size} for f in faces.facets],
            "layers": list(faces.features),
            "photos": photos,
            "arrays": described(arrays),
            "notes": list(faces.notes),
            "seconds": faces.seconds,
            "versions": dict(faces.versions),
        }
        write_manifest(aside, manifest)
    return folder


def load_portraits(folder: Path) -> FeatureImages:
    """The portraits in a folder, every file they need checked against the manifest."""
    return load(folder, FORMAT, _portraits)


def _portraits(saved: Saved) -> FeatureImages:
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["arrays"])
    return FeatureImages(
        tuple(_portrait(i, one, arrays) for i, one in enumerate(saved["portraits"])),
        tuple(read_photo(saved, one) for one in saved["photos"]),
        tuple(
            Facet(tuple(one["members"]), arrays[f"weights/{b}"], int(one["size"]))
            for b, one in enumerate(saved["facets"])
        ),
        {layer: arrays[f"features/{layer}"] for layer in saved["layers"]},
        saved["model"],
        saved["parameters"],
        tuple(saved["notes"]),
        float(saved["seconds"]),
        saved["versions"],
    )


def _draw(faces: FeatureImages, folder: Path) -> None:
    faces.figure().save(folder / "sheet.png")
    faces.strip().save(folder / "strip.png")
    for i, one in enumerate(faces):
        name = f"{i:0{len(str(len(faces) - 1))}d}-{plain_name(one.name)}.png"
        faces.picture(i).save(folder / f"portrait-{name}")
        if one.target is not None:
            faces.bars(i).save(folder / f"bars-{name}")
    if len(faces.photos) > 2:
        faces.plane().save(folder / "plane.png")


def _arrays(faces: FeatureImages) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for i, one in enumerate(faces):
        found |= {f"{i}/{what}": value for what in TENSORS if (value := getattr(one, what)) is not None}
        found |= {f"{i}/strip/{step}": image for step, image in one.snapshots}
    found |= {f"weights/{b}": facet.weights for b, facet in enumerate(faces.facets)}
    return found | {f"features/{layer}": z for layer, z in faces.features.items()}


def _portrait(i: int, saved: dict[str, Any], arrays: dict[str, Tensor]) -> FeatureImage:
    strip = [(int(name.split("/")[2]), image) for name, image in arrays.items() if name.startswith(f"{i}/strip/")]
    values: dict[str, Any] = {what: arrays.get(f"{i}/{what}") for what in TENSORS}
    return FeatureImage(
        **values,
        name=saved["name"],
        layer=saved["layer"],
        facet=saved["facet"],
        seed=int(saved["seed"]),
        loss=float(saved["objective"]),
        step=int(saved["step"]),
        curve=tuple((int(step), float(loss)) for step, loss in saved["curve"]),
        snapshots=tuple(strip),
    )
