"""A match as files, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from foveal.images import Place
from foveal.results.match import TENSORS, Match
from foveal.results.storage import describe_photo, read_photo
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.folder import written_aside
from foveal.storage.manifest import Saved, load, write_manifest
from foveal.storage.naming import plain_name

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
            "arrays": described(arrays),
            **{name: place.to_dict() if (place := getattr(pair, name)) else None for name in WHERE},
            "notes": list(pair.notes),
            "remarks": list(pair.remarks),
            "versions": dict(pair.versions),
        }
        write_manifest(aside, {**facts, **photos})
    return folder


def load_match(folder: Path) -> Match:
    """The match in a folder, every file it needs checked against the manifest."""
    return load(folder, FORMAT, _match)


def _match(saved: Saved) -> Match:
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["arrays"])
    facts: dict[str, Any] = {
        **{name: arrays[name] for name in TENSORS},
        **{what: tuple(read_photo(saved, one) for one in saved[what]) for what in ("queries", "references")},
        **{name: saved[name] for name in PLAIN},
        **{name: Place.from_dict(place) for name in WHERE if (place := saved.get(name, None))},
    }
    return Match(**facts, notes=tuple(saved["notes"]), versions=saved["versions"])
