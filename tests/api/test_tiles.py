"""Large pictures by tiles: one map without seams, one decision or many, found where resizing loses it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import foveal
from foveal.attribution.tiling import PooledMap, StitchedMap, TileGrid
from foveal.cli.app import app
from foveal.errors import FovealError
from foveal.images.tile_source import TileSource
from foveal.synthetic import demo_scenes, render

SIDE = 24


class Convolutional(nn.Module):
    """Convolutions alone; the score is the mean over all positions, of any size."""

    def __init__(self, padding: int = 0, stride: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 6, 5, stride=stride, padding=padding, bias=False)
        self.two = nn.Conv2d(6, 3, 3, padding=padding and 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).relu()).mean((2, 3))


def big(height: int = 70, width: int = 93) -> Tensor:
    return torch.randn(3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.7])
def test_without_padding_the_map_is_that_of_the_whole(stride: int, overlap: float) -> None:
    """Activations of a fully convolutional network are the same in a tile; so is a map made of them alone."""
    net = Convolutional(stride=stride).eval()
    first = foveal.Method("first", formula=lambda A: A.sum(1))
    x = big()
    whole = foveal.explain(net, x, method=first, layer="one")
    tiled = foveal.tiles(net, x, method=first, layer="one", side=SIDE, overlap=overlap)
    h, w = whole.map.shape[1:]
    torch.testing.assert_close(tiled.map[0, :h, :w], whole.map[0], rtol=1e-5, atol=1e-5)
    on_photo, expected = tiled.on_photo(), whole.on_photo()
    np.testing.assert_allclose(on_photo[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-4)


def by_hand(net: nn.Module, x: Tensor, overlap: int, *, method: str = "hirescam") -> tuple[list[float], list[Tensor]]:
    """Scores and maps of tiles that are explained alone, a step of a pixel from cell to cell."""
    scores, maps = [], []
    tiles = foveal.tiles(net, x, 1, method=method, layer="one", side=SIDE, overlap=overlap / SIDE).tiles
    for tile in tiles:
        padded = nn.functional.pad(x[None], (0, SIDE, 0, SIDE), mode="replicate")[0]
        alone = foveal.explain(net, padded[:, tile.y0 : tile.y1, tile.x0 : tile.x1], 1, method=method, layer="one")
        assert alone.score is not None and tile.score == pytest.approx(float(alone.score), rel=1e-4, abs=1e-6)
        scores.append(float(alone.score))
        maps.append(alone.map[0])
    return scores, maps


@pytest.mark.parametrize("pooling", [None, "mean", "max", "logsumexp"])
def test_the_map_is_that_of_the_tiles_one_by_one(pooling: str | None) -> None:
    net, x = Convolutional(padding=2).eval(), big(50, 60)
    why = foveal.tiles(net, x, 1, method="hirescam", layer="one", side=SIDE, overlap=0.25, pooling=pooling)  # type: ignore[arg-type]
    scores, maps = by_hand(net, x, 6)
    s = torch.tensor(scores, requires_grad=True)
    pooled = {None: s.amax(), "mean": s.mean(), "max": s.amax(), "logsumexp": s.logsumexp(0)}[pooling]
    assert why.score is not None
    torch.testing.assert_close(why.score[0], pooled.detach(), rtol=1e-4, atol=1e-6)
    (slope,) = torch.autograd.grad(pooled, s)
    total, weight = torch.zeros(2, *why.map.shape[1:], dtype=torch.float64)
    for tile, map, own in zip(why.tiles, maps, slope, strict=True):
        for i in range(SIDE):
            for j in range(SIDE):
                near = min(i + 1, SIDE - i, 6) * min(j + 1, SIDE - j, 6) if pooling is None else float(own)
                total[tile.y0 + i, tile.x0 + j] += near * float(map[i, j])
                weight[tile.y0 + i, tile.x0 + j] += near
    expected = total / weight if pooling is None else total
    torch.testing.assert_close(why.map[0].double(), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_map_of_one_decision_sums_to_its_score(pooling: str) -> None:
    net = Convolutional(padding=2).eval()
    why = foveal.tiles(net, big(), 1, method="hirescam", layer="one", side=SIDE, pooling=pooling)  # type: ignore[arg-type]
    assert why.score is not None  # without biases HiResCAM sums to the score
    assert float(why.map.sum()) == pytest.approx(float(why.score), rel=1e-3)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("picture", [(24, 24), (10, 200), (100, 131), (25, 24)])
def test_tiles_leave_nothing_out(picture: tuple[int, int], overlap: float) -> None:
    grid = TileGrid.over(picture, (24, 24), (6, 6), (4.0, 4.0), overlap)
    seen = np.zeros(picture, bool)
    for corner in grid.corners():
        top, left = grid.pixel(corner)
        assert top < picture[0] and left < picture[1]
        assert top + 24 < picture[0] + max(4, 24 - picture[0] + 1) and left + 24 < picture[1] + 4
        seen[top : top + 24, left : left + 24] = True
    assert seen.all()
    constant = StitchedMap(grid)
    for corner in grid.corners():
        constant.add(torch.full((6, 6), 3.0), corner, 0.0)
    torch.testing.assert_close(constant.map(), torch.full(grid.size, 3.0, dtype=torch.float64))


def test_large_scores_do_not_overflow() -> None:
    grid = TileGrid.over((24, 60), (24, 24), (1, 1), (24.0, 24.0), 0.0)
    pooled = PooledMap(grid, "logsumexp")
    for corner, score in zip(grid.corners(), (900.0, -900.0, 901.0), strict=True):
        pooled.add(torch.ones(1, 1), corner, score)
    expected = torch.tensor([900.0, -900.0, 901.0], dtype=torch.float64).softmax(0)
    torch.testing.assert_close(pooled.map()[0], expected)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A large drawn scene with one jay in its corner, and the box of the jay."""
    bird, side = demo_scenes()[2], 1000
    pose = replace(bird.pose, x=140, y=148, scale=bird.pose.scale * 160 / side)
    pixels, labels = render(replace(bird, size=side, pose=pose, distractors=replace(bird.distractors, count=0)))
    rows, columns = (np.flatnonzero((labels > 0).any(axis)) for axis in (1, 0))
    return pixels, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def test_one_bird_in_a_large_scene_is_found(scene: tuple[np.ndarray, tuple[int, int, int, int]]) -> None:
    model = foveal.load_model("demo")
    pixels, (x0, y0, x1, y1) = scene
    why = foveal.tiles(model, pixels, overlap=0.5)
    assert "Fan-crested Jay" in why.target[0]
    best = why.tiles[why.ranked()[0]]
    assert best.x0 < (x0 + x1) / 2 < best.x1 and best.y0 < (y0 + y1) / 2 < best.y1
    assert best.probability is not None and best.probability > 0.8
    map = why.on_photo()
    row, column = np.unravel_index(np.nanargmax(map), map.shape)
    assert x0 - 16 <= column < x1 + 16 and y0 - 16 <= row < y1 + 16
    whole = foveal.explain(model, pixels)
    assert "Fan-crested Jay" not in whole.target[0] or float(whole.probability) < 0.5  # type: ignore[arg-type]


