"""Who computes what, and how its users call it: one line a method and package.

Each contender is built for a subject and gives an action to time. It gets a network of its own, whose weights are
shared and ask for gradients as freshly loaded ones do. The class to explain is given, so nobody spends a forward on
finding it. What a package keeps between calls it may keep; hooks go when the action ends, as in its documentation.
"""

# ruff: noqa: E402
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foveal.models.extras import import_torchvision

# Every peer imports torchvision, whose compiled part may not fit the torch that is installed.
import_torchvision()

import captum.attr
import pytorch_grad_cam
import torch
import torchcam.methods
import zennit.attribution
import zennit.canonizers
import zennit.composites
import zennit.core
import zennit.rules
import zennit.torchvision
import zennit.types
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import foveal
from benchmarks.timing import Action, plain_forward

CLASS = 0
SAMPLES = 16
WINDOW = 32


@dataclass(frozen=True)
class Subject:
    """A network, its last stage, how many channels that has, and images."""

    name: str
    model: nn.Module
    x: Tensor
    layer: str
    channels: int


@dataclass(frozen=True)
class Contender:
    """A method as a package computes it.

    Attributes:
        build: the subject to the action that is timed.
        forwards: how many forwards an image it stands for; None where the number says nothing.
    """

    method: str
    package: str
    build: Callable[[Subject], Action]
    forwards: Callable[[Subject], int] | None = None

    @property
    def name(self) -> str:
        return f"{self.method} · {self.package}"


# --- How each package is called -------------------------------------------------------------------------------------


def ours(method: str, layer: str | None = None) -> Callable[[Subject], Action]:
    return lambda s: lambda: foveal.explain(s.model, s.x, CLASS, method=method, layer=layer or s.layer)


def grad_cam(method: str) -> Callable[[Subject], Action]:
    def build(s: Subject) -> Action:
        def run() -> object:
            with getattr(pytorch_grad_cam, method)(s.model, [s.model.get_submodule(s.layer)]) as cam:
                return cam(s.x, [ClassifierOutputTarget(CLASS)] * len(s.x))

        return run

    return build


def grad_cam_guided(s: Subject) -> Action:
    """It explains one image a call."""
    return lambda: [pytorch_grad_cam.GuidedBackpropReLUModel(s.model)(one, CLASS) for one in s.x.clone().split(1)]


def torch_cam(method: str) -> Callable[[Subject], Action]:
    def build(s: Subject) -> Action:
        def run() -> object:
            with getattr(torchcam.methods, method)(s.model, s.layer) as cam:
                return cam(CLASS, s.model(s.x))

        return run

    return build


def captum_layer(s: Subject) -> Action:
    return lambda: captum.attr.LayerGradCam(s.model, s.model.get_submodule(s.layer)).attribute(s.x, CLASS)


def captum_input(method: str) -> Callable[[Subject], Action]:
    return lambda s: lambda: getattr(captum.attr, method)(s.model).attribute(s.x, target=CLASS)


def captum_occlusion(s: Subject) -> Action:
    window = (s.x.shape[1], WINDOW, WINDOW)
    return lambda: captum.attr.Occlusion(s.model).attribute(s.x, window, strides=window, target=CLASS)


def captum_smooth(s: Subject) -> Action:
    smooth = captum.attr.NoiseTunnel(captum.attr.Saliency(s.model))
    return lambda: smooth.attribute(s.x, nt_samples=SAMPLES, nt_samples_batch_size=1, target=CLASS)


def zennit_rules(composite: type[zennit.core.Composite]) -> Callable[[Subject], Action]:
    def build(s: Subject) -> Action:
        of_resnets, of_others = zennit.torchvision.ResNetCanonizer, zennit.canonizers.SequentialMergeBatchNorm
        canonizer = of_resnets if "resnet" in s.name else of_others

        def run() -> object:
            with zennit.attribution.Gradient(s.model, composite(canonizers=[canonizer()])) as attribute:
                return attribute(s.x, one_hot(s))

        return run

    return build


def zennit_smooth(s: Subject) -> Action:
    return lambda: zennit.attribution.SmoothGrad(s.model, n_iter=SAMPLES)(s.x, one_hot(s))


