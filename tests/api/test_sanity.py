"""Sanity: an explainer of edges must fail, one of a linear head pass; layers forget everything they hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.engine.fresh import reinitialized
from foveal.errors import MethodError
from foveal.metrics.likeness import LIKENESS, absolute, hog, spearman, ssim
from foveal.results.sanity import Checked
from tests.networks import architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


class Held(nn.Module):
    """Weights that belong to no layer, and one that says how it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4, 1, 1), 0.3))
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.norm(self.conv(x)) * self.scale).mean((2, 3)))  # type: ignore[no-any-return]


def test_every_weight_and_statistic_is_forgotten_each_its_own_way() -> None:
    torch.manual_seed(0)
    net = Held()
    net.norm.running_mean = torch.ones(4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    reinitialized(net, ["", "conv", "norm", "fc"], seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    after = net.state_dict()
    same = [name for name in before if torch.equal(before[name], after[name])]
    # A fresh batch norm begins with ones, zeros and no statistics: that is what these were, or count nothing.
    assert same == ["norm.weight", "norm.bias", "norm.running_var", "norm.num_batches_tracked"]
    twins = nn.ModuleDict({"a": nn.Linear(5, 5), "b": nn.Linear(5, 5)})
    reinitialized(twins, ["a", "b"], seed=1)
    assert not torch.equal(twins["a"].weight, twins["b"].weight)  # layers of one shape do not become one another


def test_a_map_of_edges_fails_and_a_map_of_the_network_passes(no_trace: NoTrace) -> None:
    """Guided backprop through a network draws the picture; the gradient of the head does not."""
    torch.manual_seed(0)
    model, x = tiny(3), torch.randn(3, 3, 16, 16)
    with no_trace(model):
        found = foveal.sanity(model, x, methods=["gradcam", "inputxgradient", "eigencam"], steps=4)
    assert found.pictures == 3 and len(found.layers) == 3 and found.layers[-1] == "conv1"
    assert found.checked["eigencam"].curve[0]["spearman"] == pytest.approx(1)  # the head is none of its business
    assert found.checked["eigencam"].classes == pytest.approx(1) and found.checked["gradcam"].classes < 0.999
    assert found.checked["gradcam"].curve[-1]["spearman"] < 0.9
    assert all(value >= 0 for value in found.checked["gradcam"].stability)
    sheet = found.figure(side=500)
    assert sheet.width >= 500 and "randomized from fc to conv1" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["methods"]["gradcam"]["passed"] in (True, False)
    alone = foveal.sanity(model, x, methods=["gradcam"], steps=4, cascading=False, radii=())
    assert alone.checked["gradcam"].curve[0] == found.checked["gradcam"].curve[0]


def test_verdicts() -> None:
    def checked(kept: float, end: float, null: float) -> Checked:
        step = dict.fromkeys(LIKENESS, kept)
        return Checked((step, step, dict.fromkeys(LIKENESS, end)), dict.fromkeys(LIKENESS, null), None, ())

    assert checked(0.1, 0.0, 0.0).passed and checked(0.6, 0.2, 0.3).passed
    assert not checked(1.0, 1.0, 0.2).passed  # edges of the picture
    assert not checked(0.9, 0.0, 0.0).passed  # late layers do not matter to it
    assert not checked(0.1, 0.4, 0.1).passed


def test_steps_that_changed_nothing_and_maps_that_say_nothing_decide_nothing() -> None:
    def step(value: float) -> dict[str, float]:
        return dict.fromkeys(LIKENESS, value)

    nan = float("nan")
    lucky = (step(0.9), step(0.0), step(0.0), step(0.0))
    assert Checked(lucky, step(0), None, ()).passed
    assert not Checked(lucky, step(0), None, (), changed=(True, False, False, False)).passed
    assert Checked(lucky, step(0), None, (), changed=(False, True, False, True)).kept == 0
    for one in (
        Checked(lucky, step(0), None, (), blank=True),
        Checked(lucky, step(0), None, (), changed=(False,) * 4),
        Checked((step(0.1), step(nan)), step(0), None, ()),
        Checked((step(0.1), step(0)), step(nan), None, ()),
    ):
        assert one.undefined and not one.passed and one.verdict == "has no verdict"
    assert Checked((step(0.1), step(nan), step(0)), step(0), None, ()).passed  # lost on the way, and back


def plain(**changes: float) -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 10, 3, 2, 1), nn.ReLU())
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10, 4)).eval()
    for number, value in changes.items():
        model[int(number[1:])].weight.data.fill_(value)  # type: ignore[union-attr,operator]
    return model


X = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dead", ["_6", "_2"])
def test_a_method_without_maps_has_no_verdict(dead: str, no_trace: NoTrace) -> None:
    """Of a head of zeros the map is zero; behind a convolution of zeros it is the same everywhere."""
    model = plain(**{dead: 0.0})
    with no_trace(model):
        found = foveal.sanity(model, X, 1, methods=["gradcam", "hirescam"], radii=(0.1,))
    for name, one in found.checked.items():
        assert not one.passed and one.undefined and one.classes is None and np.isnan(one.stability[0])
        assert found.summary(name).startswith(f"{name} has no verdict: its maps are constant")
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["methods"]["gradcam"]["stability"] == [None] and not facts["methods"]["gradcam"]["passed"]
    assert "2 of 2 maps" in str(found) and found.figure(side=500).width >= 500


def test_maps_that_vanish_when_all_is_forgotten_pass_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.api import sanity

    explanations = sanity.explanations

    def vanishing(context: Any, *given: Any, **about: Any) -> Any:
        whys = explanations(context, *given, **about)
        forgot = "forward" in vars(context.model)
        return [replace(why, maps={at: 0 * map for at, map in why.maps.items()}) for why in whys] if forgot else whys

    monkeypatch.setattr(sanity, "explanations", vanishing)
    found = foveal.sanity(plain(), X, 1, radii=())
    assert "with all layers randomized" in found.summary("gradcam")


