"""Segmentation of signals and volumes: a region's class as the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import TargetError
from foveal.targets.parsing import parse_target
from tests.space.networks import CONV, SIZES, images

if TYPE_CHECKING:
    from tests.conftest import NoTrace

LABELS = ("rest", "wave", "spike")


class Segmenter(nn.Module):
    """Scores of three classes at each cell of the input, from a map with 4 channels."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.body = nn.Sequential(CONV[axes](2, 4, 3, padding=2, dilation=2), nn.ReLU())
        self.head = CONV[axes](4, 3, 1)
        nn.init.zeros_(self.head.bias)
        self.eval()

    def forward(self, x: Tensor) -> Any:
        return self.head(self.body(x))


class LastAxis(Segmenter):
    """The same with classes on the last axis."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x).movedim(1, -1)


def explained(axes: int, region: foveal.Region, **options: Any) -> foveal.Explanation:
    return foveal.explain(
        Segmenter(axes), images(axes), region, method="hirescam", labels=LABELS, task="regions", **options
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_region_by_hand(axes: int, no_trace: NoTrace) -> None:
    net, x = Segmenter(axes), images(axes)
    with no_trace(net):
        why = foveal.explain(net, x, foveal.Region(1), method="hirescam", labels=LABELS, task="regions")
    z = net(x).detach()
    region = z.argmax(1) == 1
    sizes = region.flatten(1).sum(1)
    unit = {1: "sample", 2: "pixel", 3: "voxel"}[axes]
    assert why.target == tuple(f"wave (1), region of {int(size)} {unit}s" for size in sizes)
    torch.testing.assert_close(why.score, (z[:, 1] * region).flatten(1).sum(1) / sizes)
    weight = net.head.weight[1].detach().flatten()
    by_hand = (net.body(x).detach() * weight.view(-1, *[1] * axes)).sum(1) * region / sizes.view(-1, *[1] * axes)
    assert why.layer == "body"  # of the classes' own scores there is nothing to explain
    torch.testing.assert_close(why.map, by_hand, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_a_cell_and_a_mask_are_the_same(axes: int) -> None:
    at = tuple(side // 2 for side in SIZES[axes])
    mask = torch.zeros(SIZES[axes], dtype=torch.bool)
    mask[at] = True
    by_address, by_mask = (explained(axes, foveal.Region(2, where)) for where in (at, mask))
    torch.testing.assert_close(by_address.map, by_mask.map)
    each = explained(axes, foveal.Region([2, 2], mask.expand(2, *mask.shape).numpy()))
    torch.testing.assert_close(each.map, by_mask.map)


def test_the_command_lines_words_name_a_voxel() -> None:
    target = parse_target("region wave 3,4,5", LABELS)
    assert isinstance(target, foveal.Region)
    assert (target.of, target.where) == ("wave", (3, 4, 5))


@pytest.mark.parametrize(
    ("axes", "where", "words"),
    [
        (1, (1, 2), r"where=\(1, 2\) has 2 numbers, and the network's output has 40 samples: give \(sample,\)"),
        (1, (40,), r"there is no sample \(40,\)"),
        (3, (1, 2), r"8 × 12 × 16 voxels: give \(slice, row, column\)"),
        (3, torch.ones(8, 12, dtype=torch.bool), r"a mask \(8, 12\) does not lie on an output of 8 × 12 × 16 voxels"),
        (3, torch.ones(8, 12, 99, dtype=torch.bool), r"a mask of 8 × 12 × 99 voxels does not lie"),
        (1, torch.ones(20, dtype=torch.bool), r"a mask of 20 samples does not lie on an output of 40"),
        (1, torch.ones(3, 40, dtype=torch.bool), r"3 masks were given for 2 images"),
    ],
)
def test_what_does_not_lie_there_says_so(axes: int, where: Any, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        explained(axes, foveal.Region(1, where))


@pytest.mark.parametrize("axes", [1, 3])
def test_classes_on_the_last_axis_are_not_taken_for_space(axes: int) -> None:
    with pytest.raises(TargetError, match="with the classes on its last axis"):
        foveal.explain(LastAxis(axes), images(axes), foveal.Region(1), method="gradient", labels=LABELS)


@pytest.mark.parametrize("axes", [1, 3])
def test_without_a_target_the_region_is_the_largest_and_says_so(axes: int) -> None:
    why = foveal.explain(Segmenter(axes), images(axes), method="hirescam")
    assert "region of" in why.target[0]
    assert any("read as scores of classes (a segmentation)" in note for note in why.notes)


@pytest.mark.parametrize("axes", [1, 3])
def test_altered_copies_keep_the_region(axes: int) -> None:
    net, x = Segmenter(axes), images(axes, 1)
    why = foveal.explain(net, x, foveal.Region(1), method="occlusion:window=4,stride=4", labels=LABELS, task="regions")
    region = net(x).argmax(1)[0] == 1
    hidden = x.clone()
    hidden[(..., *(slice(0, 4),) * axes)] = 0
    lost = (net(x) - net(hidden))[0, 1][region].mean()
    assert float(why.map[(0, *(1,) * axes)]) == pytest.approx(float(lost.detach()), abs=1e-5)