def zennit_occlusion(s: Subject) -> Action:
    window = (s.x.shape[1], WINDOW, WINDOW)
    return lambda: zennit.attribution.Occlusion(s.model, window=window, stride=window)(s.x, one_hot(s))


def one_hot(s: Subject) -> Callable[[Tensor], Tensor]:
    def cotangent(output: Tensor) -> Tensor:
        return torch.zeros_like(output).index_fill_(1, torch.tensor([CLASS], device=output.device), 1)

    return cotangent


class EpsilonEverywhere(zennit.composites.LayerMapComposite):
    """One rule for every layer, as Captum and ours."""

    def __init__(self, canonizers: list[zennit.canonizers.Canonizer]) -> None:
        rules = zennit.composites.layer_map_base()
        super().__init__([*rules, (zennit.types.Linear, zennit.rules.Epsilon())], canonizers=canonizers)


# --- The field ------------------------------------------------------------------------------------------------------


def a_mask_a_channel(s: Subject) -> int:
    return s.channels


def a_mask_a_window(s: Subject) -> int:
    height, width = s.x.shape[2:]
    return (height // WINDOW) * (width // WINDOW) + 1


CONTENDERS = (
    Contender("plain forward", "torch", lambda s: lambda: plain_forward(s.model, s.x)),
    Contender("Grad-CAM", "foveal", ours("gradcam")),
    Contender("Grad-CAM", "grad-cam", grad_cam("GradCAM")),
    Contender("Grad-CAM", "torchcam", torch_cam("GradCAM")),
    Contender("Grad-CAM", "Captum", captum_layer),
    Contender("Grad-CAM++", "foveal", ours("gradcam++")),
    Contender("Grad-CAM++", "grad-cam", grad_cam("GradCAMPlusPlus")),
    Contender("Grad-CAM++", "torchcam", torch_cam("GradCAMpp")),
    Contender("LayerCAM", "foveal", ours("layercam")),
    Contender("LayerCAM", "grad-cam", grad_cam("LayerCAM")),
    Contender("LayerCAM", "torchcam", torch_cam("LayerCAM")),
    Contender("Eigen-CAM", "foveal", ours("eigencam")),
    Contender("Eigen-CAM", "grad-cam", grad_cam("EigenCAM")),
    Contender("Guided backprop", "foveal", ours("guidedbackprop", "input")),
    Contender("Guided backprop", "Captum", captum_input("GuidedBackprop")),
    Contender("Guided backprop", "grad-cam", grad_cam_guided),
    Contender("Guided backprop", "zennit", zennit_rules(zennit.composites.GuidedBackprop)),
    Contender("LRP-ε", "foveal", ours("lrp-epsilon", "input")),
    Contender("LRP-ε", "Captum", captum_input("LRP")),
    Contender("LRP-ε", "zennit", zennit_rules(EpsilonEverywhere)),
    Contender("LRP-z⁺", "foveal", ours("lrp-zplus", "input")),
    Contender("LRP-z⁺", "zennit, ε in linear layers", zennit_rules(zennit.composites.EpsilonPlus)),
    Contender("SmoothGrad", "foveal", ours(f"smoothgrad:samples={SAMPLES}", "input"), lambda s: SAMPLES),
    Contender("SmoothGrad", "Captum, one at a time", captum_smooth, lambda s: SAMPLES),
    Contender("SmoothGrad", "zennit", zennit_smooth, lambda s: SAMPLES),
    Contender("Occlusion", "foveal", ours(f"occlusion:window={WINDOW},stride={WINDOW}", "input"), a_mask_a_window),
    Contender("Occlusion", "Captum", captum_occlusion, a_mask_a_window),
    Contender("Occlusion", "zennit", zennit_occlusion, a_mask_a_window),
    Contender("Ablation-CAM", "foveal", ours("ablationcam"), a_mask_a_channel),
    Contender("Ablation-CAM", "grad-cam", grad_cam("AblationCAM"), a_mask_a_channel),
    Contender("Score-CAM", "foveal", ours("scorecam"), a_mask_a_channel),
    Contender("Score-CAM", "grad-cam", grad_cam("ScoreCAM"), a_mask_a_channel),
    Contender("Score-CAM", "torchcam", torch_cam("ScoreCAM"), a_mask_a_channel),
)
