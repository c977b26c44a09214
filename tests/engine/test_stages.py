"""A network describes itself: stages, strides, receptive fields."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.positions import Cells
from foveal.engine.select import select_layers
from foveal.engine.stages import describe
from foveal.errors import LayerError, ModelError
from tests.networks import architecture, tiny

EXPECTED = {
    "vgg11_bn": ["features.2", "features.6", "features.13", "features.20", "features.27"],
    "resnet18": ["relu", "layer1", "layer2", "layer3", "layer4"],
    "googlenet": ["conv1", "conv3", "inception3b", "inception4e", "inception5b"],
    "mobilenet_v2": ["features.1", "features.3", "features.6", "features.13", "features"],
    "convnext_tiny": ["features.1", "features.3", "features.5", "features"],
    "squeezenet1_1": ["features.1", "features.4", "features.7", "features"],
    "regnet_y_400mf": ["stem", "trunk_output.block1", "trunk_output.block2", "trunk_output.block3", "trunk_output"],
    "densenet121": [
        "features.relu0", "features.denseblock1", "features.denseblock2", "features.denseblock3", "features",
    ],
    "inception_v3": ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_the_stages_are_those_an_expert_would_name(name: str) -> None:
    side = 139 if name == "inception_v3" else 128
    found = describe(architecture(name), torch.randn(1, 3, side, side)).stages
    assert [stage.name for stage in found] == EXPECTED[name]
    assert [round(stage.stride[0]) for stage in found] == sorted({round(stage.stride[0]) for stage in found})


def test_vgg16_receptive_fields_are_the_known_ones() -> None:
    """5, 14, 40, 92 and 196 pixels: the usual table for the last ReLU of each block."""
    from foveal.models.extras import import_torchvision

    model = import_torchvision().models.vgg16(weights=None).eval()
    found = describe(model, torch.randn(1, 3, 64, 64)).stages
    assert [stage.receptive_field for stage in found] == [(5, 5), (14, 14), (40, 40), (92, 92), (196, 196)]
    assert [stage.stride for stage in found] == [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16)]
    assert all(stage.sign == "nonnegative" and stage.local for stage in found)


class Plain(nn.Module):
    """A convolutional trunk in which every gradient is positive, so the field can be measured."""

    def __init__(self, kernel: tuple[int, int], step: int, dilation: int, pool: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, kernel, stride=step, padding=(kernel[0] // 2, kernel[1] // 2))
        self.second = nn.Conv2d(2, 1, 3, dilation=dilation, padding=dilation)
        self.pool = nn.AvgPool2d(pool)
        self.third = nn.Conv2d(1, 1, 3, padding=1)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.pool(F.relu(self.second(self.first(x))))).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("kernel", "step", "dilation", "pool"),
    [((3, 3), 1, 1, 2), ((7, 7), 2, 1, 2), ((3, 5), 2, 2, 1), ((5, 5), 1, 3, 3)],
)
def test_receptive_field_is_where_the_gradient_is(kernel: tuple[int, int], step: int, dilation: int, pool: int) -> None:
    model = Plain(kernel, step, dilation, pool).eval()
    x = torch.ones(1, 1, 96, 96, requires_grad=True)
    kept: list[Tensor] = []
    model.third.register_forward_hook(lambda _m, _i, output: kept.append(output))
    model(x)
    row, column = kept[0].shape[2] // 2, kept[0].shape[3] // 2
    (gradient,) = torch.autograd.grad(kept[0][0, 0, row, column], x)
    touched = (gradient[0, 0] != 0).nonzero()
    measured = tuple((touched.amax(0) - touched.amin(0) + 1).tolist())
    stage = describe(model, torch.ones(1, 1, 96, 96)).stages[-1]
    assert stage.name == "third"
    assert stage.receptive_field == measured
    assert stage.stride == (step * pool, step * pool)


class Gated(nn.Module):
    """Squeeze-excite: a gate that looks at the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gate = nn.Linear(4, 4)
        self.last = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = self.last(x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None])
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_a_gate_over_the_whole_image_makes_a_stage_not_local() -> None:
    structure = describe(Gated().eval(), torch.randn(1, 3, 16, 16))
    assert [(stage.name, stage.local, stage.receptive_field) for stage in structure.stages] == [("last", False, (5, 5))]