def test_tiles_are_cut_as_the_picture_has_them(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    p = foveal.Preprocessing((32, 32), mean=(0.5,) * 3, std=(0.5,) * 3)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    deep = pixels.astype(np.float32) / 255 * 0.999
    for source, atol in (
        (TileSource.of(tmp_path / "x.png", p), 1e-6),
        (TileSource.of(pixels, p), 1e-6),
        (TileSource.of(deep, p), 1e-2),
    ):
        assert source.size == (90, 120)
        tile = source.tile(70, 100, (32, 32)).numpy()
        rows, columns = np.clip(np.arange(70, 102), 0, 89), np.clip(np.arange(100, 132), 0, 119)
        expected = (pixels[rows][:, columns].transpose(2, 0, 1) / 255 - 0.5) / 0.5
        np.testing.assert_allclose(tile, expected, atol=atol)
        assert source.photo().pixels.shape == (90, 120, 3)


def test_a_large_picture_is_drawn_smaller_and_says_so() -> None:
    pixels = np.zeros((30, 5001, 3), np.uint8)
    pixels[:, 4500:] = 255
    photo = TileSource.of(pixels, foveal.Preprocessing((30, 30))).photo()
    assert photo.pixels.shape == (10, 1667, 3) and any("3 times smaller" in note for note in photo.notes)
    assert photo.pixels[5, 1500:].min() == 255 and photo.pixels[5, :1499].max() == 0
    left = photo.geometry.points_to_photo([[4500.0, 15.0]])[0]
    assert left == pytest.approx([1500, 5], abs=0.5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"overlap": 0.95}, "cannot overlap by 0.95"),
        ({"pooling": "median"}, "cannot pool tiles by 'median'"),
        ({"side": 0}, "side and a batch"),
        ({"layer": ["one", "two"]}, "one layer"),
        ({"method": "eigencam", "target": None, "pooling": "mean"}, "no scores to pool"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, object], words: str) -> None:
    arguments = {"target": 1, "layer": "one", "side": SIDE} | given
    with pytest.raises(FovealError, match=words):
        foveal.tiles(Convolutional(padding=2).eval(), big() * 3, **arguments)  # type: ignore[arg-type]


