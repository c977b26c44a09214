"""Models and callers that broke something once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.engine.stages import describe
from foveal.errors import MethodError, TargetError
from foveal.methods import METHODS
from tests.networks import Tiny, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def test_threads_take_turns_at_one_model(no_trace: NoTrace) -> None:
    model = tiny().train()
    pictures = [torch.randn(1, 3, 16, 16) for _ in range(24)]
    alone = [foveal.explain(model, x, 0, layer="all").maps["relu1"] for x in pictures]
    with no_trace(model), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: foveal.explain(model, x, 0, layer="all").maps["relu1"], pictures))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


class Normalising(Tiny):
    """Writes into its input, as some preprocessing inside models does."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.sub_(0.5).div_(0.25))


def test_a_forward_that_writes_into_its_input() -> None:
    torch.manual_seed(0)
    model, x = Normalising().eval(), torch.rand(1, 3, 8, 8)
    before = x.clone()
    first, second = (foveal.explain(model, x) for _ in range(2))
    assert torch.equal(x, before)
    assert torch.equal(first.map, second.map)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_first_call_of_all_may_be_without_gradients(mode: Any) -> None:
    model = tiny()
    with mode():
        assert foveal.explain(model, torch.randn(1, 3, 8, 8)).layer == "relu2"


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = tiny()
        self.head = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            features = self.backbone.features(x)
        return self.head(features.mean((2, 3)))


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


class Remembering(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Any:
        self.calls = self.calls + 1
        return super().forward(x)


def test_a_buffer_given_anew_is_put_back(no_trace: NoTrace) -> None:
    model, x = Remembering(), torch.randn(1, 3, 8, 8)
    with no_trace(model):
        foveal.explain(model, x)
    assert float(model.calls) == 0


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


def test_models_that_end_in_a_sigmoid() -> None:
    class Ends(Tiny):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x).sigmoid()

    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    many = Ends().eval()
    output = many(x).detach()
    why = foveal.explain(many, x, 1)
    assert why.probability is not None and torch.allclose(why.probability, output[:, 1])
    assert why.target_spec["of"] == "probability"
    one = Ends(classes=1).eval()
    p = one(x).detach()[:, 0]
    yes, no, predicted = (foveal.explain(one, x, target) for target in (1, 0, None))
    assert yes.probability is not None and torch.allclose(yes.probability, p)
    assert no.score is not None and torch.allclose(no.score, 1 - p)
    assert predicted.target_spec["index"] == (p > 0.5).long().tolist()


def test_cam_refuses_a_head_of_two_layers_behind_pooling() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 8),
        nn.Hardswish(),
        nn.Linear(8, 2),
    ).eval()
    with pytest.raises(MethodError, match="Hardswish"):
        foveal.explain(model, torch.randn(1, 3, 8, 8), method="cam", layer="1")
    assert "cam" not in [why.method for why in foveal.compare(model, torch.randn(1, 3, 8, 8), layer="1")]


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e12])
def test_principal_components_of_tiny_and_huge_gradients(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    A, G = torch.rand(2, 6, 9, 9, generator=generator), torch.randn(2, 6, 9, 9, generator=generator)
    plain, scaled = METHODS["eigengradcam"](A, G), METHODS["eigengradcam"](A, G * scale) / scale
    assert torch.allclose(plain, scaled, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["hirescam", "eigencam", "eigengradcam"])
def test_activations_that_overflow_are_said_to(method: str) -> None:
    class Overflowing(Tiny):
        def forward(self, x: Tensor) -> Any:
            return self.fc(self.features(x).clamp(max=1).mean((2, 3)))

    model = Overflowing().eval()
    with torch.no_grad():
        model.conv1.weight.fill_(3e38)
    with pytest.raises(MethodError, match="not finite"):
        foveal.explain(
            model,
            torch.ones(1, 3, 8, 8),
            lambda out: torch.zeros(1) + 0 * out[:, 0].nan_to_num(),
            method=method,
            layer="relu1",
        )


def test_labels_that_do_not_fit_the_classes_name_nothing() -> None:
    why = foveal.explain(tiny(), torch.randn(1, 3, 8, 8), 1, labels=["a", "b"])
    assert why.target == ("class 1",)
    with pytest.raises(TargetError, match="2 labels for 3 classes"):
        foveal.explain(tiny(), torch.randn(1, 3, 8, 8), "a", labels=["a", "b"])


def test_a_misspelled_kind_of_score() -> None:
    with pytest.raises(TargetError, match="prob"):
        foveal.Class(1, of="prob")  # type: ignore[arg-type]


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


class SkippingInPlace(nn.Module):
    """The ReLU works in place, and the skip connection reads the rectified tensor again."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.conv = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.fc = nn.ReLU(inplace), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        rectified = self.relu(x)
        if self.relu.inplace:
            return self.fc((x + self.conv(rectified)).mean((2, 3)))
        return self.fc((rectified + self.conv(rectified)).mean((2, 3)))


@pytest.mark.parametrize("layers", ["relu", ["stem", "relu"]])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "eigencam"])
def test_an_in_place_module_whose_input_is_read_again(method: str, layers: Any) -> None:
    x = torch.randn(2, 3, 8, 8)
    plain, inplace = (
        foveal.explain(SkippingInPlace(way).eval(), x, 0, method=method, layer=layers) for way in (False, True)
    )
    assert plain.score is not None and inplace.score is not None
    assert torch.equal(plain.score, inplace.score)
    for layer in plain.layers:
        assert torch.allclose(plain.maps[layer], inplace.maps[layer], atol=1e-6), layer


def test_a_module_that_does_nothing_is_explained_as_its_input() -> None:
    class Passing(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Identity()

        def forward(self, x: Tensor) -> Any:
            x = self.relu1(self.conv1(x))
            return self.fc(self.relu2(self.conv2(self.drop(x) + x)).mean((2, 3)))

    torch.manual_seed(0)
    model, x = Passing().eval(), torch.randn(1, 3, 8, 8)
    assert torch.allclose(foveal.explain(model, x, 0, layer="drop").map, foveal.explain(model, x, 0, layer="relu1").map)