def test_a_random_network_without_a_map_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.api import sanity

    explanations = sanity.explanations

    def failing(context: Any, methods: Any, *given: Any, **about: Any) -> Any:
        if "forward" in vars(context.model) and [*methods] != ["gradcam"]:
            raise MethodError("the hirescam map is not finite")
        return explanations(context, methods, *given, **about)

    monkeypatch.setattr(sanity, "explanations", failing)
    found = foveal.sanity(plain(), X, 1, methods=["hirescam", "gradcam"], radii=())
    assert found.checked["gradcam"].undefined is None and found.checked["hirescam"].undefined
    assert found.notes == ("a random network has no map: the hirescam map is not finite",)


def test_layers_that_change_nothing_are_named_and_left_out() -> None:
    layers = [*plain()]
    model = nn.Sequential(*layers[:3], nn.BatchNorm2d(10), *layers[3:]).eval()  # begins as it would begin again
    found = foveal.sanity(model, X, 1, radii=())
    assert found.layers == ("7", "3", "2", "0") and found.checked["gradcam"].changed == (True, False, True, True)
    assert any("randomizing 3 did not change" in note for note in found.notes)
    assert found.to_dict()["methods"]["gradcam"]["changed"] == [True, False, True, True]
    together = foveal.sanity(model, X, 1, radii=(), steps=2)
    assert together.checked["gradcam"].changed == (True, True) and len(together.notes) == 1
    dead = plain()
    dead[0].weight.data.zero_(), dead[0].bias.data.fill_(-1), dead[2].register_parameter("bias", None)  # type: ignore[union-attr,operator]
    alone = foveal.sanity(dead, X, 1, radii=(), cascading=False, methods=["ablationcam"], layer="1")
    assert alone.checked["ablationcam"].changed == (True, False, True)  # nothing goes into the second


def test_the_other_class_is_another_one() -> None:
    model = plain()
    least = model(X).argmin(1).tolist()
    asked = foveal.sanity(model, X, least, radii=())  # also where the least likely one is explained
    assert asked.checked["gradcam"].classes is not None and asked.checked["gradcam"].classes < 0.999
    for single in (nn.Linear(10, 1), nn.Sequential(nn.Linear(10, 1), nn.Flatten(0))):
        regression = nn.Sequential(*[*model][:6], single).eval()
        for target in (None, 1, lambda output: output.flatten()):
            found = foveal.sanity(regression, X, target, radii=())
            assert found.checked["gradcam"].classes is None
    assert foveal.sanity(model, X, foveal.Neuron("2", 1), radii=()).checked["gradcam"].classes is None


def test_what_else_the_network_takes_and_how_it_is_found(no_trace: NoTrace) -> None:
    class Gain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.unused, self.drop = plain(), nn.Parameter(torch.ones(2)), nn.Dropout()

        def forward(self, x: Tensor, gain: Tensor) -> Tensor:
            return self.drop(self.net(x)) * gain[:, None]  # type: ignore[no-any-return]

    model = Gain().train()
    with no_trace(model):
        found = foveal.sanity(model, X, 1, inputs=torch.tensor([1.0, 2.0]), radii=(0.1,))
    expected = foveal.sanity(plain(), X, 1, radii=(0.1,)).checked["gradcam"]
    assert found.notes == ("no operation was seen to use unused: these weights were not randomized",)
    for step, other in zip(found.checked["gradcam"].curve, expected.curve, strict=True):
        assert step == pytest.approx(other, abs=1e-6)
    with torch.no_grad():
        again = foveal.sanity(plain(), X, 1, radii=(0.1,)).checked["gradcam"]
    assert again == expected


@settings(max_examples=20, deadline=None)
@given(h=st.integers(2, 12), w=st.integers(2, 12), seed=st.integers(0, 99))
def test_likeness_of_a_map_with_itself_its_negative_and_noise(h: int, w: int, seed: int) -> None:
    torch.manual_seed(seed)
    a, b = torch.randn(h, w), torch.randn(h, w)
    assert spearman(a, 3 * a + 1) == pytest.approx(1) and spearman(a, -a) == pytest.approx(-1)
    assert absolute(a, -a) == pytest.approx(1) and ssim(a, 5 * a - 2) == pytest.approx(1)
    for measure in LIKENESS.values():
        value, other = measure(a, b), measure(b, a)
        assert np.isnan(value) or (-1 - 1e-9 <= value <= 1 + 1e-9 and value == pytest.approx(other, abs=1e-9))


def test_oriented_gradients_know_directions() -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    waves = [torch.sin(x), torch.sin(x + 1), torch.sin(y)]
    assert hog(waves[0], waves[1]) > 0.8 and hog(waves[0], waves[2]) < 0.3
    assert np.isnan(ssim(torch.zeros(4, 4), x[:4, :4]))


def test_a_real_architecture_with_layer_scale(no_trace: NoTrace) -> None:
    model, x = architecture("convnext_tiny"), torch.randn(1, 3, 64, 64)
    with no_trace(model):
        found = foveal.sanity(model, x, methods=["gradcam"], steps=2, radii=())
    assert len(found.checked["gradcam"].curve) == 2


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)).save(picture)
    done = CliRunner().invoke(
        app, ["sanity", str(picture), "-m", "demo", "--steps", "2", "-o", str(tmp_path / "out"), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["methods"]["gradcam"]["summary"].startswith("gradcam ")
    assert (tmp_path / "out" / "sanity.png").exists() and "correlation by step" in done.stderr
