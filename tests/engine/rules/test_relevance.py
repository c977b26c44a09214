"""Relevance through real and awkward networks: what is conserved, what is seen, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.errors import MethodError
from tests.networks import ARCHITECTURES, Planted, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

LRP = ("lrp-epsilon", "lrp-gamma", "lrp-zplus", "lrp-alphabeta")
ALL = (*LRP, "excitationbp", "relevancecam")


def without_offsets(model: nn.Module) -> nn.Module:
    """No biases, no running means: nothing but the image can take relevance."""
    with torch.no_grad():
        for module in model.modules():
            for name in ("bias", "running_mean"):
                if isinstance(getattr(module, name, None), Tensor):
                    getattr(module, name).zero_()
    return model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_relevance_is_conserved(name: str) -> None:
    """Without biases, all of the score arrives at the pixels; with them, what is missing is accounted for."""
    x = torch.randn(2, 3, ARCHITECTURES[name], ARCHITECTURES[name])
    for model, accounted in ((without_offsets(architecture(name)), False), (architecture(name), True)):
        for method in LRP:
            found = foveal.explain(model, x, method=method).measured["input"]
            score, relevance = torch.tensor(found["score"]), torch.tensor(found["relevance"])
            taken = torch.tensor(found["taken by biases and stabilizers"])
            total = relevance + (taken if accounted else 0)
            assert torch.allclose(total, score, rtol=1e-4, atol=0), (method, accounted)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_excitation_is_a_probability(name: str) -> None:
    """Nothing negative, and all of it arrives, at every stage, where no bias lights a unit without any input."""
    model = without_offsets(architecture(name))
    x = torch.rand(2, 3, ARCHITECTURES[name], ARCHITECTURES[name])
    why = foveal.explain(model, x, method="excitationbp", layer="all")
    for layer, map in why.maps.items():
        assert torch.allclose(map.sum((1, 2)), torch.ones(2), rtol=1e-3), layer


def test_relevance_by_hand() -> None:
    """y = relu(2a − b) + b with a = 3, b = 1: 5 of 6 through the unit; of these 6/5 to a and −1/5 to b."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 1, 1, bias=False)
            self.conv.weight.data = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return (F.relu(self.conv(x)) + x[:, 1:]).flatten(1)

    x = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 1, 1)
    for method, expected in (("lrp-epsilon", 6.0), ("lrp-zplus", 6.0), ("lrp-alphabeta", 6.0)):
        why = foveal.explain(Two(), x, lambda out: out.sum(1), method=method)
        assert float(why.map) == pytest.approx(expected, rel=1e-5)
    G = foveal.explain(Two(), x, lambda out: out.sum(1), method="lrp-zplus")
    assert float(G.map) == pytest.approx(6.0)


