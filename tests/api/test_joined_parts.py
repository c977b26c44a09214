"""Parts of a similarity: they add up, they lie on both images, and the network confirms them where it is linear."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import FovealError, MethodError, ResultError
from foveal.hierarchy.factoring import SHARPNESS
from foveal.methods.joined import Mixed, Pooled, factored_jointly
from foveal.results.episode import Episode
from foveal.results.match import Match
from foveal.similarity import Cosine, Learned, Squared
from tests.methods.test_fam import Embedder, S, X, pictures

if TYPE_CHECKING:
    from tests.conftest import NoTrace

POOLED = ("cosine", "dot", "euclidean", "squared")
CASES = [
    *((head, metric) for head in ("mean", "gem", "project", "branches") for metric in POOLED),
    ("mean", "nearest"),  # and emd, by the same lines
    ("mean", "crossattention"),
    *(("mean", Learned(torch.randn(4, 8, dtype=torch.float64), inner)) for inner in (Squared(), Cosine())),
]


class Colors(nn.Module):
    """The mean amount of each color, as it is: an embedding whose evidence can be planted."""

    def __init__(self, *, flat: bool = False, bias: float = 0.0) -> None:
        super().__init__()
        self.map, self.flat = nn.Conv2d(3, 3, 1, bias=False), flat
        self.map.weight.data = torch.eye(3)[:, :, None, None]
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        A = self.map(x)
        return A.flatten(1) if self.flat else A.mean((2, 3)) + self.bias


def spots(**at: tuple[int, int]) -> Tensor:
    """A black image of 8 × 8 with one pixel of each color named: r, g or b."""
    x = torch.zeros(3, 8, 8)
    for color, (row, column) in at.items():
        x["rgb".index(color), row, column] = 1
    return x


@pytest.mark.parametrize(("head", "metric"), CASES)
def test_parts_add_up(head: str, metric: Any, no_trace: NoTrace) -> None:
    """Values, maps and numbers of the embedding; every query with every reference, of another size."""
    model = Embedder(head)
    shelf = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    with no_trace(model):
        pair = foveal.match(model, X, shelf, metric=metric, parts=3)
    for i in range(3):
        for j in range(2):
            parts, whole = pair.parts(i, j), float(pair.similarity[i, j])
            assert len(parts) == 3
            assert sum(part.value for part in parts) == pytest.approx(whole, rel=1e-5)
            assert sum(part.share for part in parts) == pytest.approx(1, rel=1e-5)
            assert [abs(part.value) for part in parts] == sorted((abs(part.value) for part in parts), reverse=True)
            for part in parts:
                maps = float(part.query_map.sum()), float(part.reference_maps.sum())
                close = pytest.approx(part.value, abs=1e-9)
                assert (sum(maps) == close) if pair.distance else (maps[0] == close and maps[1] == close)
                assert float(part.numbers.sum()) == close
                assert part.pro - part.contra == close
                assert part.query_map.shape == (6, 6) and part.reference_maps.shape == (1, 8, 10)


def test_bias_terms_belong_to_no_part() -> None:
    """What is missing is what `match` says is at no position."""
    pair = foveal.match(Embedder("flat").eval(), X, S, parts=3, lines=4)
    joined = torch.stack([parts.unplaced for parts in pair.joined], 1)
    assert torch.allclose(joined, pair.unplaced, rtol=1e-6)
    assert "at no position" in str(pair)


@pytest.mark.parametrize("metric", POOLED)
def test_an_embedding_that_is_the_whole_map(metric: str) -> None:
    """Each position meets the same one: the parts of both images lie at the same positions."""
    pair = foveal.match(Colors(flat=True), torch.rand(2, 3, 8, 8), torch.rand(3, 3, 8, 8), metric=metric, parts=4)
    for j, parts in enumerate(pair.joined):
        assert torch.allclose(parts.values.sum(1), pair.similarity[:, j], rtol=1e-4)
        assert torch.allclose(parts.query_maps, parts.reference_maps[:, :, 0], atol=1e-6)


def test_all_pairs_of_positions_written_out() -> None:
    """The division channel by channel against the whole tensor at once."""
    U, V = (torch.rand(5, size, generator=torch.Generator().manual_seed(size)).double() - 0.2 for size in (6, 4))
    found = Pooled(U, V).divided(3)
    c, a, b = factored_jointly(U.abs(), V.abs(), 3)
    w = torch.einsum("ek,xk,yk->kexy", c, a, b) ** SHARPNESS
    T = w / w.sum(0) * U[:, :, None] * V[:, None, :]
    assert torch.allclose(found.pro - found.contra, T.sum((1, 2, 3)))
    assert torch.allclose(found.query, T.sum((1, 3))) and torch.allclose(found.reference, T.sum((1, 2)))
    assert torch.allclose(found.query_share.sum(0), torch.ones(5, 6, dtype=torch.float64))
    mixed = Mixed(U, V).divided(3)
    assert torch.allclose(mixed.query.sum(0), U.mT @ V.sum(1)) and torch.allclose(
        mixed.reference.sum(0), V.mT @ U.sum(1)
    )


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_a_planted_part_is_one_part_on_both_images(metric: str) -> None:
    """Two colors, at other positions in the second image; a third that only the first has is in no part."""
    query, reference = spots(r=(1, 1), g=(6, 5), b=(0, 7)), spots(r=(5, 6), g=(2, 0))
    pair = foveal.match(Colors(), query[None], reference[None], metric=metric, parts=2)
    found = {
        tuple(divmod(int(map.argmax()), 8) for map in (part.query_map, part.reference_maps[0])): part
        for part in pair.parts()
    }
    assert set(found) == {((1, 1), (5, 6)), ((6, 5), (2, 0))}
    for part in found.values():
        assert part.share == pytest.approx(0.5, abs=1e-3)
        assert float(part.query_map.max()) == pytest.approx(part.value, rel=1e-3)
        assert float(part.query_map[0, 7]) == pytest.approx(0, abs=1e-6)


def test_a_distance_is_made_of_what_differs() -> None:
    """Red is in both images and adds nothing; green on one and blue on the other are a half each."""
    query, reference = spots(r=(1, 1), g=(6, 5)), spots(r=(5, 6), b=(2, 0))
    pair = foveal.match(Colors(), query[None], reference[None], metric="squared", parts=2)
    for part in pair.parts():
        assert part.share == pytest.approx(0.5, abs=1e-3)
        assert part.lost == pytest.approx(0.5, abs=1e-2), "without it on both images"
    assert "of the distance; without it on both images −50.0 %" in str(pair)


def test_a_linear_head_loses_the_share() -> None:
    """A dot product on each side; a cosine before it rescales what is left."""
    model = Embedder().eval()
    for part in foveal.match(model, X[:1], S[:1], metric="dot", parts=4).parts():
        assert part.effects["query"] == pytest.approx(part.share) == part.effects["reference"]
    for part in foveal.match(model, X[:1], S[:1], parts=4).parts():
        assert part.effects["same lengths"] == pytest.approx(part.share)
        assert not part.rescaled


def test_effects_are_what_the_network_says() -> None:
    """Without the part, written out, through a head that is not linear."""
    model = Embedder("gem").eval()
    with torch.no_grad():
        A, B = (model.features(x) for x in (X[:1], S[:1]))
    pair = foveal.match(model, X[:1], S[:1], parts=2)
    parts = pair.joined[0]

    def pooled(A: Tensor) -> Tensor:
        return A.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)

    q, s = pooled(A)[0], pooled(B)[0]
    U = A[0].flatten(1).clamp(min=1e-6) ** 3 / 36 / q[:, None] ** 2
    V = B[0].flatten(1).clamp(min=1e-6) ** 3 / 36 / s[:, None] ** 2
    division = Pooled(U / q.norm(), V / s.norm()).divided(2).ordered()
    assert torch.allclose(division.pro - division.contra, parts.values[0], rtol=1e-6)
    less = pooled(A * (1 - division.query_share.view(2, 8, 6, 6)))
    lost = 1 - torch.cosine_similarity(less, s[None]) / pair.similarity[0, 0]
    assert torch.allclose(lost, parts.effects[0, :, 0], rtol=1e-6)


def test_what_cannot_be_run_on_from_the_layer_is_not_measured() -> None:
    class Beside(Embedder):
        def forward(self, x: Tensor) -> Tensor:
            first = self.relu1(self.conv1(x))
            A = self.relu2(self.conv2(first))
            return torch.cat([A.mean((2, 3)), first.mean((2, 3))], 1)

    pair = foveal.match(Beside().eval(), X[:1], S[:1], layer="relu2", parts=2)
    assert bool(pair.joined[0].effects.isnan().all())
    assert any("are not measured" in note for note in pair.notes)
    assert "without it" not in str(pair) and json.loads(json.dumps(pair.to_dict()))["parts"][0][0]


@pytest.mark.parametrize(("rule", "metric"), [
    ("mean", "cosine"), ("mean", "squared"), ("average", "cosine"), ("average", "euclidean"), ("average", "nearest"),
    ("nearest", "cosine"),
])  # fmt: skip
def test_parts_of_an_episode_lie_on_all_examples(rule: Any, metric: str) -> None:
    """They add up to the score that the episode explains."""
    support, labels = pictures(7, 5), ["a", "a", "a", "b", "b"]
    found = foveal.episode(Embedder().eval(), X, support, labels, rule=rule, metric=metric, parts=3)
    for name, count in (("a", 3), ("b", 2)):
        for i in range(3):
            parts = found.parts(i, name)
            score = float(found.evidence[name].score[i])
            assert sum(part.value for part in parts) == pytest.approx(score, rel=1e-5)
            assert parts[0].reference_maps.shape == (count, 6, 6)


def test_a_planted_part_of_a_class() -> None:
    """Red is on all examples, elsewhere on each."""
    support = torch.stack([spots(r=(1, 2)), spots(r=(4, 4)), spots(g=(0, 0), b=(5, 5)), spots(b=(1, 7))])
    found = foveal.episode(Colors(), spots(r=(6, 6))[None], support, ["red", "red", "other", "other"], parts=2)
    part = found.parts()[0]
    assert found.decided == ("red",) and part.share == pytest.approx(1, abs=1e-4)
    assert [divmod(int(map.argmax()), 8) for map in part.reference_maps] == [(1, 2), (4, 4)]


def test_saved_loaded_and_told(tmp_path: Path) -> None:
    model = Embedder().eval()
    pair = foveal.match(model, X[:1], S, parts=2)
    pair.save(tmp_path / "pair")
    again = Match.load(tmp_path / "pair")
    for one, other in zip(pair.joined, again.joined, strict=True):
        assert all(torch.equal(tensor, other.arrays()[name]) for name, tensor in one.arrays().items())
    assert again.to_dict() == pair.to_dict() and len(pair.to_dict()["parts"][0][1]) == 2
    assert len([*(tmp_path / "pair").glob("parts-*.png")]) == 2
    assert pair.to_html().count("<img") == 2 and "part 1" in pair.to_html()
    few = foveal.episode(model, X[:1], S, ["a", "b"], metric="squared", parts=2)
    few.save(tmp_path / "few")
    loaded = Episode.load(tmp_path / "few")
    assert str(loaded) == str(few) and "part 1" in str(few) and "of the distance" in str(few)
    assert (tmp_path / "few" / "parts-0000.png").exists()
    assert few.figure("parts", name="a").size[0] > 400


def test_parts_that_do_not_fit_are_refused() -> None:
    joined = foveal.match(Colors(), spots(r=(1, 1))[None], spots(r=(3, 3))[None], parts=2).joined[0]
    for name, tensor in joined.arrays().items():
        with pytest.raises(ResultError, match=f"The (pro|{name}) of joined parts|effects each"):
            replace(joined, **{name: tensor[..., None]})
    with pytest.raises(ResultError, match="6 effects each"):
        replace(joined, effects=joined.effects[..., :4])


def test_more_parts_than_there_can_be() -> None:
    pair = foveal.match(Colors(), spots(r=(1, 1))[None], spots(r=(3, 3), g=(0, 0))[None], parts=40)
    assert sum(part.value for part in pair.parts()) == pytest.approx(float(pair.similarity), rel=1e-5)
    assert 0 < len(pair.parts()) <= 3


def test_nothing_to_divide() -> None:
    """An image and itself have no distance, and colors that do not meet no similarity."""
    same = foveal.match(Colors(), spots(r=(1, 1))[None], spots(r=(1, 1))[None], metric="squared", parts=3)
    assert sum(part.value for part in same.parts()) == 0
    apart = foveal.match(Colors(), spots(r=(1, 1))[None], spots(g=(1, 1))[None], parts=3)
    assert apart.parts() == () and json.dumps(apart.to_dict()) and str(apart)
    with pytest.raises(ResultError, match="nothing in the cosine"):
        apart.figure("parts")


def test_errors_are_sentences() -> None:
    model, few = Embedder().eval(), (X, S, ["a", "b"])

    class Own(Cosine):
        def score(self, q: Tensor, s: Tensor) -> Tensor:
            return super().score(q, s) ** 2

    with pytest.raises(MethodError, match=r"'cosine' \(Own\) is not known to be a sum"):
        foveal.match(model, X, S, metric=Own(), parts=2)
    with pytest.raises(MethodError, match="parts=-1 is below 0"):
        foveal.match(model, X, S, parts=-1)
    with pytest.raises(ResultError, match="This match has no parts"):
        foveal.match(model, X, S).parts()
    with pytest.raises(ResultError, match="This episode has no parts"):
        foveal.episode(model, *few).parts()
    with pytest.raises(MethodError, match="rows of weights"):
        foveal.episode(model, *few, rule="svm", parts=2)
    with pytest.raises(MethodError, match="given as embeddings"):
        foveal.episode(model, X, model(S).detach(), ["a", "b"], parts=2)
    with pytest.raises(FovealError, match="several examples have no joined parts"):
        foveal.episode(
            model, X, torch.cat([S, S]), ["a", "b", "a", "b"], rule="average", metric="crossattention", parts=2
        )


def test_the_tree_of_parts_of_a_similarity_is_measured() -> None:
    """Deeper stages: `decompose` of the similarity, by differences that pass through the lengths of a cosine."""
    for metric in ("cosine", "squared"):
        tree = foveal.decompose(
            Embedder("project").eval(), X[:1], foveal.Similar(S[:1], metric=metric), nodes="parts", reference="zero"
        )
        tree.grow().audit()
        edges = tree.decision.edges or ()
        assert tree.decision.pro - tree.decision.contra == pytest.approx(
            tree.decision.value - tree.decision.offset, rel=1e-4
        )
        assert all(edge.average is not None for edge in edges)


def test_on_the_command_line(tmp_path: Path) -> None:
    """Sheets of parts, links to them, the numbers for machines; an error names the option."""
    for number in range(2):
        Image.fromarray((pictures(number)[0].permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / f"{number}.png")
    network = f"{__file__}:Colors"
    images = [str(tmp_path / f"{number}.png") for number in range(2)]
    done = CliRunner().invoke(
        app,
        ["match", *images, "-m", network, "--parts", "2", "--json", "-o", str(tmp_path / "out"), "--input-size", "12"],
    )
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    parts = row["references"][0]["parts"]
    assert sum(part["value"] for part in parts) == pytest.approx(row["references"][0]["cosine"], rel=1e-5)
    assert 'href="0/parts.png"' in (tmp_path / "out" / "match.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "0" / "parts.png").exists() and "part 1:" in done.stderr
