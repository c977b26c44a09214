"""How often an audit asks the network, and what it takes from the pass that decides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import foveal
from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare
from tests.networks import tiny

X = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

NETWORKS: dict[str, tuple[Any, Any]] = {
    "logits": (lambda: tiny(), None),
    "logits, another class": (lambda: tiny(), 2),
    "softmax": (lambda: nn.Sequential(tiny(), nn.Softmax(1)), None),
    "log_softmax": (lambda: nn.Sequential(tiny(), nn.LogSoftmax(1)), 1),
    "sigmoid": (lambda: nn.Sequential(tiny(), nn.Sigmoid()), 1),
}


def counted(network: nn.Module) -> list[int]:
    """Sizes of the batches that go through, as they come."""
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    return sizes


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pass_that_decides_knows_the_probability(name: str) -> None:
    make, target = NETWORKS[name]
    context = prepare(make().eval(), X, target, task=None if "sigmoid" in name or "softmax" in name else "classes")
    with perturbed_scores(context, "probability") as (question,):
        assert question.count == 0
        assert question.whole == pytest.approx(float(question.exactly(X)[0]), abs=1e-6)


def test_what_must_be_asked_alone() -> None:
    """Margins, scores, and the images of a batch."""
    network = tiny().eval()
    for x, target, of, each in (
        (X, foveal.Margin(), "auto", 1),
        (X, None, "score", 1),
        (X.repeat(2, 1, 1, 1), None, "auto", 1),
    ):
        with perturbed_scores(prepare(network, x, target), of) as questions:  # type: ignore[arg-type]
            assert [question.count for question in questions] == [each] * len(x)


def test_one_pass_decides_and_every_area_is_one_copy() -> None:
    network = tiny().eval()
    why = foveal.explain(network, X, method="gradcam", task="classes")
    sizes = counted(network)
    (test,) = foveal.audit(network, X, explanations=why, draws=5, task="classes")
    assert len(test.others) == 5 and sum(sizes) == 1 + 6
    sizes.clear()
    (test,) = foveal.audit(network, X, explanations=why, task="classes")
    assert len(test.others) == 12 and sum(sizes) == 1 + 13
