"""The finder on the drawn world's `shortcut` split: a small network trained on it, a control, and planted cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

import foveal
from foveal.api.shortcuts import _above, _chance
from foveal.cli.app import app
from foveal.errors import ImageError, MethodError
from foveal.models import Model
from foveal.synthetic import CLASS_NAMES, Split
from foveal.synthetic.dataset import PREPROCESSING, normalized
from foveal.synthetic.splits import Example, SplitName

if TYPE_CHECKING:
    from tests.conftest import NoTrace

CLASSES = 6


class Small(nn.Module):
    """Two convolutions on pictures of 40 × 40, the mean over places, a head: colors and textures."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(4)
        self.conv1, self.relu1 = nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()
        self.head = nn.Linear(32, 20)

    def forward(self, x: Tensor) -> Tensor:
        return self.of_small(self.shrink(x))

    def of_small(self, x: Tensor) -> Tensor:
        maps = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.head(maps.mean((2, 3)))  # type: ignore[no-any-return]


def drawn(split: Split) -> list[Example]:
    """Those of the first six species."""
    return [split[i] for i in range(len(split)) if split.target(i) < CLASSES]


def trained(split: SplitName, count: int = 450) -> Model:
    """It learns from a third of so many pictures: those of six species."""
    examples = drawn(Split(split, count, train=True, seed=1))
    x = normalized(torch.stack([torch.from_numpy(e.image).permute(2, 0, 1) for e in examples]))
    targets = torch.tensor([e.target for e in examples])
    torch.manual_seed(0)
    net = Small()
    x = net.shrink(x)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.01)
    for _ in range(30):
        for batch in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            functional.cross_entropy(net.of_small(x[batch]), targets[batch]).backward()
            optimizer.step()
    return Model(net.eval(), split, PREPROCESSING, CLASS_NAMES)


def test_the_network_trained_on_the_shortcut_split_is_flagged_and_the_control_is_not(no_trace: NoTrace) -> None:
    examples = drawn(Split("shortcut", 160, train=True, seed=9))
    pictures, classes = [e.image for e in examples], [e.target for e in examples]
    astray, control = trained("shortcut"), trained("classes")
    with no_trace(astray.module):
        found = foveal.shortcuts(astray, pictures, classes, hosts=3, task="classes")
    fine = foveal.shortcuts(control, pictures, classes, hosts=3, task="classes")
    assert len(found.flagged) >= 2 and "seems to use a shortcut" in found.summary, str(found)
    assert not fine.flagged and "no shortcut" in fine.summary, str(fine)
    assert sorted(i for one in found.suspects for group in one.groups for i in group.pictures) == list(range(48))
    sheet = found.figure(side=64)
    assert sheet.width > 3 * 64 and found.suspects[0].summary.endswith("this looks like a shortcut")
    assert json.loads(json.dumps(found.to_dict()))["flagged"] == [one.name for one in found.flagged]


class Frame(nn.Module):
    """Says the color of the picture's outermost pixels, or of its middle."""

    def __init__(self, *, frame: bool) -> None:
        super().__init__()
        self.relu, self.frame = nn.ReLU(), frame

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        part = torch.cat([x[..., :2, :], x[..., -2:, :]], 2) if self.frame else x[..., 12:20, 12:20]
        return 4 * part.mean((2, 3))


def colored(n: int = 24) -> tuple[Tensor, list[int]]:
    """Frame and middle of one of three colors, the class; noise."""
    torch.manual_seed(0)
    x, classes = 0.2 * torch.rand(n, 3, 32, 32), [i % 3 for i in range(n)]
    for i, c in enumerate(classes):
        x[i, c] += 1
    return x, classes


@pytest.mark.parametrize("frame", [True, False])
def test_who_looks_at_the_frame_is_found_out(frame: bool) -> None:
    x, classes = colored()
    found = foveal.shortcuts(Frame(frame=frame).eval(), x, classes, method="inputxgradient", task="classes")
    assert len(found.suspects) == 3 and all(one.flagged == frame for one in found.suspects)
    for one in found.suspects:
        assert one.tells == (1 if frame else pytest.approx(0.5, abs=0.25))
        assert one.loss > 0.5 if frame else abs(one.loss) < 1e-6
        assert all((group.outside > 0.9) == frame for group in one.groups)


def test_chances_are_those_of_dealt_classes() -> None:
    own = torch.tensor([True] * 5 + [False] * 20)
    score = torch.arange(25.0)
    assert _above(score, own) == 0 and _above(-score, own) == 1 and _above(torch.zeros(25), own) == 0.5
    assert _chance(-score, own, 0) < 0.001 and _chance(score, own, 0) == 1
    torch.manual_seed(0)
    p = [_chance(torch.rand(25), own, k, draws=200) for k in range(100)]
    assert 0.01 <= np.mean(np.array(p) < 0.1) <= 0.2


def test_too_few_pictures_are_refused() -> None:
    x, classes = colored(4)
    with pytest.raises(ImageError, match="at least two classes"):
        foveal.shortcuts(Frame(frame=True), x, classes, task="classes")
    with pytest.raises(ImageError, match="give one class for each image"):
        foveal.shortcuts(Frame(frame=True), x, classes[:2], task="classes")
    with pytest.raises(MethodError, match="ring="):
        foveal.shortcuts(Frame(frame=True), x, classes, ring=0.5, task="classes")


def test_the_command_reads_folders_of_classes(tmp_path: Path) -> None:
    split = Split("classes", 80, seed=4)
    for i in [i for i in range(80) if split.target(i) in (0, 1, 4)]:
        folder = tmp_path / "photos" / CLASS_NAMES[split.target(i)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(split[i].image).save(folder / f"{i}.png")
    done = CliRunner().invoke(
        app, ["shortcuts", str(tmp_path / "photos"), "-m", "demo", "-o", str(tmp_path / "out"), "--json"]
    )
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert len(answer["classes"]) == 3 and not answer["flagged"] and len(answer["pictures"]) == 12
    assert Path(answer["sheets"][0]).exists() and "no shortcut" in done.stderr
