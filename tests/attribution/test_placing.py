"""Maps are drawn and measured where their cells lie: planted squares in networks of every build."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.api.audit import marked
from foveal.engine.stages import describe
from foveal.images import Photo, Place
from foveal.metrics import EvaluationSettings
from foveal.metrics.evaluation import Evaluation
from foveal.render.overlay import draw_overlay

if TYPE_CHECKING:
    from tests.conftest import NoTrace

SIDE, MIDDLE = 56, (20.5, 35.5)
"""A square of 3 × 3 pixels around that (y, x)."""


class Do(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Planted(nn.Module):
    """Sees how bright it is, through a trunk of any build."""

    def __init__(self, *trunk: nn.Module, channels: int = 2) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk)
        self.fc = nn.Linear(channels, 2)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    module.weight.fill_(1 / module.weight[0].numel())
                    module.bias.zero_()  # type: ignore[union-attr]
            self.fc.weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, channels))
            self.fc.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        y = self.trunk(x)
        y = y.mean((2, 3)) if y.shape[1] == self.fc.in_features else y.mean((1, 2))
        return self.fc(y)  # type: ignore[no-any-return]


def conv(kernel: int, stride: int = 1, padding: int = 0, channels: int = 2) -> nn.Conv2d:
    return nn.Conv2d(channels, 2, kernel, stride, padding)


def tokens(x: Tensor) -> Tensor:
    """Patches of 4 × 4 behind a class token, and without it again; channels last."""
    n, c, h, w = x.shape
    t = x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5).flatten(3).mean(3).reshape(n, -1, 1)
    t = torch.cat([torch.zeros(n, 1, 1), t], 1)[:, 1:]
    return t.reshape(n, h // 4, w // 4, 1).expand(-1, -1, -1, 2)


TRUNKS: dict[str, Callable[[], list[nn.Module]]] = {
    "without padding": lambda: [conv(5, channels=1), nn.ReLU(), nn.MaxPool2d(2), conv(5), nn.ReLU()],
    "TensorFlow's same": lambda: [
        nn.ZeroPad2d((0, 1, 0, 1)), conv(3, 2, channels=1), nn.ZeroPad2d((0, 1, 0, 1)), conv(3, 2)],
    "cropped": lambda: [conv(3, channels=1), Do(lambda x: x[:, :, 9:, 2:-5]), nn.ReLU()],
    "flipped": lambda: [conv(3, 1, 1, channels=1), Do(lambda x: x.flip(3)), conv(3, 2, 1)],
    "rotated": lambda: [conv(3, 1, 1, channels=1), Do(lambda x: torch.rot90(x, 1, (2, 3))), conv(3, 2, 1)],
    "transposed": lambda: [conv(5, channels=1), Do(lambda x: x.transpose(2, 3)), conv(3)],
    "strided slices": lambda: [conv(3, channels=1), Do(lambda x: x[:, :, 3::3, 1::2])],
    "unshuffled": lambda: [Do(lambda x: F.pixel_unshuffle(x, 4)), nn.Conv2d(16, 2, 3)],
    "decoder": lambda: [conv(4, 4, channels=1), conv(3), nn.ConvTranspose2d(2, 2, 2, 2), nn.ReLU()],
    "tokens": lambda: [Do(tokens), nn.Linear(2, 2), nn.ReLU()],
    "channels last": lambda: [conv(7, 2, channels=1), Do(lambda x: x.permute(0, 2, 3, 1).contiguous()), nn.ReLU()],
    "padded and strided": lambda: [conv(7, 2, 3, channels=1), nn.MaxPool2d(3, 2, 1), conv(3, 2, 1)],
}  # fmt: skip


def planted() -> Tensor:
    x = torch.zeros(1, 1, SIDE, SIDE)
    y, x_ = (int(middle - 1.5) for middle in MIDDLE)
    x[0, 0, y : y + 3, x_ : x_ + 3] = 1
    return x


def middle(on: Any) -> tuple[float, float]:
    """(y, x), of all that is on a picture."""
    on = np.clip(np.nan_to_num(np.asarray(on)), 0, None)
    y, x = (np.arange(side) + 0.5 for side in on.shape)
    return float((on.sum(1) * y).sum() / on.sum()), float((on.sum(0) * x).sum() / on.sum())


@pytest.fixture(params=TRUNKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    return Planted(*TRUNKS[request.param]()).eval()


@pytest.mark.parametrize("method", ["hirescam", "occlusion", "layercam"])
def test_a_planted_square_is_marked_where_it_is(network: nn.Module, method: str, no_trace: NoTrace) -> None:
    x = planted()
    with no_trace(network):
        why = foveal.explain(network, x, 1, method=method, layer="trunk", task="classes")
    cells = describe(network, x).place(network, "trunk")
    assert not isinstance(cells, str)
    place = Place(*cells)
    assert why.where.get("trunk") == place.settled(why.map.shape[1:], (SIDE, SIDE))
    # Half a cell, and a tenth for what interpolation makes of few cells.
    assert middle(why.on_photo()) == pytest.approx(MIDDLE, abs=0.6 * max(map(abs, place.step)))
    assert not any("not known" in note for note in why.notes)


def test_the_overlay_is_hottest_on_the_square(network: nn.Module) -> None:
    why = foveal.explain(network, planted(), 1, method="hirescam", layer="trunk")
    dark = Photo(np.zeros((SIDE, SIDE, 3), np.uint8), why.photos[0].geometry, "dark")
    shown = np.asarray(
        draw_overlay(dark, why.map[0], place=why.where.get("trunk"), color_bar=False, alpha=1),
        float,
    ).sum(2)  # fmt: skip
    stage = foveal.stages(network, planted())[-1]
    reach = max(*stage.receptive_field, *(SIDE / cells * 1.5 for cells in stage.shape[1:])) / 2
    y, x = np.unravel_index(shown.argmax(), shown.shape)
    assert abs(y + 0.5 - MIDDLE[0]) <= reach
    assert abs(x + 0.5 - MIDDLE[1]) <= reach


def unpadded() -> nn.Module:
    return Planted(*TRUNKS["without padding"]()).eval()


def mirrored() -> nn.Module:
    return Planted(*TRUNKS["flipped"]()).eval()


def warped() -> nn.Module:
    """Somewhere on the way it is lost where things are."""

    def warp(x: Tensor) -> Tensor:
        grid = F.affine_grid(torch.eye(2, 3)[None].expand(len(x), -1, -1), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    return Planted(conv(5, channels=1), Do(warp), conv(3), nn.ReLU()).eval()


# --- what is not known, and what is kept ---


def test_one_note_says_what_is_not_known() -> None:
    why = foveal.explain(warped(), planted(), 1, method="hirescam", layer=["trunk.2", "trunk.3"], task="classes")
    (note,) = [note for note in why.notes if "not known" in note]
    assert "trunk.2, trunk.3" in note
    assert "grid_sampler_2d" in note
    assert "edge to edge" in note
    assert not why.where
    np.testing.assert_array_equal(why.on_photo(), why.photos[0].geometry.map_to_photo(why.map[0]))


@pytest.mark.parametrize("verb", ["flow", "parts", "match", "compare"])
def test_every_verb_says_it(verb: str) -> None:
    model, x = warped(), planted()
    found: Any = {
        "flow": lambda: foveal.flow(model, x, 1, task="classes"),
        "parts": lambda: foveal.parts(model, x, 1, task="classes"),
        "match": lambda: foveal.match(model, x, x),
        "compare": lambda: foveal.compare(model, x, 1, methods=["gradcam", "hirescam"], task="classes")[1],
    }[verb]()
    assert sum("is not known" in note for note in found.notes) == 1


def test_a_border_without_cells_is_said() -> None:
    why = foveal.explain(unpadded(), planted(), 1, method="hirescam", layer="trunk")
    assert any("rows 6 to 50 and columns 6 to 50 of the network's 56 × 56" in note for note in why.notes)
    on = why.on_photo()
    assert (on[:6] == 0).all()
    assert (on[50:] == 0).all()
    assert (on[:, :6] == 0).all()


def test_padded_networks_tile_the_picture_as_ever() -> None:
    model = Planted(*TRUNKS["padded and strided"]()).eval()
    why = foveal.explain(model, planted(), 1, method="hirescam", layer="trunk", task="classes")
    assert not why.where
    assert not any("is not known" in note or "drawn" in note for note in why.notes)


def test_places_are_saved_and_loaded(tmp_path: Path) -> None:
    for model in (unpadded(), mirrored(), Planted(*TRUNKS["rotated"]()).eval()):
        why = foveal.explain(model, planted(), 1, method="hirescam", layer="trunk")
        assert why.where
        why.save(tmp_path / "why")
        again = foveal.Explanation.load(tmp_path / "why")
        assert again.where == why.where
        np.testing.assert_array_equal(again.on_photo(), why.on_photo())


def test_a_photo_of_a_result_knows_where_its_maps_lie(tmp_path: Path) -> None:
    why = foveal.explain(unpadded(), torch.cat([planted()] * 2), 1, method="hirescam", layer="trunk")
    why.save(tmp_path / "why")
    for result in (why, why[1], foveal.Explanation.load(tmp_path / "why"), replace(why, notes=("a",))):
        drawn = result.photos[0].geometry.map_to_photo(result.map[0])
        np.testing.assert_array_equal(drawn, result.on_photo(0))
        assert middle(drawn) == pytest.approx(MIDDLE, abs=1)
    other = why.map[0][:-1]  # of another size, edge to edge
    plain = why.photos[0].geometry.map_to_photo(other, place=Place.covering(tuple(other.shape), (SIDE, SIDE)))
    np.testing.assert_array_equal(why.photos[0].geometry.map_to_photo(other), plain)
    pair = foveal.match(unpadded(), planted(), planted(), layer="trunk")
    assert pair.query_where and pair.queries[0].geometry.places == {tuple(pair.query_maps.shape[2:]): pair.query_where}


def test_what_was_saved_before_there_were_places_loads(tmp_path: Path) -> None:
    foveal.explain(unpadded(), planted(), 1, method="hirescam", layer="trunk").save(tmp_path / "why")
    path = tmp_path / "why" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["where"], manifest["digest"]
    path.write_text(json.dumps(manifest))
    assert not foveal.Explanation.load(tmp_path / "why").where


def test_several_pictures_share_a_place_and_keep_it_alone() -> None:
    x = torch.cat([planted(), planted().flip(2)])
    why = foveal.explain(unpadded(), x, 1, method="hirescam", layer="trunk")
    assert why[1].where == why.where
    np.testing.assert_array_equal(why[1].on_photo(), why.on_photo(1))
    assert middle(why.on_photo(1))[0] == pytest.approx(SIDE - MIDDLE[0], abs=1)


# --- measured there, too ---


@pytest.mark.parametrize("make", [unpadded, mirrored])
def test_metrics_look_where_the_square_is(make: Callable[[], nn.Module]) -> None:
    model, x = make(), planted()
    why = foveal.explain(model, x, 1, method="hirescam", layer="trunk")
    # What a cell sees, around the square.
    reach = max(foveal.stages(model, x)[-1].receptive_field) // 2 + 2
    (y, x_) = (int(value) for value in MIDDLE)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[max(0, y - reach) : y + reach + 1, max(0, x_ - reach) : x_ + reach + 1] = True
    scores = foveal.measure(
        model, x, 1, explanations=why, metrics=["pointing", "energy"], masks=[mask], of="score", baseline_maps=False
    )
    assert scores.values["hirescam"]["pointing"] == (1.0,)
    assert scores.values["hirescam"]["energy"][0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("make", [unpadded, mirrored])
def test_what_is_hidden_covers_the_square(make: Callable[[], nn.Module]) -> None:
    model, x = make(), planted()
    why = foveal.explain(model, x, 1, method="hirescam", layer="trunk")
    where = marked(why.map[0], (SIDE, SIDE), 0.05, place=why.where["trunk"])
    assert where is not None
    assert where[x[0, 0] > 0].all()
    assert not where.flip(1)[x[0, 0] > 0].all()
    audit = foveal.audit(model, x, 1, explanations=why, of="score", fill="zero", area=0.05, draws=4)
    (one,) = audit
    assert one.marked == pytest.approx(0, abs=1e-6)


def test_all_that_a_trial_measures_lies_in_one_place() -> None:
    model, x = unpadded(), planted()
    why = foveal.explain(model, x, 1, method="hirescam", layer="trunk")
    trial = Evaluation(
        x,
        why.map[0],
        lambda copies: model(copies)[:, 1],
        setting=EvaluationSettings(grid=(14, 14)),
        place=why.where["trunk"],
    )
    assert middle(trial.grown) == pytest.approx(MIDDLE, abs=1)
    assert middle(trial.on_grid) == pytest.approx([m / 4 for m in MIDDLE], abs=0.5)
    own = Evaluation(x, why.map[0], trial.ask, place=why.where["trunk"])
    assert own.on_grid.shape == why.map[0].shape
    step = SIDE / own.on_grid.shape[0]
    assert middle(own.on_grid) == pytest.approx([m / step for m in MIDDLE], abs=1)
    # The mask leaves the square, so nothing is lost; the top tenth of pixels is enough to lose it all.
    assert float(trial.masked.shown[0]) > float(trial.masked.hidden[0])
    assert trial.road.most[0] < trial.road.least[0]
    # Half as many squares again as with the map stretched lie where the map says.
    stretched = Evaluation(x, why.map[0], trial.ask)
    assert trial.infidelity.correlation > stretched.infidelity.correlation


# --- other maps than those of one layer ---


def test_maps_of_several_layers_are_fused_in_one_place() -> None:
    why = foveal.explain(unpadded(), planted(), 1, method="hirescam", layer=["trunk.1", "trunk"])
    fused = why.fused("product")
    assert fused.where[fused.layer] == why.where["trunk.1"]
    assert middle(fused.on_photo()) == pytest.approx(MIDDLE, abs=1)
    turned = Planted(*TRUNKS["rotated"](), conv(3, 1, 1)).eval()
    why = foveal.explain(turned, planted(), 1, method="hirescam", layer=["trunk.0", "trunk"])
    assert middle(why.fused().on_photo()) == pytest.approx(MIDDLE, abs=1)


def test_a_finer_map_lies_in_the_same_place() -> None:
    model = Planted(conv(5, 2, channels=1), nn.ReLU(), conv(5, 2), nn.ReLU()).eval()
    built = foveal.explain(model, planted(), 1, method="hirescam", layer="trunk")
    finer = foveal.explain(model, planted(), 1, method="hirescam", layer="trunk", resolution=4)
    assert finer.where["trunk"] == built.where["trunk"].refined((4, 4))
    assert middle(finer.on_photo()) == pytest.approx(MIDDLE, abs=1)
    parts = foveal.parts(model, planted(), 1, layer="trunk", resolution=2, count=1)
    assert parts.where["trunk"] == built.where["trunk"].refined((2, 2))


@pytest.mark.parametrize("scales", [(1.0, 2.0), (0.5, 1.0), (2.0,)])
def test_maps_at_several_scales_lie_in_one_place(scales: tuple[float, ...]) -> None:
    why = foveal.explain(unpadded(), planted(), 1, method="hirescam", layer="trunk", scales=scales)
    largest = max(scales)
    assert why.where["trunk"] == Place((7 / largest, 7 / largest), (2 / largest, 2 / largest))
    assert middle(why.on_photo()) == pytest.approx(MIDDLE, abs=2)


def test_masks_of_an_activation_cover_what_its_cells_see() -> None:
    """Stretched, no mask leaves the square; where the cells lie, the one that it switches on does."""
    model, x = mirrored(), planted()
    why = foveal.explain(model, x, 1, method="scorecam:weights=difference", layer="trunk")
    assert any("masks" in note for note in why.notes)
    assert float(why.map.max()) > 0
    aligned = foveal.explain(model, x, 1, method="scorecam:align_corners=true,weights=difference", layer="trunk")
    assert not any("masks" in note for note in aligned.notes)
    assert float(aligned.map.max()) < float(why.map.max())


def test_lines_of_a_match_join_the_squares() -> None:
    model, x = unpadded(), planted()
    other = x.roll((9, -14), (2, 3))
    pair = foveal.match(model, x, other, layer="trunk", lines=1)
    ends = pair.places[0, 0, 0].tolist()
    for photo, cell, map, place, shift in (
        (pair.queries[0], ends[:2], pair.query_maps[0, 0], pair.query_where, (0, 0)),
        (pair.references[0], ends[2:4], pair.reference_maps[0, 0], pair.reference_where, (9, -14)),
    ):
        size = (map.shape[0], map.shape[1])
        x_, y = photo.geometry.cells_to_photo(cell, size, place)
        assert (y, x_) == pytest.approx((MIDDLE[0] + shift[0], MIDDLE[1] + shift[1]), abs=7)
        assert middle(photo.geometry.map_to_photo(map, place=place)) == pytest.approx(
            (MIDDLE[0] + shift[0], MIDDLE[1] + shift[1]), abs=1
        )
    assert pair.figure().width > 0


def test_a_match_keeps_its_places(tmp_path: Path) -> None:
    pair = foveal.match(unpadded(), planted(), planted(), layer="trunk")
    pair.save(tmp_path / "pair")
    again = foveal.Match.load(tmp_path / "pair")
    assert (again.query_where, again.reference_where) == (Place((7, 7), (2, 2)),) * 2
    assert (pair.query_where, pair.reference_where) == (Place((7, 7), (2, 2)),) * 2


def test_flows_and_parts_draw_where_cells_lie(tmp_path: Path) -> None:
    from foveal.render.flow import mask_picture
    from foveal.render.parts import palette

    model, x = unpadded(), planted()
    flow = foveal.flow(model, x, 1)
    assert flow.where[flow.layer] == Place((7, 7), (2, 2))
    share = np.asarray(mask_picture(flow, flow.layer, side=SIDE).convert("L"), float)
    assert (share[:6] == 0).all()
    parts = foveal.parts(model, x, 1, count=1, layer="trunk")
    assert parts.where["trunk"] == Place((7, 7), (2, 2))
    outlined = np.asarray(parts.rank_picture(side=8 * SIDE, legend=False), float)
    line = np.abs(outlined - palette(1)[0]).max(axis=2) < 20
    assert middle(line) == pytest.approx(tuple(8 * at for at in MIDDLE), abs=16)
    flow.save(tmp_path / "flow")
    assert foveal.Flow.load(tmp_path / "flow").where == flow.where


def test_what_a_feature_of_a_tree_sees_holds_the_square(tmp_path: Path) -> None:
    from foveal.render.feature import region

    tree = foveal.decompose(unpadded(), planted(), 1, gate=False, branching=1).grow()
    for feature in tree.features.values():
        x0, y0, x1, y1 = region(tree, feature)
        assert x0 <= MIDDLE[1] <= x1
        assert y0 <= MIDDLE[0] <= y1
    assert middle(tree.map()) == pytest.approx(MIDDLE, abs=2)
    tree.save(tmp_path / "tree")
    assert [stage.place for stage in foveal.Tree.load(tmp_path / "tree").stages] == [s.place for s in tree.stages]


def test_words_name_the_right_third() -> None:
    model, x = mirrored(), torch.zeros(1, 1, SIDE, SIDE)
    x[0, 0, 4:7, 4:7] = 1
    why = foveal.explain(model, x, 1, method="hirescam", layer="trunk")
    assert "at the top left" in why.to_html()


def test_a_differentiable_map_is_placed_as_any_other() -> None:
    x = planted().requires_grad_()
    why = foveal.explain(unpadded(), x, 1, method="hirescam", layer=["trunk.1", "trunk"], differentiable=True)
    assert middle(why.on_photo()) == pytest.approx(MIDDLE, abs=1)
    (G,) = torch.autograd.grad(why.fused().map.sum(), x)
    assert bool(G.any())


class Pairs(nn.Module):
    """Takes two images at once, and no other number."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(conv(5, 2, channels=1), nn.ReLU())
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 2:
            raise ValueError("two images")
        return self.fc(self.trunk(x).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_network_that_takes_two_images_at_once_is_followed_with_both() -> None:
    x = torch.cat([planted(), planted()])
    why = foveal.explain(Pairs().eval(), x, 1, method="hirescam", layer="trunk", task="classes")
    assert why.where and not any("is not known" in note for note in why.notes)


def test_two_layers_of_one_size_that_lie_apart_have_to_be_named() -> None:
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), Do(lambda x: x.flip(3)), nn.Conv2d(4, 4, 3, 1, 1))
    net = nn.Sequential(trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    why = foveal.explain(net, torch.rand(1, 1, 40, 40), 1, method="hirescam", layer=["0.1", "0.3"])
    assert why.where["0.1"] != why.where["0.3"] and not why.photos[0].geometry.places
    assert foveal.explain(net, torch.rand(1, 1, 40, 40), 1, layer="0.3").photos[0].geometry.places


def test_a_layout_that_can_only_be_assumed_is_said() -> None:
    class Lost(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(nn.Conv2d(1, 8, 8, 8), Do(lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real))
            self.fc = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Any:
            return self.fc(self.trunk(x).tanh().mean((2, 3)))

    notes = foveal.explain(Lost().eval(), torch.randn(1, 1, 64, 64), 1).notes
    assert any("is only assumed to be (n, c, h, w)" in note for note in notes)
    wide = foveal.explain(Lost().eval(), torch.randn(1, 1, 128, 128), 1).notes
    assert any("is not known" in note for note in wide) and not any("assumed" in note for note in wide)


@pytest.mark.parametrize("turned", [False, True])
def test_a_finer_map_is_drawn_where_the_coarse_one_is(turned: bool) -> None:
    # Padded below and on the right only, as TensorFlow does: middles are half a cell too far, and tiles are kept.
    built = Place((31.5, 31.5), (32.0, 32.0), turned)
    coarse = built.settled((7, 7), (224, 224)) or Place.covering((7, 7), (224, 224))
    finer = built.settled_finer((13, 13), (224, 224), (2, 2))
    assert finer is not None and finer.turned == turned
    for axis in (0, 1):
        np.testing.assert_allclose(finer.middles(axis, 13)[::2], coarse.middles(axis, 7))
    # Padded on both sides, both maps keep their tiles; unpadded, both keep their middles.
    assert Place((0.5, 0.5), (32.0, 32.0)).settled_finer((14, 14), (224, 224), (2, 2)) is None
    bare = Place((50.0, 50.0), (32.0, 32.0))
    assert bare.settled_finer((8, 8), (224, 224), (2, 2)) == bare.refined((2, 2))
    assert bare.settled_finer((4, 4), (224, 224), (1, 1)) == bare.settled((4, 4), (224, 224)) == bare
