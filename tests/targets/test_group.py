"""Several classes as one: the score, its probability, its maps, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import foveal
from foveal.errors import TargetError
from foveal.targets import Class, Group, ModelOutput
from tests.networks import Planted, tiny

LABELS = ("red fox, Vulpes vulpes", "grey fox", "wolf", "house cat", "lynx")
SCORES = torch.tensor([[0.0, 3.0, 1.0, -1.0, 2.0], [5.0, 0.0, 1.0, 2.0, 4.0]])


def decide(target: Group, output: Tensor = SCORES, labels: Any = LABELS, task: Any = "classes") -> Any:
    return target.decide(ModelOutput(output, {}, labels, task))


@pytest.mark.parametrize(
    ("classes", "index"),
    [
        ("*fox*", [0, 1]),
        ("* FOX", [0, 1]),
        ("vulpes*", [0]),
        ("l?nx", [4]),
        (["*fox*", "wolf", 0], [0, 1, 2]),
        (range(1, 4), [1, 2, 3]),
        (torch.tensor([4, 4, 2]), [4, 2]),
        ("lynx", [4]),
        (-1, [4]),
    ],
)
def test_classes_as_people_write_them(classes: Any, index: list[int]) -> None:
    verdict = decide(Group(classes))
    assert verdict.spec["classes"] == index
    assert torch.allclose(verdict.score, SCORES[:, index].exp().sum(1).log())
    assert torch.allclose(verdict.probability, SCORES.softmax(1)[:, index].sum(1))
    assert verdict.spec["strongest"] == [best in index for best in SCORES.argmax(1).tolist()]
    assert verdict.spec["member"] == [max(index, key=lambda i, row=row: row[i]) for row in SCORES]


def test_a_star_in_a_label_is_a_star() -> None:
    assert decide(Group("a*"), labels=("ab", "a*", "c", "d", "e")).spec["classes"] == [1]


def test_what_it_is_called() -> None:
    assert decide(Group("lynx")).label[0] == "lynx (4)"
    assert decide(Group([1, 2])).label == ("grey fox (1) or wolf (2)",) * 2
    assert decide(Group(range(4))).label[0].startswith("one of 4 classes: red fox, Vulpes vulpes (0), grey fox (1), ")
    assert decide(Group([1, 2], name="canine")).label[0] == "canine (one of 2 classes)"


@pytest.mark.parametrize(
    ("classes", "labels", "message"),
    [
        ([], LABELS, "at least one class"),
        ("*bear*", LABELS, "no class of the model fits"),
        ("*fox*", None, "labels are not known"),
        (range(5), LABELS, "probability 1 whatever"),
        ([0, 7], LABELS, "out of range"),
        ([True], LABELS, "cannot explain"),
    ],
)
def test_what_is_refused(classes: Any, labels: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        decide(Group(classes), labels=labels)


def test_what_the_output_means_is_heeded() -> None:
    with pytest.raises(TargetError, match="predicts values"):
        decide(Group([0, 1]), task="value")
    with pytest.raises(TargetError, match="embedding"):
        decide(Group([0, 1]), labels=None, task="embedding")
    several = decide(Group([0, 1]), task="labels")
    assert several.probability is None and torch.allclose(several.score, SCORES[:, :2].logsumexp(1))
    assert torch.allclose(decide(Group([1]), task="labels").probability, SCORES[:, 1].sigmoid())
    expected = decide(Group([0, 1]), SCORES.requires_grad_().sigmoid(), task="labels")
    assert torch.allclose(expected.score, SCORES[:, :2].sigmoid().sum(1)) and expected.probability is None
    SCORES.requires_grad_(False)


@pytest.mark.parametrize("ending", [torch.softmax, torch.log_softmax])
def test_a_network_that_ends_in_probabilities(ending: Any) -> None:
    verdict = decide(Group([1, 4]), ending(SCORES.clone().requires_grad_(), 1))
    chance = SCORES.softmax(1)[:, [1, 4]].sum(1)
    assert torch.allclose(verdict.probability, chance)
    assert torch.allclose(verdict.score, chance if ending is torch.softmax else chance.log(), atol=1e-6)


@given(st.lists(st.floats(-200, 200), min_size=3, max_size=8), st.data())
def test_a_group_is_to_its_classes_what_a_class_would_be(logits: list[float], data: Any) -> None:
    """Put in their place as one logit, it has the same probability."""
    scores = torch.tensor([logits], dtype=torch.float64)
    own = data.draw(st.sets(st.integers(0, len(logits) - 1), min_size=1, max_size=len(logits) - 1))
    verdict = decide(Group(sorted(own)), scores, None, "classes")
    rest = [k for k in range(len(logits)) if k not in own]
    one = torch.cat([verdict.score[:, None], scores[:, rest]], 1).softmax(1)[:, 0]
    assert torch.allclose(one, verdict.probability, atol=1e-12)


def model(classes: int = 5) -> foveal.Model:
    return foveal.Model(tiny(3, classes=classes), "tiny", labels=LABELS[:classes], task="classes")


X = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(1))


def test_a_group_of_one_is_the_class() -> None:
    one, same = foveal.explain(model(), X, Group("wolf")), foveal.explain(model(), X, Class("wolf"))
    assert torch.equal(one.map, same.map) and one.target == same.target
    assert torch.equal(one.score, same.score) and torch.equal(one.probability, same.probability)


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_its_map_is_the_mean_of_its_classes_maps(method: str) -> None:
    """By the share that each has of the group's probability: the derivative of log Σ exp, by hand."""
    net = model()
    why = foveal.explain(net, X, Group("*fox*"), method=method)
    logits = net.module(X)
    shares = logits[:, :2].detach().exp() / logits[:, :2].detach().exp().sum(1, keepdim=True)
    each = torch.stack([foveal.explain(net, X, k, method=method).map for k in (0, 1)], 1)
    assert torch.allclose(why.map, (each * shares[:, :, None, None]).sum(1), atol=1e-6)


