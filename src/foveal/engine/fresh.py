"""Weights as a layer begins with them, whatever the network makes them of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foveal.engine.layers import Layers, Weight, flat_of
from foveal.engine.uses import MIXING, Use, UseSite

_SCALES, _SHIFTS = frozenset({"mul", "div"}), frozenset({"add", "sub", "rsub"})
_NORMS = frozenset({"batch_norm", "instance_norm", "layer_norm", "group_norm", "rms_norm"})
_NEUTRAL = {"mean": 0.0, "variance": 1.0, "weight": 1.0, "bias": 0.0}


def reinitialized(module: nn.Module, names: Sequence[str], seed: int) -> None:
    """Make these modules' own weights and statistics random again, each from a seed of its own.

    As the layer itself would begin; what belongs to a layer that does not say how it begins is drawn from a normal
    distribution with the mean and the deviation it has.
    """
    of = dict(module.named_modules())
    with torch.random.fork_rng(), torch.no_grad():
        for name in names:
            torch.manual_seed(seed * 1_000_003 + sum(ord(c) * (k + 1) for k, c in enumerate(name)))
            begin = getattr(of[name], "reset_parameters", None)
            if callable(begin):
                begin()
                continue
            own = [*of[name].parameters(recurse=False), *of[name].buffers(recurse=False)]
            for tensor in own:
                if tensor.is_floating_point():
                    deviation = float(tensor.std()) if tensor.numel() > 1 else float(tensor.abs().mean())
                    tensor.normal_(float(tensor.mean()), max(deviation, 1e-3))


class Plain(nn.Module):
    """What holds one weight and nothing else."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.weight: Tensor

    @torch.no_grad()
    def begin(self, random: torch.Generator) -> None:
        """Draw the weight anew, whatever other threads draw."""
        deviation = float(self.weight.std()) if self.weight.numel() > 1 else float(self.weight.abs().mean())
        self.weight.normal_(float(self.weight.mean()), max(deviation, 1e-3), generator=random)


class Even(Plain):
    """A weight or a bias of a layer that mixes `inputs` into each output, as those of torch begin."""

    def __init__(self, weight: Tensor, inputs: int) -> None:
        super().__init__(weight)
        self._bound = 1 / math.sqrt(max(inputs, 1))

    @torch.no_grad()
    def begin(self, random: torch.Generator) -> None:
        self.weight.uniform_(-self._bound, self._bound, generator=random)


class Neutral(Plain):
    """A scale that changes nothing, or a shift."""

    def __init__(self, weight: Tensor, value: float) -> None:
        super().__init__(weight)
        self._value = value

    @torch.no_grad()
    def begin(self, random: torch.Generator) -> None:
        self.weight.fill_(self._value)


@torch.inference_mode(False)
def fresh(layers: Layers, number: int, seed: int) -> dict[Weight, Tensor]:
    """New numbers for each weight of a layer, from seeds that tell layers and weights from one another.

    They depend on what the weights are to the operations, and not on how a module holds or makes them.
    """
    fresh_values = {}
    for k, weight in enumerate(layers.each[number].weights):
        own = (seed * 10_007 + number) * 101 + k
        old = flat_of(weight.uses[0][1].tensor)[weight.low : weight.high]
        begun = next(
            (start for i, use in weight.uses if (start := _begun(layers.sites, i, use, own)) is not None), None
        )
        if begun is None:
            fresh_values[weight] = _alike(old, own)
            continue
        use, values = begun
        low, new = use.tensor.storage_offset() - weight.low, old.clone()
        size, steps = _geometry(use.tensor)
        if values.numel() < len(new):
            new = _alike(old, own + 50)
        new.as_strided(size, steps, low).copy_(values)
        fresh_values[weight] = new
    return fresh_values


def _begun(sites: Sequence[UseSite], i: int, use: Use, seed: int) -> tuple[Use, Tensor] | None:
    """What it is when a plain layer begins; None where no plain layer has anything like it."""
    site, (size, _) = sites[i], _geometry(use.tensor)
    kind = torch.float64 if use.tensor.dtype == torch.float64 else torch.float32
    single = sum(side > 1 for side in size) <= 1
    before = sites[site.follows] if site.follows is not None else None
    turned = site.operation in MIXING and use.role == "right" and len(size) > 1
    empty = torch.empty([*size[:-2], size[-1], size[-2]] if turned else size, dtype=kind, device="cpu")
    plain: Plain | None = None
    if use.tensor.is_complex():
        return None
    if site.operation in MIXING and use.role in ("weight", "left", "right", "bias"):
        inputs = _inputs(site) if use.role == "bias" else _inputs_of(use)
        plain = Even(empty, inputs) if inputs else None
    elif site.operation in _NORMS and use.role in _NEUTRAL:
        plain = Neutral(empty, _NEUTRAL[use.role])
    elif site.operation == "prelu" and use.role == "weight":
        plain = Neutral(empty, 0.25)
    elif site.operation in _SCALES and single:
        plain = Neutral(empty, 1.0)
    elif site.operation in _SHIFTS and single:
        follows = before is not None and before.operation in MIXING and all(u.role != "bias" for u in before.uses)
        inputs = _inputs(before) if follows and before is not None else 0
        plain = Even(empty, inputs) if inputs else Neutral(empty, 0.0)
    if plain is None:
        return None
    plain.begin(torch.Generator().manual_seed(seed * 1_000_003))
    return use, plain.weight.mT if turned else plain.weight


def _inputs(site: UseSite) -> int:
    """How many inputs each output of a mixing operation has; 0 where its weight depends on the image."""
    return next((_inputs_of(use) for use in site.uses if use.role in ("weight", "left", "right")), 0)


def _inputs_of(use: Use) -> int:
    shape = use.tensor.shape
    if use.role == "weight":
        return math.prod(shape[1:])
    return shape[-2] if use.role == "right" and len(shape) > 1 else shape[-1]


def _geometry(tensor: Tensor) -> tuple[list[int], list[int]]:
    """Sides and steps in memory, without the axes along which a weight is the same."""
    axes = [(side, step) for side, step in zip(tensor.shape, tensor.stride(), strict=True) if step or side == 1]
    return [side for side, _ in axes], [step for _, step in axes]


def _alike(old: Tensor, seed: int) -> Tensor:
    """Other numbers with the same mean and deviation, and of one sign where they have one."""
    values = torch.view_as_real(old) if old.is_complex() else old
    plain = Plain(values.detach().cpu().clone())
    if bool(plain.weight.isfinite().all()):
        plain.begin(torch.Generator().manual_seed(seed * 1_000_003))
        for sign in (1, -1):
            if bool((sign * values > 0).all()):
                plain.weight = sign * plain.weight.abs()
    new = plain.weight.to(values)
    return torch.view_as_complex(new) if old.is_complex() else new
