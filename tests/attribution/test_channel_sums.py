"""What channels do in an image, beside slow versions of the same and the map that it sums to."""

from __future__ import annotations

import torch

import foveal
from foveal.attribution.channel_sums import channel_sums
from foveal.attribution.prepare import prepare
from foveal.synthetic import demo_scenes, render


def test_channels_bring_what_the_map_sums_to() -> None:
    model, picture = foveal.load_model("demo"), render(demo_scenes()[2])[0]
    why = foveal.explain(model, picture, foveal.Margin(), method="hirescam", layer="stage2")
    sums = channel_sums(prepare(model, [picture], foveal.Margin()), "stage2")
    assert sums.brings is not None
    assert sums.brings.shape == (1, 64)
    torch.testing.assert_close(sums.brings.sum(), why.map.sum())


def test_peaks_are_where_the_largest_activations_are() -> None:
    model, picture = foveal.load_model("demo"), render(demo_scenes()[1])[0]
    sums = channel_sums(prepare(model, [picture], None, blind=True), "stage3")
    values, places = sums.peaks
    assert sums.brings is None
    for channel in (0, 17, 121):
        row, column = places[0, channel].tolist()
        assert sums.A[0, channel, row, column] == sums.A[0, channel].max() == values[0, channel]
