"""Pictures of parts: crops, photos in which they are strongest, images made for them, what biases take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.engine.structure import Stage
from foveal.errors import ImageError, MethodError, ResultError, TargetError
from foveal.hierarchy.part_box import densest_square
from foveal.hierarchy.part_expansion import PartExpander
from foveal.images import Geometry, Photo, Preprocessing
from foveal.render.part_picture import level_that_holds, part_picture
from foveal.render.part_words import bias_words, row_words
from foveal.report.answers.tree_pictures import ORDERS
from foveal.report.saved_page import save_page
from foveal.results.tree import Tree
from foveal.targets import Direction, ModelOutput
from tests.recorded import answers

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.feature_graph import Feature

SIDE = 32
PLAIN = Preprocessing(size=(SIDE, SIDE), resize="exact", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Colors(nn.Module):
    """How red and how green the picture is, at half resolution; class 0 is red less green, class 1 blue."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
        self.high = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 3, 1), nn.ReLU())
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            for conv in (self.low[0], self.high[1]):
                conv.weight.copy_(torch.eye(3)[:, :, None, None])  # type: ignore[operator]
                conv.bias.fill_(bias)  # type: ignore[operator]
            self.fc.weight.copy_(torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))
            self.fc.bias.zero_()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.high(self.low(x)).mean((2, 3)))  # type: ignore[no-any-return]


