"""`foveal.match`: every pair, both sides, place by place."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError
from foveal.methods.correspondence import strongest
from foveal.similarity import METRICS, Learned
from tests.methods.test_fam import Embedder, S, X, pictures, published, unit

if TYPE_CHECKING:
    from tests.conftest import NoTrace


@pytest.mark.parametrize("head", ["mean", "gem", "project", "branches", "flat"])
@pytest.mark.parametrize("weights", ["contribution", "positive", "linear"])
def test_pairs_are_explanations(weights: str, head: str, no_trace: NoTrace) -> None:
    """Each pair's map is what `explain` gives for that reference, and mirrored for the reference."""
    model = Embedder(head)
    with no_trace(model):
        pair = foveal.match(model, X, S, weights=weights, lines=0)
    assert pair.query_maps.shape == (3, 2, 6, 6)
    method = f"fam:weights={weights}"
    for j in range(2):
        why = foveal.explain(model.eval(), X, foveal.Similar(S[j]), method=method)
        assert torch.allclose(pair.query_maps[:, j], why.map, rtol=1e-9)
        assert torch.allclose(pair.similarity[:, j], why.score, rtol=1e-9)
    for i in range(3):
        why = foveal.explain(model, S, foveal.Similar(X[i]), method=method)
        assert torch.allclose(pair.reference_maps[i], why.map, rtol=1e-9)


@pytest.mark.parametrize("metric", [*METRICS, "learned"])
def test_every_metric(metric: Any) -> None:
    chosen = Learned(torch.randn(4, 8, dtype=torch.float64)) if metric == "learned" else metric
    model = Embedder().eval()
    pair = foveal.match(model, X, S, metric=chosen)
    assert torch.allclose(pair.contributions.sum(2), pair.similarity, rtol=1e-9)
    for j in range(2):
        why = foveal.explain(model, X, foveal.Similar(S[j], metric=chosen), method="fam")
        assert torch.allclose(pair.query_maps[:, j], why.map, rtol=1e-9)
    assert pair.distance == (metric in ("euclidean", "squared", "learned"))
    assert (pair.value(0, 0) >= 0) or not pair.distance
    linear = foveal.match(model, X, S, metric=chosen, weights="linear")
    if metric not in ("euclidean", "squared", "learned"):
        assert torch.allclose(linear.query_maps.sum((2, 3)), linear.similarity, rtol=1e-6)
        assert torch.allclose(linear.reference_maps.sum((2, 3)), linear.similarity, rtol=1e-6)
    else:
        assert any("belongs to no position" in note for note in linear.notes)


def test_the_published_map_for_every_pair() -> None:
    model = Embedder().eval()
    pair = foveal.match(model, X, S)
    with torch.no_grad():
        A, q, s = model.features(X), model(X), model(S)
    for j in range(2):
        assert torch.allclose(pair.query_maps[:, j] * 36, published(A, q, s[j]), rtol=1e-9)


def table(model: Embedder, i: int, j: int) -> Tensor:
    """All pairs of places of the plain network, written out."""
    with torch.no_grad():
        A, B, q, s = model.features(X)[i], model.features(S)[j], model(X)[i], model(S)[j]
    found = torch.zeros(6, 6, 6, 6, dtype=torch.float64)
    for y, x, v, u in np.ndindex(6, 6, 6, 6):
        found[y, x, v, u] = A[:, y, x] @ B[:, v, u] / (36 * 36 * q.norm() * s.norm())
    return found


