"""Occlusion: Captum's where windows fit the image, and what happens at the border where they do not."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from zennit.attribution import Occlusion, occlude_independent

from tests.peers.raw import captum_input
from tests.peers.subjects import TARGETS, difference, ours, plain

SIDE = 16


def captum(model: nn.Module, x: Tensor, window: int, stride: int) -> Tensor:
    """One number a pixel: its windows cover all colors."""
    colors = x.shape[1]
    shape, strides = (colors, window, window), (colors, stride, stride)
    return captum_input("Occlusion", model, x, sliding_window_shapes=shape, strides=strides)[:, 0]


def score(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)[torch.arange(2), TARGETS]  # type: ignore[no-any-return]


def literal(model: nn.Module, x: Tensor, windows: list[slice]) -> Tensor:
    """The drops of the score, averaged at each pixel over the windows that cover it."""
    total, times = torch.zeros(2, 2, SIDE, SIDE, dtype=x.dtype)
    for rows in windows:
        for columns in windows:
            covered = x.clone()
            covered[:, :, rows, columns] = 0
            total[:, rows, columns] += (score(model, x) - score(model, covered))[:, None, None]
            times[:, rows, columns] += 1
    return total / times


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (8, 4), (2, 1)])
def test_captum_gives_the_same_where_windows_fit(window: int, stride: int) -> None:
    model, x = plain()
    mine = ours(model, x, f"occlusion:window={window},stride={stride}")
    assert difference(mine, captum(model, x, window, stride)) < 1e-6


def test_the_last_window_is_cut_off_there_and_ends_with_the_image_here() -> None:
    model, x = plain()
    cut = [slice(0, 5), slice(3, 8), slice(6, 11), slice(9, 14), slice(12, 16)]
    whole = [*cut[:-1], slice(11, 16)]
    assert difference(captum(model, x, 5, 3), literal(model, x, cut)) < 1e-6
    assert difference(ours(model, x, "occlusion:window=5,stride=3"), literal(model, x, whole)) < 1e-6


def zennit(model: nn.Module, x: Tensor, *, covered: bool) -> Tensor:
    """The scores it adds up at each pixel; four windows a side, none over another."""

    def chosen(output: Tensor) -> Tensor:
        return output * nn.functional.one_hot(torch.tensor(TARGETS), output.shape[1])

    window = (x.shape[1], 4, 4)
    fill = partial(occlude_independent, fill_fn=torch.zeros_like, invert=covered)
    with Occlusion(model, window=window, stride=window, occlusion_fn=fill) as attribute:
        _, value = attribute(x, chosen)
    return value[:, 0].detach()  # type: ignore[no-any-return]


def test_zennit_shows_the_window_alone_unless_told_to_cover_it_and_subtracts_nothing() -> None:
    model, x = plain()
    mine = ours(model, x, "occlusion:window=4,stride=4")
    assert difference(score(model, x)[:, None, None] - zennit(model, x, covered=True), mine) < 1e-6
    alone = torch.zeros_like(x)
    alone[:, :, 4:8, 8:12] = x[:, :, 4:8, 8:12]
    torch.testing.assert_close(zennit(model, x, covered=False)[:, 5, 9], score(model, alone))