class Skipping(nn.Module):
    """A skip connection round `inside`: not everything passes through it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.inside = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.fc((x + self.inside(x)).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_branch_is_no_stage() -> None:
    assert [stage.name for stage in describe(Skipping().eval(), torch.randn(1, 3, 8, 8)).stages] == ["stem"]


def test_signs_are_observed() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Flatten()).eval()
    assert [s.sign for s in describe(model, torch.randn(1, 3, 16, 16)).stages] == ["nonnegative", "signed"]


def test_tracing_leaves_no_trace_and_is_remembered(no_trace: Any) -> None:
    model = tiny().train()
    runs: list[int] = []
    model.register_forward_hook(lambda *_: runs.append(1))
    x = torch.randn(3, 3, 8, 8)
    with no_trace(model):
        first = describe(model, x)
    assert describe(model, x) is first
    assert len(runs) == 1
    model.conv2 = nn.Conv2d(6, 12, 3, padding=1)
    assert describe(model, x) is not first


def test_a_network_without_feature_maps() -> None:
    with pytest.raises(LayerError, match="feature map"):
        describe(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.randn(1, 3, 2, 2)).stages  # noqa: B018


def test_a_network_that_does_not_take_this_input() -> None:
    with pytest.raises(ModelError, match=r"\(1, 5, 8, 8\)"):
        describe(tiny(), torch.randn(1, 5, 8, 8))


# --- Pointing at layers -------------------------------------------------------------------------------------------


def chosen(wanted: Any, model: nn.Module | None = None) -> list[str]:
    model = model or architecture("resnet18")
    return select_layers(model, wanted, lambda: describe(model, torch.randn(1, 3, 64, 64)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ["layer4"]),
        ("all", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        (2, ["layer1"]),
        (-2, ["layer3"]),
        ("3", ["layer2"]),
        ("layer?", ["layer1", "layer2", "layer3", "layer4"]),
        ("layer2.*", ["layer2.0", "layer2.1"]),
        ("layer2.0.conv1", ["layer2.0.conv1"]),
        (["layer3", "all"], ["layer3", "relu", "layer1", "layer2", "layer4"]),
        (["relu#0"], ["relu#0"]),
    ],
)
def test_layers_as_people_write_them(wanted: Any, expected: list[str]) -> None:
    assert chosen(wanted) == expected


def test_wildcards_across_levels_in_running_order() -> None:
    assert chosen("layer1.**.conv?") == ["layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2"]


def test_a_number_that_is_a_module_name_means_the_module() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3)).eval()
    assert chosen("3", model) == ["3"]
    assert chosen(1, model) == ["1"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("layr4", "layer4"),
        (9, r"5 \(layer4\)"),
        (0, r"1 \(relu\)"),
        ("fc*", "wildcard|matches"),
        ([], "no layer"),
        ("a[b", "cannot read"),
    ],
)
def test_layers_that_cannot_be_meant(wanted: Any, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        chosen(wanted)


def test_wrapped_names_can_be_written_plainly() -> None:
    holder = nn.Sequential()
    holder.add_module("backbone", nn.DataParallel(tiny()))
    assert chosen("backbone.relu1", holder) == ["backbone.relu1"]


def test_a_module_with_two_names_lies_in_one_place() -> None:
    """The trace knows it by the first."""
    conv = nn.Conv2d(3, 4, 3, 2)
    net = nn.Sequential(OrderedDict(first=nn.Sequential(), act=nn.ReLU(), alias=conv, pool=nn.AdaptiveAvgPool2d(1)))
    net.first.inner = conv  # type: ignore[union-attr]
    net.first.forward = lambda x: x  # type: ignore[union-attr,method-assign,assignment]
    structure = describe(net, torch.randn(1, 3, 17, 17))
    assert structure.calls["first.inner"] == 1 and "alias" not in structure.calls
    assert structure.place(net, "alias") == structure.place(net, "first.inner") == Cells((1.5, 1.5), (2.0, 2.0))
    assert structure.last_calls(net, ["alias", "first.inner"]) == {"alias": 0, "first.inner": 0}
