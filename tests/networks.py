"""Networks for tests: real architectures with awake normalization, and tiny ones whose answer is known."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from foveal.models.extras import import_torchvision

ARCHITECTURES = {
    "resnet18": 96,
    "resnet50": 96,
    "vgg11_bn": 96,
    "densenet121": 96,
    "inception_v3": 139,
    "googlenet": 96,
    "mobilenet_v2": 96,
    "mobilenet_v3_small": 96,
    "efficientnet_b0": 96,
    "convnext_tiny": 96,
    "regnet_y_400mf": 96,
    "squeezenet1_1": 96,
}
"""torchvision name -> side of the smallest input worth testing."""

SMOOTH = {"mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"}
"""Those with activation functions that are no ReLU."""


def architecture(name: str, seed: int = 0) -> nn.Module:
    """A torchvision network with random weights and statistics, so that nothing in it is trivially zero or one.

    It has every layer of the published one and a quarter of its channels: what is tested is how layers are put
    together, in hundreds of tests. Trained ones are whole (`tests.real_networks`).
    """
    built = copy.deepcopy(_architecture(name, seed))
    torch.manual_seed(seed)
    return built


@cache
def _architecture(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    options: dict[str, Any] = {"init_weights": True} if name in ("inception_v3", "googlenet") else {}
    whole: Any = getattr(import_torchvision().models, name)(weights=None, **options)
    if name.startswith("vgg"):  # nine tenths of its weights
        wide = whole.classifier[0].in_features
        whole.classifier[0], whole.classifier[3] = nn.Linear(wide, 1024), nn.Linear(1024, 1024)
        whole.classifier[6] = nn.Linear(1024, 1000)
    return awake(narrowed(whole)).eval()


def narrowed(model: nn.Module, share: int = 4, spared: Collection[int] = (1, 3, 1000)) -> nn.Module:
    """The same network with one of `share` channels each; the weights that are left keep the size of what comes out.

    Args:
        spared: counts that stay, of colors and classes.
    """

    def fewer(channels: int) -> int:
        return channels if channels in spared else math.ceil(channels / share)

    for module in model.modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None or tensor.ndim == 0:
                continue
            left = tensor.detach()[: fewer(len(tensor))]
            if isinstance(module, nn.Conv2d | nn.Linear) and name == "weight":
                left = left[:, : fewer(tensor.shape[1])] * math.sqrt(tensor.shape[1] / fewer(tensor.shape[1]))
            setattr(module, name, nn.Parameter(left.clone()) if name in module._parameters else left.clone())
        if isinstance(module, nn.Conv2d):
            if module.groups == module.in_channels:
                module.groups = fewer(module.groups)
            module.in_channels, module.out_channels = fewer(module.in_channels), fewer(module.out_channels)
        elif isinstance(module, nn.Linear):
            module.in_features, module.out_features = fewer(module.in_features), fewer(module.out_features)
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features = fewer(module.num_features)
        elif isinstance(module, nn.LayerNorm):
            module.normalized_shape = tuple(map(fewer, module.normalized_shape))
    return model


def awake(model: nn.Module) -> nn.Module:
    """Randomize what initialization leaves neutral: normalization statistics and scales, biases, layer scales."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
                module.weight.uniform_(0.5, 1.5)
            if isinstance(module, nn.BatchNorm2d | nn.Conv2d | nn.Linear) and module.bias is not None:
                module.bias.normal_(0, 0.1)
        for name, parameter in model.named_parameters():
            if name.endswith("layer_scale"):
                parameter.uniform_(0.5, 1.0)
    return model


class Tiny(nn.Module):
    """Two stages and a linear head: 3×3 convolutions, ReLU, pooling between. Everything by name."""

    def __init__(self, classes: int = 3, channels: int = 3, width: int = 6, *, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.relu1 = nn.ReLU(inplace)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.relu2 = nn.ReLU(inplace)
        self.fc = nn.Linear(2 * width, classes)

    def features(self, x: Tensor) -> Tensor:
        return self.relu2(self.conv2(self.pool(self.relu1(self.conv1(x)))))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.features(x).mean((2, 3)))


def tiny(seed: int = 0, **options: Any) -> Tiny:
    torch.manual_seed(seed)
    return Tiny(**options).eval()


class Planted(nn.Module):
    """Scores how red, green and blue the picture is anywhere: the evidence for class k is where channel k is lit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.conv.weight.data = torch.eye(3)[:, :, None, None]
        self.relu = nn.ReLU()
        self.fc = nn.Linear(3, 3, bias=False)
        self.fc.weight.data = torch.eye(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))  # type: ignore[no-any-return]


class Frozen(nn.Module):
    """A backbone run under no_grad, as transfer learning code has it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = tiny()
        self.head = nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.backbone.features(x)
        return self.head(features.mean((2, 3)))  # type: ignore[no-any-return]
