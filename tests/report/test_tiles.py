from __future__ import annotations

import numpy as np
import torch

from foveal.images import Preprocessing, load_images
from foveal.report.tiles import effect_bars, known_tile, layer_tiles, map_tile, photo_tile, probability_bars
from foveal.results import Explanation

GRAY = load_images(np.full((60, 80, 3), 128, np.uint8), Preprocessing((40, 40)))
MAP = torch.zeros(1, 4, 4)
MAP[0, 0, 0] = 2
WHY = Explanation(
    {"early": torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0)), "late": MAP},
    GRAY.photos, torch.tensor([1.0]), None, ("jay (17)",), {}, "gradcam", {}, "demo",
)  # fmt: skip


def test_a_map_with_its_words() -> None:
    tile = map_tile(WHY, detail="rank correlation 0.7", verdict=True, finding="beak", side=120)
    assert (tile.title, tile.detail) == ("gradcam", "0 to 2 · rank correlation 0.7")
    assert (tile.verdict, tile.finding, tile.known) == (True, "beak", False)
    assert "gradcam at late for jay (17)" in tile.alt and "top left" in tile.alt
    assert tile.picture.size == (120, 90)
    assert map_tile(WHY, layer="early").detail.startswith("±")


def test_a_tile_a_layer() -> None:
    early, late = layer_tiles(WHY)
    assert (early.title, late.title) == ("early", "late")
    assert early.detail.endswith(" and beyond · 8×8") and late.detail == "0 to 2 · 4×4"


def test_the_known_tile_paints_the_parts_that_matter() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[10:20, 10:20], labels[40:50, 60:70] = 4, 6
    tile = known_tile(
        GRAY.photos[0], labels, {"background": 0, "beak": 4, "wing": 6}, {"beak": 3.0, "wing": -2.0}, side=80
    )
    pixels = np.asarray(tile.picture).astype(int)
    assert pixels[15, 15, 0] > pixels[15, 15, 2] + 50  # in favor: red
    assert pixels[45, 65, 2] > pixels[45, 65, 0] + 50  # against: blue
    assert np.ptp(pixels[30, 40]) == 0
    assert tile.known and "beak 3, wing -2" in tile.alt


def test_an_effect_that_could_not_be_measured_is_left_out() -> None:
    effects = {"beak": float("nan"), "wing": 1.0, "eye": 2.0}
    chart = effect_bars(effects, decisive=["eye"])
    assert [(bar.label, bar.marked) for bar in chart.bars] == [("eye", True), ("wing", False)]
    known = known_tile(GRAY.photos[0], np.ones((60, 80), int), {"beak": 1}, effects)
    assert "all values are zero" not in known.alt


def test_only_the_likeliest_classes_are_shown() -> None:
    chart = probability_bars({"a": 0.1, "b": 0.7, "c": 0.15, "d": 0.05}, count=2)
    assert [(bar.label, bar.marked) for bar in chart.bars] == [("b", True), ("c", False)]
    assert chart.percent


def test_the_photo_itself() -> None:
    tile = photo_tile(GRAY.photos[0], "a photo", alt="gray", side=160)
    assert tile.picture.size == (160, 120) and tile.alt == "gray"
