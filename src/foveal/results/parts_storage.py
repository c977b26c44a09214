"""Parts as files, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from foveal.attention.grouping import Groups
from foveal.results.parts import Parts
from foveal.results.storage import load_as, save_explanation
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.manifest import Saved, load

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
        return {"parts": described(arrays), "uses_own_parts": parts.uses_own_parts}

    return save_explanation(parts, folder, format=FORMAT, also=also)


def load_parts(folder: Path) -> Parts:
    """The parts in a folder, every file they need checked against the manifest."""
    return load(folder, FORMAT, _parts)


def _parts(saved: Saved) -> Parts:
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["parts"])
    groups = Groups(**{name: arrays[f"groups/{name}"] for name in GROUPS})
    return load_as(
        Parts,
        saved,
        groups=groups,
        uses_own_parts=bool(saved["uses_own_parts"]),
        **{name: arrays[name] for name in BESIDE},
    )
