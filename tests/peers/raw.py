"""The peers' maps (n, h, w) before they clamp, scale and resize them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import captum.attr
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam import GuidedBackpropReLUModel
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.core import Composite

from tests.peers.subjects import TARGETS


def grad_cam(
    name: str,
    model: nn.Module,
    x: Tensor,
    layer: str,
    target: Sequence[Callable[[Tensor], Tensor]] | None = None,
    **options: Any,
) -> Tensor:
    """What a class of pytorch-grad-cam weighs and sums, signed: the value of its own `get_cam_image`."""
    with getattr(pytorch_grad_cam, name)(model, [model.get_submodule(layer)], **options) as cam:
        kept, image = [], cam.get_cam_image

        def keep(*arguments: Any) -> Any:
            kept.append(image(*arguments))
            return kept[0]

        cam.get_cam_image = keep
        cam(x, list(target or [ClassifierOutputTarget(index) for index in TARGETS]))
    return torch.as_tensor(kept[0])


def torch_cam(name: str, model: nn.Module, x: Tensor, layer: str, **options: Any) -> Tensor:
    """What a class of torchcam returns unscaled; those with gradients have passed its ReLU."""
    with getattr(torchcam.methods, name)(model, layer, **options) as cam:
        scores = model(x)
        (map,) = cam(class_idx=TARGETS, scores=scores, normalized=False)
    return map.detach()


def captum_grad_cam(model: nn.Module, x: Tensor, layer: str) -> Tensor:
    """Captum's LayerGradCam, signed."""
    return captum.attr.LayerGradCam(model, model.get_submodule(layer)).attribute(x, TARGETS)[:, 0].detach()


def captum_input(name: str, model: nn.Module, x: Tensor, **options: Any) -> Tensor:
    """What a method of Captum says of each input value, (n, c, h, w)."""
    value: Tensor = getattr(captum.attr, name)(model).attribute(x.clone(), target=TARGETS, **options)
    return value.detach()


def zennit_input(composite: Composite | None, model: nn.Module, x: Tensor, *, relevance: bool = True) -> Tensor:
    """What zennit sends back to each input value, (n, c, h, w): the score as relevance, or its gradient."""

    def start(output: Tensor) -> Tensor:
        chosen = nn.functional.one_hot(torch.tensor(TARGETS), output.shape[1]).to(output)
        return chosen * output.detach() if relevance else chosen

    with Gradient(model, composite) as attribute:
        _, value = attribute(x.clone(), start)
    return value.detach()  # type: ignore[no-any-return]


def grad_cam_guided(model: nn.Module, x: Tensor) -> Tensor:
    """pytorch-grad-cam's guided backprop, (n, c, h, w); it takes one image a call and changes the model."""
    each = [GuidedBackpropReLUModel(deepcopy(model))(one[None].clone(), k) for one, k in zip(x, TARGETS, strict=True)]
    return torch.stack([torch.as_tensor(one).permute(2, 0, 1) for one in each])
