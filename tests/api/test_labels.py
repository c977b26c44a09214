"""All labels of an image from one forward pass, and values, by every method and verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError, TargetError
from foveal.models.extras import import_torchvision
from foveal.targets import Labels, Value
from tests.networks import Tiny, architecture

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
NAMES = ["mass", "edema", "nodule", "fibrosis"]
FEW = {"rise": "rise:count=20", "opticam": "opticam:steps=2", "shap": "shap:samples=2"}


class Counted:
    """Counts images that go in, and gradients that come back to the last stage."""

    def __init__(self, net: nn.Module, layer: nn.Module) -> None:
        self.images: list[int] = []
        self.forwards = self.backwards = 0
        net.register_forward_hook(self._forward)
        layer.register_forward_hook(self._watch)

    def _forward(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.images.append(len(inputs[0]))

    def _watch(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(self._back)

    def _back(self, gradient: Tensor) -> None:
        self.backwards += 1


def one_by_one(net: nn.Module, labels: list[int], **how: Any) -> Tensor:
    """The maps of each label alone, image by image: as the rows of `Labels`, slowly."""
    maps = [foveal.explain(net, X, label, task="labels", **how).map for label in labels]
    return torch.stack(maps, 1).flatten(0, 1)


@pytest.mark.parametrize("method", sorted(foveal.METHODS))
def test_every_method_gives_labels_what_it_gives_each_alone(method: str) -> None:
    net, spec = Tiny(4).eval(), FEW.get(method, method)
    try:
        slow = one_by_one(net, [3, 1], method=spec)
    except FovealError as error:
        with pytest.raises(type(error)):
            foveal.explain(net, X, Labels([3, 1]), method=spec, task="labels")
        return
    why = foveal.explain(net, X, Labels([3, 1]), method=spec, task="labels")
    assert why.map.shape == slow.shape
    assert torch.allclose(why.map, slow, atol=1e-5 * float(slow.abs().max()))
    assert why.target == ("label 3", "label 1") * 2 or method in ("eigencam", "activation") or why.score is None


@pytest.mark.parametrize("method", sorted(foveal.METHODS))
def test_every_method_explains_values(method: str) -> None:
    """A value upward is the number itself, by any method."""
    net, spec = Tiny(3).eval(), FEW.get(method, method)
    try:
        slow = foveal.explain(net, X, lambda output: output[:, 2], method=spec)
    except FovealError:
        try:
            slow = foveal.explain(net, X, 2, method=spec, task="classes")
        except FovealError as error:
            with pytest.raises(type(error)):
                foveal.explain(net, X, Value(2), method=spec)
            return
    why = foveal.explain(net, X, Value(2), method=spec)
    assert torch.allclose(why.map, slow.map, atol=1e-5 * float(slow.map.abs().max()))


@pytest.mark.parametrize("layer", [None, "all", "input"])
def test_layers_and_scores(layer: Any) -> None:
    net = Tiny(4).eval()
    why = foveal.explain(net, X, Labels(), layer=layer, method="hirescam", labels=NAMES)
    z = net(X).detach()
    assert torch.equal(why.score, z.flatten()) and torch.allclose(why.probability, z.sigmoid().flatten())  # type: ignore[arg-type]
    for at, map in why.maps.items():
        assert torch.allclose(map, one_by_one(net, [0, 1, 2, 3], method="hirescam", layer=at), atol=1e-6)
    assert why[5].target == ("edema (1)",) and why[5].labels_each == 1 and why[4:8].labels_each == 4
    assert "2 images with 4 labels each" in str(why) and why.meaning == "labels (said by the target)"


def test_one_forward_and_a_backward_a_label() -> None:
    """14 labels of a DenseNet-121: one forward of the images, and 14 backwards that end at the layer."""
    import_torchvision()
    net: Any = architecture("densenet121")
    net.classifier = nn.Linear(net.classifier.in_features, 14)
    x, names = torch.randn(2, 3, 64, 64), [f"finding {k}" for k in range(14)]
    foveal.explain(net, x, 0, task="labels")  # the network is traced once, whatever is explained
    counted = Counted(net, net.features)
    early = Counted(net, net.features.denseblock1)
    why = foveal.explain(net, x, Labels(), labels=names, task="labels")
    assert counted.images == [2] and counted.backwards <= 14 and early.backwards == 0
    assert why.map.shape == (28, 2, 2) and why.meaning == "labels (as given by task=)"


def test_the_sources_of_meaning_and_of_names() -> None:
    net = nn.Sequential(Tiny(4), nn.Sigmoid()).eval()
    why = foveal.explain(net, X, Labels())
    assert why.meaning == "labels (its last operation is a sigmoid)"
    assert torch.allclose(why.probability, net(X).detach().flatten())  # type: ignore[arg-type]
    assert foveal.explain(net, X, Labels(["nodule", "mass"]), labels=NAMES).target[:2] == ("nodule (2)", "mass (0)")
    assert foveal.explain(Tiny(4).eval(), X, Labels(), task="classes").meaning.startswith("classes")


@pytest.mark.parametrize(
    ("which", "message"),
    [("mass", "given as a list"), ([], "at least one"), (3, "given as a list"), ([1, 1], "twice"),
     ([7], "out of range"), (["lung"], "no class 'lung'")],
)  # fmt: skip
def test_what_does_not_fit(which: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        foveal.explain(Tiny(4).eval(), X, Labels(which), labels=NAMES)


def test_embeddings_have_no_labels() -> None:
    with pytest.raises(TargetError, match="embedding"):
        foveal.explain(Tiny(4).eval(), X, Labels(), task="embedding")


def test_inputs_beside_the_image_follow_it() -> None:
    class Two(Tiny):
        def forward(self, x: Tensor, weight: Tensor) -> Any:
            return super().forward(x) * weight[:, None]

    net, weight = Two(3).eval(), torch.tensor([1.0, -2.0])
    why = foveal.explain(net, X, Labels(), inputs=weight)
    assert why.score is not None and torch.equal(why.score, net(X, weight).detach().flatten())
    perturbed = foveal.explain(net, X, Labels([0, 2]), inputs=weight, method="occlusion")
    assert perturbed.map.shape[0] == 4


def test_batch_norm_and_differentiable_maps() -> None:
    net = Tiny(3).eval()
    why = foveal.explain(net, X, Labels(), differentiable=True)
    why.map[1].sum().backward()
    assert net.conv2.weight.grad is not None and bool(net.conv2.weight.grad.abs().sum() > 0)


@pytest.mark.parametrize("target", [Labels([0, 2]), Value(1), Value(1, "down", 0.5)], ids=["labels", "up", "below"])
@pytest.mark.parametrize("verb", ["audit", "measure", "flow", "parts", "sanity", "decompose", "class_tree", "compare"])
def test_every_verb(verb: str, target: Any) -> None:
    net, task = Tiny(3).eval(), "labels" if isinstance(target, Labels) else "value"
    rows = 4 if isinstance(target, Labels) else 2
    if verb in ("audit", "measure"):
        why = foveal.explain(net, X, target, task=task)
        if verb == "audit":
            assert len(foveal.audit(net, X, explanations=why, task=task)) == rows
        else:
            table = foveal.measure(net, X, explanations=[why, "hirescam"], metrics=["deletion"], task=task)
            assert len(table.values["gradcam"]["deletion"]) == rows
            assert isinstance(target, Labels) == any("count labels, not images" in note for note in table.notes)
    elif verb == "decompose":
        if isinstance(target, Labels):
            with pytest.raises(FovealError, match="one label"):
                foveal.decompose(net, X[:1], target, task=task)
            target = Labels([2])
        tree = foveal.decompose(net, X[:1], target, task=task)
        assert tree.target_spec["meaning"] == f"{task} (as given by task=)"
    elif verb == "class_tree":
        if isinstance(target, Labels):
            with pytest.raises(FovealError, match="one label"):
                foveal.class_tree(net, X, target, task=task)
        else:
            assert len(foveal.class_tree(net, X, target, task=task).trees) == 2
    elif verb == "compare":
        assert {len(why) for why in foveal.compare(net, X, target, methods="fast", task=task)} == {rows}
    elif verb == "sanity":
        assert foveal.sanity(net, X, target, methods=["gradcam"], task=task).to_dict()
    else:
        result = getattr(foveal, verb)(net, X, target, task=task)
        assert len(result) == rows and result.target_spec["meaning"].startswith(task)


def test_it_is_saved_drawn_and_measured_again(tmp_path: Path) -> None:
    net = Tiny(4).eval()
    why = foveal.explain(net, X, Labels(), labels=NAMES)
    why.save(tmp_path / "all")
    again = foveal.Explanation.load(tmp_path / "all")
    assert again.labels_each == 4 and torch.equal(again.map, why.map) and again.target == why.target
    sheet, one = again.figure("labels", side=96), again[:4].figure("labels", side=96)
    assert sheet.height > 1.7 * one.height and sheet.width == one.width
    with pytest.raises(FovealError, match="no figure 'labels'"):
        why[0].figure("labels")
    (audited,) = foveal.audit(net, X[:1], explanations=why[1], task="labels")
    assert audited.target == "edema (1)"


def test_a_result_brings_its_names() -> None:
    net = Tiny(4).eval()
    for target in (Labels([1, 3]), foveal.Class(1)):
        why = foveal.explain(net, X, target, labels=NAMES)
        said = [test.target for test in foveal.audit(net, X, explanations=why, draws=2)]
        assert said == list(why.target) and NAMES[1] in said[0]
        assert foveal.measure(net, X, explanations=why, metrics=["drop"]).target == why.target
    (other,) = foveal.audit(net, X[:1], explanations=why[0], draws=2, labels=["a", "b", "c", "d"])
    assert other.target == "b (1)"  # whoever gives names means them


def test_a_regression_by_resnet18() -> None:
    import_torchvision()
    net: Any = architecture("resnet18")
    net.fc = nn.Linear(net.fc.in_features, 1)
    x = torch.randn(1, 3, 96, 96)
    y = float(net(x).detach())
    up = foveal.explain(net, x, Value(reference=y - 1), method="hirescam")
    down = foveal.explain(net, x, Value(direction="down", reference=y - 1), method="hirescam")
    assert torch.equal(up.map, -down.map) and float(up.score) == pytest.approx(1, abs=1e-4)  # type: ignore[arg-type]
    assert up.probability is None and up.caption_lines()[1].endswith(f"1 above {_shown(y - 1)}")


def _shown(value: float) -> str:
    from foveal.render.scale import number, typeset

    return typeset(number(value))
