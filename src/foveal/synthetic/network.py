"""The demo networks: small residual networks whose last maps are fine enough to mark a beak."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float


class ResidualBlock(nn.Module):
    """ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x)) (He et al., 2016).

    `second` is the kernel of the second convolution: 1 mixes channels without enlarging the receptive field.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, second: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, second, 1, second // 2, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(inner + self.shortcut(x))
        return out


class GeM(nn.Module):
    """Generalized-mean pooling, (⟨max(A, ε)³⟩)^⅓: between the mean and the maximum (Radenović et al., 2019)."""

    def forward(self, A: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c"]:
        return A.clamp(min=1e-4).pow(3).mean((2, 3)).pow(1 / 3)


class EmbedNet(nn.Module):
    """Embeddings of (n, 3, 160, 160) images, compared by their cosine: the body of `DemoNet`, GeM, a projection.

    stage3  (n, 128, 20, 20)      the map that the embedding is made of
    project (n, 64)               what comes out
    """

    def __init__(self, numbers: int = 64) -> None:
        super().__init__()
        body = DemoNet()
        self.stem, self.stage1, self.stage2, self.stage3 = body.stem, body.stage1, body.stage2, body.stage3
        self.pool = GeM()
        self.project = nn.Linear(128, numbers, bias=False)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        maps = self.stage3(self.stage2(self.stage1(self.stem(x))))
        v: Tensor = self.project(self.pool(maps))
        return v


class BodyNet(nn.Module):
    """Embeddings (n, 128) of (n, 3, 160, 160) images: the body of `DemoNet` and the mean over its positions."""

    def __init__(self) -> None:
        super().__init__()
        body = DemoNet()
        self.stem, self.stage1, self.stage2, self.stage3 = body.stem, body.stage1, body.stage2, body.stage3
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 128"]:
        maps = self.stage3(self.stage2(self.stage1(self.stem(x))))
        v: Tensor = self.pool(maps).flatten(1)
        return v


class DemoNet(nn.Module):
    """Logits over the demo species from (n, 3, 160, 160) images.

        stem   (n,  32, 40, 40)   sees  7 pixels
        stage1 (n,  32, 40, 40)   sees 23
        stage2 (n,  64, 20, 20)   sees 31
        stage3 (n, 128, 20, 20)   sees 47
        pool, head                global average, then linear: class activation maps apply exactly

    The receptive field stays below a third of the image's side, so that a position of the last stage
    describes the part that lies there.
    """

    def __init__(self, classes: int = 20) -> None:
        super().__init__()
        self.stem = nn.Sequential(OrderedDict(
            conv1=nn.Conv2d(3, 24, 3, 2, 1, bias=False), bn1=nn.BatchNorm2d(24), relu1=nn.ReLU(),
            conv2=nn.Conv2d(24, 32, 3, 2, 1, bias=False), bn2=nn.BatchNorm2d(32), relu2=nn.ReLU(),
        ))  # fmt: skip
        self.stage1 = ResidualBlock(32, 32)
        self.stage2 = ResidualBlock(32, 64, stride=2, second=1)
        self.stage3 = ResidualBlock(64, 128, second=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(128, classes)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        maps = self.stage3(self.stage2(self.stage1(self.stem(x))))
        logits: Tensor = self.head(self.pool(maps).flatten(1))
        return logits
