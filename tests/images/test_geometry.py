from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import ImageError
from foveal.images import Geometry, Place, Preprocessing
from foveal.images.place import carried, laid

SIDES = st.integers(1, 60)
GEOMETRIES = st.builds(
    lambda size, to, resize, photo: Preprocessing(size, resize=resize, resize_to=to).geometry(photo),
    st.tuples(SIDES, SIDES),
    st.one_of(st.none(), SIDES),
    st.sampled_from(["short", "exact", "pad"]),
    st.tuples(SIDES, SIDES),
)
# Photo 12 wide, 8 high; resized to 6×4 and cropped to the central 4×4.
CROPPED = Preprocessing((4, 4)).geometry((8, 12))


@given(GEOMETRIES, st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=1))
def test_points_come_back(geometry: Geometry, points: list[tuple[float, float]]) -> None:
    there = geometry.points_to_input(points)
    np.testing.assert_allclose(geometry.points_to_photo(there), points, atol=1e-9)


@given(GEOMETRIES)
def test_boxes_are_their_two_corners(geometry: Geometry) -> None:
    box = np.array([1.0, 2.0, 5.0, 7.0])
    corners = geometry.points_to_input(box.reshape(2, 2))
    np.testing.assert_array_equal(geometry.boxes_to_input(box), corners.ravel())
    np.testing.assert_allclose(geometry.boxes_to_photo(geometry.boxes_to_input(box)), box, atol=1e-9)


def test_shapes_of_points_and_boxes_are_kept() -> None:
    assert CROPPED.points_to_photo(np.zeros((3, 5, 2))).shape == (3, 5, 2)
    assert CROPPED.boxes_to_input(np.zeros((0, 4))).shape == (0, 4)
    with pytest.raises(ImageError, match=r"points \(x, y\) of shape \(..., 2\)"):
        CROPPED.points_to_photo([1, 2, 3])
    with pytest.raises(ImageError, match="boxes"):
        CROPPED.boxes_to_photo(np.zeros((4, 2)))


def test_the_crop_lies_in_the_middle_of_the_photo() -> None:
    assert CROPPED.scale == (0.5, 0.5)
    assert CROPPED.offset == (0.0, 1.0)
    assert CROPPED.seen == (2.0, 0.0, 10.0, 8.0)
    np.testing.assert_array_equal(CROPPED.points_to_photo([0, 0]), [2, 0])


def test_a_padded_photo_is_seen_whole() -> None:
    geometry = Preprocessing((8, 8), resize="pad").geometry((4, 8))
    assert geometry.offset == (-2.0, 0.0)
    assert geometry.seen == (0.0, 0.0, 8.0, 4.0)
    # The map's rows 0-1 and 6-7 lie on the border, so the photo shows rows 2..5.
    rows = np.tile(np.arange(8.0)[:, None], (1, 8))
    np.testing.assert_allclose(geometry.map_to_photo(rows)[:, 0], [2, 3, 4, 5])