def test_its_map_by_autograd() -> None:
    net = model()
    A = net.module.features(X).detach().requires_grad_()
    score = net.module.fc(A.mean((2, 3)))[:, [1, 2]].exp().sum(1).log()
    (G,) = torch.autograd.grad(score.sum(), A)
    why = foveal.explain(net, X, Group([1, 2]), method="gradcam")
    assert torch.allclose(why.map, (G.mean((2, 3), keepdim=True) * A).sum(1), atol=1e-6)
    assert torch.allclose(why.score, score, atol=1e-6)


def test_evidence_of_any_of_its_classes_is_found() -> None:
    """Red in one corner, green in another, blue in a third: the group of red and green has the first two."""
    x = torch.zeros(1, 3, 9, 9)
    x[0, 0, :2, :2] = x[0, 1, :2, -2:] = x[0, 2, -2:, -2:] = 1
    map = foveal.explain(foveal.Model(Planted(), "planted", task="classes"), x, Group([0, 1]), method="hirescam").map[0]
    lit = torch.zeros(9, 9, dtype=torch.bool)
    lit[:2, :2] = lit[:2, -2:] = True
    assert bool((map[lit] > 0).all()) and bool((map[~lit] == 0).all())


def test_deeplift_goes_through_the_logarithm_of_the_sum() -> None:
    """Its parts sum to the difference of the scores, or it would refuse."""
    net = model()
    why = foveal.explain(net, X, Group([0, 1, 4]), method="deeplift")
    zero = net.module(torch.zeros_like(X))[:, [0, 1, 4]].logsumexp(1)
    assert torch.allclose(why.map.sum((1, 2)), why.score - zero, rtol=1e-3, atol=1e-5)


def test_relevance_starts_from_each_class_by_its_share() -> None:
    net = model()
    logits = net.module(X).detach()
    shares = logits[:, :2].softmax(1)
    each = [foveal.explain(net, X, k, method="excitationbp").map for k in (0, 1)]
    size = [foveal.explain(net, X, k, method="excitationbp").map.sum((1, 2)) for k in (0, 1)]
    why = foveal.explain(net, X, Group([0, 1]), method="excitationbp").map
    assert all(torch.allclose(s, torch.ones(2), atol=1e-4) for s in size)
    assert torch.allclose(why, sum(m * shares[:, k, None, None] for k, m in enumerate(each)), atol=1e-4)


class Summed(nn.Module):
    """A network that takes log Σ exp itself."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        logits = self.inner(x)
        return torch.stack([torch.logsumexp(logits[:, :3], dim=1), logits[:, 3:].logsumexp(1, True)[:, 0]], 1)


def test_a_network_that_sums_itself_has_the_same_maps() -> None:
    net = model()
    own = foveal.Model(Summed(net.module), "summed", task="classes")
    for method in ("gradcam", "deeplift", "integratedgradients"):
        mine, its = foveal.explain(net, X, Group(range(3)), method=method), foveal.explain(own, X, 0, method=method)
        assert torch.allclose(mine.map, its.map, atol=1e-5) and torch.allclose(mine.probability, its.probability)
