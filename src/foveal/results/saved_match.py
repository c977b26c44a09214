"""A match as files, and back."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from PIL import Image

from foveal.errors import FovealError
from foveal.images import Place
from foveal.results.folder import listed_file, read_manifest, write_manifest, written_aside
from foveal.results.match import TENSORS, Match
from foveal.results.saved import describe_photo, dtype_name, plain_name, read_arrays, read_photo, unfit, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "foveal-match/1"
ARRAYS = "match.npz"
WHERE = ("query_where", "reference_where")
PLAIN = ("metric", "distance", "weights", "layer", "embedding", "model", "seconds")


def save_match(pair: Match, folder: Path) -> Path:
    """A sheet a query, photos, match.npz and manifest.json."""
    with written_aside(folder) as aside:
        sides = {"queries": pair.queries, "references": pair.references}
        photos: dict[str, list[object]] = {"queries": [], "references": []}
        for what, of_side in sides.items():
            for i, photo in enumerate(of_side):
                name = f"{what}-{i:0{len(str(len(of_side) - 1))}d}.png"
                Image.fromarray(photo.pixels).save(aside / name)
                photos[what].append(describe_photo(photo, name))
        for i, photo in enumerate(pair.queries):
            number = f"-{i}" if len(pair.queries) > 1 else ""
            pair.figure(i).save(aside / f"match{number}-{plain_name(pair.name(photo, i, 'query'))}.png")
        arrays = {name: getattr(pair, name) for name in TENSORS}
        write_arrays(aside / ARRAYS, arrays)
        facts = {
            "format": FORMAT,
            **{name: getattr(pair, name) for name in PLAIN},
            "similarity": pair.similarity.tolist(),
            "arrays": [{"name": k, "shape": list(v.shape), "dtype": dtype_name(v)} for k, v in arrays.items()],
            **{name: place.to_dict() if (place := getattr(pair, name)) else None for name in WHERE},
            "notes": list(pair.notes),
            "remarks": list(pair.remarks),
            "versions": dict(pair.versions),
        }
        write_manifest(aside, {**facts, **photos})
    return folder


def load_match(folder: Path) -> Match:
    """The match in a folder, every file it needs checked against the manifest."""
    manifest = read_manifest(folder, FORMAT)
    arrays = listed_file(folder, manifest, ARRAYS)
    try:
        sides = {
            what: tuple(read_photo(listed_file(folder, manifest, one["file"]), one) for one in manifest[what])
            for what in ("queries", "references")
        }
        facts: dict[str, Any] = {
            **read_arrays(arrays, manifest["arrays"]),
            **sides,
            **{name: manifest[name] for name in PLAIN},
            **{name: Place.from_dict(manifest[name]) for name in WHERE if manifest.get(name)},
        }
        return Match(**facts, notes=tuple(manifest["notes"]), versions=manifest["versions"])
    except (FovealError, OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise unfit(folder, error) from error