@given(GEOMETRIES, st.floats(-1e6, 1e6), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_a_constant_map_stays_exactly_constant(geometry: Geometry, value: float, cells: tuple[int, int]) -> None:
    photo = geometry.map_to_photo(np.full(cells, value))
    assert photo.shape == geometry.photo_size
    seen = ~np.isnan(photo)
    assert (photo[seen] == value).all()


@given(GEOMETRIES)
def test_only_pixels_whose_center_was_seen_are_filled(geometry: Geometry) -> None:
    filled = ~np.isnan(geometry.map_to_photo(np.ones((2, 3))))
    height, width = geometry.photo_size
    centers = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    at = geometry.points_to_input(centers)
    inside = ((at >= 0) & (at <= geometry.input_size[::-1])).all(axis=-1)
    np.testing.assert_array_equal(filled, inside)


@given(GEOMETRIES, st.integers(2, 7), st.integers(2, 7))
def test_a_linear_ramp_is_reproduced(geometry: Geometry, rows: int, columns: int) -> None:
    """Bilinear interpolation is exact on a plane, between the outermost cell centers."""
    h, w = geometry.input_size
    y, x = (np.arange(rows) + 0.5) * h / rows, (np.arange(columns) + 0.5) * w / columns
    photo = geometry.map_to_photo(3 * x[None, :] - 2 * y[:, None])
    centers = np.indices(geometry.photo_size)[::-1].transpose(1, 2, 0) + 0.5
    at = geometry.points_to_input(centers)
    at = np.stack([np.clip(at[..., 0], x[0], x[-1]), np.clip(at[..., 1], y[0], y[-1])], axis=-1)
    seen = ~np.isnan(photo)
    np.testing.assert_allclose(photo[seen], (3 * at[..., 0] - 2 * at[..., 1])[seen], atol=1e-9)


@pytest.mark.parametrize("cell", [(0, 0), (2, 3), (6, 6)])
def test_a_bright_cell_lands_where_its_box_is(cell: tuple[int, int]) -> None:
    geometry = Preprocessing((224, 224), resize_to=256).geometry((375, 500))
    planted = np.zeros((7, 7))
    planted[cell] = 1
    photo = geometry.map_to_photo(planted, fill=0)
    y, x = np.unravel_index(photo.argmax(), photo.shape)
    x0, y0, x1, y1 = geometry.boxes_to_photo([cell[1] * 32, cell[0] * 32, cell[1] * 32 + 32, cell[0] * 32 + 32])
    assert x0 <= x + 0.5 <= x1 and y0 <= y + 0.5 <= y1
    beyond = photo.copy()
    beyond[int(max(y0 - 16 / geometry.scale[0] - 1, 0)) : int(y1 + 16 / geometry.scale[0] + 2)] = 0
    assert (beyond == 0).all()  # nothing leaks further than half a cell


def test_the_map_on_the_photo_agrees_with_torch() -> None:
    """Without a crop, half-pixel centers are torch's align_corners=False."""
    geometry = Preprocessing((14, 21), resize="exact").geometry((56, 63))
    maps = torch.randn(2, 7, 7, generator=torch.Generator().manual_seed(0))
    ours = geometry.map_to_photo(maps)
    theirs = torch.nn.functional.interpolate(maps[None], (56, 63), mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)


def test_maps_keep_their_precision_and_may_carry_a_graph() -> None:
    for kind, expected in (
        (torch.float64, np.float64),
        (torch.float16, np.float32),
        (torch.bfloat16, np.float32),
    ):
        map = torch.ones(2, 2, dtype=kind, requires_grad=True)
        assert CROPPED.map_to_photo(map).dtype == expected
    with pytest.raises(ImageError, match=r"shape \(3,\)"):
        CROPPED.map_to_photo(np.zeros(3))


def test_a_geometry_survives_its_dictionary() -> None:
    assert Geometry.from_dict(CROPPED.to_dict()) == CROPPED
    with pytest.raises(ImageError, match="Cannot read a geometry"):
        Geometry.from_dict({"photo_size": [1, 2]})
    with pytest.raises(ImageError, match="positive"):
        Geometry((0, 1), (1, 1), (1.0, 1.0), (0.0, 0.0))


# --- cells that do not lie edge to edge ---

PLACES = st.builds(
    Place,
    st.tuples(st.floats(-20, 60), st.floats(-20, 60)),
    st.tuples(*[st.one_of(st.floats(0.5, 9), st.floats(-9, -0.5))] * 2),
    st.booleans(),
)


@given(GEOMETRIES, st.integers(1, 7), st.integers(1, 7))
def test_tiles_are_what_is_meant_without_a_place(geometry: Geometry, h: int, w: int) -> None:
    map = np.random.default_rng(0).normal(size=(h, w))
    tiles = Place.covering((h, w), geometry.input_size)
    np.testing.assert_array_equal(geometry.map_to_photo(map), geometry.map_to_photo(map, place=tiles))
    assert tiles.settled((h, w), geometry.input_size) is None


@given(PLACES, st.integers(2, 7), st.integers(2, 7))
def test_a_map_has_its_values_where_its_cells_lie(place: Place, h: int, w: int) -> None:
    map = np.random.default_rng(0).normal(size=(h, w))
    whole = Geometry.identity((90, 90))
    for row in range(h):
        for column in range(w):
            x, y = whole.cells_to_photo((row, column), (h, w), place)
            if 0 <= x < 90 and 0 <= y < 90:
                # A photo of one pixel, around that point.
                pixel = Geometry((1, 1), (90, 90), (1.0, 1.0), (0.5 - y, 0.5 - x))
                assert pixel.map_to_photo(map, place=place)[0, 0] == pytest.approx(map[row, column], abs=1e-6)


@given(PLACES, st.integers(1, 7), st.integers(1, 7))
def test_the_photo_and_the_network_see_one_map(place: Place, h: int, w: int) -> None:
    map = torch.from_numpy(np.random.default_rng(0).normal(size=(2, h, w)))
    np.testing.assert_allclose(
        laid(map, (50, 40), place).numpy(), Geometry.identity((50, 40)).map_to_photo(map, place=place), atol=1e-9
    )


@given(PLACES, st.integers(1, 7), st.integers(1, 7))
def test_a_constant_map_is_constant_on_its_tiles_and_nothing_beside(place: Place, h: int, w: int) -> None:
    on = Geometry.identity((60, 60)).map_to_photo(np.full((h, w), 0.3), place=place)
    assert set(np.unique(on)) <= {0.0, 0.3}
    y, x = (np.arange(60) + 0.5,) * 2
    cells = (w, h) if place.turned else (h, w)
    short, long = (
        [
            abs((at - place.offset[k]) / place.step[k] - (cells[k] - 1) / 2) <= cells[k] / 2 + rounding
            for k, at in enumerate((y, x))
        ]
        for rounding in (-1e-6, 1e-6)
    )
    assert bool((on > 0)[short[0][:, None] & short[1]].all()) and not bool(
        (on > 0)[~(long[0][:, None] & long[1])].any()
    )
    beyond = laid(torch.full((h, w), 0.3, dtype=torch.float64), (60, 60), place, beyond=True)
    assert bool((beyond == 0.3).all())


def test_a_mirrored_and_a_turned_map_are_set_upright() -> None:
    map = np.arange(6.0).reshape(2, 3)
    whole = Geometry.identity((2, 3))
    mirrored = Place((0.5, 2.5), (1, -1))
    np.testing.assert_allclose(whole.map_to_photo(map[:, ::-1], place=mirrored), map)
    turned = Place((0.5, 0.5), (1, 1), turned=True)
    np.testing.assert_allclose(whole.map_to_photo(map.T, place=turned), map)
    rotated = Place((0.5, 2.5), (1, -1), turned=True)
    np.testing.assert_allclose(whole.map_to_photo(np.rot90(map), place=rotated), map)


@pytest.mark.parametrize(
    ("place", "map", "expected"),
    [
        (Place((0.5, 0.5), (32, 32)), (7, 7), None),  # strides with padding: within the tiles
        (Place((31.5, 31.5), (32, 32)), (7, 7), None),  # the same, padded as TensorFlow does
        (Place((17.5, 17.5), (16, 16)), (13, 13), Place((17.5, 17.5), (16, 16))),  # without padding
        (Place((0.5, 223.5), (32, -32)), (7, 7), Place((16, 208), (32, -32))),  # mirrored tiles
        (Place((0.5, 0.5), (32, 32), True), (7, 7), Place((16, 16), (32, 32), True)),  # turned tiles
        (Place((112, 112), (224, 224)), (1, 1), None),
    ],
)
def test_tiles_are_used_as_long_as_each_cell_lies_in_its_own(
    place: Place, map: tuple[int, int], expected: Place | None
) -> None:
    assert place.settled(map, (224, 224)) == expected


@given(PLACES)
def test_places_come_back_from_a_manifest(place: Place) -> None:
    assert Place.from_dict(json.loads(json.dumps(place.to_dict()))) == place


@pytest.mark.parametrize("step", [[0.0, 1.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_a_place_that_cannot_be_is_refused(step: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot lie"):
        Place.from_dict({"offset": [0.0, 0.0], "step": step, "turned": False})


@given(PLACES, PLACES, st.integers(2, 6), st.integers(2, 6))
def test_a_map_carried_into_its_own_cells_is_itself(place: Place, other: Place, h: int, w: int) -> None:
    map = torch.randn(h, w, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(carried(map, place, place, (h, w)), map, atol=1e-9)
    assert carried(map, place, other, (3, 5)).shape == (3, 5)


def test_a_finer_and_a_scaled_place() -> None:
    place = Place((7, 9), (2, -4), turned=True)
    assert place.refined((4, 2)) == Place((7, 9), (1, -1), turned=True)
    assert place.scaled((2, 0.5)) == Place((14, 4.5), (4, -2), turned=True)
