"""Every method and every verb of a target takes a group, a class against its rivals, and pictures like and unlike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import foveal
from foveal.errors import MethodError
from foveal.methods import METHODS
from tests.networks import tiny

RANDOM = torch.Generator().manual_seed(4)
X, LIKE, UNLIKE = (torch.rand(n, 3, 16, 16, generator=RANDOM) for n in (2, 3, 2))
LABELS = ("red fox", "grey fox", "wolf", "cat", "lynx")
TARGETS = {
    "group": lambda: foveal.Group("*fox*", name="fox"),
    "against": lambda: foveal.Against(k=2),
    "corpus": lambda: foveal.Corpus(LIKE, UNLIKE),
}
SLOW = {"opticam": "opticam:steps=2", "rise": "rise:count=16"}
NOT = {  # and why
    ("fam", "group"): "similarities", ("fam", "against"): "similarities",
    ("cam", "group"): "Logsumexp", ("cam", "corpus"): "linear layers",
}  # fmt: skip


def model() -> foveal.Model:
    return foveal.Model(tiny(3, classes=5), "tiny", foveal.Preprocessing(size=(16, 16)), labels=LABELS, task="classes")


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method(method: str, kind: str) -> None:
    named = SLOW.get(method, method)
    if (method, kind) in NOT:
        with pytest.raises(MethodError, match=NOT[method, kind]):
            foveal.explain(model(), X, TARGETS[kind](), method=named)
        return
    why = foveal.explain(model(), X, TARGETS[kind](), method=named)
    assert why.map.shape[0] == 2 and bool(torch.isfinite(why.map).all())
    alone = [foveal.explain(model(), X[i : i + 1], TARGETS[kind](), method=named) for i in range(2)]
    if method not in ("opticam", "rise") and METHODS[method].needs != "none":
        assert torch.allclose(why.map, torch.cat([one.map for one in alone]), atol=1e-4)
    assert why.target == tuple(one.target[0] for one in alone)


@pytest.mark.parametrize("kind", TARGETS)
def test_every_verb(kind: str, tmp_path: Path) -> None:
    """And what it gives says the target; results that are saved come back with it."""
    net, target = model(), TARGETS[kind]()
    label = foveal.explain(net, X, target).target
    compared = foveal.compare(net, X, target, methods=["gradcam", "hirescam"])
    assert {why.target for why in compared} == {label}
    compared[0].save(tmp_path / "why")
    again = foveal.Explanation.load(tmp_path / "why")
    assert again.target == label and again.target_spec == compared[0].target_spec
    assert again[1].target == label[1:] and again[1].target_spec["kind"] == kind
    assert foveal.flow(net, X, target).target == label
    assert foveal.parts(net, X, target, count=2).target == label
    for nodes in ("neurons", "parts"):
        tree = foveal.decompose(net, X[:1], target, nodes=nodes, branching=2)
        assert tree.target == label[0]
        if nodes == "parts":
            assert abs(sum(child.share for child in tree.root.children)) < 10
    scores = foveal.measure(net, X, target, explanations="gradcam", metrics=["deletion", "drop"])
    assert scores.target == label
    (first, _second) = foveal.audit(net, X, target, explanations="gradcam", draws=2)
    assert first.target == label[0]
    assert "gradcam" in foveal.sanity(net, X[:1], target, methods="gradcam").checked


@pytest.mark.parametrize("kind", TARGETS)
def test_flow_of_differences_sums_to_the_difference(kind: str) -> None:
    """At every layer, through the target's own operations too."""
    net = model()
    why = foveal.explain(net, X[:1], TARGETS[kind]())
    ready: Any = {
        "group": foveal.Group([0, 1]),
        "against": foveal.Against(why.target_spec.get("index"), rivals=why.target_spec.get("rivals")),
        "corpus": TARGETS["corpus"](),
    }[kind]
    rise = float(why.score[0] - foveal.explain(net, torch.zeros_like(X[:1]), ready).score[0])
    flow = foveal.flow(net, X[:1], TARGETS[kind](), coefficients="difference", reference="zero")
    for layer in flow.layers:
        assert float(flow.signed[layer].sum()) == pytest.approx(rise, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("kind", ["group", "against"])
def test_parts_of_a_decision_add_up(kind: str) -> None:
    """Grad ⊙ activation at the last stage and the bias of the head: the score where the score is linear in logits."""
    net = model()
    found = foveal.parts(net, X, TARGETS[kind](), count=2)
    total = found.evidence.sum(1) + found.remainder + found.offset
    assert torch.allclose(total, found.score, atol=1e-5)


def test_a_group_is_visualized() -> None:
    made = foveal.visualize(model(), target=foveal.Group("*fox*", name="fox"), layer="relu2", steps=2)
    assert made.images[0].name == "fox"
