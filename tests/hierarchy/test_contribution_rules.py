"""The rules of gAP and the tree against their definitions. T1–T15 of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import foveal
from foveal.errors import FovealError, MethodError
from foveal.hierarchy.contribution_rules import Frame, exact, gate, pool_up, sum_pool, window
from foveal.hierarchy.expansion import TreeExpander
from foveal.hierarchy.feature_value import feature_values
from foveal.hierarchy.merging import merged
from foveal.results.feature_graph import Feature
from foveal.results.tree import Tree
from tests.networks import architecture

if TYPE_CHECKING:
    from tests.conftest import NoTrace


class Small(nn.Module):
    """Three stages like a small VGG, with or without biases."""

    def __init__(self, *, bias: bool, pool: type[nn.Module] = nn.MaxPool2d) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=bias), nn.ReLU(inplace=True))
        self.pool1 = pool(2)
        self.stage2 = nn.Sequential(
            nn.Conv2d(5, 6, 3, padding=1, bias=bias), nn.ReLU(inplace=True),
            nn.Conv2d(6, 6, 3, padding=1, bias=bias), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.pool2 = pool(2)
        self.stage3 = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1, bias=bias), nn.ReLU(inplace=True))
        self.fc = nn.Linear(8, 4, bias=bias)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stage3(self.pool2(self.stage2(self.pool1(self.stage1(x))))).mean((2, 3)))  # type: ignore[no-any-return]


def small(seed: int = 0, **options: Any) -> Small:
    torch.manual_seed(seed)
    model = Small(**{"bias": True, **options}).eval()
    with torch.no_grad():
        model.fc.weight.abs_()  # so that much speaks for every class
    return model


def picture(side: int | tuple[int, int] = 24, seed: int = 0) -> Tensor:
    h, w = (side, side) if isinstance(side, int) else side
    return torch.randn(1, 3, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def expander_of(tree: Tree) -> TreeExpander:
    assert isinstance(tree.expander, TreeExpander)
    return tree.expander


def inner(tree: Tree) -> list[Feature]:
    return [f for f in tree.features.values() if f.edges and f.stage > 0]


# --- rules ---


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3)])
def test_the_sum_over_a_window_is_the_gradient_at_the_pooled_tensor(pool: nn.Module) -> None:
    """T2."""
    torch.manual_seed(0)
    A = torch.rand(2, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    P = pool(A)
    u = torch.randn_like(P)
    (G,) = torch.autograd.grad(P, A, u)
    size = pool.kernel_size
    assert isinstance(size, int)
    assert torch.allclose(sum_pool(G, (size, size)), u, atol=1e-14)


def test_rules_on_whole_stages_by_their_definition() -> None:
    torch.manual_seed(0)
    A, G = torch.rand(2, 3, 9, 10, dtype=torch.float64), torch.randn(2, 3, 9, 10, dtype=torch.float64)
    frame = Frame.whole(A, (2, 2))
    pooled = sum_pool(G, (2, 2))
    up = functional.interpolate(pooled, (9, 10), mode="bilinear", align_corners=True)
    assert torch.allclose(pool_up(A, G, frame), (A * up).relu(), atol=1e-12)
    assert torch.equal(exact(A, G, frame), A * G)
    R = window(A, G, frame)
    assert torch.allclose(sum_pool(R, (2, 2)), sum_pool(A * G, (2, 2)), atol=1e-12)
    for cell in ((0, 0), (1, 1)):  # within a window: as active as the cell is
        ratio = R[:, :, cell[0], cell[1]] / A[:, :, cell[0], cell[1]]
        assert torch.allclose(ratio, R[:, :, 0, 0] / A[:, :, 0, 0])
    alone = Frame.whole(A, (1, 1))
    assert torch.equal(pool_up(A, G, alone), (A * G).relu()) and torch.equal(window(A, G, alone), A * G)


def test_windows_of_a_stage_get_what_the_whole_stage_gets() -> None:
    torch.manual_seed(0)
    A, G = torch.rand(1, 3, 17, 16, dtype=torch.float64), torch.zeros(1, 3, 17, 16, dtype=torch.float64)
    G[:, :, 8:12, 6:10] = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    corner = torch.tensor([[4, 2]])
    few = (slice(None), slice(None), slice(4, 15), slice(2, 14))
    for rule in (pool_up, exact, window):
        whole = rule(A, G, Frame.whole(A, (2, 2)))
        part = rule(A[few], G[few], Frame((17, 16), corner, (2, 2)))
        assert torch.allclose(whole[few], part, atol=1e-12)


def test_the_gate_keeps_where_gradcam_is_high() -> None:
    A, G = torch.rand(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    M = A.sum(1)
    assert torch.equal(gate(A, G)[0, 0] == 0, M[0] / M.max() < 0.5)
    assert bool((gate(A, -G) == 1).all())  # nothing speaks for it: the gate stays open


# --- trees ---


@pytest.mark.parametrize("rule", ["exact", "window"])
@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
def test_without_biases_contributions_sum_to_every_node(rule: str, pool: type[nn.Module]) -> None:
    """T3: for the decision and for every feature, at every stage, in windows or not."""
    model, x = small(bias=False, pool=pool), picture()
    tree = foveal.decompose(model, x, branching=8, rule=rule, gate=False).grow()
    assert abs(tree.decision.offset) < 1e-10
    for feature in inner(tree):
        assert abs(feature.offset) < 1e-9 * abs(feature.value) + 1e-12
        whole = foveal.decompose(model, x, branching=100, rule=rule, gate=False)
        assert whole.decision.value == pytest.approx(tree.decision.value)
    root = foveal.decompose(model, x, branching=100, rule=rule, gate=False).root
    positive = sum(node.edge.mass for node in root.children if node.edge)
    assert positive >= tree.decision.value - 1e-9  # the edges are those in favor; the rest speaks against


def test_the_bias_leaf_is_what_is_missing() -> None:
    """T3 with biases: value = Σ A ⊙ G + offset, the offset being the biases of that stage times their gradients."""
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=3, gate=False).grow()
    A1 = model.stage1(x).detach()
    for feature in inner(tree):
        if feature.layer != "stage2":
            continue
        biases = [model.stage2[0].bias, model.stage2[2].bias]
        y = model.stage2(model.pool1(A1))[0, feature.channel, feature.place[0], feature.place[1]]
        found = torch.autograd.grad(y, biases)  # type: ignore[arg-type]
        brought = sum(float((b.detach() * g).sum()) for b, g in zip(biases, found, strict=True))  # type: ignore[operator]
        assert feature.value == pytest.approx(float(y.detach())) and feature.offset == pytest.approx(brought, abs=1e-9)


def test_the_decision_is_layercam_channel_by_channel() -> None:
    """T7, and T5: shares are non-negative, sum to 1, and do not change with the score's scale."""
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=100, gate=False)
    layercam = foveal.explain(model, x, method="layercam").map[0]
    edges = tree.root.children
    maps = sum(node.edge.map for node in edges if node.edge)
    assert torch.allclose(maps, layercam)
    assert sum(node.share for node in edges) == pytest.approx(1)
    shares = [node.share for node in edges]
    assert shares == sorted(shares, reverse=True) and min(shares) > 0
    scaled = foveal.decompose(model, x, lambda out: 7 * out.amax(1), branching=100, gate=False)
    assert [node.share for node in scaled.root.children] == pytest.approx(shares)
    gated = foveal.decompose(model, x, branching=100)
    assert len(gated.root.children) <= len(edges)


