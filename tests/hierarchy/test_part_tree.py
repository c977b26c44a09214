"""Trees of parts: what adds up, what is measured, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import foveal
from foveal.errors import FovealError, ImageError, MethodError
from foveal.hierarchy.factoring import parts_of
from foveal.hierarchy.part_effects import _growing
from foveal.hierarchy.part_expansion import PartExpander
from foveal.results.tree import Tree
from tests.networks import ARCHITECTURES, architecture

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace


class Small(nn.Module):
    """Three stages with pooling, a skip connection and biases."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stage1 = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1, stride=2), nn.ReLU())
        self.stage3 = nn.Sequential(nn.Conv2d(8, 10, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(10, 4)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.max_pool2d(self.stage2(self.stage1(x)), 2)
        y = functional.avg_pool2d(self.stage3(y), 2)
        return self.fc(y.mean((2, 3)))  # type: ignore[no-any-return]


def picture(side: int = 24, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=dtype)


def noise(side: int) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def expander_of(tree: Tree) -> PartExpander:
    assert isinstance(tree.expander, PartExpander)
    return tree.expander


@pytest.fixture(scope="module")
def tree() -> Tree:
    return foveal.decompose(Small(), picture(), 2, nodes="parts", branching=3, reference="zero").grow().audit()


# --- factoring ---


def test_shares_sum_to_one_everywhere_also_where_nothing_is() -> None:
    R = torch.randn(5, 6, 7)
    R[:, 2] = 0
    W = parts_of(R, 4)
    assert W.shape == (4, 5, 6, 7) and float(W.min()) >= 0
    torch.testing.assert_close(W.sum(0), torch.ones(5, 6, 7))
    torch.testing.assert_close(parts_of(torch.zeros(2, 3, 3), 3).sum(0), torch.ones(2, 3, 3))
    assert len(parts_of(torch.rand(2, 1, 1), 5)) == 1  # no more parts than positions


def test_planted_parts_are_found() -> None:
    """Two groups of channels at two corners, and one that overlaps the first in place but not in channels."""
    R = torch.zeros(9, 8, 8)
    R[:3, :4, :4], R[3:6, 4:, 4:], R[6:, 3:6, :4] = 1, 2, 3
    W = parts_of(R + 1e-4, 3)
    owner = W.argmax(0)
    blocks = [owner[:3, :4, :4], owner[3:6, 4:, 4:], owner[6:, 3:6, :4]]
    assert all(len(block.unique()) == 1 for block in blocks)
    assert len({int(block[0, 0, 0]) for block in blocks}) == 3
    assert float(W.amax(0)[R > 0].min()) > 0.9


def test_mirrored_contributions_have_mirrored_parts() -> None:
    R = torch.rand(6, 9, 9, generator=torch.Generator().manual_seed(1)) ** 4
    torch.testing.assert_close(parts_of(R.flip(2), 3), parts_of(R, 3).flip(3), atol=1e-3, rtol=0)


# --- what adds up ---


def test_parts_hold_the_score_less_the_reference_s_at_every_stage(tree: Tree) -> None:
    model, x = Small(), picture()
    with torch.no_grad():
        at_x, at_zero = float(model(x)[0, 2]), float(model(torch.zeros_like(x))[0, 2])
    taken = at_x - at_zero
    expander = expander_of(tree)
    for stage in range(len(tree.stages)):
        R, W = expander.evidence[stage].R, expander.parts(stage)
        assert float((W * R).sum()) == pytest.approx(taken, rel=1e-9)
    decision = tree.decision
    assert decision.pro - decision.contra == pytest.approx(taken, rel=1e-9)
    assert decision.offset == pytest.approx(at_zero, abs=1e-9)


def test_what_parents_hand_down_is_what_their_children_hold(tree: Tree) -> None:
    """Re-derived: a part's value is the sum over its parents, and a parent's children and remainder are the parent."""
    expander = expander_of(tree)
    for stage in range(1, len(tree.stages)):
        parents = [expander._feature(stage, k) for k in range(len(expander.parts(stage)))]
        arrived = [(expander.parts(stage - 1) * R).sum((1, 2, 3)) for R in expander._contributions(parents)]
        for parent, values in zip(parents, arrived, strict=True):
            assert float(values.sum()) == pytest.approx(parent.value, rel=1e-9, abs=1e-12)
        below = torch.stack(arrived).sum(0)
        R = expander.evidence[stage - 1].R
        torch.testing.assert_close(below, (expander.parts(stage - 1) * R).sum((1, 2, 3)))


def test_shares_and_maps_of_children(tree: Tree) -> None:
    for feature in [tree.decision, *tree.features.values()]:
        whole = expander_of(tree).taken if feature is tree.decision else feature.value
        for edge in feature.edges or ():
            assert float(edge.map.sum()) == pytest.approx(edge.share * whole, rel=1e-6, abs=1e-9)
        assert len(feature.edges or ()) <= 3
        sizes = [abs(edge.share) for edge in feature.edges or ()]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_nothing_is_lost_on_real_architectures(name: str) -> None:
    model = architecture(name).double()  # random weights barely tell images apart: in single precision, by rounding
    image, reference = picture(ARCHITECTURES[name]), noise(ARCHITECTURES[name])
    with torch.no_grad():  # scores that end in a ReLU may be zero for both
        target = int((model(image) - model(reference)).argmax())
    tree = foveal.decompose(model, image, target, nodes="parts", branching=3, reference=reference)
    expander = expander_of(tree)
    for stage in range(len(tree.stages)):
        whole = expander.evidence[stage].R.double()
        assert float(whole.sum()) == pytest.approx(expander.taken, abs=1e-4 * float(whole.abs().sum()))
    top = len(tree.stages) - 1
    for stage in (top, top - 1):
        parents = [expander._feature(stage, k) for k in range(2)]
        for parent, R in zip(parents, expander._contributions(parents), strict=True):
            assert float(R.double().sum()) == pytest.approx(parent.value, abs=1e-4 * float(R.double().abs().sum()))


@pytest.mark.parametrize("rule", ["exact", "lrp-gamma", "excitationbp"])
def test_other_rules_say_what_biases_took(rule: str) -> None:
    model = architecture("resnet18")
    tree = foveal.decompose(model, picture(96, torch.float32), 3, nodes="parts", rule=rule).grow(2)
    for feature in tree.levels()[1]:
        node = feature.feature
        assert node.value == pytest.approx(node.pro - node.contra + node.offset, rel=1e-4)
    assert tree.parameters["rule"] == rule


def test_a_margin_and_a_similarity_are_taken_apart_too(no_trace: NoTrace) -> None:
    model = architecture("resnet18")
    x, other = picture(64, torch.float32), picture(64, torch.float32).flip(3)
    with no_trace(model):
        margin = foveal.decompose(model, x, foveal.Margin(1, 2), nodes="parts").grow(2)
        alike = foveal.decompose(model, x, foveal.Similar(other, embedding="avgpool"), nodes="parts").grow(2)
    with torch.no_grad():
        y = model(x)[0]
    assert margin.decision.value == pytest.approx(float(y[1] - y[2]), rel=1e-4)
    for tree in (margin, alike):
        assert tree.kept()[1] == pytest.approx(1, abs=0.35) and len(tree.levels()) == 3


# --- what is measured ---


@torch.no_grad()
def test_effects_by_hand(tree: Tree) -> None:
    """The last stage's parts, moved to the reference one at a time and all together, by the network itself."""
    model, expander = Small(), expander_of(tree)
    last = expander.evidence[-1]

    def score(A: Tensor) -> float:
        return float(model.fc(functional.avg_pool2d(A, 2).mean((2, 3)))[0, 2])

    assert [stage.name for stage in tree.stages] == ["stage1", "stage2", "stage3"]
    whole, none = score(last.A), score(last.reference)
    for edge in tree.decision.edges or ():
        moved = last.A - expander.parts(2)[edge.child.part] * last.difference
        assert edge.effect == pytest.approx((whole - score(moved)) / (whole - none), rel=1e-6)


def test_average_effects_of_all_parts_sum_to_one() -> None:
    """Also those of a part that speaks against the decision: its own are for it."""
    tree = foveal.decompose(Small(), picture(), 2, nodes="parts", branching=50, reference="zero").grow(2).audit()
    for feature in [tree.decision, *(node.feature for node in tree.levels()[1])]:
        edges = feature.edges or ()
        assert sum(edge.average or 0 for edge in edges) == pytest.approx(1, rel=1e-4)
        assert feature.together == pytest.approx(1, rel=1e-4)
        assert all(edge.random is not None for edge in edges)
    assert min(node.feature.value for node in tree.levels()[1]) < 0


def test_orders_grow_one_part_at_a_time() -> None:
    assert _growing(torch.tensor([2, 0, 1])).tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]]


