"""The command that trains the network that ships as `parts`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import foveal
from foveal.training.synthetic_parts import STUDENT, TEACHER, _trained, train_parts

pytest.importorskip("lightning_fabric")
QUICK: dict[str, Any] = {"images": 20, "epochs": 1, "batch": 16, "tests": 5}


def test_a_teacher_and_its_student_are_trained(tmp_path: Path) -> None:
    steps = list(train_parts(tmp_path, accelerator="cpu", **QUICK))
    assert [step.done for step in steps if step.phase == "train"] == [1, 1]  # the teacher's step, the student's
    teacher, student, kept = (
        foveal.load_model(tmp_path / name)
        for name in ("teacher/brnpa.safetensors", "brnpa.safetensors", "parts.safetensors")
    )
    assert kept.name == "parts" and kept.card["teacher"]["recipe"] == teacher.card["recipe"]
    assert kept.card["recipe"] == student.card["recipe"] and kept.labels == student.labels
    weights = kept.module.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in student.module.state_dict().items())
    x = torch.zeros(1, 3, 160, 160)
    fine, coarse = (model.module.trunk(x).shape[2:] for model in (kept, teacher))  # type: ignore[operator, union-attr]
    assert tuple(fine) == (80, 80) and tuple(coarse) == (20, 20)
    assert _trained(tmp_path / "teacher", replace(TEACHER, **QUICK))  # so another call leaves it alone
    assert not _trained(tmp_path / "teacher", replace(TEACHER, **QUICK, seed=1))
    assert not _trained(tmp_path / "nowhere", TEACHER)


def test_the_network_that_ships_has_these_settings() -> None:
    card = foveal.load_model("parts").card
    for recipe, settings in ((card["recipe"], STUDENT), (card["teacher"]["recipe"], TEACHER)):
        wanted = {**asdict(settings), "teacher": Path(settings.teacher).name}
        assert {name: recipe[name] for name in wanted} == wanted
