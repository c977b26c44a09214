"""A verb prepares once, whatever it calls: pictures are read once, references embedded once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

import foveal
from foveal.attribution import prepare
from foveal.attribution.embedding import ModelEmbedder
from foveal.metrics import EvaluationSettings
from tests.networks import tiny

X = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
QUICK = EvaluationSettings(steps=4, samples=4, grid=(4, 4))

VERBS: dict[str, Any] = {
    "explain": lambda net, target: foveal.explain(net, X, target),
    "compare": lambda net, target: foveal.compare(net, X, target, methods=["gradcam", "occlusion", "smoothgrad"]),
    "flow": lambda net, target: foveal.flow(net, X, target),
    "measure": lambda net, target: foveal.measure(net, X, target, explanations="gradcam", setting=QUICK),
    "measure, explained again": lambda net, target: foveal.measure(
        net, X, target, explanations=["gradcam", "hirescam"], metrics=["sensitivity", "coherency"], setting=QUICK,
        baseline_maps=False,
    ),
    "audit": lambda net, target: foveal.audit(net, X, target, explanations="gradcam", draws=2),
    "sanity": lambda net, target: foveal.sanity(net, X, target, steps=2, radii=()),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_references_are_embedded_once(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[str] = Counter()

    def counting(name: str, function: Any) -> Any:
        def counted_call(*args: Any, **kwargs: Any) -> Any:
            counted[name] += 1
            return function(*args, **kwargs)

        return counted_call

    monkeypatch.setattr(ModelEmbedder, "of", counting("embedded", ModelEmbedder.of))
    monkeypatch.setattr(prepare, "load_images", counting("read", prepare.load_images))
    VERBS[verb](tiny().eval(), foveal.Similar(X[:1]))
    assert counted == {"embedded": 1, "read": 1}
