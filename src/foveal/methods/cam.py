"""The class-activation-map family on one page.

Every method is a formula over the activations A of a layer and the cotangents G = ∂score/∂A, both (n, c, h, w),
for whatever decision the score measures. Maps (n, h, w) are raw and signed: no ReLU, no scaling, no resizing —
what the papers clamp for display is clamped when drawing.

    Σ_c   sum over channels          ⟨·⟩   mean over positions          ⊙   element by element
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.errors import MethodError
from foveal.methods.axes import behind_first, space_of
from foveal.methods.principal import principal

if TYPE_CHECKING:
    from jaxtyping import Float

CHANNELS = 1


LINEAR_HEAD = frozenset(
    {"Mean", "Sum", "AdaptiveAvgPool2D", "MkldnnAdaptiveAvgPool2D", "AvgPool2D", "Div", "Mul"}
    | {"AdaptiveAvgPool3D", "AvgPool3D"}
    | {"View", "UnsafeView", "Reshape", "ReshapeAlias", "Squeeze", "Unsqueeze", "Alias", "Clone", "T", "Transpose"}
    | {"Permute", "Expand", "Repeat", "ToCopy", "CopyBackwards", "AsStrided", "CopySlices"}
    | {"Addmm", "Mm", "Addmv", "Mv", "Dot", "Bmm", "Baddbmm", "Linear", "Convolution", "NativeBatchNorm"}
    | {"Add", "Sub", "Rsub", "Neg", "Cat", "Stack", "Split", "SplitWithSizes", "Unbind"}
    | {"Gather", "Select", "Slice", "Index", "IndexSelect"}
)
"""What may lie between a layer and the score where CAM is defined: average pooling, one linear layer, bookkeeping."""


def cam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c w_c A_c with w the weights of the linear layer behind global average pooling; ⟨map⟩ = score − bias.

    There G_c is w_c / hw at every position, so w_c = Σ G_c. Where G is not constant the head is not of that form.

    Raises:
        MethodError: when something else than average pooling and a linear layer follows.
    """
    spread = (G.amax(space_of(G)) - G.amin(space_of(G))).amax(CHANNELS)
    if bool((spread > 1e-4 * G.abs().amax(behind_first(G))).any()):
        raise MethodError(
            "cam does not apply at this layer: it needs global average pooling and one linear layer directly after it; "
            "use hirescam, which is the same map there and defined everywhere"
        )
    return weighted(A, G.sum(space_of(G)))


def gradcam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c ⟨G_c⟩ A_c (equations 1 and 2, before the ReLU)."""
    return weighted(A, G.mean(space_of(G)))


def gradcam_plus_plus(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c w_c A_c, w_c = Σ_ij α_ij ReLU(G_ij), α = G² / (2 G² + (Σ A) G³)   (equations 7, 13 and 19).

    Where G > 0 the fraction is 1 / (2 + G Σ A): no epsilon, so the map does not depend on how small gradients are.
    The factor exp(score) of the paper's derivation is the same for all channels of an image and left out.
    """
    G = G.relu()
    # For A ≥ 0 the denominator is at least 2. Signed layers can cross zero, where α has no meaning.
    below = 2 + G * A.sum(space_of(A), keepdim=True)
    return weighted(A, torch.where(below > 0, G / torch.where(below > 0, below, 1), 0).sum(space_of(A)))


def xgradcam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c w_c A_c, w_c = Σ_ij A_ij G_ij / Σ_ij A_ij   (equation 8): Grad-CAM's weights averaged where A is.

    A channel whose sum is no more than rounding, as right behind a normalization over places, has no such average: its
    weight is 0.
    """
    space = space_of(A)
    total = A.sum(space)
    nothing = total.abs() <= _rounding(A) * A.abs().sum(space)
    return weighted(A, torch.where(nothing, 0, (A * G).sum(space) / torch.where(nothing, 1, total)))


def hirescam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c G ⊙ A: sums to the score, up to biases, wherever the network above is piecewise linear."""
    return (G * A).sum(CHANNELS)


def _rounding(A: Tensor) -> float:
    """What share of its terms a sum may be off by."""
    return max(1e-5, 4 * torch.finfo(A.dtype).eps)


def evened_out(
    A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"], M: Float[Tensor, " n *space"]
) -> str | None:
    """Where the next operation normalizes over places, the mean of G over them is rounding noise in every channel."""
    means, terms = G.mean(space_of(G)).abs(), G.abs().mean(space_of(G))
    if not bool(((means <= _rounding(A) * terms).all(1) & (terms > 0).any(1)).any()):
        return None
    return (
        "the gradients of each channel sum to zero over the map, as always right before a normalization over "
        "positions, and this map is noise: use hirescam, or another layer"
    )


