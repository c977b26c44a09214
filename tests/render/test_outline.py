"""The box or region that was asked about is drawn where it lies on the photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.images import Geometry, Photo
from foveal.images.run_lengths import mask_of_runs, run_lengths
from foveal.render.outline import outline_of


class Boxes(nn.Module):
    """One box at the same place, as sure as the picture is bright there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        map = self.conv(x)
        box = torch.tensor([[8.0, 16, 40, 48]])
        return [{"boxes": box, "labels": torch.tensor([1]), "scores": own[:, 16:48, 8:40].mean()[None]} for own in map]


class Halves(nn.Module):
    """Class 1 in the right half of the image at half its resolution, class 0 in the left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        right = (torch.arange(x.shape[3] // 2) >= x.shape[3] // 4).float()
        return nn.functional.avg_pool2d(self.conv(x), 2) * 1e-3 + torch.stack([1 - right, right])[:, None]


def changed(kind: str, spec: dict[str, Any], geometry: Geometry) -> np.ndarray[Any, Any]:
    """Where the line is."""
    photo = Photo(np.full((*geometry.photo_size, 3), 128, np.uint8), geometry, kind)
    draw = outline_of(spec, 0)
    assert draw is not None
    from PIL import Image

    return np.asarray(draw(Image.fromarray(photo.pixels), photo)) != photo.pixels


def test_run_lengths_are_those_of_coco_and_read_back() -> None:
    mask = np.random.default_rng(0).random((7, 5)) < 0.4
    counts, value, flat = [0], False, [mask[row, column] for column in range(5) for row in range(7)]
    for pixel in flat:
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    assert run_lengths(mask) == {"size": [7, 5], "counts": counts}
    for each in (mask, np.zeros((3, 4), bool), np.ones((3, 4), bool)):
        np.testing.assert_array_equal(mask_of_runs(run_lengths(each)), each)


def test_a_box_is_drawn_where_the_photo_has_it() -> None:
    geometry = Geometry((200, 300), (100, 100), (0.5, 0.5), (0.0, 25.0))  # a crop of the middle
    line = changed("box", {"kind": "box", "box": [[10.0, 20, 50, 60]]}, geometry).any(2)
    rows, columns = np.flatnonzero(line.any(1)), np.flatnonzero(line.any(0))
    assert abs(rows[0] - 40) <= 5 and abs(rows[-1] - 120) <= 5
    assert abs(columns[0] - 70) <= 5 and abs(columns[-1] - 150) <= 5
    assert not line[50:110, 80:140].any()


def test_a_box_beyond_the_photo_ends_at_its_border() -> None:
    line = changed("box", {"kind": "box", "box": [[-30.0, 50, 500, 60]]}, Geometry.identity((100, 100))).any(2)
    assert line[:, :4].any() and line[:, -4:].any()


def test_the_border_of_a_region_is_drawn_and_a_pixel_is_circled() -> None:
    mask = np.zeros((50, 50), bool)
    mask[:, 30:] = True
    line = changed("region", {"kind": "region", "mask": [run_lengths(mask)]}, Geometry.identity((100, 100))).any(2)
    columns = np.flatnonzero(line.any(0))
    assert line.any(1).all() and columns[0] >= 56 and columns[-1] <= 64
    one = np.zeros((50, 50), bool)
    one[10, 20] = True
    line = changed("region", {"kind": "region", "mask": [run_lengths(one)]}, Geometry.identity((100, 100))).any(2)
    rows, columns = np.nonzero(line)
    assert 20 <= rows.mean() <= 22 and 40 <= columns.mean() <= 42 and np.ptp(rows) >= 8


def test_classes_have_no_place() -> None:
    assert outline_of({"kind": "class", "index": [0]}, 0) is None
    assert outline_of({"kind": "region", "mask": [None]}, 0) is None


@pytest.mark.parametrize(("network", "target"), [(Boxes, foveal.Box(0)), (Halves, foveal.Region(1))])
def test_overlays_and_figures_show_it_also_when_loaded(network: Any, target: Any, tmp_path: Any) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 64)
    why = foveal.explain(network().eval(), x, target, method="hirescam", layer="conv")
    why.save(tmp_path / "out")
    again = foveal.Explanation.load(tmp_path / "out")
    plain = foveal.Explanation(**{
        name: getattr(why, name) for name in ("maps", "photos", "score", "probability", "target", "method",
                                              "parameters", "model", "where")
    }, target_spec={"kind": "class"})  # fmt: skip
    for drawn in (why, again, why[1]):
        assert np.any(np.asarray(drawn.overlay(0)) != np.asarray(plain.overlay(1 if drawn is not why else 0)))
    assert np.any(np.asarray(why.figure()) != np.asarray(plain.figure()))
    if network is Halves:
        mask = mask_of_runs(again[1].target_spec["mask"][0])  # type: ignore[index]
        np.testing.assert_array_equal(mask, np.arange(32)[None].repeat(32, 0) >= 16)