def painted(folder: Path, name: str, *patches: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> Path:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for (x0, y0, x1, y1), color in patches:
        pixels[y0:y1, x0:x1] = color
    Image.fromarray(pixels).save(folder / name)
    return folder / name


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    painted(folder, "asked.png", ((2, 2, 10, 10), RED), ((20, 20, 26, 26), GREEN))
    painted(folder, "bright.png", ((22, 4, 28, 10), RED))
    painted(folder, "wide.png", ((4, 16, 28, 28), (128, 0, 0)))
    painted(folder, "green.png", ((4, 20, 12, 28), GREEN))
    painted(folder, "blue.png", ((4, 4, 28, 28), BLUE))
    return folder


@pytest.fixture(scope="module")
def tree(photos: Path) -> Tree:
    made = foveal.decompose(
        Colors(), photos / "asked.png", 0, nodes="parts", branching=2, reference="zero", preprocessing=PLAIN
    )
    return made.grow().find_examples(photos, most=2)


def strongest(tree: Tree, channel: int, stage: int = 1) -> Feature:
    return max(
        (f for f in tree.features.values() if f.stage == stage and f.channel == channel), key=lambda f: abs(f.value)
    )


def test_planted_parts_are_strongest_where_they_were_painted(tree: Tree) -> None:
    red, green = strongest(tree, 0), strongest(tree, 1)
    assert red.value > 0 > green.value
    by = {order: [e.file.name for e in red.examples if e.order == order] for order in ("contribution", "activation")}
    assert by == {"contribution": ["wide.png", "bright.png"], "activation": ["bright.png", "wide.png"]}
    assert [e.file.name for e in green.examples] == ["green.png"] * 2
    (bright,) = (e for e in red.examples if e.order == "activation" and e.file.name == "bright.png")
    x0, y0, x1, y1 = bright.box
    assert x0 <= 23 and y0 <= 5 and x1 >= 27 and y1 >= 9 and x1 - x0 <= 16
    assert bright.pixels.shape[-1] == 3 and int(bright.pixels[..., 0].max()) == 255
    assert bool(torch.isfinite(bright.map).all())


def test_values_are_as_defined(tree: Tree, photos: Path) -> None:
    """By contribution: class 0 is linear above the last stage, so R = w ⊙ A / positions."""
    x = torch.from_numpy(np.array(Image.open(photos / "wide.png"))).permute(2, 0, 1)[None] / 255
    A = Colors().high(Colors().low(x)).detach()[0]
    R = Colors().fc.weight.detach()[0][:, None, None] * A / A[0].numel()
    for feature in (f for f in tree.features.values() if f.stage == 1):
        assert feature.profile is not None
        u = feature.profile / feature.profile.sum()
        expected = {
            "contribution": float(torch.einsum("c,chw->", u, R)) * (1 if feature.value > 0 else -1),
            "activation": float(torch.einsum("c,chw->hw", u, A).max()),
        }
        for example in feature.examples:
            if example.file.name == "wide.png":
                assert example.value == pytest.approx(expected[example.order], rel=1e-5)


def test_the_image_itself_is_no_example(tree: Tree) -> None:
    assert all(e.file.name != "asked.png" for f in tree.features.values() for e in f.examples)


def test_examples_by_the_derivative(photos: Path) -> None:
    made = foveal.decompose(
        Colors(), photos / "asked.png", 0, nodes="parts", branching=2, rule="exact", preprocessing=PLAIN
    )
    red = strongest(made.grow().find_examples(photos, most=1), 0)
    assert [e.file.name for e in red.examples] == ["wide.png", "bright.png"]


def test_what_has_no_examples_is_refused(tree: Tree, photos: Path, tmp_path: Path) -> None:
    channels = foveal.decompose(Colors(), photos / "asked.png", 0, preprocessing=PLAIN)
    with pytest.raises(MethodError, match=r"foveal\.channels finds"):
        channels.find_examples(photos)
    with pytest.raises(MethodError, match="most=0"):
        tree.find_examples(photos, most=0)
    tree.save(tmp_path / "tree")
    with pytest.raises(ResultError, match="loaded"):
        Tree.load(tmp_path / "tree").find_examples(photos)
    free = foveal.decompose(Colors(), torch.rand(1, 3, 24, 24), 0, nodes="parts", reference="zero", branching=2).grow()
    with pytest.raises((ImageError, MethodError)):
        free.find_examples(photos)


def test_saved_with_examples_and_images(tree: Tree, tmp_path: Path) -> None:
    tree.make_images(most=1, steps=2)
    made = [f for f in tree.features.values() if f.image is not None]
    assert len(made) == 1 and made[0].image is not None
    assert float(made[0].image.min()) >= 0 and float(made[0].image.max()) <= 1
    tree.save(tmp_path / "tree")
    again = Tree.load(tmp_path / "tree")
    for key, feature in tree.features.items():
        other = again.features[key]
        assert [e.to_dict() for e in other.examples] == [e.to_dict() for e in feature.examples]
        for a, b in zip(other.examples, feature.examples, strict=True):
            assert torch.equal(a.pixels, b.pixels) and torch.equal(a.map, b.map)
        assert (other.image is None) == (feature.image is None)
    page = save_page(again, tmp_path / "tree.html").read_text("utf-8")
    rows = [row for _, answer in answers(page, "tree/pictures") for row in answer["rows"]]
    assert all(picture.startswith("data:image/webp") for row in rows for picture in row["pictures"])
    for order, about in ORDERS.items():
        known = sum(e.order == order for f in tree.features.values() for e in f.examples)
        assert known and sum(len(row["pictures"]) for row in rows if row["about"] == about) == known
    assert sum(row["about"] == "An image made for it" for row in rows) == 1
    assert again.figure().height > foveal.Tree.figure(without_examples(again)).height


def without_examples(tree: Tree) -> Tree:
    for feature in tree.features.values():
        feature.examples, feature.image = (), None
    return tree


def test_the_poster_says_what_is_part_of_what(tree: Tree) -> None:
    page = tree.svg()
    assert "part 1 of high" in page and "% of the decision" in page and "against: " in page
    low = [f for f in tree.features.values() if f.stage == 0]
    assert row_words(tree, low, tree.flow()) == "what the parts of high are made of; together 100 % of the decision"
    assert "against the decision" in page
    alone = foveal.decompose(Colors(), torch.rand(1, 3, 16, 16), 1, nodes="parts", reference="zero", branching=2).grow()
    assert "against" not in alone.svg().split("</style>")[-1].replace("0 against", "")


def test_an_image_is_made_for_a_direction() -> None:
    A = torch.rand(2, 4, 5, 6)
    u = torch.tensor([0.5, 0.0, -1.0, 2.0])
    score = Direction("layer", u).decide(ModelOutput(None, {"layer": A}))
    torch.testing.assert_close(score.score, (A * u[:, None, None]).sum(1).mean((1, 2)))
    with pytest.raises(TargetError, match="one for each channel"):
        Direction("layer", u[:3]).decide(ModelOutput(None, {"layer": A}))


# --- crops ---


def stage_of(h: int, w: int) -> Stage:
    return Stage("s", (3, h, w), (1.0, 1.0), (1, 1), True, "signed", 1)


def test_a_crop_is_the_smallest_square_that_holds_half() -> None:
    map = torch.zeros(20, 30)
    map[4:6, 21:23] = 5.0
    map[15, 2] = 4.0
    x0, y0, x1, y1 = densest_square(map, stage_of(20, 30), (40, 60))
    assert x0 <= 42 and y0 <= 8 and x1 >= 46 and y1 >= 12
    assert x1 - x0 <= 0.13 * 40 * 1.3
    even = densest_square(torch.ones(20, 30), stage_of(20, 30), (40, 60))
    assert even[3] - even[1] == pytest.approx(1.2 * 0.5 * 40)
    for box in (even, densest_square(torch.zeros(3, 1), stage_of(3, 1), (40, 60))):
        assert 0 <= box[0] < box[2] <= 60 and 0 <= box[1] < box[3] <= 40


def test_the_photo_is_bright_where_the_part_is() -> None:
    pixels = np.full((64, 64, 3), 200, np.uint8)
    photo = Photo(pixels, Geometry.identity((64, 64)), "p")
    map = np.zeros((8, 8), np.float32)
    map[1:3, 1:3], map[6, 6] = 1.0, -1.0
    drawn = np.asarray(part_picture(photo, map, None, side=64), float)
    against = np.asarray(part_picture(photo, map, None, side=64, against=True), float)
    assert drawn[16, 16].mean() > 190 > 140 > drawn[50, 50].mean()
    assert against[52, 52].mean() > 190 > 140 > against[16, 16].mean()
    empty = np.asarray(part_picture(photo, np.zeros((8, 8)), None, side=64), float)
    assert np.ptp(empty) < 1


def test_a_level_holds_its_share() -> None:
    values = np.array([[1.0, 5.0], [3.0, 1.0]])
    assert level_that_holds(values, 0.5) == 5
    assert level_that_holds(values, 0.51) == 3
    assert level_that_holds(np.zeros((2, 2)), 0.5) == 0


# --- biases ---


def test_biases_are_said_where_a_rule_loses_to_them(photos: Path) -> None:
    made = foveal.decompose(
        Colors(0.25), photos / "asked.png", 0, nodes="parts", branching=2, rule="exact", preprocessing=PLAIN
    ).grow(2)
    expander = made.expander
    assert isinstance(expander, PartExpander)
    for feature in (f for f in made.features.values() if f.stage == 1):
        w = expander.parts(1)[feature.part or 0]
        above = expander.evidence[1]
        lost = float((w * above.cotangent[0] * 0.25 * (above.A[0] > 0)).sum())  # what the bias of the convolution adds
        assert feature.bias_share == pytest.approx(lost / feature.value, rel=1e-3)
        said = bias_words(made, feature)
        assert said is not None and said.startswith("biases ") and said in str(made)
        assert said in made.svg()
    rows = {row["layer"]: row["bias_share"] for row in made.to_dict()["features"]}
    assert rows["high"] is not None and rows["low"] is None


def test_differences_lose_nothing_to_biases(tree: Tree) -> None:
    assert all(bias_words(tree, feature) is None for feature in tree.features.values())
    assert "biases" not in str(tree)


# --- on the command line ---


def test_the_command_shows_photos_and_images(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(
        "from foveal.models import Model\n"
        "from tests.hierarchy.test_part_pictures import Colors, PLAIN\n"
        "def colors():\n    return Model(Colors(), 'colors', preprocessing=PLAIN)\n"
    )
    arguments = [
        "decompose", str(photos / "asked.png"), "--model", f"{tmp_path / 'network.py'}:colors", "--target", "0",
        "--nodes", "parts", "--rule", "exact", "--channels", str(photos), "--feature-images", "1", "--json",
        "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert set(row["bias_shares"]) >= {"high part 1"}
    again = Tree.load(tmp_path / "out" / "asked")
    assert {e.order for f in again.features.values() for e in f.examples} == {"contribution", "activation"}
    assert sum(f.image is not None for f in again.features.values()) == 1