def without_mean(
    A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"], M: Float[Tensor, " n *space"]
) -> str | None:
    """Which channels have no average."""
    space = space_of(A)
    nothing = (A.sum(space).abs() <= _rounding(A) * A.abs().sum(space)) & A.flatten(2).any(-1)
    if not bool(nothing.any()):
        return None
    return (
        f"{int(nothing.sum(1).max())} of {A.shape[1]} channels sum to zero over the map, so their weight is undefined "
        "and set to 0: use gradcam or hirescam"
    )


def canceled(
    A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"], M: Float[Tensor, " n *space"]
) -> str | None:
    """Where the next operation normalizes over channels, G ⊥ A at every position and the sum is rounding noise."""
    terms, rest = (G * A).abs().sum(CHANNELS).flatten(1).amax(1), M.abs().flatten(1).amax(1)
    if not bool(((rest <= _rounding(A) * terms) & (terms > 0)).any()):
        return None
    return (
        "the evidence of the channels cancels, as always right before a normalization over channels, and this map is "
        "noise: use gradcam, or another layer"
    )


def layercam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c ReLU(G) ⊙ A: only what more of would help."""
    return (G.relu() * A).sum(CHANNELS)


def elementwise_gradcam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """Σ_c ReLU(G ⊙ A): evidence in favor only, without cancellation between channels."""
    return (G * A).relu().sum(CHANNELS)


def eigencam(
    A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"] | None = None
) -> Float[Tensor, " n *space"]:
    """A projected on its first principal direction over channels (not centered); the larger lobe is positive."""
    M = principal(A)
    return M * towards(M, M.abs())


def eigengradcam(A: Float[Tensor, "n c *space"], G: Float[Tensor, "n c *space"]) -> Float[Tensor, " n *space"]:
    """The same of G ⊙ A, with the sign that agrees with Σ_c G ⊙ A, so positive means in favor."""
    M = principal(G * A)
    return M * towards(M, hirescam(A, G))


def weighted(A: Float[Tensor, "n c *space"], w: Float[Tensor, "n c"]) -> Float[Tensor, " n *space"]:
    """Σ_c w_c A_c."""
    return torch.bmm(w[:, None], A.flatten(2)).view(len(A), *A.shape[2:])


def towards(M: Float[Tensor, " n *space"], evidence: Float[Tensor, " n *space"]) -> Float[Tensor, " n *ones"]:
    """The sign, +1 or −1 an image and never 0, that makes M agree with the evidence; both may be tiny or huge."""
    agreement = (_unit(M) * _unit(evidence)).sum(behind_first(M), keepdim=True)
    return torch.where(agreement < 0, -1.0, 1.0).to(M.dtype)


def _unit(M: Float[Tensor, " n *space"]) -> Float[Tensor, " n *space"]:
    return M / M.abs().amax(behind_first(M), keepdim=True).clamp(min=torch.finfo(M.dtype).tiny)


FAMILY = (
    Method(
        "cam", "CAM", cam, "gradients",
        "the classifier's own weights; averages to the score exactly",
        "Zhou et al., CVPR 2016, arXiv:1512.04150",
        "the layer before global average pooling and linear layers",
        between=LINEAR_HEAD,
    ),
    Method(
        "gradcam", "Grad-CAM", gradcam, "gradients",
        "channels weighted by their mean gradient; the field's default",
        "Selvaraju et al., ICCV 2017, arXiv:1610.02391",
        caution=evened_out,
    ),
    Method(
        "gradcam++", "Grad-CAM++", gradcam_plus_plus, "gradients",
        "channels weighted by positive gradients; several instances count equally",
        "Chattopadhay et al., WACV 2018, arXiv:1710.11063",
        "derived for activations ≥ 0",
    ),
    Method(
        "xgradcam", "XGrad-CAM", xgradcam, "gradients",
        "mean gradient where the channel is active",
        "Fu et al., BMVC 2020, arXiv:2008.02312",
        "derived for activations ≥ 0",
        caution=without_mean,
    ),
    Method(
        "hirescam", "HiResCAM", hirescam, "gradients",
        "gradient times activation; exact share of the score in piecewise-linear heads",
        "Draelos & Carin, 2020, arXiv:2011.08891",
        caution=canceled,
    ),
    Method(
        "layercam", "LayerCAM", layercam, "gradients",
        "positive gradient times activation; sharp at early layers",
        "Jiang et al., IEEE TIP 30, 2021",
    ),
    Method(
        "elementwise", "Element-wise Grad-CAM", elementwise_gradcam, "gradients",
        "positive part of gradient times activation; before channels can cancel",
        "as in pytorch-grad-cam (Gildenblat et al., 2021)",
    ),
    Method(
        "eigencam", "Eigen-CAM", eigencam, "activations",
        "first principal component of the activations; the same for every target",
        "Muhammad & Yeasin, IJCNN 2020, arXiv:2008.00299",
        caution=lambda A, G, M: "the map does not depend on the target: it is the same for every class",
    ),
    Method(
        "eigengradcam", "EigenGrad-CAM", eigengradcam, "gradients",
        "principal component of gradient × activation",
        "as in pytorch-grad-cam (Gildenblat et al., 2021)",
    ),
)  # fmt: skip
