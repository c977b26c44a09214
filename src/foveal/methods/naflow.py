"""Neuron abandoning attention flow: a map a layer, of the neurons that take part. Specification: NAFlow, sections 3, 5.

    G_l   ∂ score / ∂ A_l, for similarities ∂ (α·v) / ∂ A_l; all layers from one backward
    m_l   the neurons that are kept: on, and G_l ≠ 0; or the fewest of them that hold a share of Σ |A_l ⊙ G_l|
    B_l   what the kept neurons of the layer above say of this one, by inverting what lies between
    map   Σ_c ReLU(B_l ⊙ G_l)

Modes differ in B alone. With J, A, y the derivative, input and output of what lies between l − 1 and l, K the rows of
m_l, ⁺ the pseudo-inverse:

    exact        m ⊙ A                           the inverse anchored at the forward: no solving, no error to pile up
    project      m ⊙ (K J)⁺ K J A                the part of A that the kept neurons can see
    cascade      m ⊙ (K J)⁺ K (B_l − y + J A)    from the last layer down, each from the one above
    cascade_all  the same with all rows          for comparison: the equations contradict each other
    damped       m ⊙ (A + argmin_d ‖K (J d − B_l + y)‖² + λ ‖d‖²)

`damped` differs from `exact` only where B_l is not y on the kept rows. Begun at the last layer, which is taken as it
is, it is y everywhere, so both give the same; it stays because the specification names it, and to check the solver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
from torch import Tensor

from foveal.attribution.method import in_cache
from foveal.engine.inverse import Solved, invert, pointwise
from foveal.errors import LayerError, MethodError, UnknownMethod

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from foveal.engine.block import Block
    from foveal.engine.capture import ForwardRun

Mode: TypeAlias = "Literal['exact', 'project', 'cascade', 'cascade_all', 'damped']"
MODES: tuple[Mode, ...] = ("exact", "project", "cascade", "cascade_all", "damped")


@dataclass(frozen=True)
class Abandonment:
    """Which neurons take no part.

    A neuron that is off, at 0 behind a ReLU, takes no part either: seen before the ReLU, its gradient is 0. Its
    equation says 0 = 0, so this changes what is counted and nothing else.

    Attributes:
        tolerance: a neuron is abandoned where |G| does not exceed this; 0 is the published rule.
        mass: below 1, the fewest neurons are kept that hold this share of Σ |A ⊙ G|: for networks whose gradients
            never vanish.
    """

    tolerance: float = 0.0
    mass: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.tolerance < float("inf") and 0 < self.mass <= 1):
            raise MethodError(
                f"neurons cannot be left out by tolerance={self.tolerance}, mass={self.mass}: the tolerance is 0 or "
                "more, the mass a share above 0 and up to 1"
            )

    def kept(self, A: Float[Tensor, "n ..."], G: Float[Tensor, "n ..."]) -> Bool[Tensor, "n ..."]:
        """The mask m, true for neurons that take part."""
        off = (A == 0) & rectified(A)
        keep = (G.abs() > self.tolerance) & ~off
        if self.mass == 1:
            return keep
        weight = (A * G).abs().flatten(1)
        order = weight.argsort(1, descending=True)
        before = weight.gather(1, order).double().cumsum(1).roll(1, 1)
        total = weight.double().sum(1, keepdim=True)
        before[:, 0] = 0
        wanted = torch.zeros_like(weight, dtype=torch.bool).scatter_(1, order, before < self.mass * total)
        return keep & wanted.view_as(keep)


def rectified(A: Float[Tensor, "n ..."]) -> Bool[Tensor, "n ..."]:
    """(n, 1, …), whether nothing of an image's layer is below 0."""
    return (A.flatten(1).amin(1) >= 0).view(-1, *[1] * (A.ndim - 1))


@dataclass(frozen=True)
class Inversion:
    """How a layer is rebuilt from the one above.

    Attributes:
        mode: see above.
        iterations: at most, where a block has no closed form.
        tolerance: of the solver.
        damping: λ of `damped`, in units of the mean squared gain of J.
    """

    mode: Mode = "exact"
    iterations: int = 30
    tolerance: float = 1e-5
    damping: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownMethod(f"there is no mode {self.mode!r} of the flow: say {', '.join(MODES)}")
        if not (isinstance(self.iterations, int) and self.iterations >= 1 and self.tolerance >= 0 and self.damping > 0):
            raise MethodError(
                f"a flow needs an iteration at least, a tolerance of 0 or more and a damping above 0, but was given "
                f"{self.iterations}, {self.tolerance}, {self.damping}"
            )


