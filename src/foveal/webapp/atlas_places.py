"""Where the decisions of a run lie in the plane: by what was decided alike, near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from foveal.errors import ResultError, counted
from foveal.runs.table import read_maps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float16, Float32, Float64, Int
    from numpy.typing import NDArray

    from foveal.attribution.perturbation import Progress
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run

MOST_POINTS = 100_000
MOST_BYTES = 2**28  # of what is compared
MOST_SAMPLED = 1000  # decisions that the axes are found from
NOTHING = 1e-7  # of the length of the first axis, which rounding makes of none
BLOCK = 4096  # decisions that are compared at once
CELLS = 14  # rows and columns at most of the maps that are compared


@dataclass(frozen=True, eq=False)
class Placed:
    """Decisions in the plane.

    Attributes:
        rows: (n,) of the run, in their order; those with an error have no place.
        places: (n, 2), x and y in 0..1.
        reasons: (n, d), what is compared, of length 1; zero where there is no evidence.
        by: what is compared: "contributions" or "maps".
        cells: rows and columns of the maps that are compared.
        notes: what a reader must know.
        group, typical: as of `foveal.Reasons`; None where the run was not grouped.
    """

    rows: Int[NDArray[np.int64], " n"]
    places: Float32[NDArray[np.float32], "n 2"]
    reasons: Float16[NDArray[np.float16], "n d"]
    by: str
    cells: tuple[int, int]
    notes: tuple[str, ...]
    group: Int[NDArray[np.intp], " n"] | None = None
    typical: Float32[NDArray[np.float32], " n"] | None = None


def placed(run: Run, layer: str, found: Reasons | None, progress: Progress) -> Placed:
    """Decisions where `foveal.reasons` put them, or else by what there is: the first two principal components.

    Raises:
        ResultError: where there is none.
    """
    explained = np.flatnonzero([error is None for error in run["error"]])
    if not len(explained):
        raise ResultError("no decision of this run can be shown: every one of its images failed")
    cells = cells_of(read_maps(run.folder, run.record, run["id"][explained[:1]], [layer])[0][layer])
    by = "maps" if run.record.contributions is None else "contributions"
    d = cells[0] * cells[1] if by == "maps" else run[explained[:1]].contributions().shape[1]
    rows = explained if found is None else found.rows
    kept, notes = thinned(np.arange(len(rows)), min(MOST_POINTS, MOST_BYTES // (2 * d)), "decision")
    reasons, rows = np.empty((len(kept), d), np.float16), rows[kept]
    for start in range(0, len(rows), run.record.shard):
        progress(f"reading {by}", start, len(rows))
        some = run[rows[start : start + run.record.shard]]
        each = some.contributions() if by == "contributions" else _small_maps(some, layer, cells)
        reasons[start : start + len(each)] = torch.from_numpy(unit(each)).half().numpy()
    progress("placing decisions", 0, 1)
    if found is None:
        return Placed(rows, _in_square(reasons), reasons, by, cells, notes)
    return Placed(rows, found.places[kept], reasons, by, cells, notes, found.group[kept], found.typical[kept])


def thinned(all: NDArray[np.int64], most: int, thing: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """As many of these as are taken, evenly out of all, and what must be said of it."""
    if len(all) <= most:
        return all, ()
    chosen = np.linspace(0, len(all) - 1, most).round().astype(np.int64)
    return all[chosen], (f"of {counted(len(all), thing)} {most:,} are taken, evenly out of all",)


def _small_maps(run: Run, layer: str, cells: tuple[int, int]) -> Float32[NDArray[np.float32], "n d"]:
    return small_maps([maps[layer] for maps in read_maps(run.folder, run.record, run["id"], [layer])], cells)


def unit(values: Float32[NDArray[np.float32], "n d"]) -> Float32[NDArray[np.float32], "n d"]:
    """Rows of length 1; zero stays zero."""
    largest = np.abs(values).max(1, keepdims=True)  # whose square may be beyond single precision
    scaled = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
    return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1))


def nearest(
    reasons: Float16[NDArray[np.float16], "n d"], one: Float32[NDArray[np.float32], " d"], most: int
) -> tuple[Int[NDArray[np.int64], " k"], Float32[NDArray[np.float32], " k"]]:
    """Which of the reasons have the largest cosine with one, the largest first, and the cosines."""
    (direction,) = unit(one[None])
    likeness = np.concatenate([block @ direction for block in _blocks(reasons)])
    order = np.argsort(-likeness, kind="stable")[:most]
    return order, likeness[order]


def small_map(map: torch.Tensor, cells: tuple[int, int]) -> Float32[NDArray[np.float32], " d"]:
    """A map (h, w) as a row of so many cells, each the mean of what it covers; what is no number counts as none."""
    return np.asarray(small_maps([map], cells)[0])


def small_maps(maps: Sequence[torch.Tensor], cells: tuple[int, int]) -> Float32[NDArray[np.float32], "n d"]:
    """`small_map` of each; maps of one size at once."""
    small = np.empty((len(maps), cells[0] * cells[1]), np.float32)
    for shape in {tuple(map.shape) for map in maps}:
        alike = [k for k, map in enumerate(maps) if tuple(map.shape) == shape]
        known = torch.stack([_plane(maps[k]) for k in alike]).nan_to_num(0.0, 0.0, 0.0)
        small[alike] = torch.nn.functional.adaptive_avg_pool2d(known, cells).flatten(1).numpy()
    return small


def cells_of(map: torch.Tensor) -> tuple[int, int]:
    """The cells in which maps are compared, out of the first of them."""
    h, w = _plane(map).shape
    return min(CELLS, h), min(CELLS, w)


def _plane(map: torch.Tensor) -> torch.Tensor:
    """A map of a signal or a volume as rows and columns."""
    return map.reshape(map.shape[0] if map.ndim > 1 else 1, -1)


def _blocks(reasons: Float16[NDArray[np.float16], "n d"]) -> Iterator[Float32[NDArray[np.float32], "k d"]]:
    """The same in full precision, some at once."""
    return (torch.from_numpy(reasons[start : start + BLOCK]).float().numpy() for start in range(0, len(reasons), BLOCK))


def _in_square(reasons: Float16[NDArray[np.float16], "n d"]) -> Float32[NDArray[np.float32], "n 2"]:
    """The first two principal components, both in one scale, the whole in 0..1."""
    if len(reasons) < 2:
        return np.full((len(reasons), 2), 0.5, np.float32)
    chosen = np.linspace(0, len(reasons) - 1, min(len(reasons), MOST_SAMPLED)).round().astype(int)
    sample = reasons[chosen].astype(np.float64)
    middle = sample.mean(0)
    axes = _principal_axes(sample - middle)
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))  # the same signs each time
    points = np.zeros((len(reasons), 2))
    points[:, : len(axes)] = np.concatenate([(block - middle) @ axes.T for block in _blocks(reasons)])
    low, high = points.min(0), points.max(0)
    span = float((high - low).max()) or 1.0
    return np.asarray((points - (low + high) / 2) / span + 0.5, np.float32)


def _principal_axes(centered: Float64[NDArray[np.float64], "n d"]) -> Float64[NDArray[np.float64], "k d"]:
    """The first two, of length 1; fewer dimensions have fewer, and zero stands for one without variance."""
    n, d = centered.shape
    if d <= n:
        return np.linalg.eigh(centered.T @ centered)[1][:, ::-1][:, :2].T
    axes = np.linalg.eigh(centered @ centered.T)[1][:, ::-1][:, :2].T @ centered
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    return np.asarray(np.divide(axes, lengths, out=np.zeros_like(axes), where=lengths > NOTHING * lengths[0]))
