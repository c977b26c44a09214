"""The first question of a process leaves the process as it was: no compiler is loaded, no filter set, no die rolled."""

from __future__ import annotations

import pytest

from tests import forked

ASKED = {
    "gradients": "foveal.compare(net, x, 1, methods=['gradcam', 'guidedbackprop', 'lrp-gamma'], layer='all')",
    "copies": "foveal.compare(net, x, 1, methods=['scorecam', 'ablationcam', 'occlusion', 'opticam'])",
    "similarity": "foveal.match(net, x[:1], x)",
    "flow": "[foveal.flow(net, x, 1, mode=mode) for mode in ('exact', 'cascade')]",
    "parts": "foveal.parts(net, x, 1); foveal.decompose(net, x[:1], 1).grow()",
    "measures": "foveal.measure(net, x, 1, explanations='gradcam', metrics=['deletion', 'infidelity', 'sensitivity'])",
    "half": "foveal.explain(net.half(), x.half(), 1)",
}

SCRIPT = """
import random, sys, warnings
import torch, foveal
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                    nn.Flatten(), nn.Linear(8, 4)).eval()
x = torch.randn(2, 3, 32, 32)
foveal.explain, foveal.match, foveal.flow, foveal.parts, foveal.decompose, foveal.measure, foveal.compare
random.seed(5)
before = random.getstate(), list(warnings.filters)
{asked}
assert random.getstate() == before[0], "Python's random state moved"
assert warnings.filters == before[1], [f for f in warnings.filters if f not in before[1]]
loaded = [name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules]
assert not loaded, loaded
"""


@pytest.mark.parametrize("kind", ASKED)
def test_the_first_question_leaves_the_process_as_it_was(kind: str) -> None:
    ran = forked.code(SCRIPT.replace("{asked}", ASKED[kind]))
    assert ran.returncode == 0, ran.stderr


MOST = 158
"""Modules that the first explanation may import: 153 with Pillow's, and room for a few."""

NOT_ASKED = (
    "pydantic", "PIL.ImageDraw", "PIL.ImageFont", "foveal.models.load", "foveal.images.folders",
    "foveal.images.decode", "foveal.images.array_file", "foveal.targets.box", "foveal.targets.region",
    "foveal.metrics", "foveal.attention", "foveal.similarity.pooled", "foveal.results.scores", "foveal.results.match",
    "foveal.render.overlay", "foveal.engine.rules.propagation", "foveal.engine.dilation", "foveal.attribution.dilated",
    "foveal.attribution.embedding", "foveal.targets.prototypes", "foveal.attribution.perturbation",
    "foveal.methods.relevance", "foveal.methods.scorecam", "foveal.methods.fam", "foveal.methods.listing",
)  # fmt: skip
"""What draws, saves, loads, measures or compares, and the rules of methods and the targets that were not asked for."""

IMPORTS = """
import sys, torch, foveal
from torch import nn
net = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
x = torch.randn(1, 3, 16, 16)
net(x)
before = set(sys.modules)
foveal.explain(net, x).map
print(*sorted(set(sys.modules) - before))
"""


def test_the_first_explanation_imports_what_it_needs() -> None:
    ran = forked.code(IMPORTS)
    assert ran.returncode == 0, ran.stderr
    imported = ran.stdout.split()
    assert "foveal.methods.cam" in imported  # the list is that of a process that had imported nothing
    assert not [name for name in NOT_ASKED if name in imported]
    assert len(imported) <= MOST, imported