class Functional(nn.Module):
    """One network written twice: with modules, or with functions, in place, and a ReLU used again and again."""

    def __init__(self, style: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.style = style
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.fc = nn.BatchNorm2d(6), nn.Linear(12, 3)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.norm.running_mean.normal_()  # type: ignore[union-attr]
        self.norm.bias.data.normal_()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if self.style == "modules":
            a = self.relu1(self.conv1(x))
            b = self.relu2(self.norm(self.conv2(a)) + a)
            return self.fc(self.relu3(torch.cat([b, a], 1)).mean((2, 3)))  # type: ignore[no-any-return]
        if self.style == "functions":
            a = F.relu(F.conv2d(x, self.conv1.weight, self.conv1.bias, padding=1))
            b = torch.relu(torch.add(self.norm(self.conv2(a)), a))
            return F.linear(torch.cat((b, a), dim=1).relu().flatten(2).mean(2), self.fc.weight, self.fc.bias)
        if self.style == "in place":
            a = F.relu(self.conv1(x), inplace=True)
            b = self.norm(self.conv2(a))
            b += a
            b.relu_()
            return self.fc(torch.cat([b, a], 1).relu_().mean((2, 3)))  # type: ignore[no-any-return]
        a = self.relu1(self.conv1(x))
        b = self.relu1(self.norm(self.conv2(a)).add_(a))
        return self.fc(self.relu1(torch.cat([b, a], 1)).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("style", ["functions", "in place", "reused"])
@pytest.mark.parametrize("method", [*ALL, "lrp-epsilon:epsilon=0.5", "guidedbackprop", "deconvnet"])
def test_how_a_network_is_written_does_not_matter(method: str, style: str) -> None:
    x = torch.randn(2, 3, 8, 8)
    plain = foveal.explain(Functional("modules"), x, 1, method=method, layer="input").map
    other = foveal.explain(Functional(style), x, 1, method=method, layer="input").map
    assert torch.allclose(plain, other, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))


@pytest.mark.parametrize("method", ["guidedbackprop", "deconvnet", "lrp-epsilon"])
@pytest.mark.parametrize("kind", [nn.ReLU6, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.ELU])
def test_in_place_activations_whose_derivative_needs_what_they_overwrite(kind: type[nn.Module], method: str) -> None:
    if method == "deconvnet" and kind is not nn.ReLU6:
        pytest.skip("defined for ReLU")
    x = torch.randn(2, 3, 8, 8)

    class Sliced(nn.Module):
        """The second activation works on a part of a tensor."""

        def __init__(self, *, inplace: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.fc, self.act = nn.Conv2d(3, 8, 3), nn.Linear(8, 3), kind(inplace=inplace)  # type: ignore[call-arg]
            self.inplace = inplace

        def forward(self, x: Tensor) -> Tensor:
            a = self.act(self.conv(x))
            if self.inplace:
                a = a * 2
                self.act(a[:, :4])
            else:
                a = torch.cat([self.act(2 * a[:, :4]), 2 * a[:, 4:]], 1)
            return self.fc(a.mean((2, 3)))  # type: ignore[no-any-return]

    maps = [foveal.explain(Sliced(inplace=way), x, 1, method=method, layer="input").map for way in (False, True)]
    assert torch.allclose(*maps, rtol=1e-4, atol=1e-5 * float(maps[0].abs().max()))


@pytest.mark.parametrize("method", [*ALL, "guidedbackprop", "deconvnet"])
def test_no_trace_same_answer_twice_and_image_by_image(method: str, no_trace: NoTrace) -> None:
    model, x = tiny(inplace=True), torch.randn(3, 3, 12, 12)
    with no_trace(model):
        why = foveal.explain(model, x, method=method, layer="input")
        again = foveal.explain(model, x, method=method, layer="input")
        alone = torch.cat([foveal.explain(model, one[None], method=method, layer="input").map for one in x])
    assert torch.equal(why.map, again.map)
    assert torch.allclose(why.map, alone, atol=1e-5 * float(why.map.abs().max()))


@pytest.mark.parametrize("method", ALL)
def test_the_evidence_is_where_it_was_planted(method: str) -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[:, 0, 2:4, 5:7] = 1
    x[:, 1, 6:8, 0:2] = 2
    map = foveal.explain(Planted(), x, 0, method=method, layer="relu").map[0]
    assert map.argmax() in (2 * 8 + 5, 2 * 8 + 6, 3 * 8 + 5, 3 * 8 + 6)


def test_relevance_at_a_layer_is_that_of_the_rest_of_the_network() -> None:
    """In a network without offsets every stage holds the whole score."""
    model = without_offsets(architecture("resnet18"))
    why = foveal.explain(model, torch.randn(2, 3, 64, 64), method="lrp-epsilon", layer="all")
    assert why.score is not None
    for layer, map in why.maps.items():
        assert torch.allclose(map.sum((1, 2)), why.score, rtol=1e-4), layer


def test_relevance_cam_starts_from_a_contrast() -> None:
    """As much against the rivals as in favor of the class: the relevance of all classes sums to zero."""
    model = without_offsets(tiny())
    for target in (1, foveal.Margin(0, 2)):
        found = foveal.explain(model, torch.rand(2, 3, 8, 8), target, method="relevancecam").measured
        (layer,) = found
        assert torch.allclose(torch.tensor(found[layer]["relevance"]), torch.zeros(2), atol=1e-6)


def test_relevance_cam_slowly() -> None:
    """A linear head by hand: the logit's relevance through positive weights, the rivals' taken away."""
    model = without_offsets(tiny())
    why = foveal.explain(model, x := torch.rand(2, 3, 8, 8), 1, method="relevancecam")
    with torch.no_grad():
        A = model.features(x)  # type: ignore[operator]
        pooled, W = A.mean((2, 3)), model.fc.weight.relu()  # type: ignore[union-attr, operator]
        score = model(x)[:, 1]
        parts = pooled[:, None] * W / (pooled @ W.T)[..., None]  # (n, classes, channels), each class sums to one
        R = score[:, None] * (parts[:, 1] - (parts[:, 0] + parts[:, 2]) / 2)
        by_hand = ((R / A[0, 0].numel())[:, :, None, None] * A).sum(1)
    assert torch.allclose(why.map, by_hand, atol=1e-6 * float(by_hand.abs().max()) + 1e-9)


class Using(nn.Module):
    def __init__(self, operation: Any) -> None:
        super().__init__()
        self.conv, self.operation, self.fc = nn.Conv2d(3, 4, 3), operation, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.operation(self.conv(x)).mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("operation", "named"),
    [
        (torch.sin, "sin"),
        (torch.exp, "exp"),
        (torch.abs, "abs"),
        (lambda a: a * a, "product of two features"),
        (lambda a: a @ a.transpose(2, 3), "matmul"),
        (F.softplus, "softplus"),
    ],
)
def test_an_operation_without_a_rule_is_named(operation: Any, named: str) -> None:
    with pytest.raises(MethodError, match=named):
        foveal.explain(Using(operation), torch.randn(1, 3, 8, 8), method="lrp-epsilon")


@pytest.mark.parametrize(
    "operation",
    [
        F.silu,
        F.gelu,
        F.relu6,
        F.hardswish,
        torch.tanh,
        lambda a: F.leaky_relu(a, 0.1),
        lambda a: a * torch.sigmoid(a),
        lambda a: a * torch.sigmoid(a.mean((2, 3), keepdim=True)),
        lambda a: a / a.norm(dim=1, keepdim=True),
        lambda a: F.normalize(a, dim=1),
        lambda a: (a - a.mean(1, keepdim=True)) / (a.var(1, keepdim=True) + 1e-5).sqrt(),
        lambda a: F.group_norm(a, 2),
        lambda a: F.instance_norm(a),
        lambda a: F.layer_norm(a, a.shape[1:]),
        lambda a: F.max_pool2d(a, 2) + F.avg_pool2d(a, 2),
        lambda a: F.adaptive_max_pool2d(a, 2),
        lambda a: F.interpolate(a, scale_factor=2),
        lambda a: a.clamp(0, 1),
        lambda a: torch.cat([c.relu() for c in a.chunk(2, 1)], 1),
        lambda a: 2 * a - a.flip(3) / 3,
    ],
)
@pytest.mark.parametrize("method", ["lrp-epsilon", "lrp-zplus"])
def test_operations_of_every_kind_conserve(operation: Any, method: str) -> None:
    torch.manual_seed(0)
    found = foveal.explain(without_offsets(Using(operation).eval()), torch.randn(3, 3, 9, 9), method=method).measured
    score, relevance = (torch.tensor(found["input"][key]) for key in ("score", "relevance"))
    assert torch.allclose(relevance, score, rtol=1e-4, atol=1e-6)


def test_probabilities_are_refused_where_relevance_cannot_reach_them() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1), nn.Sigmoid())
    with pytest.raises(MethodError, match="explain the logits"):
        foveal.explain(model, torch.randn(1, 3, 8, 8), method="lrp-epsilon")


