"""Several maps made into one: by their definitions cell by cell, and their identities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import foveal
from foveal.errors import ResultError
from foveal.results.fusion import RULES, fuse
from tests.networks import Planted, tiny

if TYPE_CHECKING:
    from pathlib import Path


def slowly(rule: str, values: list[float]) -> float:
    if rule == "mean":
        return sum(values) / len(values)
    if rule == "max":
        return max((math.tanh(2 * v) for v in values), key=abs)
    if not (all(v > 0 for v in values) or all(v < 0 for v in values)):
        return 0.0
    return math.copysign(math.prod(abs(v) for v in values) ** (1 / len(values)), values[0])


@settings(max_examples=40, deadline=None)
@given(layers=st.integers(1, 4), seed=st.integers(0, 2**16), rule=st.sampled_from(list(RULES)))
def test_every_rule_is_its_definition(layers: int, seed: int, rule: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = [10.0**layer * torch.randn(2, 3, 4, generator=generator).double() for layer in range(layers)]
    fused = fuse(maps, rule)
    for i in range(2):
        shares = [map[i] / map[i].abs().max() for map in maps]
        slow = [[slowly(rule, [float(s[y, x]) for s in shares]) for x in range(4)] for y in range(3)]
        assert torch.allclose(fused[i], torch.tensor(slow).double(), atol=1e-6)
    assert torch.allclose(fuse([map[:1] for map in maps], rule), fused[:1])


@pytest.mark.parametrize("rule", RULES)
def test_signs_units_and_order_do_not_matter(rule: str) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, side, side, generator=generator) for side in (8, 4, 2)]
    fused = fuse(maps, rule)
    assert fused.shape == (2, 8, 8) and float(fused.abs().max()) <= 1
    assert torch.allclose(fuse([-map for map in maps], rule), -fused)
    assert torch.allclose(fuse([1e-6 * maps[0], 1e6 * maps[1], maps[2]], rule), fused, atol=1e-5)
    assert torch.allclose(fuse(maps[::-1], rule), fused, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_without_evidence_is_zero_not_nan(rule: str) -> None:
    fused = fuse([torch.zeros(1, 4, 4), torch.ones(1, 2, 2)], rule)
    expected = {"mean": 0.5, "product": 0.0, "max": math.tanh(2)}[rule]
    assert torch.allclose(fused, torch.full((1, 4, 4), expected))


def test_the_product_keeps_what_all_layers_agree_on() -> None:
    a, b = torch.tensor([[[1.0, -1.0, 0.25]]]), torch.tensor([[[1.0, 1.0, 1.0]]])
    assert torch.allclose(fuse([a, b], "product"), torch.tensor([[[1.0, 0.0, 0.5]]]))


def test_maps_at_or_above_zero_are_fused_as_in_layercam() -> None:
    """Its tanh rises, so the largest of the scaled maps is the scaled largest."""
    maps = [torch.rand(1, 8, 8), torch.rand(1, 4, 4)]
    shares = [map / map.max() for map in maps]
    up: Tensor = F.interpolate(shares[1][None], (8, 8), mode="bilinear")[0]
    assert torch.allclose(fuse(maps, "max"), torch.tanh(2 * torch.maximum(shares[0], up)))


def test_an_explanation_of_several_layers_becomes_one_of_one(tmp_path: Path) -> None:
    why = foveal.explain(tiny(), torch.randn(2, 3, 8, 8), layer="all", method="layercam")
    fused = why.fused("max")
    assert fused.layers == ("max of relu1, relu2",) and fused.map.shape == why.maps["relu1"].shape
    assert fused.parameters["fused"] == "max" and "divided by its largest" in " ".join(fused.notes)
    assert why.parameters == {} and fused.score is why.score
    kept = foveal.Explanation.load(fused.save(tmp_path / "fused"))
    assert kept.layers == fused.layers and torch.equal(kept.map, fused.map)
    assert torch.equal(fused[1].map, fused.map[1:])


def test_fused_maps_lie_where_the_evidence_is() -> None:
    x = torch.zeros(1, 3, 8, 8)
    x[0, 0, 1, 2], x[0, 1, 6, 5] = 2.0, 1.0
    why = foveal.explain(Planted().eval(), x, foveal.Margin(0, 1), layer=["conv", "relu"], method="hirescam")
    for rule in RULES:
        map = why.fused(rule).map[0]
        assert divmod(int(map.argmax()), 8) == (1, 2) and divmod(int(map.argmin()), 8) == (6, 5)


def test_what_cannot_be_fused_is_said() -> None:
    why = foveal.explain(tiny(), torch.randn(1, 3, 8, 8))
    with pytest.raises(ResultError, match="the one map of relu2"):
        why.fused()
    both = foveal.explain(tiny(), torch.randn(1, 3, 8, 8), layer="all")
    with pytest.raises(ResultError, match="mean, product, max"):
        both.fused("sum")