# --- the tree as a result ---


def test_several_parents_share_a_part(tree: Tree) -> None:
    children = [edge.child for node in tree.levels()[1] for edge in node.feature.edges or ()]
    assert len({id(child) for child in children}) < len(children)
    assert all(tree.features[child.key] is child for child in children)
    assert children[0].name.startswith(tree.stages[-2].name + " part ")


def test_branching_auto_takes_as_few_as_hold_the_share() -> None:
    tree = foveal.decompose(Small(), picture(), 2, nodes="parts", branching="auto", coverage=0.7).grow(2)
    for feature in [tree.decision, *(node.feature for node in tree.levels()[1])]:
        shares = [edge.share for edge in feature.edges or ()]
        assert abs(1 - sum(shares)) <= 0.3 + 1e-9
        assert abs(1 - sum(shares[:-1])) > 0.3 - 1e-9


def test_pixels_hold_what_a_part_holds(tree: Tree) -> None:
    tree.look()
    for feature in tree.features.values():
        assert feature.pattern is not None and feature.pattern.kind == "evidence"
        assert float(feature.pattern.values.sum()) == pytest.approx(feature.value, rel=1e-6, abs=1e-9)


def test_saved_and_loaded(tree: Tree, tmp_path: Path) -> None:
    tree.save(tmp_path / "tree")
    again = Tree.load(tmp_path / "tree")
    assert again.kept() == pytest.approx(tree.kept())
    for key, feature in tree.features.items():
        other = again.features[key]
        assert (other.part, other.name, other.box) == (feature.part, feature.name, pytest.approx(feature.box))
        assert [e.average for e in other.edges or ()] == [e.average for e in feature.edges or ()]
        assert other.together == feature.together


