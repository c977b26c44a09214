"""Parts of a similarity of photographs: they add up, and a network that is linear behind the layer confirms them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import foveal
from tests.real.test_explanations import network

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


def test_parts_of_two_birds_of_a_species(data: Path) -> None:
    first, second, *_ = sorted((data / "images" / "birds").glob("*.jpg"))
    pair = foveal.match(network("resnet18"), first, second, parts=5)
    parts = pair.parts()
    assert sum(part.value for part in parts) == pytest.approx(float(pair.similarity), rel=1e-5)
    for part in parts:
        assert part.effects["same lengths"] == pytest.approx(part.share, abs=1e-4)
        assert float(part.query_map.sum()) == pytest.approx(part.value, rel=1e-4)
    alike = torch.stack([part.query_map.flatten() for part in parts])
    alike = alike / alike.sum(1, keepdim=True)
    overlap = torch.minimum(alike[:, None], alike[None]).sum(2)
    assert float(overlap.fill_diagonal_(0).sum()) / 20 < 0.6, "parts lie at different positions"
