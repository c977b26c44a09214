"""Parts as files, and back."""

from __future__ import annotations

import zipfile
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from foveal.attention.grouping import Groups
from foveal.errors import FovealError
from foveal.results.folder import listed_file, read_manifest
from foveal.results.parts import Parts
from foveal.results.saved import dtype_name, load_as, read_arrays, save_explanation, unfit, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "foveal-parts/1"
ARRAYS = "parts.npz"
BESIDE = ("places", "evidence", "remainder", "offset")
GROUPS = tuple(field.name for field in fields(Groups))


def save_parts(parts: Parts, folder: Path) -> Path:
    """What `save_explanation` writes, a sheet, a picture of ranks each, and parts.npz."""

    def also(aside: Path) -> dict[str, Any]:
        parts.figure().save(aside / "parts.png")
        for i in range(len(parts)):
            number = f"-{i}" if len(parts) > 1 else ""
            drawn = parts.rank_picture(i) if parts.count <= 3 else parts.palette_picture(i)
            drawn.save(aside / f"ranks{number}.png")
        arrays = {name: getattr(parts, name) for name in BESIDE}
        arrays |= {f"groups/{name}": getattr(parts.groups, name) for name in GROUPS}
        write_arrays(aside / ARRAYS, arrays)
        shapes = [{"name": k, "shape": list(v.shape), "dtype": dtype_name(v)} for k, v in arrays.items()]
        return {"parts": shapes, "own": parts.own}

    return save_explanation(parts, folder, format=FORMAT, also=also)


def load_parts(folder: Path) -> Parts:
    """The parts in a folder, every file they need checked against the manifest."""
    manifest = read_manifest(folder, FORMAT)
    path = listed_file(folder, manifest, ARRAYS)
    try:
        arrays = read_arrays(path, manifest["parts"])
        groups = Groups(**{name: arrays.pop(f"groups/{name}") for name in GROUPS})
        beside = {name: arrays[name] for name in BESIDE}
        own = bool(manifest["own"])
    except (FovealError, OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise unfit(folder, error) from error
    return load_as(Parts, folder, manifest, groups=groups, own=own, **beside)