def test_options_are_read_and_change_the_rule() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    plain, strong = (foveal.explain(model, x, method=f"lrp-epsilon{o}").map for o in ("", ":epsilon=1"))
    assert float(strong.abs().sum()) < float(plain.abs().sum())
    with pytest.raises(MethodError, match="no option 'gamma'"):
        foveal.explain(model, x, method="lrp-epsilon:gamma=2")


def test_deconvnet_is_defined_for_relu_only() -> None:
    with pytest.raises(MethodError, match="silu"):
        foveal.explain(Using(F.silu), torch.randn(1, 3, 8, 8), method="deconvnet")


def test_guided_backpropagation_by_hand() -> None:
    """Literally: a backward in which every ReLU passes G where x > 0 and G > 0."""
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    why = foveal.explain(model, x, [0, 2], method="guidedbackprop")
    with torch.no_grad():
        a = model.conv1(x)
        b = model.conv2(pooled := F.max_pool2d(a.relu(), 2))
    G = model.fc.weight[[0, 2]][:, :, None, None].expand_as(b) / b[0, 0].numel()
    G = F.conv_transpose2d(G.relu() * (b > 0), model.conv2.weight, padding=1)
    unpooled = torch.zeros_like(a)
    indices = F.max_pool2d(a.relu(), 2, return_indices=True)[1]
    unpooled.flatten(2).scatter_(2, indices.flatten(2), G.flatten(2))
    G = F.conv_transpose2d(unpooled.relu() * (a > 0), model.conv1.weight, padding=1)
    assert pooled.shape[2:] == (4, 4)
    assert torch.allclose(why.map, G.abs().amax(1), atol=1e-6)