def test_places_against_the_sum_written_out() -> None:
    """The 4-D tensor sums to the cosine; the lines are its strongest entries."""
    model = Embedder().eval()
    pair = foveal.match(model, X, S, lines=5)
    for i, j in ((0, 0), (2, 1)):
        T = table(model, i, j)
        assert torch.allclose(T.sum(), pair.similarity[i, j], rtol=1e-6)
        assert abs(float(pair.unplaced[i, j])) < 1e-9
        linear = foveal.match(model, X, S, weights="linear", lines=0)
        assert torch.allclose(T.sum((2, 3)), linear.query_maps[i, j], rtol=1e-6)
        assert torch.allclose(T.sum((0, 1)), linear.reference_maps[i, j], rtol=1e-6)
        for y, x, v, u, worth in pair.places[i, j].tolist():
            if worth == worth:
                at = (int(y), int(x), int(v), int(u))
                assert abs(float(T[at]) - worth) < 1e-9
        for columns in ([0, 1], [2, 3]):
            places = [tuple(row) for row in pair.places[i, j][:, columns].tolist()]
            assert len(set(places)) == len(places)
        values = pair.places[i, j, :, 4]
        assert bool((values[:-1] >= values[1:])[~values[1:].isnan()].all())
        assert float(values[0]) == pytest.approx(float(T.max()))


@pytest.mark.parametrize(("head", "exact"), [("gem", True), ("project", True), ("branches", True), ("flat", False)])
def test_places_of_other_heads(head: str, *, exact: bool) -> None:
    """Exact where the head is homogeneous; what its offset adds is no place's, and told."""
    pair = foveal.match(Embedder(head).eval(), X, S, metric="dot")
    assert bool((pair.unplaced.abs() < 1e-9).all()) == exact
    assert bool(torch.isfinite(pair.places[..., 4]).any())


