"""Wrong matches: numbers re-derived, margins that add up, and rankings that flip when they are said to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import foveal
from foveal.errors import FovealError, MissingExtra, ResultError
from foveal.images import Preprocessing
from foveal.images.place import laid
from foveal.metrics.baselines import hidden
from foveal.metrics.curves import ranks
from foveal.models import Model

if TYPE_CHECKING:
    from tests.conftest import NoTrace

Q, S = 12, 30


def embedder(*, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return (nn.Sequential(*body, nn.Linear(8, 6)) if bias else body).double().eval()


def images(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels(n: int, seed: int, kinds: int = 4) -> list[int]:
    return torch.randint(kinds, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def retrieved(model: nn.Module | None = None, **options: Any) -> foveal.Retrieval:
    given: dict[str, Any] = {"query_labels": labels(Q, 3), "reference_labels": labels(S, 4), "draws": 3, **options}
    return foveal.retrieve(model or embedder(), images(Q, 1), images(S, 2), **given)


def test_rank_1_map_and_cmc_re_derived() -> None:
    found, net = retrieved(show=0), embedder()
    q, s = functional.normalize(net(images(Q, 1))), functional.normalize(net(images(S, 2)))
    similarity = (q @ s.T).detach()
    assert torch.allclose(found.similarity, similarity)
    firsts, precisions = [], []
    for i, own in enumerate(labels(Q, 3)):
        hits = [labels(S, 4)[j] == own for j in similarity[i].argsort(descending=True)]
        firsts.append(hits.index(True) + 1)
        precisions.append(np.mean([sum(hits[:k]) / k for k in range(1, S + 1) if hits[k - 1]]))
    assert found.rank_1 == pytest.approx(np.mean([first == 1 for first in firsts]))
    assert found.mean_average_precision == pytest.approx(np.mean(precisions))
    for k in (1, 3, 5):
        assert found.cmc(k) == pytest.approx(np.mean([first <= k for first in firsts]))
    assert found.wrong == tuple(i for i, first in enumerate(firsts) if first > 1) != ()
    assert f"{len(found.wrong)} of {Q} queries have a wrong first match" in str(found) and not found.contrasts


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_the_margin_map_sums_to_the_margin_and_so_do_the_maps_on_the_references(metric: str, no_trace: NoTrace) -> None:
    net = embedder()
    with no_trace(net):
        found = retrieved(net, metric=metric, show=Q)
    assert len(found.contrasts) == Q and {one.query for one in found.contrasts} == {*range(Q)}
    for one in found.contrasts:
        wrong, right = found.similarity[one.query, one.wrong], found.similarity[one.query, one.right]
        assert one.margin == pytest.approx(float(wrong - right))
        assert float(one.query_map.sum()) == pytest.approx(one.margin, abs=1e-9)
        assert float(one.wrong_map.sum() - one.right_map.sum()) == pytest.approx(one.margin, abs=1e-9)
        assert one.unplaced == pytest.approx(0, abs=1e-9)
        assert found.right[one.query, one.right] and not found.right[one.query, one.wrong]
        assert (one.margin > 0) == (one.query in found.wrong) == (one.flip is not None)
    margins = [one.margin for one in found.contrasts]
    assert margins == sorted(margins, reverse=True)


def test_what_no_position_holds_is_told() -> None:
    found = retrieved(embedder(bias=True), show=3)
    assert all(one.unplaced == pytest.approx(one.margin - float(one.query_map.sum())) for one in found.contrasts)
    assert any(abs(one.unplaced) > 1e-6 for one in found.contrasts)


def test_a_ranking_flips_where_it_is_said_to_and_not_before() -> None:
    net, found = embedder(), retrieved(fill="blur")
    s = functional.normalize(net(images(S, 2)))
    flipped = [one for one in found.contrasts if one.flip and one.flip.share is not None]
    assert flipped
    for one in found.contrasts:
        assert one.flip is not None
        x = images(Q, 1)[one.query][None]
        order = ranks(laid(one.query_map.float(), (16, 16), one.query_where))
        right = torch.from_numpy(found.right[one.query])
        for k, share in enumerate(one.flip.shares.tolist()):
            where = order < round(share * 256)
            v = functional.normalize(net(hidden(x, where[None, None], "blur")))
            similarity = (v @ s.T)[0].detach()
            margin = float(similarity[~right].max() - similarity[right].max())
            assert float(one.flip.margins[k]) == pytest.approx(margin, abs=1e-9)
            assert bool(one.flip.overtaken[k]) == bool(similarity[right].max() > similarity[one.wrong])
        if one.flip.share is None:
            assert bool((one.flip.margins >= 0).all()) and one.flip.limit == 0.5 and one.flip.hidden is None
        else:
            assert one.flip.hidden is not None and one.flip.share == float(one.flip.shares[-1])
            assert one.flip.hidden.double().mean() == pytest.approx(one.flip.share)
            assert bool(right[int(similarity.argmax())]) and one.flip.draws == 3
            assert f"{100 * one.flip.share:.0f} % of the image" in one.flip.summary


def test_the_order_of_the_gallery_changes_no_number() -> None:
    found, order = retrieved(), torch.randperm(S, generator=torch.Generator().manual_seed(5))
    theirs = [labels(S, 4)[j] for j in order]
    again = foveal.retrieve(
        embedder(), images(Q, 1), images(S, 2)[order], query_labels=labels(Q, 3), reference_labels=theirs, draws=3
    )
    assert again.rank_1 == found.rank_1 and again.mean_average_precision == pytest.approx(found.mean_average_precision)
    assert again.wrong == found.wrong
    for one, other in zip(found.contrasts, again.contrasts, strict=True):
        assert int(order[other.wrong]) == one.wrong and int(order[other.right]) == one.right
        assert torch.allclose(one.query_map, other.query_map)
        assert one.flip is not None and other.flip is not None and one.flip.share == other.flip.share


def test_a_query_without_a_right_reference_is_in_no_number() -> None:
    ours = [*labels(Q - 1, 3), "nobody"]
    found = retrieved(query_labels=ours)
    rest = foveal.retrieve(
        embedder(), images(Q, 1)[:-1], images(S, 2), query_labels=labels(Q - 1, 3), reference_labels=labels(S, 4),
        show=0,
    )  # fmt: skip
    assert len(found.counted) == Q - 1 and found.rank_1 == rest.rank_1
    assert found.mean_average_precision == pytest.approx(rest.mean_average_precision)
    assert any("1 query has no reference with the same label" in note for note in found.notes)
    row = found.rows()[-1]
    assert row["right"] is None and row["average_precision"] is None and row["first"] is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"query_labels": [1, 2]}, "query_labels has 2 labels for 12 queries: give 12 labels"),
        ({"reference_labels": ["a"]}, "reference_labels has 1 labels for 30 references: give 30 labels"),
        ({"reference_labels": None}, "only one side has labels"),
        ({"show": -1}, "0 or more"),
        ({"metric": "taxi"}, "no metric 'taxi'"),
        ({"embedding": "nowhere"}, "no layer 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, Any], words: str) -> None:
    with pytest.raises(FovealError, match=words) as caught:
        retrieved(**options)
    assert "\n" not in str(caught.value)


def test_without_labels_there_are_rankings() -> None:
    found = retrieved(query_labels=None, reference_labels=None)
    assert found.ranking(3) == found.similarity[3].argsort(descending=True).tolist()
    assert not found.wrong and not found.contrasts and np.isnan(found.rank_1) and "without labels" in str(found)
    with pytest.raises(ResultError, match="no query 99"):
        found.ranking(99)
    assert found.to_dict()["rank_1"] is None


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 20, 20, 3), np.uint8)
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path, one in zip(paths, pixels, strict=True):
        Image.fromarray(one).save(path)
    (tmp_path / "link.png").symlink_to(paths[0])
    return [str(path) for path in (*paths, tmp_path / "link.png")]


def test_a_file_is_never_compared_with_itself_nor_read_when_it_need_not_be(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import foveal.api.gallery as module

    most = []
    usual = module.load_images

    def counting(images: Any, *args: Any, **kwargs: Any) -> Any:
        batch = usual(images, *args, **kwargs)
        most.append(len(batch.photos))
        return batch

    monkeypatch.setattr(module, "load_images", counting)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    net = Model(embedder().float(), "small", Preprocessing((16, 16)))
    found = foveal.retrieve(
        net, [files[-1], files[1]], files[:6], query_labels=["a", "b"], reference_labels=[*"bacdef"], draws=0
    )
    assert found.compared.sum() == 10 and 0 not in found.ranking(0) and 1 not in found.ranking(1)
    assert any("2 queries are files of the gallery" in note for note in found.notes)
    assert max(most) == 2
    alone = foveal.retrieve(net, files[:2], files[-1:], query_labels=["a", "b"], reference_labels=["a"])
    assert alone.ranking(0) == [] and not alone.counted and alone.ranking(1) == [0]
    itself = foveal.retrieve(net, files[:1], files[-1:])
    assert itself.ranking(0) == [0] and any("similarity to itself has no meaning" in note for note in itself.notes)


def test_local_metrics_and_distances() -> None:
    for metric in ("nearest", "euclidean"):
        found = retrieved(metric=metric, show=2, embedding="1" if metric == "nearest" else None)
        assert len(found.contrasts) == 2 and all(bool(one.query_map.isfinite().all()) for one in found.contrasts)
        assert found.distance == (metric == "euclidean")
        i, j = found.contrasts[0].query, found.ranking(found.contrasts[0].query)[0]
        assert found.value(i, j) >= 0 and "NaN" not in str(found)


def test_it_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    found = retrieved(show=0)
    made: list[Any] = []
    fake = types.ModuleType("pandas")
    fake.DataFrame = lambda rows, columns: made.append((rows, columns)) or "frame"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", fake)
    assert found.to_pandas() == "frame" and made[0][0] == found.rows() and made[0][1][0] == "query"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        found.to_pandas()


def test_the_figure_holds_a_row_for_each_contrast() -> None:
    found = retrieved(show=2)
    assert found.figure(side=64).height < retrieved(show=4).figure(side=64).height
    assert "wrong first match" in found._repr_html_()


def test_one_note_tells_that_a_distance_has_a_part_of_no_position() -> None:
    found = retrieved(metric="squared", show=4)
    told = [note for note in found.notes if "no position" in note]
    lacking = sum(
        abs(one.unplaced) > 0.01 * max(one.margin, float(one.query_map.abs().sum())) for one in found.contrasts
    )
    assert len(told) == 1 and f"{lacking} of 4 margin maps" in told[0] and lacking > 0
    assert not any("no position" in note for note in retrieved(show=4).notes)
