"""The verb `explain`, as people call it: any model, any decision, any layer, and the model as it was."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import foveal
from foveal.errors import LayerError, MethodError, ModelError, TargetError
from foveal.methods import FAST, baselines, deeplift
from tests.networks import ARCHITECTURES, SMOOTH, Frozen, Planted, Tiny, architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import NoTrace

PLAIN = foveal.Preprocessing(size=(8, 8), resize="exact", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
GRADIENT = [name for name, method in foveal.METHODS.items() if method.needs == "gradients" and not method.similarity]
SENSITIVITY = {"gradient", "guidedbackprop", "deconvnet"}  # say where more would help, lit or not
INPUT_ONLY = {method.name for method in (*baselines.FAMILY, *deeplift.FAMILY)}
EVIDENCE = [name for name, m in foveal.METHODS.items() if name not in SENSITIVITY | INPUT_ONLY and not m.similarity]
ONE_PASS = [name for name in GRADIENT if name != "cam" and foveal.METHODS[name].rules is None]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_method_at_every_stage_of_every_architecture(name: str, no_trace: NoTrace) -> None:
    model = architecture(name).train()
    side = ARCHITECTURES[name]
    x = torch.randn(2, 3, side, side + 8)
    refused = {"cam", *(["deconvnet"] if name in SMOOTH else [])}
    methods = [m for m in FAST if m not in refused]
    with no_trace(model):
        results = foveal.compare(model, x, foveal.Margin(), methods=methods, layer="all")
    for why in results:
        assert why.layers == tuple(stage.name for stage in foveal.stages(model, x))
        for layer, stage in zip(why.layers, foveal.stages(model, x), strict=True):
            assert why.maps[layer].shape == (2, *stage.shape[1:])
            assert not why.maps[layer].requires_grad
            assert float(why.maps[layer].abs().amax()) > 0
        assert any("training mode" in note for note in why.notes)


@pytest.mark.parametrize("method", EVIDENCE)
def test_planted_evidence_is_found(method: str) -> None:
    """Red is lit in one corner, green in another: the map of each class is where its color is."""
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2] = 2.0
    x[0, 1, 6, 5] = 1.0
    for target, place in ((0, (1, 2)), (1, (6, 5))):
        # Means over 64 cells are small; Score-CAM and its kin weigh by softmax, where small scores are all alike.
        score = lambda output, k=target: 1000 * output[:, k]  # noqa: E731
        why = foveal.explain(Planted().eval(), x, score, method=method, layer="relu")
        if method == "eigencam":  # looks at no decision: always the strongest
            place = (1, 2)
        assert divmod(int(why.map[0].argmax()), 8) == place


def test_margins_have_evidence_on_both_sides() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2], x[0, 1, 6, 5] = 2.0, 1.0
    why = foveal.explain(Planted().eval(), x, foveal.Margin(0, 1), method="hirescam", layer="conv")
    assert why.map[0, 1, 2] > 0 > why.map[0, 6, 5]
    assert torch.allclose(why.map.sum(), why.score[0])  # type: ignore[index]


def test_all_methods_leaves_out_what_does_not_apply() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    assert [why.method for why in foveal.compare(model, x, methods="fast")] == list(FAST)
    on_every_stage = foveal.compare(model, x, methods="fast", layer="all")
    assert [why.method for why in on_every_stage] == [m for m in FAST if m != "cam"]
    with pytest.raises(MethodError, match="global average pooling"):
        foveal.compare(model, x, methods=["gradcam", "cam"], layer="all")


def test_a_batch_already_loaded_is_taken_as_it_is() -> None:
    batch = foveal.images.load_images(torch.randn(2, 3, 8, 8))
    assert torch.equal(foveal.explain(tiny(), batch).map, foveal.explain(tiny(), batch.tensor).map)


class Counted(Tiny):
    forwards = 0

    def forward(self, x: Tensor) -> Any:
        self.forwards += 1
        return super().forward(x)


def test_one_forward_predicts_and_explains_by_all_methods_at_all_layers() -> None:
    torch.manual_seed(0)
    model = Counted().eval()
    foveal.stages(model, torch.randn(1, 3, 8, 8))
    before = model.forwards
    foveal.compare(model, torch.randn(4, 3, 8, 8), methods=[*ONE_PASS, "eigencam"], layer="all")
    assert model.forwards == before + 1


def test_a_batch_is_its_images() -> None:
    model, x = tiny(), torch.randn(5, 3, 8, 10)
    together = foveal.explain(model, x, layer="all")
    for i in range(5):
        alone = foveal.explain(model, x[i], layer="all")
        assert alone.target[0] == together.target[i]
        for layer in together.layers:
            assert torch.allclose(alone.maps[layer][0], together.maps[layer][i], atol=1e-6)


def test_evidence_that_cancels_before_a_normalisation_is_said_to_be_noise() -> None:
    """ConvNeXt normalizes over channels right behind each stage: gradient and activation are orthogonal there."""
    model, x = architecture("convnext_tiny"), torch.randn(1, 3, 96, 96)
    hirescam, gradcam = foveal.compare(model, x, methods=["hirescam", "gradcam"], layer="features.3")
    assert any("noise" in note for note in hirescam.notes)
    assert not any("noise" in note for note in gradcam.notes)
    resnet = foveal.explain(architecture("resnet18"), x, method="hirescam", layer="all")
    assert not any("noise" in note for note in resnet.notes)


def test_label_free_methods_stop_at_the_layer_and_claim_no_decision() -> None:
    model = tiny()
    ran: list[int] = []
    model.fc.register_forward_hook(lambda *_: ran.append(1))
    foveal.stages(model, torch.randn(1, 3, 8, 8))
    ran.clear()
    why = foveal.explain(model, torch.randn(1, 3, 8, 8), method="eigencam", layer="relu2")
    assert not ran
    assert why.score is None and why.probability is None
    assert foveal.explain(model, torch.randn(1, 3, 8, 8), 1, method="eigencam").score is not None


def test_label_free_methods_agree_on_the_call_of_a_reused_module() -> None:
    relu = nn.ReLU()
    torch.manual_seed(0)
    model = nn.Sequential(
        OrderedDict(a=nn.Conv2d(3, 4, 3), r=relu, b=nn.Conv2d(4, 4, 3), r2=relu, p=nn.Flatten())
    ).eval()
    x = torch.randn(1, 3, 8, 8)
    stopped = foveal.explain(model, x, method="eigencam", layer="r")
    full = foveal.explain(model, x, 0, method="eigencam", layer="r")
    assert torch.equal(stopped.map, full.map)
    assert any("runs 2 times" in note for note in full.notes)


def test_units_are_explained_at_the_stage_before_and_the_forward_ends_there() -> None:
    model = architecture("resnet18")
    ran: list[int] = []
    model.fc.register_forward_hook(lambda *_: ran.append(1))
    x = torch.randn(2, 3, 64, 64)
    foveal.stages(model, x)
    ran.clear()
    why = foveal.explain(model, x, foveal.Neuron("layer3", 7), method="hirescam")
    assert not ran
    assert why.layer == "layer2"
    assert why.target[0].startswith("layer3, channel 7")
    with pytest.raises(LayerError, match="does not depend"):
        foveal.explain(model, x, foveal.Neuron("layer1", 0), layer="layer3")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inside_no_grad_with_frozen_weights(mode: Any, no_trace: NoTrace) -> None:
    model, x = tiny().requires_grad_(False), torch.randn(1, 3, 8, 8)
    expected = foveal.explain(model, x).map
    with mode(), no_trace(model):
        assert torch.equal(foveal.explain(model, x).map, expected)


def test_a_backbone_under_no_grad_is_explained_all_the_same() -> None:
    why = foveal.explain(Frozen().eval(), torch.randn(1, 3, 8, 8), layer="backbone.relu1")
    assert float(why.map.abs().amax()) > 0
    assert any("turns gradients off" in note for note in why.notes)


class Wrapped(nn.Module):
    """Returns what models from other libraries return."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.inner = tiny()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.inner(x))


