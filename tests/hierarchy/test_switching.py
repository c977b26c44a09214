"""Features switched off or scaled, beside whole forwards with a hook at each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import foveal
from foveal.errors import MethodError
from foveal.hierarchy.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from foveal.results.feature_graph import Feature
    from foveal.results.tree import Tree

TARGET = foveal.Margin(1, 2)


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    return foveal.load_model("demo")


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(3)) * 2 - 1


def grown(model: foveal.Model, x: torch.Tensor, nodes: str) -> tuple[Tree, Switching]:
    more: dict[str, Any] = {"nodes": "parts"} if nodes == "parts" else {"rule": "exact", "gate": False}
    tree = foveal.decompose(model, x, TARGET, branching=3, **more).grow(2)
    illustrator: Any = tree.illustrator
    expander: Any = tree.expander
    return tree, Switching(illustrator.context, tree.stages, expander)


def literally(model: foveal.Model, x: torch.Tensor, tree: Tree, scales: Mapping[Feature, float]) -> float:
    """Every feature by its formula, in a hook of its own, one after the other within a stage of parts summed first."""
    expander: Any = tree.expander
    modules = dict(model.module.named_modules())
    handles = []
    for stage in {feature.stage for feature in scales}:
        own = {feature: scale for feature, scale in scales.items() if feature.stage == stage}

        def change(_module: Any, _inputs: Any, A: torch.Tensor, stage: int = stage, own: Any = own) -> torch.Tensor:
            out = A.clone()
            for feature, scale in own.items():
                if feature.part is None:
                    out[:, feature.channel] = scale * out[:, feature.channel]
                else:
                    w = expander.parts(stage)[feature.part]
                    out = out - (1 - scale) * w * (A - expander.evidence[stage].reference)
            return out

        handles.append(modules[tree.stages[stage].name].register_forward_hook(change))
    try:
        with torch.no_grad():
            logits = model.module(x)[0]
        return float(logits[1] - logits[2])
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("nodes", ["parts", "neurons"])
def test_scores_are_those_of_a_forward_with_hooks(
    model: foveal.Model, x: torch.Tensor, nodes: str, no_trace: Callable[..., Any]
) -> None:
    tree, switched = grown(model, x, nodes)
    first, second = (node.feature for node in tree.root.children[:2])
    below = tree.root.children[0].children[0].feature
    sets: list[dict[Feature, float]] = [{first: 0.0}, {first: 0.5, second: 2.0}, {below: 0.0}, {first: 0.0, below: 1.5}]
    with no_trace(model.module):
        for scales in sets:
            found = switched(scales)
            assert found.score == pytest.approx(literally(model, x, tree, scales), abs=1e-4)
            assert found.before == pytest.approx(tree.decision.value, abs=1e-4)
            assert float(found.output.output[0, 1] - found.output.output[0, 2]) == pytest.approx(found.score, abs=1e-5)


def test_a_part_of_the_last_stage_loses_what_the_audit_measured(model: foveal.Model, x: torch.Tensor) -> None:
    tree, switched = grown(model, x, "parts")
    tree.audit([tree.decision])
    taken = tree.decision.value - tree.decision.offset
    for node in tree.root.children:
        assert node.edge and node.edge.effect is not None
        assert switched({node.feature: 0.0}).score == pytest.approx(
            tree.decision.value - node.edge.effect * taken, abs=1e-3
        )
        assert switched({node.feature: 1.0}).score == pytest.approx(tree.decision.value, abs=1e-4)


def test_audit_of_some_features_measures_no_others(model: foveal.Model, x: torch.Tensor) -> None:
    tree, _ = grown(model, x, "parts")
    heard: list[tuple[str, int, int]] = []
    tree.audit([tree.decision], progress=lambda *event: heard.append(event))
    below = tree.root.children[0].children
    assert all(edge.effect is not None for edge in tree.decision.edges or ())
    assert all(node.edge and node.edge.effect is None for node in below)
    assert heard and all(done < total for _, done, total in heard)


def test_a_vertex_is_known_by_its_key_on_whatever_way(model: foveal.Model, x: torch.Tensor) -> None:
    for nodes in ("parts", "neurons"):
        tree, _ = grown(model, x, nodes)
        feature = tree.root.children[0].children[0].feature
        tree.expand([feature])
        fresh, _ = grown(model, x, nodes)
        fresh.features.clear()
        again = fresh.vertex(feature.key)
        fresh.expand([again])
        assert again.value == pytest.approx(feature.value, rel=1e-5)
        assert [edge.child.key for edge in again.edges or ()] == [edge.child.key for edge in feature.edges or ()]
        with pytest.raises(foveal.errors.ResultError):
            fresh.vertex((0, 10**6) if nodes == "parts" else (0, 0, 0, 10**6))


def test_the_decision_cannot_be_switched_off(model: foveal.Model, x: torch.Tensor) -> None:
    tree, switched = grown(model, x, "parts")
    with pytest.raises(MethodError, match="below the decision"):
        switched({tree.decision: 0.0})
