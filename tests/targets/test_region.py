"""A region of a segmentation as the target: fixed on the image as it is, and explained by the pixels' own evidence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import TargetError
from foveal.models.extras import import_torchvision
from foveal.models.model import own_task
from foveal.targets import ModelOutput, Region
from tests.networks import awake

if TYPE_CHECKING:
    from tests.conftest import NoTrace


class Colors(nn.Module):
    """Scores at each pixel how red, green and blue it is around there, at half the resolution and enlarged again."""

    def __init__(self, wrap: Any = lambda y: {"out": y}) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 3, 2, 2, bias=False), nn.ReLU())
        self.head = nn.Conv2d(3, 3, 1)
        self.wrap = wrap
        with torch.no_grad():
            self.down[0].weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2) / 4)
            self.head.weight.copy_(4 * torch.eye(3)[:, :, None, None])
            self.head.bias.copy_(torch.tensor([0.5, 0, 0]))

    def forward(self, x: Tensor) -> Any:
        return self.wrap(nn.functional.interpolate(self.head(self.down(x)), x.shape[2:], mode="bilinear"))


def picture() -> Tensor:
    """Red, with a green square at the upper left and a smaller blue one at the lower right."""
    x = torch.zeros(1, 3, 32, 32)
    x[:, 0] = 0.2
    x[0, 1, 4:14, 4:14] = 1
    x[0, 2, 20:26, 20:26] = 1
    return x


LABELS = ("__background__", "green", "blue")


def explained(target: Any = None, **options: Any) -> foveal.Explanation:
    return foveal.explain(Colors(), picture(), target, method="hirescam", task="regions", labels=LABELS, **options)


@pytest.mark.parametrize(
    "wrap", [lambda y: y, lambda y: {"out": y, "aux": y * 0}, lambda y: (y, y * 0), lambda y: SimpleNamespace(logits=y)]
)
def test_the_default_is_the_largest_region_but_the_background(wrap: Any) -> None:
    why = foveal.explain(Colors(wrap), picture(), labels=LABELS, task="regions", layer="down")
    predicted = Colors(lambda y: y)(picture()).argmax(1)
    size = int((predicted == 1).sum())
    assert why.target == (f"green (1), region of {size} pixels",)
    assert why.target_spec["kind"] == "region" and why.target_spec["index"] == [1]


def test_the_score_and_the_map_are_those_of_the_mean_logit() -> None:
    model, x = Colors(lambda y: y), picture()
    why = foveal.explain(model, x, Region(2), method="hirescam", layer="down", task="regions")
    kept: list[Tensor] = []
    handle = model.down.register_forward_hook(lambda module, inputs, output: kept.append(output))
    y = model(x)
    handle.remove()
    region = y.argmax(1) == 2
    score = sum(y[0, 2, i, j] for i, j in region[0].nonzero().tolist()) / int(region.sum())
    (G,) = torch.autograd.grad(score, kept[0])
    assert float(why.score) == pytest.approx(float(score.detach()))
    assert torch.allclose(why.map, (kept[0] * G).sum(1), atol=1e-6)
    assert float(why.probability) == pytest.approx(float(y.softmax(1)[0, 2][region[0]].mean().detach()))


def test_the_map_of_a_region_lies_on_it() -> None:
    for target, square in ((Region("green"), slice(2, 7)), (Region("blue"), slice(10, 13))):
        map = explained(target, layer="down").map[0]
        assert float(map[square, square].sum()) > 0.95 * float(map.abs().sum())


def test_a_pixel_and_a_mask() -> None:
    at = explained(Region("green", where=(8, 8)), layer="down")
    assert at.target == ("green (1), pixel (8, 8)",)
    assert int((at.map != 0).sum()) <= 4
    mask = np.zeros((32, 32), bool)
    mask[8, 8] = True
    assert torch.allclose(explained(Region("green", where=mask), layer="down").map, at.map)
    double = np.zeros((64, 64), bool)
    double[16:18, 16:18] = True
    assert torch.allclose(explained(Region("green", where=double), layer="down").map, at.map)
    each = torch.from_numpy(np.stack([mask, mask]))
    both = foveal.explain(Colors(), picture().repeat(2, 1, 1, 1), Region(1, where=each), layer="down", task="regions")
    assert both.map.shape[0] == 2


def test_the_region_stays_where_it_was_in_altered_pictures() -> None:
    y = Colors(lambda y: y)(picture()).detach()
    verdict = Region(1).decide(ModelOutput(y))
    altered = torch.stack([y[0].roll(5, 2), y[0] * 0])
    region = y[0].argmax(0) == 1
    again = verdict.per_image[0].decide(ModelOutput(altered)).score
    assert torch.allclose(again, torch.stack([image[1][region].mean() for image in altered]))


def test_one_output_a_pixel_decides_between_two_classes() -> None:
    z = torch.linspace(-2, 1, 16).view(1, 1, 4, 4)
    inside, outside = Region(1).decide(ModelOutput(z)), Region(0).decide(ModelOutput(z))
    assert float(inside.score) == pytest.approx(float(z[z > 0].mean()))
    assert float(outside.score) == pytest.approx(float(-z[z <= 0].mean()))
    assert inside.probability is not None
    assert float(inside.probability) == pytest.approx(float(z[z > 0].sigmoid().mean()))
    p = nn.Sigmoid()(z.clone().requires_grad_())
    sure = Region(0, where=(0, 0)).decide(ModelOutput(p))
    assert float(sure.score.detach()) == pytest.approx(float(1 - p[0, 0, 0, 0].detach()))
    assert sure.spec["of"] == "probability"


def test_probabilities_are_read_as_they_are() -> None:
    p = torch.randn(1, 3, 4, 4).requires_grad_().softmax(1)
    verdict = Region(2, where=(1, 1)).decide(ModelOutput(p))
    assert float(verdict.score.detach()) == pytest.approx(float(p[0, 2, 1, 1].detach()))
    assert verdict.probability is not None and float(verdict.probability) == pytest.approx(
        float(verdict.score.detach())
    )
    copy = verdict.per_image[0].decide(ModelOutput(p.detach()))  # no graph to read
    assert copy.probability is not None and float(copy.probability) == pytest.approx(float(copy.score))


def test_an_assumed_segmentation_is_said() -> None:
    why = foveal.explain(Colors(), picture(), layer="down")
    assert any("read as scores of classes" in note for note in why.notes)
    assert any("class 0 covers most pixels" in note for note in why.notes)
    assert not any("read as scores" in note for note in explained(layer="down").notes)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Region(1, where=(40, 0)), "there is no pixel"),
        (Region(1, where=torch.ones(32, 8, dtype=torch.bool)), "does not lie on"),
        (Region(1, where=torch.zeros(32, 32, dtype=torch.bool)), "is empty"),
        (Region(1, where=torch.ones(3, 32, 32, dtype=torch.bool)), "3 masks were given"),
        (Region([1, 2]), "2 classes were given"),
        (Region("cow"), "no class 'cow'"),
    ],
)
def test_errors_say_what_to_do(target: Region, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        explained(target, layer="down")


def test_a_class_that_is_nowhere_has_no_region() -> None:
    with pytest.raises(TargetError, match="predicted at no pixel of image 0"):
        foveal.explain(Colors(), picture()[:, :, :16, :16].clone(), Region("blue"), labels=LABELS, task="regions")
    with pytest.raises(TargetError, match="boolean"):
        Region(1, where=torch.zeros(4, 4))
    with pytest.raises(TargetError, match="cannot read where"):
        Region(1, where=(1, 2, 3, 4))


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"])
def test_segmentation_networks_of_torchvision(name: str, no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    segmentation: Any = import_torchvision().models.segmentation
    model = awake(getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=4)).eval()
    assert own_task(model) == ("regions", "a segmenter of torchvision")
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with no_trace(model):
        why = foveal.explain(model, x, method="hirescam")
    assert why.target_spec["kind"] == "region" and bool((why.map != 0).any())
    with torch.no_grad():
        y = model(x)["out"][0]
    index = int(why.target_spec["index"][0])
    assert float(why.score) == pytest.approx(float(y[index][y.argmax(0) == index].mean()), rel=1e-4)


def test_a_region_is_measured_audited_and_followed() -> None:
    model, x = Colors(), picture()
    options: dict[str, Any] = {"task": "regions", "labels": LABELS}
    why = foveal.explain(model, x, Region("green"), method="occlusion:window=4,stride=2", **options)
    assert int(why.map[0].argmax()) // 32 in range(2, 16)
    test = foveal.audit(model, x, Region("green"), explanations=why, draws=4, **options)[0]
    assert test.marked is not None and test.marked < test.whole
    lrp = foveal.explain(model, x, Region("green"), method="lrp-epsilon", **options)
    assert float(lrp.map[0, 4:14, 4:14].sum()) > 0.9 * float(lrp.map.abs().sum())
    multi = foveal.explain(model, x, Region("green"), scales=(1, 2), layer="down", **options)
    assert multi.map.shape[1] == 32
