"""Layers and stages of networks that are not a plain chain of modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import foveal
from foveal.engine import stages
from foveal.engine.stages import describe
from foveal.errors import LayerError
from tests.networks import Frozen, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def test_stages_of_a_backbone_under_no_grad() -> None:
    assert foveal.explain(Frozen().eval(), torch.randn(1, 3, 8, 8)).layer == "backbone.relu2"


class Shared(nn.Module):
    """One ReLU under two names, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(i, 4, 3) for i in (3, 4, 4))
        self.relu = nn.ReLU()
        self.again = self.relu

    def forward(self, x: Tensor) -> Any:
        for conv in (self.a, self.b, self.c):
            x = self.relu(conv(x))
        return x.mean((2, 3))


@pytest.mark.parametrize("name", ["relu", "again"])
def test_a_shared_module_means_its_last_call_by_either_name(name: str) -> None:
    torch.manual_seed(0)
    model, x = Shared().eval(), torch.randn(1, 3, 12, 12)
    stopped = foveal.explain(model, x, method="eigencam", layer=name)
    full = foveal.explain(model, x, 0, method="eigencam", layer=name)
    assert stopped.layers == full.layers == (name,)
    assert stopped.map.shape == (1, 6, 6)
    assert torch.equal(stopped.map, full.map)


def test_a_unit_of_a_reused_module_is_read_at_its_last_call() -> None:
    model, x = architecture("resnet18"), torch.randn(1, 3, 64, 64)
    last, named, first = (
        foveal.explain(model, x, foveal.Neuron(layer, 7), layer="layer1").score
        for layer in ("layer3.0.relu", "layer3.0.relu#1", "layer3.0.relu#0")
    )
    assert last is not None and named is not None and first is not None
    assert torch.equal(last, named)
    assert not torch.equal(last, first)


class Auxiliary(nn.Module):
    def __init__(self, pack: Any) -> None:
        super().__init__()
        self.inner = tiny()
        self.pack = pack

    def forward(self, x: Tensor) -> Any:
        early = self.inner.pool(self.inner.relu1(self.inner.conv1(x)))
        late = self.inner.relu2(self.inner.conv2(early))
        return self.pack(self.inner.fc(late.mean((2, 3))), early.mean((2, 3)))


@pytest.mark.parametrize(
    "pack",
    [lambda y, aux: {"logits": y, "aux": aux}, lambda y, aux: {"aux": aux, "logits": y}, lambda y, aux: (y, aux)],
)
def test_auxiliary_outputs_do_not_move_the_default_layer(pack: Any) -> None:
    assert foveal.explain(Auxiliary(pack).eval(), torch.randn(1, 3, 8, 8)).layer == "inner.relu2"


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_padding_is_no_resizing(mode: str) -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 4), (4, 4), (4, 4)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    found = describe(model, torch.randn(1, 3, 32, 32)).stages
    assert [(stage.name, stage.stride, stage.receptive_field) for stage in found] == [
        ("1", (1, 1), (3, 3)), ("4", (2, 2), (8, 8)), ("7", (4, 4), (18, 18)),
    ]  # fmt: skip


def test_a_transposed_convolution_sees_what_it_meets() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 2, 2), nn.ReLU()).eval()
    stage = describe(model, torch.randn(1, 1, 32, 32)).stages[-1]
    assert (stage.stride, stage.receptive_field) == ((1, 1), (3, 3))


def test_a_network_that_leaves_its_feature_maps_early_gets_a_note() -> None:
    """Vision transformers: the patch embedding is the only feature map, and far from the decision."""
    torch.manual_seed(0)
    mixers: list[nn.Module] = [nn.Linear(8, 8) for _ in range(9)]
    tokens = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), nn.Linear(16, 8), *mixers, nn.Flatten(), nn.Linear(64, 2)
    )
    why = foveal.explain(tokens.eval(), torch.randn(1, 3, 16, 16))
    assert any("says little" in note for note in why.notes)
    for name in ("resnet18", "vgg11_bn", "squeezenet1_1", "convnext_tiny", "googlenet"):
        notes = foveal.explain(architecture(name), torch.randn(1, 3, 64, 64)).notes
        assert not any("says little" in note for note in notes)


class Repeated(nn.Module):
    """One block at three resolutions: all its stages have the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Any:
        for _ in range(2):
            x = nn.functional.max_pool2d(self.block(x), 2)
        return self.block(x).mean((2, 3))


def test_stages_of_a_repeated_block_carry_the_number_of_their_call() -> None:
    torch.manual_seed(0)
    model, x = Repeated().eval(), torch.randn(2, 3, 16, 16)
    found = foveal.stages(model, x)
    assert [(stage.name, stage.shape[1:]) for stage in found] == [
        ("block#0", (16, 16)), ("block#1", (8, 8)), ("block#2", (4, 4)),
    ]  # fmt: skip
    why = foveal.explain(model, x, 0, layer="all")
    assert {name: tuple(map.shape[1:]) for name, map in why.maps.items()} == {s.name: s.shape[1:] for s in found}


def test_wildcards_pass_over_what_makes_weights() -> None:
    def normal(inputs: int) -> nn.Module:
        return parametrizations.weight_norm(nn.Conv2d(inputs, 4, 3))

    spectral = parametrizations.spectral_norm(nn.Conv2d(4, 4, 3))
    model = nn.Sequential(normal(3), nn.ReLU(), spectral, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert foveal.explain(model, torch.randn(2, 3, 8, 8), 0, layer="**").layers == ("0", "1", "2", "3")


def test_a_changed_stride_is_another_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    monkeypatch.setattr(stages, "_trace", lambda *given, trace=stages._trace: traced.append(1) or trace(*given))
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten()).eval(), torch.randn(1, 3, 8, 8)
    shapes = []
    for stride in ((1, 1), (2, 2), (1, 1)):
        model[0].stride = stride  # type: ignore[assignment]
        shapes.append(describe(model, x).stages[-1].shape)
    assert shapes == [(4, 8, 8), (4, 4, 4), (4, 8, 8)]
    assert len(traced) == 2


def test_alternating_sizes_are_known_once_they_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[int] = []
    monkeypatch.setattr(stages, "_trace", lambda *given, trace=stages._trace: traced.append(1) or trace(*given))
    fixed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(9), nn.Conv2d(4, 4, 3), nn.Flatten()).eval()
    sizes = (8, 12, 16)
    for model, traces in ((tiny(), 1), (fixed, len(sizes))):
        traced.clear()
        for side in sizes * 4:
            foveal.explain(model, torch.randn(1, 3, side, side))
        assert len(traced) == traces
        for side in range(20, 80, 2):
            describe(model, torch.randn(1, 3, side, side))
        assert len(stages._known[model].structures) <= 16


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("compile", [torch.jit.script, lambda module: torch.jit.trace(module, torch.randn(1, 3, 8, 8))])
def test_parts_in_torchscript_are_run_but_not_looked_into(compile: Any, no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    part = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    rest = (nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    plain, model, x = nn.Sequential(part, *rest).eval(), nn.Sequential(compile(part), *rest), torch.randn(2, 3, 8, 8)
    with no_trace(nn.Sequential(*rest)):
        why = foveal.explain(model, x, 1)
    assert why.layer == "2" and torch.allclose(why.map, foveal.explain(plain, x, 1).map)
    with pytest.raises(LayerError, match="TorchScript, whose layers cannot be observed"):
        foveal.explain(model, x, layer="0.0")
