"""Occlusion against its definition, and where the answer is known: linear networks and planted evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError
from tests.methods.perturbed import TARGET, Linear, explained, images, network, peak, planted, score

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def literal(model: nn.Module, x: Tensor, window: int, stride: int, cover: Tensor) -> Tensor:
    """Every window, and at every pixel the mean over those that cover it."""
    h, w = x.shape[1:]
    rows = [*range(0, h - window, stride), h - window]
    columns = [*range(0, w - window, stride), w - window]
    drops: dict[tuple[int, int], list[float]] = {(i, j): [] for i in range(h) for j in range(w)}
    for top in rows:
        for left in columns:
            copy = x.clone()
            inside = [(i, j) for i in range(top, top + window) for j in range(left, left + window)]
            for i, j in inside:
                copy[:, i, j] = cover[:, i, j]
            drop = score(model, x) - score(model, copy)
            for place in inside:
                drops[place].append(drop)
    return torch.tensor([[sum(drops[i, j]) / len(drops[i, j]) for j in range(w)] for i in range(h)]).double()


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (5, 3), (1, 1), (12, 4)])
@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_it_is_its_definition(window: int, stride: int, fill: str, no_trace: NoTrace) -> None:
    model, x = network(), images(2)
    with no_trace(model):
        maps = explained(model, x, f"occlusion:window={window},stride={stride},fill={fill}")
    for map, image in zip(maps, x, strict=True):
        cover = torch.zeros_like(image) if fill == "zero" else image.mean((1, 2), keepdim=True).expand_as(image)
        assert torch.allclose(map, literal(model, image, window, stride, cover), rtol=1e-6, atol=1e-9)


def test_in_a_linear_network_it_is_the_sum_of_contributions_in_the_window() -> None:
    model, x = Linear(), images()
    sums = nn.functional.avg_pool2d(model.contributions(x[0])[None, None], 4, divisor_override=1)
    by_hand = sums[0, 0].repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert torch.allclose(explained(model, x, "occlusion:window=4,stride=4", "input")[0], by_hand, rtol=1e-6)


def test_single_pixels_of_a_linear_network_are_its_contributions() -> None:
    model, x = Linear(), images()
    assert torch.allclose(explained(model, x, "occlusion:window=1"), model.contributions(x[0])[None], rtol=1e-5)


def test_a_flat_image_loses_nothing_to_its_mean_or_blur() -> None:
    x = torch.full((1, 3, 12, 16), 0.7).double()
    for fill in ("mean", "blur"):
        assert explained(network(), x, f"occlusion:fill={fill}").abs().amax() < 1e-12


def test_blur_covers_less_the_wider_the_stroke() -> None:
    """What is coarser than the window survives; what is finer does not."""
    fine, coarse = (torch.ones(1, 3, 12, 16).double() for _ in range(2))
    fine[..., ::2], coarse[..., 8:] = -1, -1

    def loss(x: Tensor) -> Tensor:
        return explained(_Energy(), x, "occlusion:window=4,fill=blur", "input").amax()

    assert loss(fine) > 2 * loss(coarse[..., :8].repeat(1, 1, 1, 2)) >= 0


class _Energy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 3, 1, bias=False).double()
        self.see.weight.data = torch.eye(3).double()[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        return self.see(x).square().mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize("chunk", [1, 7])
def test_each_image_is_on_its_own_in_any_order_and_chunk(chunk: int) -> None:
    model, x = network(), images(3)
    maps = explained(model, x, "occlusion:window=4")
    assert torch.allclose(explained(model, x, f"occlusion:window=4,chunk={chunk}"), maps, atol=1e-12)
    assert torch.allclose(explained(model, x.flip(0), "occlusion:window=4").flip(0), maps, atol=1e-12)
    assert torch.allclose(explained(model, x[1:2], "occlusion:window=4")[0], maps[1], atol=1e-12)


def test_points_at_planted_evidence_at_the_input_and_at_a_layer() -> None:
    model, x, (rows, columns) = planted()
    for layer in (None, "relu"):
        row, column = peak(explained(model, x, "occlusion:window=6,stride=2", layer)[0])
        assert rows.start <= row < rows.stop and columns.start <= column < columns.stop


def test_cells_of_a_layer_go_on_from_there() -> None:
    why = foveal.explain(network(), images(2), TARGET, method="occlusion:window=1", layer="relu2")
    assert why.map.shape == (2, 6, 8) and why.measured["relu2"] == {"resumed": [True, True]}
    assert torch.allclose(why.map, foveal.explain(network(), images(2), TARGET, method="hirescam").map, rtol=1e-6)


def test_by_default_windows_are_an_eighth_of_the_image_and_overlap_by_half() -> None:
    totals: list[int] = []
    foveal.explain(
        network(),
        torch.randn(1, 3, 32, 48).double(),
        method="occlusion",
        progress=lambda what, done, total: totals.append(total),
    )
    assert set(totals) == {15 * 23}


def test_gaps_are_refused() -> None:
    with pytest.raises(MethodError, match="gaps"):
        explained(network(), images(), "occlusion:window=2,stride=3")


def test_fills_there_are_not() -> None:
    with pytest.raises(MethodError, match="fill=blur"):
        explained(network(), images(), "occlusion:fill=gray")
