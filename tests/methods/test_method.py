"""Methods by name, with options, and what several of them cost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import foveal
from foveal.errors import LayerError, MethodError
from foveal.methods import COMPARING, FAST, METHODS, find_method, find_methods
from tests import forked
from tests.networks import tiny


def test_options_follow_a_colon() -> None:
    method = find_method("LRP-Epsilon:epsilon=0.1")
    assert method.name == "lrp-epsilon" and method.options == {"epsilon": 0.1}
    assert find_method("lrp-alphabeta:alpha=1,bias=false").options == {"alpha": 1.0, "sums": "same-sign", "bias": False}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("lrp-epsilon:epsilon", "write lrp-epsilon:epsilon=VALUE"),
        ("lrp-epsilon:epsilon=much", "it is a float"),
        ("lrp-zplus:bias=maybe", "it is a bool"),
        ("lrp-zplus:weight=2", "its options are: sums=same-sign, bias=True"),
        ("gradcam:epsilon=1", "its options are: none"),
        ("lrp-zplus:sums=large", "give plain"),
        ("lrp-epsilom", "lrp-epsilon"),
    ],
)
def test_a_wrong_option_is_told_in_one_sentence(written: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        foveal.explain(tiny(), torch.rand(1, 3, 8, 8), method=written)


def test_words_for_several() -> None:
    assert set(find_methods("all")) == set(METHODS)
    assert tuple(find_methods("fast")) == (*FAST, *COMPARING)
    assert list(find_methods(["gradcam", "lrp-epsilon:epsilon=0.5", "gradcam"])) == [
        "gradcam",
        "lrp-epsilon:epsilon=0.5",
    ]
    assert list(find_methods("lrp-epsilon:epsilon=1e-6")) == ["lrp-epsilon"]


IMPORTED = """
import sys
from foveal.methods import METHODS, find_method
def files(): return [name for name in NAMES if f"foveal.methods.{name}" in sys.modules]
NAMES = ("cam", "guided", "relevance", "scorecam", "rise", "deeplift", "fam", "gap")
assert not files()
find_method("Grad-CAM")
assert files() == ["cam"], files()
find_method("guidedbackprop")
assert files() == ["cam", "guided"], files()
len(METHODS)
assert files() == [*NAMES], files()
"""


def test_a_method_is_imported_when_it_is_asked_for() -> None:
    ran = forked.code(IMPORTED)
    assert ran.returncode == 0, ran.stderr


def test_a_method_of_your_own_is_in_no_list_of_ours() -> None:
    """FAST and COMPARING may be asked for after it was registered."""
    ran = forked.code(
        "import foveal\n@foveal.register\ndef mine(A, G): return A.sum(1)\n"
        "from foveal.methods import COMPARING, FAST, METHODS, find_methods\n"
        "assert 'mine' in METHODS and 'mine' not in (*FAST, *COMPARING) and list(find_methods('fast'))[-1] == 'mine'\n"
        "assert list(METHODS.registered) == ['mine'] and METHODS.families['Registered'][0].name == 'mine'"
    )
    assert ran.returncode == 0, ran.stderr


def test_the_same_method_twice_with_other_options() -> None:
    found = foveal.compare(tiny(), torch.rand(2, 3, 8, 8), methods=["lrp-epsilon", "lrp-epsilon:epsilon=0.5"])
    assert [why.method for why in found] == ["lrp-epsilon", "lrp-epsilon:epsilon=0.5"]
    assert [why.parameters["epsilon"] for why in found] == [1e-6, 0.5]
    assert not torch.equal(found[0].map, found[1].map)


def test_methods_with_the_same_backward_share_it() -> None:
    """One forward for all derivatives, one for each set of rules."""
    model, forwards = tiny(), []
    model.conv1.register_forward_hook(lambda *_: forwards.append(1))
    x = torch.rand(1, 3, 8, 8)
    foveal.stages(model, x)
    forwards.clear()
    foveal.compare(model, x, 0, methods=["gradcam", "hirescam", "gradient", "excitationbp", "lrp-zplus"], layer="relu1")
    assert len(forwards) == 3


class TestInput:
    """The network's input as a layer."""

    def test_the_gradient_there(self) -> None:
        model, x = tiny(), torch.rand(2, 3, 8, 8, requires_grad=True)
        (G,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
        why = foveal.explain(model, x, 1, method="hirescam", layer="input")
        assert why.layer == "input" and torch.allclose(why.map, (G * x).sum(1).detach(), atol=1e-7)

    def test_beside_other_layers(self) -> None:
        why = foveal.explain(tiny(), torch.rand(1, 3, 8, 8), layer=["input", "relu1", -1])
        assert why.layers == ("input", "relu1", "relu2")

    def test_without_running_the_network(self) -> None:
        why = foveal.explain(tiny(), torch.rand(1, 3, 8, 8), method="eigencam", layer="input")
        assert why.map.shape == (1, 8, 8)

    def test_an_input_that_the_network_overwrites(self) -> None:
        model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        x = torch.randn(1, 3, 6, 6)
        before = x.clone()
        why = foveal.explain(model.eval(), x, 0, method="hirescam", layer="input")
        expected = (model[1].weight[0] * before.relu()).sum(1).detach() / 36  # type: ignore[index]
        assert torch.equal(x, before) and torch.allclose(why.map, expected, atol=1e-6)

    def test_a_module_of_that_name_comes_first(self) -> None:
        model = nn.Sequential()
        model.add_module("input", nn.Conv2d(3, 5, 3))
        model.add_module("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        assert foveal.explain(model.eval(), torch.rand(1, 3, 8, 8), layer="input").map.shape == (1, 6, 6)

    def test_it_must_reach_the_score(self) -> None:
        class Constant(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv, self.bias = nn.Conv2d(3, 2, 1), nn.Parameter(torch.ones(2))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                self.conv(x)
                return self.bias.expand(len(x), 2)

        with pytest.raises(LayerError, match="does not depend on layer 'input'"):
            foveal.explain(Constant(), torch.rand(1, 3, 8, 8), layer="input")
