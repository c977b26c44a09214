"""A newcomer with a method of their own: from a notebook to the command line, then trees of parts and flows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import foveal
from foveal.errors import FovealError, MethodError, ResultError
from foveal.synthetic import demo_scenes, render
from tests import forked
from tests.recorded import answers

OWN = """
def mine(A, G, *, power=2):
    return (G.abs() ** power * A).sum(1)


def broken(A, G):
    return nothing
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bird.png, and my.py, which holds the method."""
    folder = tmp_path_factory.mktemp("home")
    Image.fromarray(render(demo_scenes()[0])[0]).save(folder / "bird.png")
    (folder / "my.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def model() -> foveal.Model:
    return foveal.load_model("demo")


def run(home: Path, line: str) -> forked.Done:
    return forked.foveal(*line.split(), cwd=home)


def mine(A: Tensor, G: Tensor, *, power: int = 2) -> Tensor:
    """The README's own CAM."""
    return (G.abs() ** power * A).sum(1)


def test_a_function_is_a_method(model: foveal.Model, home: Path) -> None:
    stage = model.module.stage3
    both = foveal.compare(model, home / "bird.png", methods=["gradcam", mine], layer=stage)
    assert [why.method for why in both] == ["gradcam", "mine"]
    assert both[1].map.shape == both[0].map.shape
    page = both._repr_html_()
    assert "mine" in page and "data:image" in page


def test_its_map_is_its_formula() -> None:
    """By hand, on a network small enough to write down."""
    torch.manual_seed(0)
    trunk = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU())
    network = torch.nn.Sequential(
        trunk, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 4)
    ).eval()
    x = torch.rand(1, 3, 8, 8)
    why = foveal.explain(network, x, foveal.Class(3), layer=trunk, method=mine)
    A = trunk(x).detach()
    G = (network[3].weight[3] / 64)[None, :, None, None].expand_as(A)
    torch.testing.assert_close(why.map, (G.abs() ** 2 * A).sum(1).detach())


def test_the_command_line_takes_it_from_a_file(home: Path) -> None:
    done = run(home, "explain bird.png --model demo --method my.py:mine:power=3 --method gradcam -o own")
    assert done.returncode == 0, done.stderr
    assert (home / "own" / "index.html").exists()
    assert "mine:power=3" in done.stdout
    missing = run(home, "explain bird.png --model demo --method my.py:mime -o own")
    assert missing.returncode != 0 and "did you mean mine" in missing.stderr
    failed = run(home, "explain bird.png --model demo --method my.py:broken -o own")
    assert failed.returncode == 1 and "line 7" in failed.stderr and "Traceback" not in failed.stderr


def test_parts_are_called_parts_and_name_their_reference(home: Path) -> None:
    done = run(home, "decompose bird.png --model demo --nodes parts --json -o tree")
    assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)[0]["score"]
    assert "of the reference (the same image, blurred)" in done.stderr
    shares = [float(share.replace("−", "-")) for share in re.findall(r"  stage3 part \d, (−?[\d.]+) %", done.stderr)]
    assert len(shares) == 5 and abs(sum(shares) - 100) < 0.5, "all parts of the last stage, and they add up"
    svg = (home / "tree" / "bird" / "tree.svg").read_text()
    words = " ".join(re.sub(r"<[^>]+>", " ", svg).split())
    assert "part 1" in words and "channel 6" not in words
    assert "of the reference" in words and "from biases" not in words
    assert "The reference is the same image, blurred" in words
    assert f"{score:.3g}" in words
    page = (home / "tree" / "bird" / "tree.html").read_text()
    ((_, whole),) = answers(page, "tree")
    assert whole["nodes"] == "parts" and any(node["name"] == "part 1" for node in whole["branch"]["nodes"])


def test_the_offset_of_a_tree_of_parts_is_the_score_of_the_reference(model: foveal.Model, home: Path) -> None:
    tree = foveal.decompose(model, home / "bird.png", 0, nodes="parts", reference="zero").grow(2).audit()
    with torch.no_grad():
        alone = model.module(torch.zeros(1, 3, 160, 160))
    logits = alone if isinstance(alone, Tensor) else next(iter(alone.values()))
    assert tree.decision.offset == pytest.approx(float(logits[0, 0]), abs=1e-3)
    assert tree.parameters["reference"] == "zero"
    against = [edge for edge in tree.decision.edges or () if edge.share < 0]
    assert not any(edge.disagrees for edge in against), "the score rises without them, as their shares say"
    assert sum(edge.average or 0.0 for edge in tree.decision.edges or ()) == pytest.approx(1, abs=1e-3)
    assert "on average" in str(tree)


def test_the_audit_of_differences_moves_neurons_to_the_reference(model: foveal.Model, home: Path) -> None:
    flow = foveal.flow(model, home / "bird.png", coefficients="difference")
    assert flow.score is not None
    for entry in flow.audit():
        score, reference = float(flow.score[0]), float(entry.offset[0])
        assert float(entry.without_abandoned[0]) == pytest.approx(score, abs=0.03 * score)
        assert float(entry.without_kept[0]) == pytest.approx(reference, abs=0.03 * score)
    assert "kept neurons from reference" in str(flow.audit()) and "reference" in str(flow)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": "parts", "rule": "pool_up"}, "is for channels"),
        ({"nodes": "parts", "rule": "gradcam"}, "difference, exact"),
        ({"nodes": "parts", "reference": "blurr"}, "zero, mean, blur"),
        ({"nodes": "parts", "merge": True}, "leave it out"),
        ({"nodes": "parts", "opponents": 2}, "leave it out"),
        ({"reference": "zero"}, "nodes='parts'"),
    ],
)
def test_an_option_that_does_nothing_is_refused(
    model: foveal.Model, home: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(FovealError, match=said):
        foveal.decompose(model, home / "bird.png", **options)


def test_parts_and_channels_are_not_joined(model: foveal.Model, home: Path) -> None:
    parts, channels = (foveal.decompose(model, home / "bird.png", nodes=nodes).grow(1) for nodes in ("parts", "maps"))
    with pytest.raises(ResultError, match="the same nodes="):
        parts.overlap(channels)
    with pytest.raises(MethodError, match="coefficients='difference'"):
        foveal.flow(model, home / "bird.png", reference="zero")


def test_the_house(home: Path) -> None:
    """Twice the same, a file as a folder, a wrong topic."""
    (home / "afile").touch()
    assert "is a file" in (wrong := run(home, "flow bird.png --model demo -o afile")).stderr and wrong.returncode == 1
    first, again = (run(home, "flow bird.png --model demo --coefficients difference -o f") for _ in range(2))
    assert first.returncode == again.returncode == 0 and first.stdout == again.stdout
    assert (home / first.stdout.strip()).exists() and (home / "f" / "index.html").exists()
    assert "there is no topic" in run(home, "help nosuch").stderr.lower()
