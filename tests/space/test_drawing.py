"""Curves, slices and projections."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.render.scale import choose_scale
from foveal.render.signal import draw_signal
from foveal.render.volume import chosen_slices, draw_volume, projected
from tests.space.networks import Net, images


def test_the_evidence_stands_at_its_sample() -> None:
    evidence = np.zeros(50, np.float32)
    evidence[10], evidence[40] = 2.0, -2.0
    values = np.zeros((1, 50), np.float32)
    picture = np.asarray(draw_signal(values, evidence, choose_scale(evidence), 500)).astype(int)
    strip = picture[20:100]
    in_favor, against = strip[:, 100:110].mean((0, 1)), strip[:, 400:410].mean((0, 1))
    assert in_favor[0] > in_favor[2] + 50  # orange
    assert against[2] > against[0] + 50  # blue
    assert strip[:30, 200:300].min() == 255  # nothing elsewhere


@pytest.mark.parametrize(("channels", "length"), [(1, 1), (1, 7), (3, 5000), (20, 64)])
def test_signals_of_any_size_are_drawn(channels: int, length: int) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(channels, length)).astype(np.float32)
    evidence = random.normal(size=length).astype(np.float32)
    for given in (evidence, None):
        picture = draw_signal(values, given, choose_scale(evidence), 300)
        assert picture.width == 300
        assert len(picture.getcolors(2**20) or []) > 2


def test_slices_hold_the_strongest() -> None:
    evidence = np.zeros((40, 3, 3), np.float32)
    evidence[17, 1, 1] = -5
    numbers = chosen_slices(40, evidence)
    assert 17 in numbers and len(numbers) == 6 and numbers[0] == 0 and numbers[-1] == 39
    assert chosen_slices(3, None) == [0, 1, 2]


def test_projections_keep_the_sign() -> None:
    evidence = np.zeros((4, 5, 6), np.float32)
    evidence[2, 3, 4], evidence[1, 3, 4] = -5, 3
    assert projected(evidence, 0)[3, 4] == -5
    assert projected(evidence, 0).shape == (5, 6) and projected(evidence, 1).shape == (4, 6)


def test_volumes_have_a_slider_through_their_slices() -> None:
    why = foveal.explain(Net(3), images(3), 1)
    fragment = why.to_html()
    assert fragment.count('type="range"') == len(why)
    assert fragment.count("<small>slice ") == len(why) * images(3).shape[2]
    assert "at slice" in fragment and "of 8 × 12 × 16" in fragment
    assert 'type="range"' not in foveal.explain(Net(1), images(1), 1).to_html()


def test_words_say_at_which_sample() -> None:
    x = images(1)
    why = foveal.explain(Net(1), x, 1, method="inputxgradient")
    strongest = int(why.map[0].abs().argmax())
    assert f"at sample {strongest} of 40" in why[0].to_html()


def test_maps_without_evidence_say_so() -> None:
    why = foveal.explain(Net(1), images(1), 1)
    zero = foveal.Explanation({"end": torch.zeros(2, 10)}, why.photos, None, None, why.target, {}, "mine", {}, "net")
    assert zero.overlay(0).tobytes() != why.overlay(0).tobytes()
    assert "no evidence" in zero.to_html().lower()


def test_words_above_slices_fit_them() -> None:
    values, evidence = np.zeros((1, 128, 9, 9), np.float32), np.zeros((128, 9, 9), np.float32)
    evidence[100, 4, 4] = 1
    picture = draw_volume(values, evidence, 256, lambda photo, _, side: Image.new("RGB", (side, side)))
    gaps = np.asarray(picture)[:, 80:88]
    assert gaps.min() > 240  # nothing is written between the columns, or cut there


def test_pages_show_a_signal_as_curves(tmp_path: Path) -> None:
    why = foveal.explain(Net(1), images(1), 1)
    page = foveal.save_page(why, tmp_path / "why.html").read_text(encoding="utf-8")
    sizes = re.findall(r'"width":(\d+),"height":(\d+)', page)
    assert sizes and all(int(height) > 100 for _, height in sizes)