def test_boxes_lie_on_the_picture(tree: Tree) -> None:
    for feature in tree.features.values():
        assert feature.box is not None
        x0, y0, x1, y1 = feature.box
        assert 0 <= x0 < x1 <= 24 and 0 <= y0 < y1 <= 24


def test_the_picture_is_drawn(tree: Tree) -> None:
    assert tree.figure().size[0] > 300
    assert "part 1" in tree.svg()


# --- what is refused ---


def test_the_reference_must_differ_and_fit() -> None:
    x = picture()
    with pytest.raises(ImageError, match="image itself"):
        foveal.decompose(Small(), x, 2, nodes="parts", reference=x)
    with pytest.raises(ImageError, match="shape"):
        foveal.decompose(Small(), x, 2, nodes="parts", reference=picture(16))
    with pytest.raises(MethodError, match="rule='gradcam'"):
        foveal.decompose(Small(), x, 2, nodes="parts", rule="gradcam")
    with pytest.raises(FovealError, match="branching"):
        foveal.decompose(Small(), x, 2, nodes="parts", branching="many")


def test_an_image_may_be_the_reference() -> None:
    model, x, other = Small(), picture(), picture().flip(2)
    tree = foveal.decompose(model, x, 2, nodes="parts", reference=other)
    with torch.no_grad():
        rise = float((model(x) - model(other))[0, 2])
    assert expander_of(tree).taken == pytest.approx(rise, rel=1e-9)


def test_maps_of_the_whole_tree_hold_what_it_holds(tree: Tree) -> None:
    for level, stage in enumerate(reversed(tree.stages), 1):
        assert float(tree.map(stage.name).sum()) == pytest.approx(tree.kept()[level], rel=1e-6)
    fine = tree.map()
    assert fine.shape == (24, 24) and bool(torch.isfinite(fine).all()) and float(fine.min()) >= 0 < float(fine.max())


def test_a_part_that_loses_evidence_on_the_way_is_refused() -> None:
    tree = foveal.decompose(Small(), picture(), 2, nodes="parts", branching=3, reference="zero").grow(1)
    expander, parent = expander_of(tree), tree.levels()[1][0].feature
    lossy = next(expander._contributions([parent])) * 0.5
    with pytest.raises(MethodError, match=r"do not add up to stage3 part \d"):
        expander._join(parent, lossy)
