"""The benchmark of accelerators, on the processor: every verb is asked, differences are found, time is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from benchmarks import gpu
from benchmarks.gpu_asks import QUESTIONS, Question, difference
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path


def tiny() -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
    body += [nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 24, 3, padding=1), nn.ReLU()]
    return gpu.calibrated(nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5)), 64)


@pytest.mark.slow
def test_every_question_agrees_with_the_processor_standing_in() -> None:
    agreed, _ = gpu.examined(tiny(), "tiny", 64, "cpu", [], 1, gpu.Time(5))
    assert [row.name for row in agreed] == list(QUESTIONS)
    assert not [row for row in agreed if row.failed or row.apart is None]
    assert any(row.apart for row in agreed), "the processor stood in with the same sums"


@pytest.mark.slow
def test_costs_are_those_of_the_questions_and_of_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "PEERS", ("Grad-CAM · Captum",))
    few = {name: QUESTIONS[name] for name in ("explain, gradcam", "match")}
    agreed, found = gpu.examined(tiny(), "tiny", 64, "cpu", [1, 2], 2, gpu.Time(5), few)
    names = ["plain forward", "explain, gradcam · foveal", "Grad-CAM · Captum"]
    assert [cost.name for cost in found if cost.batch == 2] == names
    assert [cost.name for cost in found if cost.batch == 1] == [*names, "match, 3 images · foveal"]
    assert all(len(cost.beside) == len(cost.seconds) == 2 for cost in found)
    text = gpu.report(agreed, found, "cpu", {"network": "tiny"}, tmp_path / "gpu.json")
    assert text == (tmp_path / "gpu.md").read_text() and "**too much**" not in text
    assert len(json.loads((tmp_path / "gpu.json").read_text())["agreement"]) == len(few)


def test_what_differs_or_fails_is_found_and_what_has_no_time_is_not_run() -> None:
    asked = iter((1.0, 1.0, 1.0, 1.1))
    differs = Question(lambda on: {"map": torch.tensor([0.0, next(asked)])}, dict, 0.05)
    fails = replace(differs, ask=lambda on: on.x.missing)  # type: ignore[attr-defined]
    questions = {"same": differs, "differs": differs, "fails": fails}
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    here = gpu.Asked(model, model, torch.randn(2, 3, 8, 8))
    rows = list(gpu.agreements(here, "cpu", gpu.Time(5), questions))
    assert [row.failed for row in rows] == [False, True, True]
    assert rows[1].apart == pytest.approx(0.1) and "AttributeError" in rows[2].said
    assert "**too much**" in gpu.markdown(rows, [], "")
    late = list(gpu.agreements(here, "cpu", gpu.Time(0), questions))
    assert [row.said for row in late] == [gpu.NOT_RUN] * 3 and not any(row.failed for row in late)
    plain, *others = gpu.costs(here, "cpu", 2, 1, gpu.Time(0), {"late": lambda: None})
    assert plain.seconds and [(cost.said, cost.seconds) for cost in others] == [(gpu.NOT_RUN, ())]


def test_differences_are_shares_of_the_range() -> None:
    a = torch.tensor([-2.0, 0.0, 2.0])
    assert difference({"a": a}, {"a": a + 0.4}) == pytest.approx(0.1)
    assert difference({"a": a}, {"a": 3 * a}, drawn=True) == pytest.approx(0, abs=1e-12)
    assert difference({"a": a, "b": a}, {"a": a}) == pytest.approx(0.5), "what is missing is zero"
    assert difference({"a": a}, {"a": a, "b": 3 * a}) == pytest.approx(0.5)
    assert difference({"a": a}, {"a": a[:2]}) == float("inf")
    assert difference({"a": a}, {"a": a / torch.tensor([1.0, 1.0, 0.0])}) == float("inf")