def test_a_target_that_changes_from_tile_to_tile_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    nn.init.dirac_(net[0].weight)
    x = torch.zeros(3, 24, 72)
    x[0, :, :30] = x[1, :, 30:] = 1
    with pytest.raises(FovealError, match="another one in each tile"):
        foveal.tiles(net, x, foveal.Margin(), layer="0", side=SIDE)


def test_one_picture_and_a_known_size() -> None:
    net = Convolutional().eval()
    with pytest.raises(FovealError, match="one image"):
        foveal.tiles(net, [big(), big()], 1, side=SIDE)
    with pytest.raises(FovealError, match=r"input size .* not known"):
        foveal.tiles(net, big(), 1)


def test_tiles_go_through_a_few_at_a_time() -> None:
    net, sizes = Convolutional().eval(), []
    net.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    heard: list[tuple[str, int, int]] = []
    why = foveal.tiles(
        net, big(), 1, layer="one", side=SIDE, batch=3, progress=lambda *at: heard.append(at),
    )  # fmt: skip
    assert max(sizes) <= 3
    assert heard[-1] == ("explaining tiles", len(why.tiles), len(why.tiles))
    one = foveal.tiles(net, big(), 1, layer="one", side=SIDE, batch=1)
    torch.testing.assert_close(one.map, why.map, rtol=1e-4, atol=1e-6)


def test_on_the_command_line(tmp_path: Path) -> None:
    Image.fromarray(render(demo_scenes()[2])[0]).resize((320, 200)).save(tmp_path / "כלב.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = CliRunner().invoke(
        app, ["tiles", str(tmp_path / "כלב.png"), str(tmp_path / "bad.png"), "-m", "demo", "--overlap", "0.5",
              "--pooling", "mean", "--json", "-o", str(tmp_path / "out")],
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    first, second = json.loads(done.stdout)
    assert first["parameters"]["pooling"] == "mean" and len(first["tiles"]) == 6
    assert "bad.png" in second["error"] and Path(first["picture"]).exists()
    table = Path(first["picture"]).with_name("tiles.csv").read_text().splitlines()
    assert table[0] == "x0,y0,x1,y1,score,probability" and len(table) == 7
    loaded = foveal.TiledExplanation.load(Path(first["picture"]).parent)
    assert [tile.score for tile in loaded.tiles] == [tile["score"] for tile in first["tiles"]]
