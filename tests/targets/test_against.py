"""A class against its rivals: Finer-CAM's difference, rivals that stay the same, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import foveal
from foveal.errors import TargetError
from foveal.targets import Against, Class, Margin, ModelOutput
from tests.networks import Planted, tiny

LABELS = ("jay", "crow", "rook", "magpie", "gull")
SCORES = torch.tensor([[0.0, 3.0, 1.0, -1.0, 2.0], [5.0, 0.0, 1.0, 2.0, 4.0]])
X = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(1))


def decide(target: Against, output: Tensor = SCORES, task: Any = "classes") -> Any:
    return target.decide(ModelOutput(output, {}, LABELS, task))


def model() -> foveal.Model:
    return foveal.Model(tiny(3, classes=5), "tiny", labels=LABELS, task="classes")


def test_the_class_less_the_mean_of_its_rivals() -> None:
    verdict = decide(Against())
    assert verdict.spec["index"] == [1, 0] and verdict.spec["rivals"] == [[4, 2, 0], [4, 3, 2]]
    assert verdict.score.tolist() == pytest.approx([3 - 0.6 * (2 + 1 + 0) / 3, 5 - 0.6 * (4 + 2 + 1) / 3])
    assert verdict.label[0] == "crow (1) − 0.6 × mean of gull (4), rook (2), jay (0)"
    named = decide(Against("jay", strength=0.5, rivals=["rook", 4]))
    assert named.score.tolist() == [0 - 0.5 * 1.5, 5 - 0.5 * 2.5] and named.spec["strongest"] == [False, True]
    each = decide(Against([1, 0], rivals=[[2], [3, 4]], strength=1))
    assert each.score.tolist() == [3 - 1, 5 - 3]
    assert each.label == ("crow (1) − rook (2)", "jay (0) − mean of magpie (3), gull (4)")
    assert decide(Against(k=4)).label[0].endswith("mean of gull (4), rook (2), jay (0) and 1 more")


def test_the_probability_among_it_and_its_rivals() -> None:
    chance = decide(Against(1, rivals=[4, 2])).probability
    assert torch.allclose(chance, SCORES[:, [1, 4, 2]].softmax(1)[:, 0])
    ended = decide(Against(1, rivals=[4, 2]), SCORES.clone().requires_grad_().softmax(1))
    assert torch.allclose(ended.probability, chance, atol=1e-6)
    assert decide(Against(1, rivals=[4, 2]), task="labels").probability is None
    one = Against(1).decide(ModelOutput(torch.tensor([[0.7]]), {}, ("no", "yes"), "classes"))
    assert float(one.probability) == pytest.approx(float(torch.tensor(0.7).sigmoid()))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda: Against(k=5), "has 4 other classes"),
        (lambda: Against(k=0), "whole number"),
        (lambda: Against(k=True), "whole number"),
        (lambda: Against(strength=-1), "strength"),
        (lambda: Against(strength=float("nan")), "strength"),
        (lambda: Against(strength="all"), "strength"),  # type: ignore[arg-type]
        (lambda: Against(k=2, rivals=[1]), "leave out k or rivals"),
        (lambda: Against(rivals=[]), "no rivals"),
        (lambda: Against(0, rivals=[[1], [2], [3]]), "3 lists of rivals were given for 2 images"),
        (lambda: Against("jay", rivals=["crow", "jay"]), "cannot be its own rival"),
        (lambda: Against("owl"), "no class 'owl'"),
    ],
)
def test_what_is_refused(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        decide(target())


def test_values_have_no_rivals() -> None:
    with pytest.raises(TargetError, match="predicts values"):
        decide(Against(), task="value")


def test_one_rival_at_full_strength_is_the_margin_and_none_the_class() -> None:
    net = model()
    for method in ("gradcam", "lrp-epsilon", "relevancecam", "occlusion", "deeplift"):
        margin = foveal.explain(net, X, Margin(), method=method)
        one = foveal.explain(net, X, Against(k=1, strength=1), method=method)
        assert one.target == margin.target
        assert torch.allclose(one.map, margin.map, atol=1e-6) and torch.allclose(one.score, margin.score)
        alone = foveal.explain(net, X, Against(strength=0), method=method).map
        if method != "relevancecam":  # which has rivals of its own
            assert torch.allclose(alone, foveal.explain(net, X, method=method).map, atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "occlusion"])
def test_its_map_is_the_class_s_less_the_mean_of_theirs(method: str) -> None:
    """Linear methods are linear in the score."""
    net = model()
    why = foveal.explain(net, X, Against("rook", k=2), method=method)
    own = foveal.explain(net, X, "rook", method=method).map
    rivals: Any = why.target_spec["rivals"]
    theirs = [foveal.explain(net, X, [row[k] for row in rivals], method=method).map for k in range(2)]
    assert torch.allclose(why.map, own - 0.6 * (theirs[0] + theirs[1]) / 2, atol=1e-5)


def test_its_map_by_autograd() -> None:
    net = model()
    A = net.module.features(X).detach().requires_grad_()
    logits = net.module.fc(A.mean((2, 3)))
    total = torch.zeros(())
    for row in logits:
        order = sorted(range(5), key=lambda k, row=row: -float(row.detach()[k]))
        total = total + row[order[0]] - 0.6 * (row[order[1]] + row[order[2]] + row[order[3]]) / 3
    (G,) = torch.autograd.grad(total, A)
    why = foveal.explain(net, X, Against())
    assert torch.allclose(why.map, (G.mean((2, 3), keepdim=True) * A).sum(1), atol=1e-6)


def test_what_class_and_rival_share_falls_away() -> None:
    """Classes 0 and 1 both see red; only 0 sees green: against 1 the green remains."""
    net = Planted()
    net.fc.weight.data = torch.tensor([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    x = torch.zeros(1, 3, 9, 9)
    x[0, 0, :2, :2] = x[0, 1, -2:, -2:] = 1
    model = foveal.Model(net, "planted", task="classes")
    plain = foveal.explain(model, x, 0, method="hirescam").map[0]
    map = foveal.explain(model, x, Against(0, k=1, strength=1), method="hirescam").map[0]
    assert float(plain[:2, :2].min()) > float(plain[-2:, -2:].max()) > 0
    assert bool((map[:2, :2] == 0).all()) and bool((map[-2:, -2:] > 0).all())


def test_altered_copies_are_judged_against_the_same_rivals() -> None:
    """Of a copy in which another class is second, the rival stays that of the image."""
    verdict = decide(Against(k=1))
    other = torch.tensor([[2.0, 1.0, 0.0, 9.0, 5.0]])
    pinned = verdict.per_image[0].decide(ModelOutput(other, {}, LABELS, "classes"))
    assert pinned.spec["rivals"] == [[4]] and pinned.score.tolist() == pytest.approx([1 - 0.6 * 5])
    assert pinned.label == verdict.label[:1]


def test_measures_read_the_probability_among_them() -> None:
    scores = foveal.measure(model(), X[:1], Against(), explanations="gradcam", metrics=["drop"], baseline_maps=False)
    assert scores.of == "probability of the class among it and its rivals"
    group = foveal.measure(model(), X[:1], foveal.Group([0, 1]), explanations="gradcam", metrics=["drop"])
    assert group.of == "probability of the class"


def test_a_result_says_enough_to_be_measured() -> None:
    """The target of a saved explanation: the same class, rivals and strength."""
    net = model()
    for target in (Against("jay", k=2), Against("jay", rivals=["rook"], strength=1), foveal.Group("*o*k*", "dark")):
        why = foveal.explain(net, X, target)
        again = foveal.measure(net, X, explanations=why, metrics=["drop"], baseline_maps=False)
        same = foveal.measure(net, X, target, explanations=why, metrics=["drop"], baseline_maps=False)
        assert (again.values, again.whole, again.of, again.target) == (same.values, same.whole, same.of, same.target)


def test_class_and_strength_zero_agree_in_score() -> None:
    verdict = decide(Against("gull", strength=0))
    assert torch.equal(verdict.score, Class("gull").decide(ModelOutput(SCORES, {}, LABELS)).score)