def slow_edges(model: Small, x: Tensor, feature: Feature, rule: str) -> Tensor:
    """(c,), each channel's mass in the stage below by one backward through the whole stage."""
    if feature.layer == "stage3":
        below, rest = model.stage2(model.pool1(model.stage1(x))), lambda a: model.stage3(model.pool2(a))
    else:
        below, rest = model.stage1(x), lambda a: model.stage2(model.pool1(a))
    below = below.detach().requires_grad_()
    (G,) = torch.autograd.grad(rest(below)[0, feature.channel, feature.place[0], feature.place[1]], below)
    frame = Frame.whole(below, (2, 2))
    return {"pool_up": pool_up, "exact": exact, "window": window}[rule](below.detach(), G, frame).relu().sum((2, 3))[0]


@pytest.mark.parametrize("rule", ["pool_up", "exact", "window"])
@pytest.mark.parametrize("side", [24, 36, (22, 31)])
def test_windows_batches_and_whole_stages_agree(rule: str, side: int | tuple[int, int]) -> None:
    """T8, T9: also at the borders, and for maps that do not divide evenly."""
    model, x = small(), picture(side)
    tree = foveal.decompose(model, x, branching=4, rule=rule, gate=False).grow()
    assert not expander_of(tree).slack
    checked = 0
    for feature in inner(tree):
        mass = slow_edges(model, x, feature, rule)
        assert feature.edges
        for edge in feature.edges:
            assert edge.share == pytest.approx(float(mass[edge.child.channel] / mass.sum()), rel=1e-9)
            y, xx = divmod(int(edge.map.argmax()), edge.map.shape[1])
            assert edge.child.place == (y + edge.corner[0], xx + edge.corner[1])
        checked += 1
    assert checked > 8
    whole = foveal.decompose(model, x, branching=4, rule=rule, gate=False)
    expander_of(whole).slack = {1: None, 2: None}
    assert str(whole.grow()) == str(tree)