@pytest.mark.parametrize(
    "wrap", [lambda y: {"logits": y, "hidden": None}, lambda y: (y, y.mean()), lambda y: [y], lambda y: y[:, :1]]
)
def test_whatever_the_model_returns(wrap: Any) -> None:
    x = torch.randn(2, 3, 8, 8)
    plain = foveal.explain(tiny(), x, 0, layer="relu2")
    why = foveal.explain(Wrapped(wrap).eval(), x, 0, layer="inner.relu2")
    sign = -1 if wrap(torch.zeros(1, 3)).__class__ is Tensor else 1
    assert torch.allclose(why.map, sign * plain.map)


def test_one_logit_explains_both_sides() -> None:
    model = Wrapped(lambda y: y[:, :1]).eval()
    x = torch.randn(1, 3, 8, 8)
    yes, no = (foveal.explain(model, x, side, layer="inner.relu2", task="classes") for side in (1, 0))
    assert torch.allclose(yes.map, -no.map)
    assert torch.allclose(yes.probability + no.probability, torch.ones(1))  # type: ignore[operator]


def test_any_callable_is_a_target() -> None:
    why = foveal.explain(tiny(), torch.randn(2, 3, 8, 8), lambda out: out[:, 0] - out[:, 1:].mean(1))
    assert why.target == ("<lambda>", "<lambda>")