@dataclass
class Rebuilt:
    """What an inversion made of the layers.

    Attributes:
        B: layer -> like its activation, zero where neurons are abandoned.
        residual: layer -> (n,), 0 for the last layer, which is taken as it is.
        iterations: layer -> (n,).
        notes: what a reader must know.
    """

    B: dict[str, Tensor] = field(default_factory=dict)
    residual: dict[str, Tensor] = field(default_factory=dict)
    iterations: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def rebuild(
    run: ForwardRun,
    layers: Sequence[str],
    G: Mapping[str, Tensor],
    how: Inversion,
    abandonment: Abandonment,
    tick: Callable[[str], None] = lambda layer: None,
) -> Rebuilt:
    """B of each layer, the deepest first. `layers` in forward order; the run's graph must still be there.

    Raises:
        LayerError: for a layer that is not made of the one before.
    """
    A = {layer: run.activations[layer].detach() for layer in layers}
    keep = {layer: abandonment.kept(A[layer], G[layer]) for layer in layers}
    last = layers[-1]
    rebuilt = Rebuilt({last: torch.where(keep[last], A[last], 0)})
    rebuilt.residual[last] = rebuilt.iterations[last] = torch.zeros(len(A[last]), device=A[last].device)
    for below, above in reversed([*pairwise(layers)]):
        block = run.block(below, above)
        if not _made_of(block, G[above], G[below]):
            if not bool(block.vjp(torch.ones_like(block.y)).any()):
                raise LayerError(
                    f"{above!r} is not made of {below!r}, so the flow cannot be followed from one to the other: leave "
                    "one of them out, or use layer='all', the stages that everything passes through"
                )
            rebuilt.notes.append(
                f"the score depends on {below} in other ways than through {above}, which were left out"
            )
        solved = _rebuilt(block, keep[above], rebuilt.B[above], how)
        if not bool(solved.residual.isfinite().all()):
            raise MethodError(f"the inversion between {below} and {above} overflowed: run the model in float32")
        x = torch.where(keep[below], solved.x, 0)
        x = torch.where(rectified(A[below]), x.clamp(min=0), x)  # what comes out of a ReLU cannot be negative
        rebuilt.B[below], rebuilt.residual[below], rebuilt.iterations[below] = x, solved.residual, solved.iterations
        block.forget()
        tick(below)
    return rebuilt


def _rebuilt(block: Block, keep: Bool[Tensor, "n ..."], B: Float[Tensor, "n ..."], how: Inversion) -> Solved:
    """The input of a block from its output, before masking."""
    x, y = block.x, block.y.detach()
    alone = pointwise(block.module, x, y, B) if block.module and how.mode in ("project", "cascade") else None
    if alone is not None:
        # Number by number: kept neurons see their own input and no other.
        none = torch.zeros(len(x), device=x.device)
        return Solved(torch.where(keep, x if how.mode == "project" else alone, 0), none, none)
    rows = torch.ones_like(keep) if how.mode == "cascade_all" else keep
    if how.mode == "project":
        return invert(block, rows, block.jvp(x), iterations=how.iterations, tolerance=how.tolerance)
    if how.mode == "damped":
        d = invert(
            block, rows, B - y, iterations=how.iterations, tolerance=how.tolerance, damping=how.damping * _gain(block)
        )
        return Solved(x + d.x, d.residual, d.iterations)
    return invert(block, rows, B - y + block.jvp(x), iterations=how.iterations, tolerance=how.tolerance)


def _gain(block: Block) -> float:
    """The mean squared factor by which J stretches, ‖J v‖² / ‖v‖² for a random v."""
    v = torch.randn(block.x.shape, generator=torch.Generator().manual_seed(0), device="cpu").to(block.x)
    return float(block.jvp(v).square().sum() / v.square().sum())


def _made_of(block: Block, above: Tensor, below: Tensor) -> bool:
    """Whether the whole derivative of the lower layer comes through the upper one."""
    through = block.vjp(above)
    return float((through - below).norm()) <= 1e-3 * float(below.norm())


def share_of(
    A: Float[Tensor, "n c h w"],
    G: Float[Tensor, "n c h w"],
    B: Float[Tensor, "n c h w"] | None,
    abandonment: Abandonment,
) -> tuple[Float[Tensor, "n h w"], Float[Tensor, "n h w"], Float[Tensor, "n h w"]]:
    """Of one layer: Σ_c ReLU(B ⊙ G), Σ_c A ⊙ G, and the share of the channels that are kept; B of None is m ⊙ A."""
    parts = []
    for few, (a, g) in in_cache(A, G):
        evidence = a * g
        if abandonment == Abandonment() and bool(a.amin() >= 0):
            # Rectified throughout: what is on and has a gradient is what has a product.
            share = evidence.sign().square_().mean(1)
            rebuilt = evidence if B is None else B[few].to(a.dtype) * g
        else:
            keep = abandonment.kept(a, g)
            share = keep.to(a.dtype).mean(1)
            rebuilt = torch.where(keep, evidence if B is None else B[few].to(a.dtype) * g, 0)
        parts.append((rebuilt.relu().sum(1), evidence.sum(1), share))
    maps, signed, kept = (torch.cat(batches) for batches in zip(*parts, strict=True))
    return maps, signed, kept