def test_derivatives_are_those_of_finite_differences() -> None:
    """T1."""
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=2, rule="exact", gate=False).grow()
    expander, step = expander_of(tree), 1e-6
    for feature in inner(tree)[:6]:
        below, places = expander.A[feature.stage - 1], torch.tensor([feature.place])
        read = feature_values([feature], places)
        for edge in feature.edges or ():
            k, (y, xx) = edge.child.channel, edge.child.place
            up, down = below.clone(), below.clone()
            up[0, k, y, xx] += step
            down[0, k, y, xx] -= step
            high, low = (expander.subnetwork(feature.stage).scores(maps, read) for maps in (up, down))
            y, xx = y - edge.corner[0], xx - edge.corner[1]
            derivative = edge.map[y, xx] / edge.child.value
            assert float((high - low) / (2 * step)) == pytest.approx(float(derivative), rel=1e-6)


def test_all_ways_together_are_the_whole_derivative() -> None:
    """T6: Σ_n ∂ score / ∂ A_n · ∂ A_n / ∂ A_below over all neurons of a stage, each in its own window."""
    model, x = small(), picture()
    expander = expander_of(foveal.decompose(model, x, 1, gate=False))
    A2, A3 = expander.A[1], expander.A[2]
    neurons = [
        Feature(2, "stage3", (k,), (y, xx), float(A3[0, k, y, xx]))
        for k in range(8) for y in range(6) for xx in range(6) if A3[0, k, y, xx] > 0
    ]  # fmt: skip
    total = torch.zeros_like(A2[0])
    for few, _, G, frame, _ in expander._gradients(neurons):
        for neuron, g, (y, xx) in zip(few, G, frame.corners.tolist(), strict=True):
            slope = expander.root[0, neuron.channel, neuron.place[0], neuron.place[1]]
            total[:, y : y + g.shape[1], xx : xx + g.shape[2]] += slope * g
    leaf = A2.detach().requires_grad_()
    (expected,) = torch.autograd.grad(model.fc(model.stage3(model.pool2(leaf)).mean((2, 3)))[0, 1], leaf)
    assert torch.allclose(total, expected[0], atol=1e-12)


