"""Ranked parts of signals and volumes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import foveal
from foveal.attention.pooling import RepresentativePooling
from foveal.cli.app import app
from foveal.errors import MethodError
from tests.space.networks import CONV, Net, images, pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace


@pytest.mark.parametrize("axes", [1, 3])
def test_parts_add_up_to_the_score(axes: int, no_trace: NoTrace) -> None:
    net, x = Net(axes), images(axes)
    with no_trace(net):
        parts = foveal.parts(net, x, 2, count=2, task="classes")
    A = net.end(net.mid(net.stem(x))).detach()
    assert parts.groups.display.shape == (2, 2, *A.shape[2:])
    torch.testing.assert_close(parts.evidence.sum(1) + parts.remainder + parts.offset, parts.score)
    torch.testing.assert_close(parts.offset, net.fc.bias[2].detach().expand(2), atol=1e-5, rtol=1e-4)
    for i in range(2):
        first = int(A[i].flatten(1).norm(dim=0).argmax())
        assert int(parts.groups.seeds[i, 0]) == first
        alike = torch.cosine_similarity(A[i].flatten(1), A[i].flatten(1)[:, first : first + 1], dim=0).clamp(0, 1)
        torch.testing.assert_close(parts.groups.alike[i, 0].flatten(), alike, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 2])
def test_an_axis_of_one_cell_changes_no_part(axes: int) -> None:
    plain, thin = pair(axes)
    x = images(axes)
    one, other = foveal.parts(plain, x, 1), foveal.parts(thin, x[:, :, None], 1)
    torch.testing.assert_close(other.groups.display[:, :, 0], one.groups.display)
    torch.testing.assert_close(other.evidence, one.evidence)
    torch.testing.assert_close(other.places[:, 0], one.places)


class Pooled(nn.Module):
    """Decides by its own parts."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(CONV[axes](2, 6, 3, padding=1), nn.ReLU())
        self.pool, self.fc = RepresentativePooling(2), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(self.pool(self.body(x)))
        return scores


@pytest.mark.parametrize("axes", [1, 3])
def test_a_networks_own_parts(axes: int) -> None:
    net, x = Pooled(axes).eval(), images(axes)
    parts = foveal.parts(net, x, 1)
    assert parts.uses_own_parts
    vectors = net.pool.group(net.body(x)).vectors.detach()
    by_hand = (vectors * net.fc.weight[1].detach().view(2, 6)).sum(2)
    torch.testing.assert_close(parts.evidence, by_hand, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parts.places.flatten(1).sum(1), by_hand.sum(1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 3])
def test_they_are_drawn_saved_and_loaded(axes: int, tmp_path: Path) -> None:
    parts = foveal.parts(Net(axes), images(axes), 1)
    again = foveal.Parts.load(parts.save(tmp_path / "parts"))
    assert torch.equal(again.groups.display, parts.groups.display)
    assert again.rank_picture(1).tobytes() == parts.rank_picture(1).tobytes()
    assert "Ranked parts" in parts.to_html()
    page = foveal.save_page(parts, tmp_path / "parts.html").read_text(encoding="utf-8")
    assert ("only the middle of the volume is drawn here, slice 4 (0 to 7)" in page) == (axes == 3)


def test_resolution_is_for_images() -> None:
    with pytest.raises(MethodError, match="resolution=2 is for images"):
        foveal.parts(Net(1), images(1), 1, resolution=2)


def test_the_command_line_says_at_which_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text("from tests.space.networks import Net\n\ndef signals():\n    return Net(1)\n")
    x = images(1, 1)
    np.save(tmp_path / "one.npy", x[0].numpy())
    told = CliRunner().invoke(
        app,
        ["parts", str(tmp_path / "one.npy"), "-m", f"{tmp_path}/net.py:signals", "--target", "1", "--task", "classes",
         "--json", "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    seeds = foveal.parts(Net(1), x, 1).groups.seeds[0].tolist()
    rows = json.loads(told.stdout)
    assert [part["seed"] for part in rows[0]["parts"]] == [[4 * seed + 2.0] for seed in seeds]
