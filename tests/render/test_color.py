from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import MissingExtra, ResultError
from foveal.render.color import diverging, from_oklab, named, sequential, to_oklab

# Machado, Oliveira & Fernandes 2009, full severity, on linear RGB.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def seen_by(kind: str, table: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The table in OKLab, as a color-blind person sees it."""
    s = table / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4) @ np.array(BLINDNESS[kind]).T
    linear = np.clip(linear, 0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return to_oklab(np.round(back * 255).astype(np.uint8))


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_oklab_comes_back(rgb: tuple[int, int, int]) -> None:
    color = np.array(rgb, dtype=np.uint8)
    np.testing.assert_allclose(from_oklab(to_oklab(color)) * 255, color, atol=0.01)


def test_oklab_of_known_colors() -> None:
    """The values that Ottosson publishes for sRGB white, and red's hue and lightness."""
    np.testing.assert_allclose(to_oklab(np.array([255, 255, 255], np.uint8)), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(to_oklab(np.array([255, 0, 0], np.uint8)), [0.62796, 0.22486, 0.12585], atol=1e-4)


def test_both_tables_are_256_colors() -> None:
    for table in (sequential(), diverging()):
        assert table.shape == (256, 3) and table.dtype == np.uint8


def test_sequential_lightness_rises_evenly() -> None:
    lightness = to_oklab(sequential())[:, 0]
    even = np.linspace(lightness[0], lightness[-1], 256)
    np.testing.assert_allclose(lightness, even, atol=0.005)
    assert lightness[-1] - lightness[0] > 0.7
    assert (np.diff(lightness[::4]) > 0).all()


def test_equal_steps_look_equal() -> None:
    lab = to_oklab(sequential()[::15])
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.15


def test_diverging_sides_are_alike_and_zero_is_neutral() -> None:
    lab = to_oklab(diverging())
    np.testing.assert_allclose(lab[:128, 0][::-1], lab[128:, 0], atol=0.01)  # as light as each other
    assert np.hypot(*lab[127:129, 1:].T).max() < 0.02  # no hue at zero
    assert (np.diff(lab[128:, 0][::4]) < 0).all()  # ever darker away from zero
    for side in (lab[:128:10], lab[128::10]):
        steps = np.linalg.norm(np.diff(side, axis=0), axis=1)
        assert steps.max() / steps.min() < 1.35
    # Even half a step from the ends, the two sides differ far more than neighbors do.
    assert np.linalg.norm(lab[64] - lab[191]) > 0.2


@pytest.mark.parametrize("kind", BLINDNESS)
def test_color_blind_readers_keep_order_and_sign(kind: str) -> None:
    lightness = seen_by(kind, sequential())[:, 0]
    assert (np.diff(lightness[::8]) > 0).all()
    sides = seen_by(kind, diverging())
    distance = np.linalg.norm(sides[:128][::-1] - sides[128:], axis=1)
    assert distance[-1] > 0.2  # against and in favor are told apart at the ends
    assert (np.diff(distance[::16]) > 0).all()  # and better the stronger they are


@pytest.mark.parametrize("name", ["viridis", "magma", "RdBu_r"])
def test_tables_by_the_names_of_matplotlib(name: str) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    expected = matplotlib.colormaps[name](np.arange(256))[:, :3] * 255
    assert np.abs(named(name).astype(float) - expected).max() <= 1


def test_a_colormap_that_is_unknown_and_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ResultError, match="colormap 'nonsense'"):
        named("nonsense")
    monkeypatch.setitem(sys.modules, "cmap", None)
    with pytest.raises(MissingExtra, match=r"foveal\[colormaps\]"):
        named("plasma")