def test_a_channel_is_the_sum_of_its_neurons() -> None:
    """T4: y = Σ_ij A_kij is taken apart into the sum of what its neurons are taken apart into."""
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=6, rule="exact", gate=False, nodes="sums").grow(2)
    A2 = model.stage2(model.pool1(model.stage1(x))).detach().requires_grad_()
    A3 = model.stage3(model.pool2(A2))
    checked = 0
    for node in tree.root.children:
        k = node.feature.channel
        assert node.feature.value == pytest.approx(float(A3[0, k].sum().detach()))
        R = sum(A2 * torch.autograd.grad(one, A2, retain_graph=True)[0] for one in A3[0, k].flatten())
        masses = R.relu().sum((0, 2, 3)).detach()  # type: ignore[union-attr]
        for edge in node.feature.edges or ():
            assert edge.share == pytest.approx(float(masses[edge.child.channel] / masses.sum()))
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("rule", ["pool_up", "exact"])
def test_a_weighed_channel_counts_where_it_supports_its_parent(rule: str) -> None:
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=3, rule=rule, gate=False, nodes="maps").grow()
    A3 = model.stage3(model.pool2(model.stage2(model.pool1(model.stage1(x))))).detach()
    for edge in tree.decision.edges or ():
        m = edge.map.relu() / edge.map.max()
        assert edge.child.weights is not None and torch.allclose(edge.child.weights, m)
        assert edge.child.value == pytest.approx(float((m * A3[0, edge.child.channel]).sum()))
    whole = foveal.decompose(model, x, branching=3, rule=rule, gate=False, nodes="maps").grow(2).audit()
    assert all(edge.effect is not None for f in whole.features.values() for edge in f.edges or ())


