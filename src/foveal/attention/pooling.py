"""Poolings of a feature map into k ranked vectors: BR-NPA's and two others for comparison, with one interface.

    RepresentativePooling   groups by residual activity, no parameters (`grouping`)
    AveragePooling          one vector, one flat map: the mean over all positions
    AttentionPooling        learned maps, B-CNN style (Hu et al., 2019): ReLU of a 1×1 convolution on a residual block

Each takes (n, c, h, w), returns (n, k·c), the vectors one after the other; `group` returns its vectors and maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor, nn

from foveal.attention.grouping import TINY, Choice, Grouping, Groups
from foveal.errors import ModelError, UnknownModel

if TYPE_CHECKING:
    from jaxtyping import Float

PoolingName: TypeAlias = Literal["brnpa", "average", "attention"]


class Pooling(nn.Module):
    """The interface of the poolings.

    Attributes:
        count: k, the number of vectors per image.
    """

    count: int

    def group(self, F: Float[Tensor, "n c h w"]) -> Groups:
        """Vectors and maps."""
        raise NotImplementedError

    def forward(self, F: Float[Tensor, "n c h w"]) -> Float[Tensor, "n kc"]:
        return self.group(F).vectors.flatten(1)


class RepresentativePooling(Pooling):
    """Replaces global average pooling: (n, c, h, w) to (n, count · c). No parameters.

        pool = RepresentativePooling(3)
        pool(torch.rand(2, 512, 14, 14)).shape              # (2, 1536)

    Args:
        count: the number of vectors. The other arguments are those of `Grouping`.
    """

    def __init__(
        self,
        count: int = 3,
        *,
        refine: bool = True,
        power: float = 1.0,
        choice: Choice = "hard",
        temperature: float = 0.01,
        random_seeds: bool = False,
    ) -> None:
        super().__init__()
        self.count = count
        self.grouping = Grouping(count, refine=refine, power=power, choice=choice, temperature=temperature)
        self.random_seeds = random_seeds

    def group(self, F: Float[Tensor, "n c h w"]) -> Groups:
        return self.grouping(F, seeds="random" if self.random_seeds else "activity")

    def extra_repr(self) -> str:
        return f"{self.grouping}"


class AveragePooling(Pooling):
    """The mean over all positions, as one group."""

    count = 1

    def group(self, F: Float[Tensor, "n c h w"]) -> Groups:
        flat = F.new_ones(len(F), 1, *F.shape[2:])
        return groups_of(F, flat / flat[0].numel())

    def forward(self, F: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c"]:
        return F.mean((2, 3))  # the same numbers, by an operation that relevance has a rule for


class AttentionPooling(Pooling):
    """Learned attention: a residual block, a 1×1 convolution to k + 1 maps, ReLU; the last map is background.

    v_k = mean_p(a^k_p f_p), as in bilinear attention pooling.
    """

    def __init__(self, channels: int, count: int = 3) -> None:
        super().__init__()
        self.count = count
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.attend = nn.Conv2d(channels, count + 1, 1)

    def group(self, F: Float[Tensor, "n c h w"]) -> Groups:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(F)).relu()))
        return groups_of(F, self.attend((inner + F).relu()).relu()[:, : self.count], normalize=False)


def groups_of(F: Float[Tensor, "n c h w"], maps: Float[Tensor, "n k h w"], *, normalize: bool = True) -> Groups:
    """`Groups` from given maps.

    normalize: vectors are weighted sums (maps sum to 1) or means over positions.
    """
    n, k = maps.shape[:2]
    a, f = maps.flatten(2), F.flatten(2)
    v = torch.einsum("nkp,ncp->nkc", a, f) / (1 if normalize else a.shape[2])
    peak, seed = a.detach().max(2)
    total = a.sum(2, keepdim=True)
    share = torch.where(total > TINY, a / total.clamp(min=TINY), 1 / a.shape[2])
    alike = (a / peak[..., None].clamp(min=TINY)).view_as(maps)
    norm = torch.linalg.vector_norm(f, dim=1).view(n, *F.shape[2:])
    size = alike.flatten(2).sum(2)
    used = torch.ones(n, k, dtype=torch.bool, device=F.device)
    return Groups(v, share.view_as(maps), alike, norm, seed, peak, torch.zeros_like(peak), size, used)


class Merge(nn.Module):
    """Merges the k vectors into one vector of the same width, for heads and comparisons that need one.

    "mean": the mean over slots. "learned": a linear map per slot; the first has half of the width, the rest is
    divided among the others (C/2, C/4, C/4 of three), each slot its own.
    """

    def __init__(self, channels: int, count: int, how: Literal["mean", "learned"] = "mean") -> None:
        super().__init__()
        if how not in ("mean", "learned"):
            raise ModelError(f"how={how!r} is unknown: give 'mean' or 'learned'")
        self.count = count
        rest = channels - channels // 2
        widths = [channels] if count == 1 else [channels // 2, *_split(rest, count - 1)]
        self.parts = nn.ModuleList(nn.Linear(channels, width) for width in widths if how == "learned")

    def forward(self, x: Float[Tensor, "n kc"]) -> Float[Tensor, "n c"]:
        vectors = x.unflatten(1, (self.count, -1)).unbind(1)
        if not self.parts:
            return torch.stack(vectors).mean(0)
        return torch.cat([part(v) for part, v in zip(self.parts, vectors, strict=True)], 1)


def _split(width: int, count: int) -> list[int]:
    return [width // count + (i < width % count) for i in range(count)]


def replicated(head: nn.Linear, count: int) -> nn.Linear:
    """The head of a network with average pooling, for k vectors: W' = [W … W] / k, so logits = mean_k (W v_k + b)."""
    wide = nn.Linear(
        head.in_features * count, head.out_features, bias=head.bias is not None, dtype=head.weight.dtype,
        device=head.weight.device,
    )  # fmt: skip
    with torch.no_grad():
        wide.weight.copy_(head.weight.repeat(1, count) / count)
        if head.bias is not None:
            wide.bias.copy_(head.bias)
    return wide


def make_pooling(name: PoolingName, channels: int, count: int) -> Pooling:
    """By its name."""
    if name == "brnpa":
        return RepresentativePooling(count)
    if name == "average":
        return AveragePooling()
    if name == "attention":
        return AttentionPooling(channels, count)
    raise UnknownModel(f"there is no pooling {name!r}: choose brnpa, average or attention")