def test_planted_correspondence() -> None:
    """One color lies at one place in the query, at another in the reference: the first line joins them."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    conv = model[0]
    assert isinstance(conv, nn.Conv2d)
    conv.weight.data = torch.eye(3)[:, :, None, None]
    q, s = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    q[0, 0, 1, 2], q[0, 1, 5, 5] = 2, 1
    s[0, 0, 6, 4], s[0, 2, 0, 0] = 2, 1
    pair = foveal.match(model, q, s, layer="1")
    assert pair.places[0, 0, 0, :4].tolist() == [1, 2, 6, 4]
    assert bool(pair.places[0, 0, 1:, 4].isnan().all())
    assert divmod(int(pair.query_maps[0, 0].argmax()), 8) == (1, 2)
    assert divmod(int(pair.reference_maps[0, 0].argmax()), 8) == (6, 4)


def test_the_strongest_share_no_place() -> None:
    T = torch.tensor([[5.0, 4.0, 0.0], [4.5, 3.0, 1.0], [0.0, 0.0, -1.0]])
    rows = strongest(*T.topk(min(4, T.shape[1]), 1), 3, 3, 4)
    assert rows[0].tolist() == [0, 0, 0, 0, 5]
    assert rows[1].tolist() == [0, 1, 0, 1, 3]
    assert bool(rows[2:].isnan().all())  # what is left is not above 0


def _note(told: list[Any], *args: Any) -> None:
    told.append(args)


def test_many_pictures_go_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for head in ("mean", "gem"):
        at_once = foveal.match(Embedder(head).eval(), X, S)
        with monkeypatch.context() as patch:
            patch.setattr("foveal.methods.pairwise.AT_ONCE", 2)
            told: list[Any] = []
            by_twos = foveal.match(Embedder(head).eval(), X, S, progress=partial(_note, told))
        for name in ("similarity", "query_maps", "reference_maps", "contributions", "places"):
            assert torch.allclose(getattr(by_twos, name), getattr(at_once, name), equal_nan=True)
        assert told[:2] == [("comparing query images", 2, 3), ("comparing query images", 3, 3)]


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("resnet18", "fc.input"),
        ("vgg11_bn", "classifier.6.input"),
        ("mobilenet_v2", "classifier.1.input"),
        ("densenet121", "classifier.input"),
        ("convnext_tiny", "classifier.2.input"),
    ],
)
def test_the_embedding_of_classifiers_is_what_goes_into_the_last_layer(
    name: str, site: str, no_trace: NoTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.networks import ARCHITECTURES, architecture

    monkeypatch.setattr("foveal.methods.correspondence.WIDEST", 100)
    model = architecture(name)
    x = torch.randn(2, 3, ARCHITECTURES[name], ARCHITECTURES[name])
    with no_trace(model):
        pair = foveal.match(model, x[:1], x)
    assert pair.embedding == site
    left_out = any("lines between positions were left out" in note for note in pair.notes)
    assert left_out == (name in ("vgg11_bn", "convnext_tiny"))  # 256 and 192 numbers behind something that is no mean
    assert any(f"the input of {site.removesuffix('.input')}" in note for note in pair.notes)
    assert float(pair.similarity[0, 0]) == pytest.approx(1, abs=1e-4)
    assert float(pair.similarity[0, 1]) <= 1 + 1e-4  # of a random network, the same embedding but for rounding
    assert float(pair.query_maps.abs().amax()) > 0
    assert torch.allclose(pair.query_maps[0, 0], pair.reference_maps[0, 0], rtol=1e-3)


def test_where_the_embedding_is() -> None:
    find = foveal.find_embedding
    assert find(Embedder("project").eval(), X).layer == ""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).double()
    assert "the map in the model's output" in find(model, X).said
    labeled = foveal.load_model("demo")
    site = find(labeled, torch.rand(1, 3, 160, 160))
    assert (site.layer, site.said) == ("head.input", "the input of head (128 numbers)")

    class Convolutional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.scores = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.scores(self.body(x)).mean((2, 3))  # type: ignore[no-any-return]

    assert find(Convolutional(), torch.rand(1, 3, 9, 9), labels=list("abcd")).layer in ("body", "scores")


def test_it_saves_loads_draws_and_prints(tmp_path: Path) -> None:
    pair = foveal.match(Embedder().eval(), X[:2], S, metric="euclidean")
    folder = pair.save(tmp_path / "out")
    again = foveal.Match.load(folder)
    for name in ("similarity", "query_maps", "reference_maps", "contributions", "places", "unplaced"):
        assert torch.equal(getattr(again, name).nan_to_num(), getattr(pair, name).nan_to_num())
    assert str(again) == str(pair)
    assert "euclidean distance" in str(pair)
    assert np.array_equal(np.array(again.figure(i=1)), np.array(pair.figure(i=1)))
    assert pair.figure("pair", j=1).width > 2 * 384
    assert {f.name for f in folder.iterdir()} >= {
        "manifest.json",
        "match.npz",
        "query-0.png",
        "reference-1.png",
        "match-1.png",
    }
    (folder / "match.npz").write_bytes(b"no")
    with pytest.raises(FovealError, match="changed or cut"):
        foveal.Match.load(folder)
    assert "data:image/" in pair._repr_html_()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"references": []}, "empty list"),
        ({"metric": "taxi"}, "no metric 'taxi'"),
        ({"weights": "margin"}, "no weights 'margin'"),
        ({"layer": "nowhere"}, "no layer 'nowhere'"),
        ({"embedding": "nowhere"}, "no layer 'nowhere'"),
        ({"references": torch.full((1, 3, 12, 12), float("nan"), dtype=torch.float64)}, "NaN or infinite"),
        ({"references": pictures(3)[:, :2]}, "channel"),
        ({"metric": "emd", "embedding": ""}, "name a layer with a map"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(FovealError, match=words) as caught:
        foveal.match(Embedder().eval(), X, **{"references": S, **options})
    assert "\n" not in str(caught.value)


def test_references_of_another_size_are_welcome_where_the_network_takes_them() -> None:
    larger = torch.rand(1, 3, 20, 16, dtype=torch.float64)
    pair = foveal.match(Embedder().eval(), X, larger)
    assert pair.reference_maps.shape == (3, 1, 10, 8)


def test_a_black_picture_has_no_direction() -> None:
    model = Embedder().eval()
    model.conv1.bias.data.zero_()
    model.conv2.bias.data.zero_()
    with pytest.raises(FovealError, match="reference 0 is all zero"):
        foveal.match(model, X, torch.zeros(1, 3, 12, 12, dtype=torch.float64))
    assert float(foveal.match(model, X, torch.zeros(1, 3, 12, 12).double(), metric="euclidean").value(0, 0)) > 0
    assert unit(torch.ones(1, 4)).norm() == 1


class ChannelsLast(torch.nn.Module):
    """A stem, then layers that keep channels last, as Swin and ConvNeXt do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = torch.nn.Conv2d(3, 6, 4, 4)
        self.body = torch.nn.Linear(6, 12)
        self.fc = torch.nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(self.stem(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))  # type: ignore[no-any-return]


