"""Probabilities that do not end in the sigmoid itself are not taken for logits without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal


class Net(nn.Module):
    def __init__(self, end: Callable[[Tensor], Tensor], count: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.fc, self.end = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU()), nn.Linear(6, count), end

    def forward(self, x: Tensor) -> Any:
        return self.end(self.fc(self.trunk(x).mean((2, 3))))


SQUASHED: dict[str, Callable[[Tensor], Tensor]] = {
    "clamped": lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6),
    "exp": lambda z: 1 / (1 + torch.exp(-z)),
    "tanh": lambda z: (1 + z.tanh()) / 2,
    "smoothed": lambda z: z.sigmoid() * 0.98 + 0.01,
    "logsigmoid": lambda z: torch.nn.functional.logsigmoid(z).exp(),
    "hardsigmoid": torch.nn.functional.hardsigmoid,
}
PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda z: z,
    "gated": lambda z: z * torch.sigmoid(z) - 5,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: z.softmax(1),
}


def says(end: Callable[[Tensor], Tensor], count: int, task: Any) -> bool:
    why = foveal.explain(Net(end, count).eval(), torch.randn(2, 3, 12, 12), 0 if count > 1 else None, task=task)
    return any("were read as logits: if they are probabilities" in note for note in why.notes)


@pytest.mark.parametrize("task", ["classes", "labels"])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("end", SQUASHED)
def test_it_is_said(end: str, count: int, task: str | None) -> None:
    assert says(SQUASHED[end], count, task)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("end", SQUASHED)
def test_of_unknown_numbers_between_0_and_1_no_probability_is_claimed(end: str, count: int) -> None:
    why = foveal.explain(Net(SQUASHED[end], count).eval(), torch.randn(2, 3, 12, 12), 0)
    assert why.probability is None and why.meaning == "not known: raw outputs"


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("end", PLAIN)
def test_ordinary_ends_are_left_alone(end: str, count: int) -> None:
    if (end, count) != ("softmax", 1):
        assert not says(PLAIN[end], count, "classes")
    assert not says(SQUASHED["clamped"], count, "value")
