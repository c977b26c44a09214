"""Explanations of networks drawn at random, held against what must be true of every one of them.

    rows        a map an image, of the layer's shape, finite
    alone       the maps of a batch are those of its images alone
    again       the same question has the same answer, and the network and the picture are as they were
    sums        input × gradient, relevance, integrated gradients and DeepLIFT add up as they say
    saved       a result comes back as it was

FOVEAL_FUZZ=10000 draws as many networks; a hundred are usual. A failure prints the recipe.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import foveal
from foveal.errors import FovealError
from foveal.methods import METHODS
from tests.fuzz.mutation import limit, mutations
from tests.fuzz.networks import Recipe, network, pictures, recipe

if TYPE_CHECKING:
    from tests.conftest import NoTrace

COUNT = mutations(100)
SHARES = 10
ASKED = (
    *(name for name, method in METHODS.items() if not method.similarity and name not in ("gap", "rise", "smoothgrad",
      "integratedgradients", "gradientshap", "occlusion", "sscorecam", "isscorecam", "opticam")),
    "occlusion:window=5", "rise:count=20", "smoothgrad:samples=4", "integratedgradients:steps=8",
    "gradientshap:samples=4", "sscorecam:samples=2",
)  # fmt: skip


def noise(why: foveal.Explanation) -> bool:
    """Whether the result itself says that what it shows is rounding."""
    return any("noise" in note or "not finite" in note for note in why.notes)


def close(a: Tensor, b: Tensor, scale: float) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=2e-3, atol=2e-4 * max(scale, 1e-6))


def explain(net: Any, x: Tensor, target: Any, method: str, **options: Any) -> foveal.Explanation | None:
    """None where it is refused in a sentence."""
    try:
        return foveal.explain(net, x, target, method=method, **options)
    except FovealError as error:
        said = str(error)
        assert said and "\n" not in said, said
        return None


def question(made: Recipe) -> tuple[str, Any, dict[str, Any]]:
    draw = random.Random(made.number + 7)
    target = draw.choice([None, 0, made.classes - 1, foveal.Class(0, of="probability")])
    if made.classes > 1 and draw.random() < 0.2:
        target = foveal.Margin(0, 1)
    options: dict[str, Any] = {"layer": draw.choice([None, None, "all", "input"])}
    if draw.random() < 0.2:
        options["task"] = draw.choice(["classes", "labels"])
    return draw.choice(ASKED), target, options


@pytest.mark.timeout(limit(300))
@pytest.mark.parametrize("share", range(SHARES))
def test_what_must_be_true_of_every_explanation(share: int, no_trace: NoTrace, tmp_path: Path) -> None:
    answered = 0
    for number in range(share, COUNT, SHARES):
        made = recipe(number)
        net, x = network(made), pictures(made)
        method, target, options = question(made)
        what = f"{method} {target} {options} of {made}"
        kept = x.clone()
        with no_trace(net):
            why = explain(net, x, target, method, **options)
        assert torch.equal(x, kept), what
        if why is None:
            continue
        answered += 1
        check(net, x, why, what)
        # The class that was predicted is asked of each image alone; a value is the same of every image.
        predicted = target is None and why.target_spec["kind"] == "class"
        same: Any = why.target_spec["index"] if predicted else None
        again = explain(net, x, target, method, **options)
        assert again is not None and all(torch.equal(again.maps[at], why.maps[at]) for at in why.layers), what
        for i in range(len(x)):
            one = explain(net, x[i : i + 1], target if same is None else same[i], method, **options)
            assert one is not None and list(one.maps) == list(why.maps), what
            for at, maps in why.maps.items():
                assert noise(why) or close(
                    one.map if at == one.layer else one.maps[at], maps[i : i + 1], float(maps.abs().max())
                ), what
        if number % 20 == share % 20:
            kept_maps = foveal.Explanation.load(why.save(tmp_path / str(number)))
            assert all(torch.equal(kept_maps.maps[at], why.maps[at].cpu()) for at in why.layers), what
    assert answered >= COUNT // SHARES // 3


def check(net: Any, x: Tensor, why: foveal.Explanation, what: str) -> None:
    """Rows, numbers and sums."""
    for at, maps in why.maps.items():
        assert len(maps) == len(x) and bool(maps.isfinite().all()), what
        assert at != "input" or maps.shape[1:] == x.shape[2:], what
    if why.score is None:
        return
    assert why.probability is None or bool(((why.probability >= 0) & (why.probability <= 1)).all()), what
    found: Any = why.measured
    for at, values in found.items():
        if "taken by biases and stabilizers" in values:
            unsaid = not any("add up" in note for note in why.notes)
            assert not unsaid or not any(values["missing"]), what
            if why.method.startswith("lrp"):
                total = why.maps[at].double().flatten(1).sum(1) if at in why.maps else None
                assert total is None or close(
                    total, torch.tensor(values["relevance"]).double(), float(total.abs().max()) + 1e-3
                ), what
    if why.method.startswith(("integratedgradients", "deeplift")):
        (values,) = found.values()
        rise = why.map.double().flatten(1).sum(1) - torch.tensor(values["gap"]).double()
        zero = foveal.explain(net, torch.zeros_like(x), pinned(why), method="inputxgradient", layer="input")
        assert zero.score is not None
        assert close(rise, (why.score - zero.score).double(), float(why.score.abs().max()) + 1e-2), what


def pinned(why: foveal.Explanation) -> Any:
    """What was decided."""
    spec: Any = why.target_spec
    if spec["kind"] == "value":
        return foveal.Value(spec["index"], spec["direction"], spec["reference"])
    if spec["kind"] == "margin":
        return foveal.Margin(spec["a"], spec["b"])
    return foveal.Class(spec["index"], of=spec.get("of", "logit"))