def test_channels_last_inside_the_network() -> None:
    model, x, s = ChannelsLast(), torch.rand(2, 3, 32, 48), torch.rand(3, 3, 32, 48)
    pair = foveal.match(model, x, s, layer="body", embedding="body", lines=0)
    assert pair.query_maps.shape == (2, 3, 8, 12)
    v, w = (model.body(model.stem(z).permute(0, 2, 3, 1)).mean((1, 2)).detach() for z in (x, s))
    cosine = torch.nn.functional.normalize(v, dim=1) @ torch.nn.functional.normalize(w, dim=1).T
    assert torch.allclose(pair.similarity, cosine, atol=1e-5)
    why = foveal.explain(model, x, foveal.Similar(s[:1], embedding="body"), method="hirescam")
    assert torch.allclose(why.score, cosine[:, 0], atol=1e-5)  # type: ignore[arg-type]
    local = foveal.match(model, x, x, layer="body", embedding="body", metric="nearest")
    assert local.query_maps.shape == (2, 2, 8, 12) and bool((local.similarity.argmax(1) == torch.arange(2)).all())
    unit = foveal.explain(model, x, foveal.Neuron("body", 11), method="hirescam", layer="stem")
    assert torch.allclose(unit.score, model.body(model.stem(x).permute(0, 2, 3, 1))[..., 11].mean((1, 2)))  # type: ignore[arg-type]


def test_a_module_that_runs_twice_is_read_at_its_last_call_on_both_sides() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.act = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3), torch.nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.b(self.act(self.a(x)))).mean((2, 3))

    model, x = Twice(), torch.rand(2, 3, 16, 16)
    same = foveal.explain(model, x, foveal.Similar(x, embedding="act"), method="gradcam")
    assert torch.allclose(same.score, torch.ones(2))  # type: ignore[arg-type]
    one, other = (foveal.match(model, x, x, embedding=at, layer="b") for at in ("act", "act#1"))
    assert torch.allclose(one.similarity, other.similarity)


def test_a_backbone_that_turns_gradients_off_is_matched_all_the_same() -> None:
    class Frozen(torch.nn.Module):
        def __init__(self, off: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.project, self.off = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 3), off

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.set_grad_enabled(not self.off):
                return self.project(self.a(x).relu().mean((2, 3)))  # type: ignore[no-any-return]

    x, s = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 12, 12)
    off, on = (foveal.match(Frozen(off), x, s, layer="a") for off in (True, False))
    assert torch.allclose(off.query_maps, on.query_maps) and any("turns gradients off" in note for note in off.notes)


def test_places_of_large_maps_are_found_without_a_table_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.methods import correspondence

    model, x, s = ChannelsLast(), torch.rand(1, 3, 64, 64), torch.rand(2, 3, 64, 64)
    whole = foveal.match(model, x, s, layer="stem", embedding="stem", lines=12)
    A, B = (model.stem(z).detach() for z in (x, s))
    for j in range(2):
        table = torch.einsum("cx,cy->xy", A[0].flatten(1), B[j].flatten(1)) / 256**2
        table = table / (A[0].mean((1, 2)).norm() * B[j].mean((1, 2)).norm())
        assert float(table.sum() + whole.unplaced[0, j]) == pytest.approx(float(whole.similarity[0, j]), abs=1e-4)
        for place in whole.places[0, j]:
            y, xx = divmod(int(table.argmax()), 256)
            assert place[:4].tolist() == [y // 16, y % 16, xx // 16, xx % 16]
            assert float(place[4]) == pytest.approx(float(table[y, xx]), rel=1e-4)
            table[y] = table[:, xx] = -torch.inf
    monkeypatch.setattr(correspondence, "AT_ONCE", 1000)
    few = foveal.match(model, x, s, layer="stem", embedding="stem", lines=12)
    assert torch.allclose(few.places, whole.places, equal_nan=True)
