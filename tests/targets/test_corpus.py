"""Similar to some pictures and not to others: the score, its maps, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

import foveal
from foveal.errors import FovealError, TargetError
from foveal.targets import Corpus, ModelOutput, Similar
from tests.networks import tiny

RANDOM = torch.Generator().manual_seed(2)
X, LIKE, UNLIKE = (torch.rand(n, 3, 20, 20, generator=RANDOM) for n in (2, 4, 3))


def model() -> foveal.Model:
    size = foveal.Preprocessing(size=(20, 20))
    return foveal.Model(tiny(3, classes=5), "tiny", size, task="classes")


def embedded(net: Any, x: torch.Tensor) -> torch.Tensor:
    return net.module.features(x).mean((2, 3))  # type: ignore[no-any-return]


def test_the_mean_similarity_less_the_other() -> None:
    net = model()
    why = foveal.explain(net, X, Corpus(LIKE, UNLIKE))
    q, s, u = (functional.normalize(embedded(net, x)) for x in (X, LIKE, UNLIKE))
    assert torch.allclose(why.score, (q @ s.T).mean(1) - (q @ u.T).mean(1), atol=1e-6)
    assert why.target == ("cosine to 4 images − to 3 images",) * 2 and why.probability is None
    assert (why.target_spec["like"], why.target_spec["unlike"]) == (4, 3)


def test_its_map_by_autograd() -> None:
    net = model()
    A = net.module.features(X).detach().requires_grad_()
    q = functional.normalize(A.mean((2, 3)))
    s, u = (functional.normalize(embedded(net, x)).detach() for x in (LIKE, UNLIKE))
    (G,) = torch.autograd.grad(((q @ s.T).mean(1) - (q @ u.T).mean(1)).sum(), A)
    why = foveal.explain(net, X, Corpus(LIKE, UNLIKE), method="hirescam")
    assert torch.allclose(why.map, (G * A).sum(1), atol=1e-7)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean", "squared", "nearest"])
@pytest.mark.parametrize("method", ["gradcam", "fam", "fam:weights=linear"])
def test_one_picture_is_the_similarity_to_it(metric: Any, method: str) -> None:
    net = model()
    one = foveal.explain(net, X, Corpus(LIKE[:1], metric=metric), method=method)
    same = foveal.explain(net, X, Similar(LIKE[0], metric=metric), method=method)
    assert torch.equal(one.map, same.map) and torch.equal(one.score, same.score)


def test_linear_weights_sum_to_the_score() -> None:
    """Also of a difference: the constant part is what no place holds."""
    net = model()
    why = foveal.explain(net, X, Corpus(LIKE, UNLIKE, metric="dot"), method="fam:weights=linear")
    assert torch.allclose(why.map.sum((1, 2)), why.score, atol=1e-6)


def test_both_sides_the_same_is_nothing() -> None:
    why = foveal.explain(model(), X, Corpus(LIKE, LIKE.flip(0)))
    assert float(why.score.abs().max()) < 1e-6 and float(why.map.abs().max()) < 1e-6


def test_embeddings_in_the_place_of_pictures() -> None:
    net = model()
    pictures, vectors = Corpus(LIKE, UNLIKE), Corpus(embedded(net, LIKE), embedded(net, UNLIKE))
    assert torch.allclose(foveal.explain(net, X, pictures).map, foveal.explain(net, X, vectors).map, atol=1e-7)


def test_folders(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for folder, count in (("like", 3), ("unlike", 2)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8)).save(tmp_path / folder / f"{i}.png")
    net, query = model(), tmp_path / "like" / "0.png"
    folders = foveal.explain(net, query, Corpus(tmp_path / "like", str(tmp_path / "unlike")))
    files = [sorted((tmp_path / folder).iterdir()) for folder in ("like", "unlike")]
    assert torch.equal(folders.map, foveal.explain(net, query, Corpus(*files)).map)
    mixed = foveal.explain(net, query, Corpus([tmp_path / "like", files[1][0]]))
    assert mixed.target_spec["like"] == 4
    assert folders.target == (f"cosine to 3 images of {tmp_path / 'like'} − to 2 images of {tmp_path / 'unlike'}",)


def test_altered_copies_are_compared_with_the_same(no_trace: Any) -> None:
    net = model()
    with no_trace(net.module):
        why = foveal.explain(net, X, Corpus(LIKE, UNLIKE), method="occlusion")
        scores = foveal.measure(net, X, Corpus(LIKE, UNLIKE), explanations="gradcam", metrics=["drop"])
    assert scores.of == "score" and bool(torch.isfinite(why.map).all())


@pytest.mark.parametrize("sides", [([], LIKE), (LIKE, []), (None, LIKE), (torch.zeros(2, 12), None)])
def test_what_is_refused(sides: Any) -> None:
    with pytest.raises(FovealError):
        foveal.explain(model(), X, Corpus(*sides))
    with pytest.raises(TargetError, match="not used with a model"):
        Corpus(*sides).decide(ModelOutput(None))
