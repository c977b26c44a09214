"""Few-shot episodes: what is decided, what speaks for each class, and their sheet; rank lists and controls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import foveal
from foveal.errors import FovealError, ResultError
from foveal.synthetic import class_scene, render
from foveal.synthetic.classes import NOVEL


def embedder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()


def pictures(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 3, 10, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rule", ["mean", "nearest", "average", "logistic"])
def test_each_class_is_explained_and_the_likeliest_decided(rule: str) -> None:
    model, x, support = embedder(), pictures(3, 1), pictures(6, 2)
    labels = ["a", "b", "c", "a", "b", "c"]
    episode = foveal.episode(model, x, support, labels, rule=rule)  # type: ignore[arg-type]
    assert episode.classes == ("a", "b", "c")
    assert torch.allclose(episode.chances.sum(1), torch.ones(3, dtype=torch.float64))
    decision = foveal.Prototypes(support, labels, rule=rule)  # type: ignore[arg-type]
    why = foveal.explain(model, x, decision, method="fam")
    assert why.target == episode.decided
    assert torch.allclose(why.probability, episode.chances.amax(1))  # type: ignore[arg-type]
    for name in episode.classes:
        one = foveal.explain(
            model,
            x,
            foveal.Prototypes(support, labels, rule=rule, which=name),
            method="fam:weights=linear",  # type: ignore[arg-type]
        )
        assert torch.allclose(one.map, episode.evidence[name].map)
    assert [len(photos) for photos in episode.support.values()] == [2, 2, 2]


def test_linear_evidence_may_be_compared_between_classes() -> None:
    episode = foveal.episode(embedder(), pictures(2, 1), pictures(4, 2), [0, 1, 0, 1])
    for why in episode.evidence.values():
        assert torch.allclose(why.map.sum((1, 2)), why.score)  # type: ignore[arg-type]
    assert str(episode).count("%") == 4


def test_sheets_of_drawn_birds(tmp_path: Path) -> None:
    names = [name for name in NOVEL[:2] for _ in range(2)]
    support = [render(class_scene(name, k))[0] for k, name in enumerate(names)]
    query = [render(class_scene(name, 50))[0] for name in NOVEL[:2]]
    model = foveal.load_model("demo")
    episode = foveal.episode(model, query, support, names)
    assert episode.decided == NOVEL[:2]
    sheet = episode.figure(side=96)
    assert sheet.width > 3 * 96 and sheet.height > 3 * 96
    pair = foveal.match(model, query, support)
    assert pair.figure("strip", most=3, side=96).width > pair.control(0, 0, 2, side=96).width
    wishes = (
        lambda: pair.figure("strip", i=9), lambda: pair.control(0, 0, 99), lambda: pair.figure("pair", j=-1),
        lambda: pair.figure(i=9),
    )  # fmt: skip
    for wish in wishes:
        with pytest.raises(ResultError, match="counted from 0"):
            wish()
    assert pair.ranking(0)[0] in (0, 1)


def test_bad_wishes_get_one_sentence() -> None:
    model = embedder()
    with pytest.raises(FovealError, match="one class"):
        foveal.episode(model, pictures(1, 1), pictures(2, 2), ["a", "a"])
    with pytest.raises(FovealError, match="labels"):
        foveal.episode(model, pictures(1, 1), pictures(2, 2), ["a"])
    with pytest.raises(FovealError, match="temperature"):
        foveal.episode(model, pictures(1, 1), pictures(2, 2), ["a", "b"], temperature=0)
    with pytest.raises(FovealError, match="one layer"):
        foveal.episode(model, pictures(1, 1), pictures(2, 2), ["a", "b"], layer=("0", "1"))


def test_embeddings_and_tensors_of_labels_will_do() -> None:
    episode = foveal.episode(embedder(), pictures(2, 1), torch.rand(4, 8).double(), torch.tensor([0, 1, 0, 1]))  # type: ignore[arg-type]
    assert episode.classes == ("0", "1") and episode.figure(side=64).width > 0
    assert any("is used as the embedding" in note for note in episode.notes) and "is used as the embedding" in str(
        episode
    )


def test_many_classes_show_the_likeliest_of_each_query() -> None:
    labels = [str(k) for k in range(11)]
    many = foveal.episode(embedder(), pictures(2, 1), pictures(11, 2), labels)
    few = foveal.episode(embedder(), pictures(2, 1), pictures(8, 2), labels[:8])
    assert many.figure(side=64).width == few.figure(side=64).width
    assert many.figure(side=64).height > few.figure(side=64).height  # the examples stand above each query
