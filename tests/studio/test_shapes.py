"""Shapes on a photo become pixels of the network's input: against loops over the pixels, one by one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import ValidationError

from foveal.api.audit import elsewhere
from foveal.errors import MethodError
from foveal.images.preprocessing import Preprocessing
from foveal.webapp.shapes import MOST_POINTS, Edit, Shape, edited, fill_of, rasterized

if TYPE_CHECKING:
    from foveal.images import Geometry

CROPPED = Preprocessing((40, 40), resize_to=48).geometry((300, 420))
SQUEEZED = Preprocessing((30, 50), resize="exact").geometry((200, 120))
PADDED = Preprocessing((40, 40), resize="pad").geometry((80, 200))
GEOMETRIES = [CROPPED, SQUEEZED, PADDED]

BANANA = {"radius": 0.11, "points": [[0.3, 0.4], [0.5, 0.3], [0.75, 0.62]]}
DOT = {"radius": 0.05, "points": [[0.52, 0.5]]}


def literally(strokes: list[dict[str, Any]], geometry: Geometry) -> torch.Tensor:
    """Each pixel asks each stroke, the last word counts."""
    (h, w), (height, width) = geometry.input_size, geometry.photo_size
    inside = torch.zeros(h, w, dtype=torch.bool)
    for i in range(h):
        for j in range(w):
            x = (j + 0.5 + geometry.offset[1]) / geometry.scale[1]
            y = (i + 0.5 + geometry.offset[0]) / geometry.scale[0]
            for stroke in strokes:
                points = [(px * width, py * height) for px, py in stroke["points"]]
                ends = points[1:] or points
                nearest = min(from_line(x, y, a, b) for a, b in zip(points, ends, strict=False))
                if nearest <= stroke["radius"] * width:
                    inside[i, j] = not stroke.get("erase", False)
    return inside


def from_line(x: float, y: float, a: tuple[float, float], b: tuple[float, float]) -> float:
    length = math.dist(a, b)
    t = 0.0 if not length else ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / length**2
    t = min(max(t, 0.0), 1.0)
    return math.dist((x, y), (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_strokes_are_circles_along_lines_on_the_photo(geometry: Geometry) -> None:
    strokes = [BANANA, {**DOT, "erase": True}, {**DOT, "radius": 0.02}]
    found = rasterized(Shape.model_validate({"strokes": strokes}), geometry)
    assert torch.equal(found, literally(strokes, geometry))
    assert 0 < int(found.sum()) < found.numel()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_positions_are_the_pixels_nearest_to_them(geometry: Geometry) -> None:
    tiles = {"offset": [0.13, 0.2], "step": [0.09, 0.15], "runs": [[0, 2, 5], [3, 1, 1], [4, 0, 9]]}
    found = rasterized(Shape.model_validate({"tiles": tiles}), geometry)
    (h, w), (height, width) = geometry.input_size, geometry.photo_size
    chosen = {(row, column) for row, first, last in tiles["runs"] for column in range(int(first), int(last) + 1)}
    for i in range(h):
        for j in range(w):
            x = (j + 0.5 + geometry.offset[1]) / geometry.scale[1] / width
            y = (i + 0.5 + geometry.offset[0]) / geometry.scale[0] / height
            cell = (round((y - 0.2) / 0.15), round((x - 0.13) / 0.09))
            assert bool(found[i, j]) == (cell in chosen)


def test_mirrored_maps_have_their_positions_where_they_lie() -> None:
    geometry = SQUEEZED
    ahead = {"offset": [0.1, 0.1], "step": [0.2, 0.2], "runs": [[1, 0, 1]]}
    mirrored = {"offset": [0.9, 0.1], "step": [-0.2, 0.2], "runs": [[1, 3, 4]]}
    assert torch.equal(*(rasterized(Shape.model_validate({"tiles": tiles}), geometry) for tiles in (ahead, mirrored)))


@pytest.mark.parametrize(
    "shape",
    [
        {"strokes": [{"radius": 0.1, "points": []}]},
        {"strokes": [{"radius": 0.0, "points": [[0, 0]]}]},
        {"strokes": [{"radius": 0.1, "points": [[0, 1e9]]}]},
        {"strokes": [{"radius": 0.1, "points": [[0, float("nan")]]}]},
        {"strokes": [{"radius": 0.1, "points": [[0, 0]] * 30}] * (MOST_POINTS // 30 + 1)},
        {"strokes": [{"radius": 0.1, "points": [[0, 0]]}] * 201},
        {"tiles": {"offset": [0, 0], "step": [0, 1], "runs": []}},
        {"tiles": {"offset": [0, 0], "step": [0.1, 0.1], "runs": [[0, 0, 10**9]]}},
        {"strokes": [], "path": "/etc/passwd"},
    ],
)
def test_shapes_are_bounded(shape: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Shape.model_validate(shape)


def test_what_is_kept_is_what_is_not_hidden() -> None:
    x, where = torch.randn(1, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.bool)
    where[0, 2:5, 3:6] = where[1, 0] = True
    hidden = edited(x, where, Edit(shape=Shape(), fill="mean"), None)
    kept = edited(x, where, Edit(shape=Shape(), keep=True, fill="mean"), None)
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    for k in range(2):
        assert torch.equal(hidden[k], torch.where(where[k], mean[0], x[0]))
        assert torch.equal(kept[k], torch.where(where[k], x[0], mean[0]))


def test_fills_that_cannot_be_are_one_sentence() -> None:
    with pytest.raises(MethodError, match="choose another fill"):
        fill_of("black", None)
    whole = torch.ones(1, 8, 8, dtype=torch.bool)
    with pytest.raises(MethodError, match="leave a part of the photo"):
        edited(torch.randn(1, 3, 8, 8), whole, Edit(shape=Shape(), fill="impute"), None)


def test_elsewhere_has_little_in_common_with_here() -> None:
    where = torch.zeros(40, 40, dtype=torch.bool)
    where[5:17, 8:20] = True
    apart = elsewhere(where, 60, shared=0.1)
    assert bool((apart.sum((1, 2)) == where.sum()).all())
    assert max(int((shape & where).sum()) for shape in apart) <= 0.1 * int(where.sum())
    assert max(int((shape & where).sum()) for shape in elsewhere(where, 60)) > 0.1 * int(where.sum())
    assert torch.equal(elsewhere(where, 5, seed=3, shared=0.1), elsewhere(where, 5, seed=3, shared=0.1))
    everywhere = torch.ones(6, 6, dtype=torch.bool)
    assert elsewhere(everywhere, 3, shared=0.1).shape == (3, 6, 6)
    assert elsewhere(where, 0, shared=0.1).shape == (0, 40, 40)