def test_double_precision_is_honored() -> None:
    model, x = tiny().double(), torch.randn(1, 3, 8, 8).double()
    why = foveal.explain(model, x)
    assert why.map.dtype == torch.float64
    assert torch.allclose(why.map.float(), foveal.explain(tiny(), x.float()).map, atol=1e-6)


def test_one_channel_and_odd_sizes() -> None:
    why = foveal.explain(tiny(channels=1), torch.randn(1, 1, 7, 13), layer="all")
    assert why.maps["relu1"].shape == (1, 7, 13) and why.maps["relu2"].shape == (1, 3, 6)


def test_photos_of_all_kinds(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[2:8, 20:28, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "red.png")
    kinds = [tmp_path / "red.png", str(tmp_path / "red.png"), pixels, Image.fromarray(pixels)]
    why = foveal.explain(
        Planted().eval(), kinds, "red", layer="conv", preprocessing=PLAIN, labels=["red", "green", "blue"]
    )
    assert len(why) == 4
    assert all(torch.equal(why.map[0], map) for map in why.map)
    assert why.target[0] == "red (0)"
    on_photo = why.photos[0].geometry.map_to_photo(why.map[0])
    assert on_photo.shape == (20, 30)
    row, column = np.unravel_index(int(np.argmax(on_photo)), on_photo.shape)
    assert 2 <= row < 8 and 20 <= column < 28


def test_photos_go_where_the_weights_are() -> None:
    model = Planted().double().eval()
    why = foveal.explain(model, np.full((8, 8, 3), 200, np.uint8), 0, preprocessing=PLAIN)
    assert why.map.dtype == torch.float64


@pytest.mark.slow
def test_compiled_models(no_trace: NoTrace) -> None:
    x = torch.randn(1, 3, 8, 8)
    compiled = torch.compile(tiny(), backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(x)
    with no_trace(compiled):  # type: ignore[arg-type]
        why = foveal.explain(compiled, x)  # type: ignore[arg-type]
    assert torch.equal(why.map, foveal.explain(tiny(), x).map)
    assert any("compiled" in note for note in why.notes)
    assert why.model == "Tiny"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layer": "fc"}, LayerError, r"gives \(1, 3\).*nearest feature map is 'relu2'"),
        ({"layer": "relu3"}, LayerError, "relu1|relu2"),
        ({"method": "gradcan"}, MethodError, "gradcam"),
        ({"target": 7}, TargetError, "0 to 2"),
        ({"target": "jay"}, TargetError, "labels"),
        ({"target": lambda out: out.sum()}, TargetError, "1 score|1 scores for 2|for 2"),
        ({"target": lambda out: out[:, 0] / 0}, TargetError, "nothing can be explained"),
    ],
)
def test_bad_input_is_told_in_one_sentence(
    arguments: Any, error: type[Exception], message: str, no_trace: NoTrace
) -> None:
    model = tiny()
    x = torch.randn(2 if "target" in arguments and callable(arguments["target"]) else 1, 3, 8, 8)
    with no_trace(model), pytest.raises(error, match=message) as caught:
        foveal.explain(model, x, **arguments)
    assert "\n" not in str(caught.value)


def test_something_that_is_no_model() -> None:
    with pytest.raises(ModelError, match="load_model"):
        foveal.explain("demo", torch.randn(1, 3, 8, 8))  # type: ignore[arg-type]


def test_stages_without_an_example_need_a_known_input() -> None:
    with pytest.raises(ModelError, match="example"):
        foveal.stages(tiny())
    known = foveal.Model(tiny(), "tiny", PLAIN)
    assert [stage.name for stage in foveal.stages(known)] == ["relu1", "relu2"]


def test_two_hundred_explanations_leave_nothing_behind(no_trace: NoTrace, alive: Callable[[], int]) -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    foveal.explain(model, x)
    with no_trace(model):
        counts = []
        for number in range(200):
            foveal.explain(model, x)
            if number % 50 == 49:
                counts.append(alive())
    assert counts[-1] <= counts[0] + 5


def test_explaining_inside_a_training_loop() -> None:
    """Between forward and backward of the user's own step, whose gradients must come out as if nothing had been."""
    x, y = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
    gradients = []
    for interrupt in (False, True):
        model = tiny().train()
        loss = nn.functional.cross_entropy(model(x), y)
        if interrupt:
            foveal.explain(model, x, y, layer="all")
        loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])  # type: ignore[union-attr]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_result_tells_what_it_is() -> None:
    why = foveal.explain(tiny(), torch.randn(1, 3, 8, 8), 2, task="classes")
    assert (why.method, why.model, why.layer) == ("gradcam", "Tiny", "relu2")
    assert why.target_spec["index"] == [2]
    assert 0 < float(why.probability[0]) < 1  # type: ignore[index]
    assert why.seconds > 0 and set(why.versions) >= {"foveal", "torch", "python"}
