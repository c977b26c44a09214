"""Pictures compared by parts, found again, and told apart by a few examples."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import ImageError, TargetError
from foveal.render.parts import match_sheet
from foveal.results.part_similarity import match_parts, order_free, similarities
from foveal.training.datasets import market
from foveal.training.tasks import few_shot_accuracy, retrieval
from tests.networks import tiny


def vectors(n: int, seed: int = 0, k: int = 3, c: int = 6) -> torch.Tensor:
    return torch.randn(n, k, c, generator=torch.Generator().manual_seed(seed))


def test_ranks_are_compared_with_ranks() -> None:
    q, s = vectors(4), vectors(5, 1)
    found = similarities(q, s)
    for i in range(4):
        for j in range(5):
            for k in range(3):
                assert float(found[i, j, k]) == pytest.approx(
                    float(torch.cosine_similarity(q[i, k], s[j, k], dim=0)), abs=1e-6
                )
    q[0, 2] = 0
    assert not bool(similarities(q, s)[0, :, 2].any())
    with pytest.raises(TargetError, match="rank by rank"):
        similarities(q, vectors(5, k=2))


def test_orders_are_undone() -> None:
    q = vectors(4)
    shuffled = q[:, [2, 0, 1]]
    assert torch.allclose(order_free(q, shuffled).diagonal(), torch.full((4,), 3.0))
    best = max(float(similarities(q[:1], shuffled[1:2, list(o)]).sum()) for o in permutations(range(3)))
    assert float(order_free(q[:1], shuffled[1:2])) == pytest.approx(best, abs=1e-5)
    many = vectors(1, k=9)
    assert float(order_free(many, many.flip(1))) == pytest.approx(9.0, abs=1e-5)
    with pytest.raises(TargetError, match="rank by rank"):
        order_free(q, vectors(5, k=2))


def test_parts_of_two_pictures_meet() -> None:
    """The same picture meets itself rank by rank; its mirror image, too."""
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = tiny()
    a, b = foveal.parts(model, x), foveal.parts(model, x.flip(3))
    same = match_parts(a, a)
    assert torch.allclose(same.by_rank, torch.ones(3).double(), atol=1e-6) and not same.swapped
    assert torch.equal(same.best, same.by_rank) and "best order 3" in str(same)
    met = match_parts(a, b)
    sums = [float(met.table[torch.arange(3), list(order)].sum()) for order in permutations(range(3))]
    assert float(met.best.sum()) == pytest.approx(max(sums))
    sheet = match_sheet(a, b, match_parts(a, b), side=64)
    assert sheet.width > 4 * 64
    with pytest.raises(TargetError, match="as many"):
        match_parts(a, foveal.parts(model, x, count=2))


def slow_precision(ranking: list[bool]) -> float:
    hits, total = 0, 0.0
    for place, right in enumerate(ranking, 1):
        if right:
            hits += 1
            total += hits / place
    return total / hits


def test_average_precision_by_its_definition() -> None:
    random = torch.Generator().manual_seed(0)
    similarity = torch.rand(6, 20, generator=random)
    who = torch.arange(6) % 3, torch.cat([torch.arange(18) % 3, torch.tensor([-1, -1])])
    cameras = torch.zeros(6, dtype=torch.long), torch.arange(20) % 2
    found = retrieval(similarity, who, cameras, ranks=5)
    for i in range(6):
        order = similarity[i].argsort(descending=True).tolist()
        kept = [j for j in order if who[1][j] != -1 and not (who[1][j] == who[0][i] and cameras[1][j] == 0)]
        ranking = [bool(who[1][j] == who[0][i]) for j in kept]
        assert float(found.precision[i]) == pytest.approx(slow_precision(ranking))
    assert bool((found.cmc.diff() >= 0).all()) and len(found.cmc) == 5
    perfect = retrieval((who[0][:, None] == who[1]).float(), who, cameras)
    assert perfect.map == pytest.approx(1) and float(perfect.cmc[0]) == 1 and "mAP 100.0 %" in str(perfect)
    with pytest.raises(TargetError, match="no image of the same individual"):
        retrieval(similarity, (torch.full((6,), 9), who[1]))


def test_few_shots() -> None:
    """Classes far apart are told apart; noise is not."""
    centers = vectors(8, 3)
    labels = torch.arange(8).repeat(20)
    near = centers[labels] + 0.05 * vectors(160, 4)
    assert few_shot_accuracy(near, labels, episodes=20)[0] > 0.99
    share, half = few_shot_accuracy(vectors(160, 5), labels, episodes=60)
    assert abs(share - 0.2) < 0.06 and 0 < half < 0.05
    assert few_shot_accuracy(near, labels, episodes=5, compare=order_free)[0] > 0.99
    assert few_shot_accuracy(near, labels, episodes=3) == few_shot_accuracy(near, labels, episodes=3)
    with pytest.raises(TargetError, match="there are 0"):
        few_shot_accuracy(near, labels, queries=50)


def test_the_layout_of_market(tmp_path: Path) -> None:
    names = {
        "bounding_box_train": ["0002_c1s1_000451_03.jpg"],
        "query": ["0003_c2s1_000001_00.jpg"],
        "bounding_box_test": ["-1_c3s2_000002_01.jpg", "0000_c1s1_000003_01.jpg", "0003_c6s3_000004_02.jpg"],
    }
    for folder, files in names.items():
        (tmp_path / folder).mkdir()
        for name in files:
            Image.new("RGB", (4, 8)).save(tmp_path / folder / name)
    found = market(tmp_path)
    assert found["train"].targets == (2,) and found["query"].cameras == (2,)
    assert found["gallery"].targets == (-1, 0, 3) and found["gallery"].cameras == (3, 1, 6)
    Image.new("RGB", (4, 8)).save(tmp_path / "query" / "odd.jpg")
    with pytest.raises(ImageError, match=r"odd\.jpg"):
        market(tmp_path)
