"""A flow as files, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from foveal.results.flow import Flow
from foveal.results.storage import load_as, save_explanation
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.manifest import Saved, load

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.flow import Audit

FORMAT = "foveal-flow/1"
ARRAYS = "flow.npz"
BESIDE = ("signed", "kept")
FRAME = 260  # milliseconds
# WebP without loss, which shows every color of the tables; a GIF has 256 for photo, map and letters together.
ANIMATION: dict[str, Any] = {
    "format": "WEBP",
    "lossless": True,
    "quality": 30,
    "method": 2,
    "save_all": True,
    "loop": 0,
}


def save_flow(flow: Flow, folder: Path, audit: Audit | None = None) -> Path:
    """What `save_explanation` writes, a strip and an animation a picture, and flow.npz."""

    def also(aside: Path) -> dict[str, Any]:
        for i in range(len(flow)):
            number = f"-{i}" if len(flow) > 1 else ""
            flow.strip(i, audit=audit).save(aside / f"strip{number}.png")
            first, *rest = flow.animation(i)
            first.save(aside / f"flow{number}.webp", append_images=rest, duration=FRAME, **ANIMATION)
        arrays = {f"{what}/{layer}": map for what in BESIDE for layer, map in getattr(flow, what).items()}
        write_arrays(aside / ARRAYS, arrays)
        return {"flow": described(arrays), "audit": [one.facts() for one in audit] if audit else None}

    return save_explanation(flow, folder, format=FORMAT, also=also)


def load_flow(folder: Path) -> Flow:
    """The flow in a folder, every file it needs checked against the manifest."""
    return load(folder, FORMAT, _flow)


def _flow(saved: Saved) -> Flow:
    with saved.open(ARRAYS) as file:
        arrays = read_arrays(file, saved["flow"])
    beside: dict[str, dict[str, Any]] = {what: {} for what in BESIDE}
    for name, array in arrays.items():
        what, _, layer = name.partition("/")
        beside[what][layer] = array
    return load_as(Flow, saved, **beside)
