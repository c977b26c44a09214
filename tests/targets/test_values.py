"""Predicted values: what raises them, what lowers them, why they are above or below another."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import foveal
from foveal.errors import TargetError, UnknownTarget
from foveal.targets import ModelOutput, Value
from foveal.targets.parsing import parse_target
from tests.networks import Tiny

VALUES = torch.tensor([[3.2, -1.0], [1.8, 2.0]])


def decide(target: Value, output: torch.Tensor = VALUES, labels: Any = ("age", "height"), task: Any = "value") -> Any:
    return target.decide(ModelOutput(output, {}, labels, task))


@pytest.mark.parametrize(
    ("target", "scores", "words"),
    [
        (Value("age"), [3.2, 1.8], "age (0)"),
        (Value(0, "down"), [-3.2, -1.8], "age (0), downward"),
        (Value(0, reference=2.5), [0.7, -0.7], "age (0) above 2.5"),
        (Value(0, "down", 2.5), [-0.7, 0.7], "age (0) below 2.5"),
    ],
)
def test_scores_are_values_with_a_sign(target: Value, scores: list[float], words: str) -> None:
    verdict = decide(target)
    assert torch.allclose(verdict.score, torch.tensor(scores))
    assert verdict.label == (words, words) and verdict.probability is None
    for i, pinned in enumerate(verdict.per_image):
        assert torch.allclose(decide(pinned).score[i], verdict.score[i])


def test_each_image_can_have_its_own() -> None:
    verdict = decide(Value(["age", 1]))
    assert verdict.score.tolist() == pytest.approx([3.2, 2.0])
    assert verdict.rows(1, 2).spec["values"] == [2.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Value(direction="sideways"), '"up" or "down"'),  # type: ignore[arg-type]
        (lambda: Value(reference=float("nan")), "one finite number"),
        (lambda: Value(reference="a lot"), "one finite number"),  # type: ignore[arg-type]
        (lambda: Value(reference=True), "one finite number"),
        (lambda: decide(Value()), "predicts 2 values: say which"),
        (lambda: decide(Value(2)), "out of range: the model has 2 values"),
        (lambda: decide(Value("weight")), "has no class 'weight'|no class"),
        (lambda: decide(Value([0, 1, 0])), "3 values were given for 2 images"),
        (lambda: decide(Value(0), task="classes"), "gives no values but classes"),
        (lambda: decide(Value(0), task="embedding"), "gives no values but embedding"),
    ],
)
def test_what_does_not_fit(make: Any, message: str) -> None:
    with pytest.raises((TargetError, UnknownTarget), match=message):
        make()


def test_captions_say_the_value_and_how_far_it_is() -> None:
    net, x = Tiny(1).eval(), torch.randn(2, 3, 16, 16)
    y = float(net(x)[0, 0].detach())
    above = foveal.explain(net, x, Value(reference=y - 0.5), task="value")
    below = foveal.explain(net, x, Value(direction="down", reference=y + 0.25), task="value")
    assert above.caption_lines(0)[1].endswith(f"0.5 above {_number(y - 0.5)}")
    assert below.caption_lines(0)[1].endswith(f"0.25 below {_number(y + 0.25)}")
    assert foveal.explain(net, x, task="value").caption_lines(0) == ("value", f"value {_number(y)}")


def _number(value: float) -> str:
    from foveal.render.scale import number, typeset

    return typeset(number(value))


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradient"])
def test_maps_are_derivatives_of_the_signed_value(method: str) -> None:
    """Downward is the opposite of upward before rectifying; a reference moves no gradient."""
    torch.manual_seed(1)
    net, x = Tiny(1).eval(), torch.randn(2, 3, 16, 16)
    up, down, apart = (
        foveal.explain(net, x, target, method=method, task="value").map
        for target in (Value(), Value(direction="down"), Value(reference=9.0))
    )
    assert torch.equal(up, apart)
    assert torch.allclose(up, -down if method != "gradient" else down)


def test_the_map_of_grad_cam_slowly() -> None:
    net, x = Tiny(1).eval(), torch.randn(1, 3, 16, 16)
    A = net.features(x)
    A.retain_grad()
    score = -(net.fc(A.mean((2, 3)))[0, 0] - 1.5)
    score.backward()
    assert A.grad is not None
    slow = sum(float(A.grad[0, c].mean()) * A[0, c].detach() for c in range(A.shape[1]))
    why = foveal.explain(net, x, Value(direction="down", reference=1.5))
    assert torch.allclose(why.map[0], slow, atol=1e-6)  # type: ignore[arg-type]
    assert why.meaning == "value (said by the target)"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("value", Value()),
        ("value up", Value()),
        ("value down", Value(direction="down")),
        ("value above 2.5", Value(reference=2.5)),
        ("value below -1e3", Value(direction="down", reference=-1000)),
        ("value:age below 30", Value("age", "down", 30)),
        ("value:2", Value("2")),
    ],
)
def test_values_as_text(text: str, target: Value) -> None:
    assert parse_target(text, None) == target
    assert parse_target(text, (text, "other")) == foveal.Class(text)


def test_half_a_reference_is_refused() -> None:
    with pytest.raises(UnknownTarget, match="write a number"):
        parse_target("value above all", None)
