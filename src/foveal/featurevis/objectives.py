"""Objectives on features, to minimize; they add and scale like numbers.

    J = excite("layer4", a, S) + 1.0 * near("layer4", a, S) + 0.02 * smooth()
    print(J)        # −⟨u, a⟩ of 50 channels of layer4 + 1 × l2 of layer4 + 0.02 × total variation

For pooled features u of the image, a of the set, informative channels S:

    J(u) = −⟨u_S, a_S⟩ / ‖a_S‖² + λ_d ‖u − a‖² / ‖a‖² + λ₁ mean|p| / mean|p_ref| + λ_tv TV + λ₂ ‖x − ½‖² / N

In feature space the optimum of the first two is known: u_c = a_c outside of S, a_c (1 + ‖a‖² / (2 λ_d ‖a_S‖²)) in S. So
λ_d sets the exaggeration, independent of the layer's scale. (Stergiou, ICIP 2021; specification: minds_eye, 4.1.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MethodError, UnknownMethod
from foveal.featurevis.distances import DISTANCES, TAILED, TINY, DistanceName
from foveal.featurevis.objective import Objective
from foveal.featurevis.seen import Seen, moments
from foveal.targets import ModelOutput, Target

if TYPE_CHECKING:
    from jaxtyping import Float, Int


Form: TypeAlias = "Literal['dot', 'mean', 'caricature']"


def excite(
    layer: str, a: Float[Tensor, " c"], channels: Int[Tensor, " s"], form: Form = "dot", power: float = 1.0
) -> Objective:
    """Activation maximization of the informative channels, −1 for an image whose features are the target.

    Args:
        form: "dot", −⟨u_S, a_S⟩ / ‖a_S‖²: strong channels have more weight; "mean", −⟨u_S⟩ / ⟨a_S⟩: equal weights;
            "caricature", the dot product times cos(u_S, a_S)^power, which also requires the target's proportions.
    """
    own = a[channels]
    energy = own.square().sum().clamp(min=TINY)

    def dot(u: Tensor) -> Tensor:
        return u @ own / energy

    def mean(u: Tensor) -> Tensor:
        return u.mean(1) / own.mean().clamp(min=TINY)

    def caricature(u: Tensor) -> Tensor:
        return dot(u) * functional.cosine_similarity(u, own[None], dim=1).clamp(min=0) ** power

    forms: dict[str, Callable[[Tensor], Tensor]] = {"dot": dot, "mean": mean, "caricature": caricature}
    if form not in forms:
        raise UnknownMethod(f"there is no activation maximization {form!r}: choose {', '.join(forms)}")
    activation = forms[form]
    return Objective(
        lambda seen: -activation(seen.features(layer)[:, channels]),
        f"−⟨u, a⟩ of {len(channels)} channels of {layer}",
        (layer,),
    )


def near(
    layer: str, a: Float[Tensor, " c"], channels: Int[Tensor, " s"], distance: DistanceName = "l2", weight: float = 1.0
) -> Objective:
    """The weighted distance of all pooled features to the target.

    Raises:
        MethodError: for an unknown distance, or a weight with which a distance with linear tails has no optimum.
    """
    if distance not in DISTANCES:
        raise UnknownMethod(f"there is no distance {distance!r}: choose {', '.join(DISTANCES)}")
    if distance in TAILED and 0 < weight <= 0.5:
        raise MethodError(
            f"with {distance} and a weight of {weight:g} the activation grows without limit: use a weight above 0.5"
        )
    rho = DISTANCES[distance]
    return weight * Objective(lambda seen: rho(seen.features(layer), a, channels), f"{distance} of {layer}", (layer,))


def inverted(layer: str, map: Float[Tensor, "c h w"]) -> Objective:
    """Feature inversion: the squared distance of the whole map, position by position, to a given one."""
    energy = map.square().sum().clamp(min=TINY)

    def distance(seen: Seen) -> Tensor:
        A = seen.maps[layer]
        goal = functional.interpolate(map[None], A.shape[2:], mode="bilinear") if A.shape[1:] != map.shape else map
        return (A - goal).square().flatten(1).sum(1) / energy

    return Objective(distance, f"inversion of {layer}", (layer,))


def aligned(layer: str, map: Float[Tensor, "c h w"], exaggeration: float = 1.0) -> Objective:
    """Caricature of a whole map, position by position: −⟨A, A*⟩ / ‖A*‖² · cos(A, A*)^exaggeration."""

    def activation(seen: Seen) -> Tensor:
        A = seen.maps[layer]
        goal = functional.interpolate(map[None], A.shape[2:], mode="bilinear")[0] if A.shape[1:] != map.shape else map
        energy = goal.square().sum().clamp(min=TINY)
        each = A.flatten(1)
        cos = functional.cosine_similarity(each, goal.flatten()[None], dim=1).clamp(min=0)
        return -(each @ goal.flatten()) / energy * cos**exaggeration

    return Objective(activation, f"caricature of {layer}", (layer,))


def sparse(layer: str, reference: Float[Tensor, ""] | float) -> Objective:
    """mean|p| / mean|p_ref| of a penalty tensor."""
    return Objective(
        lambda seen: _mean_size(seen.maps[layer]) / max(float(reference), TINY),
        f"sparsity of {layer}",
        (layer,),
    )


def typical(layer: str, mean: Float[Tensor, " c"], spread: Float[Tensor, " c"]) -> Objective:
    """(‖μ − μ*‖² + ‖σ − σ*‖²) / (‖μ*‖² + ‖σ*‖²) of a layer's channels over positions: statistics as in photos.

    Inversion uses the statistics of batch normalization (Yin et al., CVPR 2020; Stergiou,
    arXiv:2303.09941), this uses those of the set's own photos, so it works with any network.
    """
    energy = (mean.square().sum() + spread.square().sum()).clamp(min=TINY)

    def distance(seen: Seen) -> Tensor:
        m, s = moments(seen.maps[layer])
        return ((m - mean).square().sum(1) + (s - spread).square().sum(1)) / energy

    return Objective(distance, f"statistics of {layer}", (layer,))


def apart(layer: str, own: Float[Tensor, " c"], others: Sequence[Float[Tensor, " c"]]) -> Objective:
    """Σ ReLU(cos(u − ā, a_other − ā)), ā the mean target: the difference from the other facets."""
    middle = torch.stack([own, *others]).mean(0)
    directions = torch.stack([other - middle for other in others])

    def alike(seen: Seen) -> Tensor:
        u = seen.features(layer) - middle
        return functional.cosine_similarity(u[:, None], directions[None], dim=2).relu().sum(1)

    return Objective(alike, f"similarity to {len(others)} other facets at {layer}", (layer,))


def diverse(layer: str) -> Objective:
    """For several seeds of one facet: the mean cosine of each image's channel correlations with the others'."""

    def alike(seen: Seen) -> Tensor:
        maps = seen.maps[layer].flatten(2)
        if len(maps) < 2:
            return maps.new_zeros(len(maps))
        gram = functional.normalize((maps @ maps.mT).flatten(1), dim=1)
        cos = gram @ gram.mT
        return (cos.sum(1) - cos.diagonal()) / (len(maps) - 1)

    return Objective(alike, f"similarity of seeds at {layer}", (layer,))


def cell(layer: str, channel: int, place: tuple[float, float]) -> Objective:
    """The negative activation of one channel at a position, given as shares of the map's height and width."""

    def activation(seen: Seen) -> Tensor:
        maps = seen.maps[layer]
        y, x = (min(side - 1, int(share * side)) for share, side in zip(place, maps.shape[2:], strict=True))
        return -maps[:, channel, y, x]

    return Objective(activation, f"−channel {channel} of {layer} at {place[0]:.3f}, {place[1]:.3f}", (layer,))


def target_score(target: Target, description: str, scale: float = 1.0) -> Objective:
    """The negative score of any target, times `scale`: one unit, one class, …"""

    def score(seen: Seen) -> Tensor:
        return -target.decide(ModelOutput(seen.output, seen.maps, seen.labels, seen.task)).score * scale

    return Objective(score, f"−score of {description}", tuple(target.layers), whole=not target.layers)


def _mean_size(maps: Tensor) -> Float[Tensor, " k"]:
    """mean|p|: the norm has its gradient in fewer passes than `abs().mean()`."""
    norm: Tensor = torch.linalg.vector_norm(maps.flatten(1), 1, dim=1)
    return norm / maps[0].numel()
