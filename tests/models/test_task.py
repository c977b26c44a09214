"""What a model's output means travels with it: by its source, its sidecar, or as the caller says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import ModelError
from foveal.models.extras import import_timm
from tests.birds import drawn_bird

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.targets import Task


@pytest.mark.parametrize(
    ("spec", "task"),
    [
        ("demo", "classes"),
        ("parts", "classes"),
        ("embed", "embedding"),
        ("timm:resnet18", "classes"),
        ("torchvision:resnet18", "classes"),
        ("torchvision:fcn_resnet50", "regions"),
        ("foveal.synthetic.network:DemoNet", None),
    ],
)
def test_a_source_says_what_it_knows(spec: str, task: Task | None) -> None:
    model = foveal.load_model(spec, pretrained=False)
    assert model.task == task
    assert foveal.load_model(spec, pretrained=False, task="labels").task == "labels"


@pytest.mark.parametrize(("count", "task"), [(0, "embedding"), (3, None)])
def test_a_head_of_ones_own_says_nothing(count: int, task: Task | None, tmp_path: Path) -> None:
    timm = import_timm()
    torch.save(timm.create_model("resnet18", num_classes=count).state_dict(), tmp_path / "plain.pth")
    path = tmp_path / "w.safetensors"
    model = foveal.Model(timm.create_model("resnet18", num_classes=count).eval(), "mine")
    foveal.save_model(model, path, architecture="timm:resnet18", arguments={"num_classes": count})
    assert foveal.load_model(path).task == task
    if count:
        assert foveal.load_model("timm:resnet18", weights=tmp_path / "plain.pth").task == task


@pytest.mark.parametrize("task", ["classes", "labels", "value", "embedding", None])
def test_it_is_saved_and_loaded(task: Task | None, tmp_path: Path) -> None:
    demo = foveal.load_model("demo")
    model = foveal.Model(demo.module, "mine", demo.preprocessing, None, {}, task)
    path = foveal.save_model(model, tmp_path / "mine.safetensors", architecture="foveal.synthetic.network:DemoNet")
    assert foveal.load_model(path).task == task
    sidecar = tmp_path / "mine.json"
    said = json.loads(sidecar.read_text())
    del said["task"]
    sidecar.write_text(json.dumps(said))
    assert foveal.load_model(path).task is None
    sidecar.write_text(json.dumps(said | {"task": "regression"}))
    with pytest.raises(ModelError, match="task"):
        foveal.load_model(path)


@pytest.mark.parametrize("task", ["regression", "", 5, True])
def test_what_is_no_task(task: object) -> None:
    with pytest.raises(ModelError, match=r"there is no task .*classes, labels, value, embedding"):
        foveal.load_model("demo", task=task)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", [None, "classes", "labels", "value", "embedding", "regression"])
def test_the_command_line_takes_one(task: Task | None, tmp_path: Path) -> None:
    drawn_bird(0, 5).save(tmp_path / "bird.png")
    asked = ["explain", str(tmp_path / "bird.png"), "-m", "foveal.synthetic.network:DemoNet", "--target", "3", "--json"]
    asked += ["--preprocessing", "imagenet", "-o", str(tmp_path / "out"), *(["--task", task] if task else [])]
    done = CliRunner().invoke(app, asked)
    if task in ("embedding", "regression"):
        assert done.exit_code == (2 if task == "regression" else 1)
        assert len([line for line in done.stderr.strip().splitlines() if "note: " not in line]) == 1
        return
    assert done.exit_code == 0, done.stderr
    why = foveal.Explanation.load(tmp_path / "out" / "bird" / "gradcam")
    assert (why.probability is None) == (task in ("value", None))
    assert any("pass task=" in note for note in why.notes) == (task is None)
    if why.probability is not None:
        logistic = torch.sigmoid(why.score)
        assert torch.allclose(why.probability, logistic) == (task == "labels")
