"""Decisions by comparison: similarity, prototypes, neighbors, against the definitions written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import foveal
from foveal.errors import FovealError
from tests.methods.test_fam import Embedder, S, X, pictures, unit

SUPPORT, LABELS = pictures(5, 6), ["a", "b", "c", "a", "b", "c"]


def explain(target: Any, **options: Any) -> foveal.Explanation:
    return foveal.explain(Embedder().eval(), X, target, **{"method": "fam", **options})


def embeddings() -> tuple[Tensor, Tensor]:
    model = Embedder().eval()
    with torch.no_grad():
        return model(X), model(SUPPORT)


def test_prototypes_are_means() -> None:
    q, s = embeddings()
    prototypes = torch.stack([(s[c] + s[c + 3]) / 2 for c in range(3)])
    scores = unit(q) @ unit(prototypes).T
    why = explain(foveal.Prototypes(SUPPORT, LABELS))
    assert why.target == tuple("abc"[i] for i in scores.argmax(1))
    assert torch.allclose(why.score, scores.amax(1))
    assert torch.allclose(why.probability, (scores / 0.1).softmax(1).amax(1))
    same = explain(foveal.Prototypes(s, LABELS))
    assert torch.allclose(same.map, why.map)


def test_prototypes_of_identical_supports_are_one_support() -> None:
    """T9."""
    doubled = torch.cat([SUPPORT[:3], SUPPORT[:3]])
    twice, once = (explain(foveal.Prototypes(x, LABELS[: len(x)])) for x in (doubled, SUPPORT[:3]))
    assert torch.allclose(twice.map, once.map)
    assert torch.allclose(twice.score, once.score)


@pytest.mark.parametrize(("rule", "of_class"), [("nearest", lambda z: z.amax(2)), ("average", lambda z: z.mean(2))])
def test_nearest_and_average(rule: Any, of_class: Any) -> None:
    q, s = embeddings()
    each = (unit(q) @ unit(s).T).reshape(3, 2, 3).transpose(1, 2)
    why = explain(foveal.Prototypes(SUPPORT, LABELS, rule=rule))
    assert torch.allclose(why.score, of_class(each).amax(1))


@pytest.mark.parametrize("rule", ["mean", "nearest", "average", "logistic", "svm"])
def test_a_margin_is_the_class_less_the_strongest_other(rule: Any) -> None:
    best, margin = (explain(foveal.Prototypes(SUPPORT, LABELS, rule=rule, margin=m)) for m in (False, True))
    seconds = [words.split(" − ")[1] for words in margin.target]
    other = explain(foveal.Prototypes(SUPPORT, LABELS, rule=rule, which=seconds))
    assert torch.allclose(margin.score, best.score - other.score, atol=1e-12)
    assert margin.probability is None
    one, two, three = (
        explain(target, method="fam:weights=linear").map
        for target in (
            foveal.Prototypes(SUPPORT, LABELS, rule=rule, margin=True),
            foveal.Prototypes(SUPPORT, LABELS, rule=rule),
            foveal.Prototypes(SUPPORT, LABELS, rule=rule, which=seconds),
        )
    )
    assert torch.allclose(one, two - three, atol=1e-12)


def test_margin_weights_are_those_of_the_winner_less_the_runner_ups() -> None:
    q, s = embeddings()
    prototypes = torch.stack([(s[c] + s[c + 3]) / 2 for c in range(3)])
    p = unit(q)[:, None] * unit(prototypes)
    best, second = p.sum(2).topk(2, dim=1).indices.T
    n = torch.arange(3)
    A = Embedder().eval().features(X).detach()
    expected = torch.einsum("nk,nkhw->nhw", p[n, best] - p[n, second], A) / 36
    for margin in (False, True):
        why = explain(foveal.Prototypes(SUPPORT, LABELS, margin=margin), method="fam:weights=margin")
        assert torch.allclose(why.map, expected, rtol=1e-9)
        assert float(why.map.min()) < 0 < float(why.map.max())


def test_linear_heads_sum_to_the_logit_less_its_offset() -> None:
    why = explain(foveal.Prototypes(SUPPORT, LABELS, rule="logistic"), method="fam:weights=linear")
    found: Any = why.measured["relu2"]
    offset = torch.tensor(found["constant part"], dtype=torch.float64)
    assert torch.allclose(why.map.sum((1, 2)) + offset, why.score, rtol=1e-6)


def test_the_vote_of_neighbors_written_out() -> None:
    """Section 3.1, a to e."""
    q, s = embeddings()
    index = torch.tensor([0, 1, 2, 0, 1, 2])
    why = explain(foveal.Neighbors(SUPPORT, LABELS, k=4))
    for i in range(3):
        alike = unit(q[i]) @ unit(s).T
        near = alike.topk(4).indices
        votes = torch.stack([(alike[near][index[near] == c] / 0.07).exp().sum() for c in range(3)])
        winner = int(votes.argmax())
        agreeing = near[index[near] == winner]
        assert why.target[i] == "abc"[winner]
        assert torch.allclose(why.score[i], alike[agreeing].mean())
        assert torch.allclose(why.probability[i], votes[winner] / votes.sum())
        p = (unit(q[i]) * unit(s[agreeing])).mean(0)
        alpha = (p - p.min()) / (p.max() - p.min())
        A = Embedder().eval().features(X[i : i + 1])[0].detach()
        assert torch.allclose(why.map[i] * 36, torch.einsum("k,khw->hw", alpha, A))


def test_one_neighbor_is_a_pair_and_duplicates_change_nothing() -> None:
    """T9."""
    q, s = embeddings()
    nearest = (unit(q) @ unit(s).T).argmax(1)
    one = explain(foveal.Neighbors(SUPPORT, LABELS, k=1))
    pair = explain(foveal.Similar(SUPPORT[nearest]))
    assert torch.allclose(one.map, pair.map)
    twice = explain(foveal.Neighbors(torch.cat([SUPPORT, SUPPORT]), LABELS * 2, k=12))
    once = explain(foveal.Neighbors(SUPPORT, LABELS, k=6))
    assert torch.allclose(twice.map, once.map)


def test_weighted_neighbors_go_from_the_mean_to_the_nearest() -> None:
    """Section 11."""
    for T, plain in (
        (1e6, foveal.Neighbors(SUPPORT, LABELS, k=6, temperature=1e6)),
        (1e-7, foveal.Neighbors(SUPPORT, LABELS, k=1)),
    ):
        weighted = explain(foveal.Neighbors(SUPPORT, LABELS, k=6, temperature=T, weighted=True))
        assert weighted.target == explain(plain).target
        assert torch.allclose(weighted.map, explain(plain).map, rtol=1e-4)


@pytest.mark.parametrize("method", ["ablationcam", "occlusion", "scorecam"])
@pytest.mark.parametrize("kind", ["one reference", "one each", "prototypes", "margin", "places", "neighbors"])
def test_altered_copies_are_asked_what_was_decided(kind: str, method: str) -> None:
    """The reference, class or neighbors of each picture stay those of the whole picture."""
    decided = {
        "one reference": lambda i: foveal.Similar(S[0]),
        "one each": lambda i: foveal.Similar(X.flip(0) if i is None else X.flip(0)[i]),
        "prototypes": lambda i: foveal.Prototypes(SUPPORT, LABELS),
        "margin": lambda i: foveal.Prototypes(SUPPORT, LABELS, rule="nearest", margin=True),
        "places": lambda i: foveal.Prototypes(SUPPORT, LABELS, metric="nearest", rule="average"),
        "neighbors": lambda i: foveal.Neighbors(SUPPORT, LABELS, k=3),
    }[kind]
    together = explain(decided(None), method=method, layer="relu1")
    for i in (0, 2):
        alone = foveal.explain(Embedder().eval(), X[i : i + 1], decided(i), method=method, layer="relu1")
        assert torch.allclose(together.map[i], alone.map[0], rtol=1e-6, atol=1e-12)
        assert float(alone.map.abs().max()) > 0


def test_an_explanation_of_one_picture_knows_its_class() -> None:
    why = explain(foveal.Prototypes(SUPPORT, LABELS))
    classes: Any = why.target_spec["class"]
    assert why[2].target_spec["class"] == [classes[2]]
    assert why[2].target == (why.target[2],)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (foveal.Prototypes(SUPPORT, LABELS[:4]), "4 labels were given for 6 support pictures"),
        (foveal.Prototypes(SUPPORT, ["a"] * 6), "all support pictures are of one class, a"),
        (foveal.Prototypes([], []), "no support picture"),
        (foveal.Prototypes(SUPPORT, LABELS, rule="vote"), "by 'vote': the rules are"),  # type: ignore[arg-type]
        (foveal.Prototypes(SUPPORT, LABELS, metric="nearest"), "compares positions"),
        (foveal.Prototypes(SUPPORT, LABELS, which="z"), "no class 'z'"),
        (foveal.Neighbors(SUPPORT, LABELS, k=0), "a vote of 0"),
        (foveal.Neighbors(SUPPORT, LABELS, temperature=0), "at temperature 0"),
        (foveal.Neighbors(SUPPORT, ["a"] * 5 + ["far"], k=1, which="far"), "none of the 1 nearest"),
        (foveal.Neighbors(torch.zeros(6, 8), LABELS), "all zero"),
        (foveal.Neighbors(torch.zeros(0, 8), []), "no bank picture"),
    ],
)
def test_what_cannot_be_decided_is_said(target: Any, words: str) -> None:
    with pytest.raises(FovealError, match=words) as caught:
        explain(target)
    assert "\n" not in str(caught.value)


def test_a_decision_without_its_model_says_so() -> None:
    from foveal.targets import ModelOutput

    for target in (foveal.Similar(S), foveal.Prototypes(S, "ab"), foveal.Neighbors(S, "ab")):
        with pytest.raises(FovealError, match="not used with a model"):
            target.decide(ModelOutput(None))
