"""A network that decides by the ranked parts of its last feature map: trunk, pooling, one linear layer.

F = trunk(x)        x = [v_1; …; v_N] = pool(F)        logits = W · dropout(x) + b                  (6)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from foveal.attention.pooling import PoolingName, make_pooling, replicated
from foveal.engine.capture import capture
from foveal.engine.select import LayerName, named_layers
from foveal.engine.stages import describe
from foveal.errors import UnknownModel
from foveal.models.backbone import Backbone, ResolutionMode
from foveal.models.from_factory import check_harmless
from foveal.models.load import BUNDLED, load_model

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attention.pooling import Pooling


class PartsNet(nn.Module):
    """A classifier by parts on any convolutional network.

        net = PartsNet(foveal.load_model("timm:resnet50").module, 200, resolution=4, size=224)
        net(torch.rand(2, 3, 224, 224)).shape                       # (2, 200)
        net.vectors(x).shape                                        # (2, 3, 2048), for comparisons
        foveal.parts(net, x)

    Args:
        backbone: any module, which is taken over with its weights; where its head is linear on the mean over places
            and has as many outputs, it is replicated, so that the network knows something before any training. Or
            a name, for the architecture: "timm:NAME", "torchvision:NAME", a bundled network.
        classes: outputs.
        pooling: "brnpa"; "average" or "attention" for comparison.
        count: parts.
        layer: of the backbone, by name or as a module; None for its last stage.
        resolution: how many times finer the last map is to be than in the backbone as built.
        mode: "dilate" or "stride", see `Backbone`.
        size: side of the pictures that it is built for; others will do.
        dropout: before the head.
        checkpointing: see `Backbone`.

    Raises:
        ModelError, LayerError: for a backbone that cannot be had or changed so.
    """

    def __init__(
        self, backbone: str | nn.Module = "demo", classes: int = 20, *, pooling: PoolingName = "brnpa",
        count: int = 3, layer: LayerName | None = None, resolution: int = 1, mode: ResolutionMode = "dilate",
        size: int = 160, dropout: float = 0.0, checkpointing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        network = named_backbone(backbone) if isinstance(backbone, str) else backbone
        network.eval()
        random = torch.Generator().manual_seed(0)
        example = torch.randn(1, 3, size, size, generator=random).to(next(network.parameters()))
        layer = named_layers(network, layer) or describe(network, example).usual.name
        own = _linear_head(network, layer, example)
        self.trunk = Backbone(network, layer, example, resolution=resolution, mode=mode, checkpointing=checkpointing)
        self.pool: Pooling = make_pooling(pooling, self.trunk.channels, count)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(self.trunk.channels * self.pool.count, classes).to(example)
        if own is not None and own.out_features == classes:
            self.head = replicated(own, self.pool.count)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.head(self.drop(self.pool(self.trunk(x))))
        return logits

    def vectors(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k d"]:
        """The parts' vectors by rank."""
        return self.pool.group(self.trunk(x)).vectors


def _linear_head(network: nn.Module, layer: str, example: Tensor) -> nn.Linear | None:
    """The network's last linear layer, if it is applied to the mean over the layer's places and to nothing else."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    with capture(network, [layer], gradient=False) as run:
        scores, F = run.forward(example), run.activations[layer]
        if not linear or F.ndim != 4 or linear[-1].in_features != F.shape[1] or not isinstance(scores, Tensor):
            return None
        logits = linear[-1](F.mean((2, 3)))
    same = logits.shape == scores.shape and bool(torch.allclose(logits, scores, rtol=1e-3, atol=1e-4))
    return linear[-1] if same else None


def named_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """A network by a name that a data file may hold; unless pretrained, nothing is fetched for it.

    Raises:
        ModelError: for other code than that of timm, torchvision and foveal.
    """
    if name in BUNDLED:
        return load_model(name).module
    source, _, own = name.partition(":")
    if not own or (":" in own and not pretrained):
        raise UnknownModel(f"there is no backbone {name!r}: say timm:NAME, torchvision:NAME, {', '.join(BUNDLED)}")
    if source not in ("timm", "torchvision"):
        check_harmless(name, Path("this network"))
    return load_model(name, pretrained=pretrained).module
