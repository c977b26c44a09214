"""What an output means is known, and how, or nothing is claimed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.models.extras import import_timm, import_torchvision
from foveal.models.own_task import own_task
from tests.networks import Tiny

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Ending(nn.Module):
    """A network whose last operation is `end`."""

    def __init__(self, count: int, end: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.end = Tiny(count), end

    def forward(self, x: Tensor) -> Any:
        return self.end(self.net(x))


def meaning(net: nn.Module, target: Any = 0, **known: Any) -> str:
    return foveal.explain(net.eval(), X, target, **known).meaning


@pytest.mark.parametrize(
    ("count", "end", "words"),
    [
        (4, torch.sigmoid, "labels (its last operation is a sigmoid)"),
        (1, torch.sigmoid, "classes (its last operation is a sigmoid)"),
        (4, lambda z: z.softmax(1), "classes (its last operation is a softmax)"),
        (4, lambda z: z.log_softmax(1), "classes (its last operation is a log-softmax)"),
        (4, lambda z: z.exp() / z.exp().sum(1, keepdim=True), "classes (its outputs are positive and sum to 1)"),
        (6, nn.functional.normalize, "embedding (it has unit norm)"),
        (4, lambda z: z, "not known: raw outputs"),
        (1, lambda z: z, "not known: raw outputs"),
    ],
)
def test_it_is_read_off_the_end(count: int, end: Any, words: str) -> None:
    assert meaning(Ending(count, end)) == words


def test_of_an_unknown_output_no_probability_is_claimed() -> None:
    for count, target in ((5, None), (5, 3), (1, None), (1, 0), (1, 1)):
        why = foveal.explain(Tiny(count).eval(), X, target)
        assert why.probability is None and why.to_dict()["probability"] is None
        assert any("not known, so no probability is given" in note for note in why.notes)
        assert "class" not in why.target[0] or (count == 1 and target is not None)
        assert why.to_dict()["meaning"] == "not known: raw outputs" and "not known: raw outputs" in str(why)
        assert "%" not in "".join(why.caption_lines())


def test_one_unknown_number_is_explained_as_it_is() -> None:
    net = Tiny(1).eval()
    why, z = foveal.explain(net, X), net(X)[:, 0]
    assert torch.equal(why.score, z.detach()) and why.target == ("output", "output")  # type: ignore[arg-type]


def test_asked_for_the_probability_of_the_unknown_it_says_what_to_do() -> None:
    with pytest.raises(foveal.FovealError, match="task='classes'"):
        foveal.explain(Tiny(5).eval(), X, foveal.Class(2, of="probability"))
    with pytest.raises(foveal.FovealError, match="task='classes'"):
        foveal.shortcuts(Tiny(5).eval(), X, [0, 1])


def test_the_person_is_believed() -> None:
    assert meaning(Tiny(4), task="labels") == "labels (as given by task=)"
    assert meaning(Ending(4, torch.sigmoid), task="value") == "value (as given by task=)"
    model = foveal.Model(Tiny(4).eval(), "mine", task="classes")
    assert meaning_of(model) == "classes (given with the model)"
    assert foveal.explain(Tiny(1).eval(), X, labels=["no", "yes"]).meaning == "classes (two names for its one output)"


def meaning_of(model: foveal.Model) -> str:
    return foveal.explain(model, X, 0).meaning


def test_the_bundled_networks_say_it_in_their_sidecars() -> None:
    model = foveal.load_model("demo")
    assert (model.task, model.task_source) == ("classes", "the sidecar")


def test_libraries_say_it() -> None:
    timm, torchvision = import_timm(), import_torchvision()
    assert own_task(timm.create_model("resnet18")) == ("classes", "timm's configuration")
    assert own_task(timm.create_model("resnet18", num_classes=7)) == (None, "")
    assert own_task(timm.create_model("resnet18", num_classes=0))[0] == "embedding"
    assert own_task(torchvision.models.resnet18()) == ("classes", "a classifier of torchvision")
    assert own_task(torchvision.models.resnet18(num_classes=7)) == (None, "")
    loaded = foveal.load_model("timm:resnet18", pretrained=False)
    assert (loaded.task, loaded.task_source) == ("classes", "timm's configuration")


@pytest.mark.parametrize(
    ("problem", "task"),
    [("single_label_classification", "classes"), ("multi_label_classification", "labels"), ("regression", "value"),
     (None, None), ("other", None)],
)  # fmt: skip
def test_transformers_say_it(problem: str | None, task: str | None) -> None:
    net: Any = Tiny(3)
    net.config = SimpleNamespace(problem_type=problem)
    assert own_task(net)[0] == task
    chances = foveal.explain(net.eval(), X, 1).probability
    z = net(X)
    expected = {"classes": z.softmax(1)[:, 1], "labels": z.sigmoid()[:, 1]}.get(task or "")
    assert (chances is None) == (expected is None)
    if chances is not None and expected is not None:
        assert torch.allclose(chances, expected)


def test_results_are_saved_with_it(tmp_path: Any) -> None:
    why = foveal.explain(Tiny(3).eval(), X, 1, task="labels")
    why.save(tmp_path / "r")
    assert foveal.Explanation.load(tmp_path / "r").meaning == "labels (as given by task=)"


def test_curves_of_the_unknown_are_of_scores() -> None:
    known = foveal.measure(Tiny(3).eval(), X, 1, explanations="gradcam", metrics=["deletion"], task="classes")
    unknown = foveal.measure(Tiny(3).eval(), X, 1, explanations="gradcam", metrics=["deletion"])
    assert "probability of the class" in str(known) and "probability of the class" not in str(unknown)
