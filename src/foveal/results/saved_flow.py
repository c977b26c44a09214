"""A flow as files, and back."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from foveal.errors import FovealError
from foveal.results.flow import Flow
from foveal.results.folder import listed_file, read_manifest
from foveal.results.saved import dtype_name, load_as, read_arrays, save_explanation, unfit, write_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.flow import Audit

FORMAT = "foveal-flow/1"
ARRAYS = "flow.npz"
BESIDE = ("signed", "kept")
FRAME = 260  # milliseconds


def save_flow(flow: Flow, folder: Path, audit: Audit | None = None) -> Path:
    """What `save_explanation` writes, a strip and an animation a picture, and flow.npz."""

    def also(aside: Path) -> dict[str, Any]:
        for i in range(len(flow)):
            number = f"-{i}" if len(flow) > 1 else ""
            flow.strip(i, audit=audit).save(aside / f"strip{number}.png")
            first, *rest = flow.animation(i)
            first.save(aside / f"flow{number}.gif", save_all=True, append_images=rest, duration=FRAME, loop=0)
        arrays = {f"{what}/{layer}": map for what in BESIDE for layer, map in getattr(flow, what).items()}
        write_arrays(aside / ARRAYS, arrays)
        shapes = [{"name": k, "shape": list(v.shape), "dtype": dtype_name(v)} for k, v in arrays.items()]
        return {"flow": shapes, "audit": [one.facts() for one in audit] if audit else None}

    return save_explanation(flow, folder, format=FORMAT, also=also)


def load_flow(folder: Path) -> Flow:
    """The flow in a folder, every file it needs checked against the manifest."""
    manifest = read_manifest(folder, FORMAT)
    path = listed_file(folder, manifest, ARRAYS)
    try:
        arrays = read_arrays(path, manifest["flow"])
    except (FovealError, OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise unfit(folder, error) from error
    beside: dict[str, dict[str, Any]] = {what: {} for what in BESIDE}
    for name, array in arrays.items():
        what, _, layer = name.partition("/")
        beside[what][layer] = array
    return load_as(Flow, folder, manifest, **beside)