def test_merged_channels_are_taken_apart_together() -> None:
    """Two copies of a channel are one feature, whose supporters are those of both."""
    model, x = small(), picture()
    with torch.no_grad():
        conv = model.stage3[0]
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        conv.weight[1::2] = conv.weight[::2]
        conv.bias[1::2] = conv.bias[::2]
        model.fc.weight[:, 1::2] = model.fc.weight[:, ::2]
    tree = foveal.decompose(model, x, branching=3, rule="exact", gate=False, merge=True).grow(2).audit()
    for node in tree.root.children:
        pair = node.feature.channels
        assert len(pair) >= 2 and {k // 2 for k in pair if k % 2} == {k // 2 for k in pair if not k % 2}
        A3 = model.stage3(model.pool2(model.stage2(model.pool1(model.stage1(x))))).detach()
        y, xx = node.feature.place
        assert node.feature.value == pytest.approx(float(A3[0, list(pair), y, xx].sum()))
        assert "more" in node.feature.name


@pytest.mark.parametrize("rule", ["pool_up", "exact", "window"])
def test_what_speaks_against_is_what_speaks_for_the_contrary(rule: str) -> None:
    """T5: negating the score swaps the two."""
    model, x = small(), picture()
    options = {"branching": 4, "rule": rule, "gate": False, "opponents": 4}
    one = foveal.decompose(model, x, foveal.Margin(0, 1), **options)  # type: ignore[arg-type]
    other = foveal.decompose(model, x, foveal.Margin(1, 0), **options)  # type: ignore[arg-type]
    assert one.root.opponents and one.root.children
    assert [n.feature.key for n in one.root.opponents] == [n.feature.key for n in other.root.children]
    assert [n.share for n in one.root.children] == pytest.approx([n.share for n in other.root.opponents])
    assert one.decision.pro == pytest.approx(other.decision.contra)
    for feature in inner(one.grow()):
        assert feature.value == pytest.approx(feature.pro - feature.contra + feature.offset)
    assert any(feature.opponents for feature in inner(one))


def test_one_by_one_is_the_same_as_all_at_once() -> None:
    """T9, T12: a prefix stays a prefix, and lazy growth finds what full growth does."""
    model, x = small(), picture()
    whole = foveal.decompose(model, x, branching=5).grow()
    lazy = foveal.decompose(model, x, branching=3)
    for node in lazy.root.children:
        for child in node.children:
            assert child.children is not None
    wide, narrow = whole.root.children, lazy.root.children
    assert [n.feature.key for n in wide[: len(narrow)]] == [n.feature.key for n in narrow]
    for one, other in zip(wide, narrow, strict=False):
        assert [c.feature.key for c in one.children[:3]] == [c.feature.key for c in other.children]
        assert [c.share for c in one.children[:3]] == pytest.approx([c.share for c in other.children])


def test_permuted_channels_permute_the_tree_and_mirrored_pictures_mirror_it() -> None:
    """T10."""
    model, x = small(), picture()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    other = small()
    with torch.no_grad():
        conv, after = other.stage2[2], other.stage3[0]
        assert isinstance(conv, nn.Conv2d) and isinstance(after, nn.Conv2d)
        conv.weight.copy_(conv.weight[order].clone())
        conv.bias.copy_(conv.bias[order].clone())  # type: ignore[union-attr]
        after.weight.copy_(after.weight[:, order].clone())
    one, two = (foveal.decompose(m, x, branching=3, gate=False).grow() for m in (model, other))
    for a, b in zip(one.levels()[2], two.levels()[2], strict=True):
        assert a.feature.channel == int(order[b.feature.channel]) and a.share == pytest.approx(b.share)
    flipped = small()
    with torch.no_grad():
        for module in flipped.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(module.weight.flip(3).clone())
    mirror = foveal.decompose(flipped, x.flip(3), branching=3, gate=False).grow()
    for a, b in zip(one, mirror, strict=True):
        assert a.feature.channel == b.feature.channel and a.share == pytest.approx(b.share)
        if a.feature.channel >= 0:
            width = 24 // {"stage1": 1, "stage2": 2, "stage3": 4}[a.feature.layer]
            assert a.feature.place[1] == width - 1 - b.feature.place[1]


def test_degenerate_pictures_and_networks() -> None:
    """T11: nothing to see, dead channels, one channel."""
    model = small()
    blank = foveal.decompose(model, torch.zeros(1, 3, 24, 24, dtype=torch.float64)).grow()
    assert all(0 <= node.share <= 1 for node in blank)
    dead = small()
    with torch.no_grad():
        for module in dead.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
                module.bias.fill_(-1)  # type: ignore[union-attr]
    nothing = foveal.decompose(dead, picture()).grow()
    assert nothing.root.children == () and nothing.kept() == [1.0]
    thin = nn.Sequential(
        nn.Conv2d(3, 1, 3), nn.ReLU(), nn.Conv2d(1, 1, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    with torch.no_grad():
        for parameter in thin.parameters():
            parameter.abs_()
    tree = foveal.decompose(thin, torch.rand(1, 3, 12, 12), foveal.Class(1)).grow()
    assert [node.share for node in tree] == pytest.approx([1.0, 1.0, 1.0])


def test_merged_channels() -> None:
    """T14: identical maps collapse, disjoint ones do not, no mass is lost."""
    one, other = torch.zeros(4, 4), torch.zeros(4, 4)
    one[0, :2], other[3, 2:] = 1, 1
    R = torch.stack([one, 0.5 * one, other, 0 * one, 0.9 * other + 0.01])
    order = R.sum((1, 2)).argsort(descending=True, stable=True)
    assert merged(R, order) == [[0, 1], [2, 4]]
    model, x = small(), picture()
    plain, joined = (
        foveal.decompose(model, x, branching=100, merge=merge, gate=False).root.children for merge in (False, True)
    )
    assert len(joined) <= len(plain)
    assert sum(node.share for node in joined) == pytest.approx(1)


def test_shared_features_are_one_vertex_and_flow_is_kept() -> None:
    tree = foveal.decompose(small(), picture(), branching=5, gate=False).grow(least=0)
    nodes = [node for node in tree if node.feature.channel >= 0]
    assert len(tree.features) < len(nodes)
    flow = tree.flow()
    for level in tree.levels():
        keys = {node.feature.key for node in level}
        assert sum(flow[key] for key in keys) == pytest.approx(sum(node.path_share for node in level))
    kept = tree.kept()
    assert kept[0] == 1 and kept == sorted(kept, reverse=True)


def test_effects_are_measured_by_running_without_the_channel() -> None:
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=3, gate=False).grow().audit()
    A3 = model.stage3(model.pool2(model.stage2(model.pool1(model.stage1(x))))).detach()
    top = int(model(x).argmax())
    for node in tree.root.children:
        without = A3.clone()
        without[:, node.feature.channel] = 0
        left = float(model.fc(without.mean((2, 3)))[0, top].detach())
        assert node.edge and node.edge.effect == pytest.approx((tree.decision.value - left) / abs(tree.decision.value))
    A2 = model.stage2(model.pool1(model.stage1(x))).detach()
    for feature in inner(tree):
        if feature.layer != "stage3":
            continue
        for edge in feature.edges or ():
            without = A2.clone()
            without[:, edge.child.channel] = 0
            left = float(
                model.stage3(model.pool2(without)).detach()[0, feature.channel, feature.place[0], feature.place[1]]
            )
            assert edge.effect == pytest.approx((feature.value - left) / abs(feature.value))


class Planted(nn.Module):
    """Edges, then corners of them, then a square of corners, by hand: which supports which is known."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.ReLU())
        self.pool1 = nn.MaxPool2d(2)
        self.corners = nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.ReLU())
        self.pool2 = nn.MaxPool2d(2)
        self.shapes = nn.Sequential(nn.Conv2d(5, 2, 3, padding=1), nn.ReLU())
        up = torch.tensor([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]])
        with torch.no_grad():
            self.edges[0].weight.copy_(torch.stack([up, -up, up.T, -up.T])[:, None])  # type: ignore[union-attr, operator]
            corner = self.corners[0]
            assert isinstance(corner, nn.Conv2d) and corner.bias is not None
            corner.weight.zero_()
            for k, (a, b) in enumerate(((0, 2), (0, 3), (1, 2), (1, 3))):  # two edges make a corner
                corner.weight[k, a, 1, 1] = corner.weight[k, b, 1, 1] = 1
            corner.weight[4] = -1  # never on
            corner.bias.fill_(-1)
            shape = self.shapes[0]
            assert isinstance(shape, nn.Conv2d) and shape.bias is not None
            shape.weight.zero_()
            shape.weight[0, [0, 1, 2, 3]] = 1  # four corners make a square
            shape.weight[1, 4] = 1
            shape.bias.fill_(-1)

    def forward(self, x: Tensor) -> Tensor:
        A = self.shapes(self.pool2(self.corners(self.pool1(self.edges(x)))))
        return A.amax((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize("rule", ["pool_up", "exact", "window"])
def test_a_planted_hierarchy_is_recovered(rule: str) -> None:
    """T15: the square rests on the corners, each corner on its two edges; nothing else is found."""
    x = torch.zeros(1, 1, 16, 16)
    x[..., 5:10, 5:10] = 1
    tree = foveal.decompose(Planted().eval(), x, foveal.Class(0), rule=rule).grow()
    (square,) = tree.root.children
    assert square.feature.channel == 0 and square.share == pytest.approx(1)
    assert {node.feature.channel for node in square.children} <= {0, 1, 2, 3} and len(square.children) >= 3
    wanted = {0: {0, 2}, 1: {0, 3}, 2: {1, 2}, 3: {1, 3}}
    for corner in square.children:
        found = {node.feature.channel for node in corner.children}
        assert found == wanted[corner.feature.channel] or (rule == "window" and found < wanted[corner.feature.channel])


@pytest.mark.parametrize(
    "name", ["vgg11_bn", "resnet18", "densenet121", "mobilenet_v2", "efficientnet_b0", "convnext_tiny"]
)
def test_real_architectures(name: str, no_trace: NoTrace) -> None:
    """T13, and no architecture is left out: what is not local is looked at whole."""
    model = architecture(name)
    x = picture(64).float()
    with no_trace(model):
        tree = foveal.decompose(model, x, branching=2).grow(3).audit()
    assert len(tree.levels()) == 4 and all(0 <= node.share <= 1 for node in tree)
    assert all(edge.effect is not None for f in tree.features.values() for edge in f.edges or ())
    # a feature's value is what the network computes, window or not
    for feature in inner(tree):
        assert feature.value == pytest.approx(feature.pro - feature.contra + feature.offset, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("rule", ["pool_up", "exact"])
def test_one_map_of_the_whole_tree(rule: str) -> None:
    """6.5: at the last stage, with all channels kept, the sum of all contributions; lower, what the tree holds."""
    model, x = small(), picture()
    tree = foveal.decompose(model, x, branching=100, rule=rule, gate=False).grow(1)
    A, G = expander_of(tree).A[-1], expander_of(tree).root
    whole = (A * G).relu().sum((0, 1))
    assert torch.allclose(tree.map("stage3"), whole / whole.sum())
    few = foveal.decompose(model, x, branching=2, rule=rule).grow()
    for level, stage in enumerate(("stage3", "stage2", "stage1"), 1):
        assert float(few.map(stage).sum()) == pytest.approx(few.kept()[level])
        assert few.map(stage).min() >= 0
    H = few.map()
    assert H.shape == (24, 24) and float(H.min()) >= 0 and 0 < float(H.max()) <= 1
    with pytest.raises(FovealError, match="no stage"):
        few.map("relu")


def test_the_map_as_a_method(no_trace: NoTrace) -> None:
    model, x = small(), picture()
    for target in (None, foveal.Margin(0, 1), foveal.Similar(picture(seed=5))):
        tree = foveal.decompose(model, x, target, branching=3).grow(least=0)
        with no_trace(model):
            why = foveal.explain(model, x, target, method="gap:branching=3")
            lower = foveal.explain(model, x, target, method="gap:branching=3", layer="stage2")
        assert torch.allclose(why.map[0], tree.map()) and torch.allclose(lower.map[0], tree.map("stage2"))
    both = foveal.explain(model, torch.cat([x, picture(seed=1)]), method="gap:branching=3")
    assert torch.allclose(both.map[0], foveal.explain(model, x, method="gap:branching=3").map[0])
    with pytest.raises(MethodError, match="stages"):
        foveal.explain(model, x, method="gap", layer="stage2.0")
    with pytest.raises(MethodError, match="at its own resolution"):
        foveal.explain(model, x, method="gap", layer="stage3", resolution=2)


def test_any_decision() -> None:
    model, x = small(), picture()
    alive = int(model.stage3(model.pool2(model.stage2(model.pool1(model.stage1(x))))).mean((2, 3)).argmax())
    for target in (
        foveal.Margin(0, 1),
        foveal.Class(2),
        foveal.Neuron("stage3", alive),
        foveal.Similar(picture(seed=5)),
    ):
        tree = foveal.decompose(model, x, target, branching=2).grow()
        assert len(tree.levels()) >= 2, target
    assert foveal.decompose(model, x, foveal.Neuron("stage3", alive)).stages[-1].name == "stage2"


def test_bad_wishes_get_one_sentence() -> None:
    model, x = small(), picture()
    for options in ({"rule": "gap"}, {"branching": 0}, {"coverage": 0}, {"rank_by": "mean"}, {"nodes": "x"}):
        with pytest.raises(MethodError):
            foveal.decompose(model, x, **options)  # type: ignore[arg-type]
    with pytest.raises(FovealError, match="one image"):
        foveal.decompose(model, x.repeat(2, 1, 1, 1))
