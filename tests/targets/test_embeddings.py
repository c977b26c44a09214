"""Networks that give an embedding: what is certain is an error, what is likely a note, and no classifier is touched."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import foveal
from foveal.engine.embedding_signs import embedding_sign
from foveal.engine.stages import describe
from foveal.errors import TargetError


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm(self.conv(x))).relu()


class Normalized(nn.Module):
    """The rows of another network's output, of length 1."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(self.inner(x))


def convolutions(width: int = 8, size: int = 3) -> list[nn.Module]:
    return [nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.Conv2d(width, width, size), nn.ReLU()]


POOL = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


def seeded(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(*layers)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    return net.eval()


X = torch.randn(2, 3, 16, 16)
CERTAIN = {
    "residual": lambda: seeded(*convolutions(), Block(8), *POOL),
    "normalized": lambda: Normalized(seeded(*convolutions(), *POOL, nn.Linear(8, 6))),
    "batch norm": lambda: seeded(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()),
    "layer norm": lambda: seeded(*convolutions(), *POOL, nn.LayerNorm(8)),
    "projection": lambda: seeded(*convolutions(), *POOL, nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU()),
}
LIKELY = {
    "convolution": lambda: seeded(*convolutions(), *POOL),
    "pointwise": lambda: seeded(*convolutions(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU(), *POOL),
    "rectified": lambda: seeded(*convolutions(), *POOL, nn.Linear(8, 6), nn.ReLU()),
    "bottleneck": lambda: seeded(*convolutions(), *POOL, nn.Linear(8, 6), nn.BatchNorm1d(6)),
}
CLASSIFIERS = {
    "linear": lambda: seeded(*convolutions(), Block(8), *POOL, nn.Linear(8, 6)),
    "pointwise": lambda: seeded(*convolutions(), nn.Conv2d(8, 6, 1), *POOL),
    "squeezenet": lambda: seeded(*convolutions(), nn.Conv2d(8, 6, 1), nn.ReLU(), *POOL),
    "softmax": lambda: seeded(*convolutions(), *POOL, nn.Linear(8, 6), nn.Softmax(1)),
}


@pytest.mark.parametrize("kind", CERTAIN)
@pytest.mark.parametrize("layer", [None, "input"])
def test_no_class_of_what_is_certainly_an_embedding(kind: str, layer: str | None) -> None:
    net = CERTAIN[kind]()
    method = "gradcam" if layer is None else "inputxgradient"
    for target in (None, foveal.Margin(), foveal.Margin(1)):
        with pytest.raises(TargetError, match=r"predicts no class.*foveal\.match.*foveal\.Similar"):
            foveal.explain(net, X, target, method=method, layer=layer)
    why = foveal.explain(net, X, 3, method=method, layer=layer)
    assert why.target == ("output 3",) * 2 and why.probability is None
    assert any("looks like an embedding" in note for note in why.notes)
    assert foveal.explain(net, X, task="classes", method=method, layer=layer).probability is not None


@pytest.mark.parametrize("kind", LIKELY)
def test_no_probability_of_what_is_likely_an_embedding(kind: str) -> None:
    why = foveal.explain(LIKELY[kind](), X)
    assert why.target[0].startswith("output ") and why.probability is None
    assert any("looks like an embedding" in note and "task='classes'" in note for note in why.notes)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers_stay_classifiers(kind: str) -> None:
    net = CLASSIFIERS[kind]()
    why = foveal.explain(net, X)
    assert describe(net, X).embedding is None and (why.probability is None) == (kind != "softmax")
    assert not any("looks like" in note for note in why.notes)


@pytest.mark.parametrize("kind", [*CERTAIN, *LIKELY])
def test_labels_that_fit_say_that_the_outputs_are_classes(kind: str) -> None:
    net = {**CERTAIN, **LIKELY}[kind]()
    outputs = net(X).shape[1]
    labels = [f"class {k}" for k in range(outputs)]
    why = foveal.explain(net, X, labels=labels)
    assert why.target[0].startswith("class ") and why.probability is None and "not known" in why.meaning
    with pytest.raises(TargetError, match=rf"2 names for {outputs} outputs, which look like an embedding"):
        foveal.explain(net, X, labels=labels[:2])


def test_every_verb_refuses() -> None:
    net = CERTAIN["residual"]()
    for verb in (foveal.measure, foveal.audit):
        with pytest.raises(TargetError, match="predicts no class"):
            verb(net, X, explanations="gradcam")
    for alone in (foveal.sanity, foveal.compare, foveal.flow, foveal.decompose, foveal.parts):
        with pytest.raises(TargetError, match="predicts no class"):
            alone(net, X[:1])
    with pytest.raises(TargetError, match="predicts no class"):
        foveal.shortcuts(net, torch.randn(8, 3, 16, 16), [0, 1] * 4)


def test_a_network_of_no_classes_says_so_itself() -> None:
    net = CLASSIFIERS["linear"]()
    net.num_classes = 0  # as those of timm do
    with pytest.raises(TargetError, match="gives an embedding of 6 numbers"):
        foveal.explain(net, X)


def test_angles_have_unit_norm_and_are_no_certain_embedding() -> None:
    why = foveal.explain(Normalized(seeded(*convolutions(), *POOL, nn.Linear(8, 2))), X, 1)
    assert why.probability is None
    assert foveal.explain(Normalized(seeded(*convolutions(), *POOL, nn.Linear(8, 2))), X).target[0].startswith("output")


def test_nothing_runs_more_often() -> None:
    calls = []
    for kind in ("linear", "squeezenet"):
        net = CLASSIFIERS[kind]()
        net.register_forward_hook(lambda *_: calls.append(1))
        foveal.explain(net, X)  # traced, then explained
        assert len(calls) == 2
        foveal.explain(net, X)
        assert len(calls) == 3
        calls.clear()
        foveal.explain(net, X + 1, method="inputxgradient", layer="input", task="classes")
        assert len(calls) == 1
        calls.clear()


@given(st.integers(1, 4), st.integers(5, 40), st.floats(0.01, 100))
def test_unit_norm_is_seen_at_any_size_and_scores_are_not(n: int, k: int, scale: float) -> None:
    scores = torch.randn(n, k, generator=torch.Generator().manual_seed(n * k), requires_grad=True)
    sign = embedding_sign(functional.normalize(scores * scale))
    assert sign is not None and sign.certain and "unit norm" in sign.words
    assert embedding_sign(scores * 3) is None
