"""Gradients of the input, averaged over noise or along a path, through Captum (the extra "captum").

    x   (1, c, h, w), the input        b   the baseline it is compared with        f   the score of the decision

Maps are raw, signed, and summed over the colors. Random numbers come from a seed; the global generators stay put.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from foveal.attribution.method import Method
from foveal.engine.address import INPUT
from foveal.engine.chunks import WHOLE, fitting
from foveal.engine.memory import FEW
from foveal.errors import MethodError, MissingExtra
from foveal.methods.reference import baseline as baseline_of
from foveal.methods.reference import gap_of

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import PerturbationScorer

COLORS = 0


def smoothgrad(
    probe: PerturbationScorer, *, samples: int = 50, noise: float = 0.15, seed: int = 0, chunk: int | None = None
) -> Float[Tensor, "h w"]:
    """1/n Σ ∂f/∂x at x + N(0, σ²), σ = noise · (max x − min x)   (section 2.1), summed over the colors.

    The paper shows the absolute value, largest over the colors; signs are kept here.
    """
    _check(probe, samples)
    deviation = noise * float(probe.x.max() - probe.x.min())
    with _seeded(seed, probe.x.device), torch.enable_grad():
        captum = _captum()
        tunnel = captum.NoiseTunnel(captum.Saliency(_scores(probe, samples)))
        G = tunnel.attribute(
            probe.x.clone(),
            nt_samples=samples,
            nt_samples_batch_size=_at_once(probe, chunk, samples),
            stdevs=deviation,
            abs=False,
        )
    return _map(G)


def integrated_gradients(
    probe: PerturbationScorer,
    *,
    steps: int = 32,
    baseline: str = "zero",
    tolerance: float = 0.05,
    most: int | None = None,
    chunk: int | None = None,
) -> Float[Tensor, "h w"]:
    """(x − b) ⊙ ∫₀¹ ∂f/∂x (b + α (x − b)) dα   (equation 1), summed over the colors; sums to f(x) − f(b).

    By Gauss–Legendre quadrature over `steps` points. How far the sum is off is measured (`gap_of`); above `tolerance`
    it is told, and with `most` the steps are doubled up to that number before.
    """
    _check(probe, steps)
    b = baseline_of(probe.x, baseline)
    while True:
        with torch.enable_grad():
            paths = _captum().IntegratedGradients(_scores(probe, steps))
            few = _at_once(probe, chunk, steps)
            M = _map(paths.attribute(probe.x.clone(), b, n_steps=steps, internal_batch_size=few))
        gap, share = gap_of(M, *_ends(probe, b))
        if share <= tolerance or 2 * steps > (most or 0):
            break
        steps *= 2
    probe.measured |= {"gap": gap, "gap as a share": share, "steps": steps}
    if share > tolerance:
        probe.cautions.append(
            f"after {steps} steps the map's sum is still {100 * share:.2g} % off the rise of the score from the "
            f"{baseline} baseline: use more steps, most={4 * steps} say"
        )
    return M


def gradient_shap(
    probe: PerturbationScorer, *, samples: int = 50, noise: float = 0.05, baseline: str = "zero", seed: int = 0,
    chunk: int | None = None,
) -> Float[Tensor, "h w"]:  # fmt: skip
    """1/n Σ (x' − b) ⊙ ∂f/∂x (b + α (x' − b)), x' = x + N(0, σ²), α uniform in [0, 1], summed over the colors.

    The integral of integrated gradients by chance, with SmoothGrad's noise: σ = noise · (max x − min x).
    """
    _check(probe, samples)
    b, deviation = baseline_of(probe.x, baseline), noise * float(probe.x.max() - probe.x.min())
    total = torch.zeros_like(probe.x)
    with _seeded(seed, probe.x.device), torch.enable_grad():
        shap = _captum().GradientShap(_scores(probe, samples))
        few = _at_once(probe, chunk, samples)
        for start in range(0, samples, few):
            count = min(samples, start + few) - start
            total += count * shap.attribute(probe.x.clone(), b, n_samples=count, stdevs=deviation).detach()
    M = _map(total / samples)
    probe.measured["gap"], probe.measured["gap as a share"] = gap_of(M, *_ends(probe, b))
    return M


def _scores(probe: PerturbationScorer, count: int) -> Callable[[Tensor], Tensor]:
    """The scores of a few inputs, for Captum to differentiate; ticks as they are asked for."""
    done = 0

    def scores(x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        nonlocal done
        y = probe.ask(x)
        if torch.is_grad_enabled() and not y.requires_grad:
            raise MethodError(
                "there is no gradient from the score to the input, because this network's forward turns gradients off"
            )
        done += len(x)
        probe.tick(min(done, count), count)
        return y

    return scores


def _at_once(probe: PerturbationScorer, chunk: int | None, count: int) -> int:
    """How many copies go through together: a backward pass keeps twice what a forward does, and it may be more."""
    size = max(1, fitting(probe.x, WHOLE) // 2)
    if chunk or size == 1:
        return chunk or 1
    load = probe.load("gradient", graph=True)
    if load.each is None and count > FEW:
        with load.weighed(1), torch.enable_grad():
            x = probe.x.clone().requires_grad_()
            y = probe.ask(x)
            _ = torch.autograd.grad(y.sum(), x, allow_unused=True) if y.requires_grad else None
    return load.fitting(min(size, count))


def _ends(probe: PerturbationScorer, b: Float[Tensor, "1 c h w"]) -> tuple[float, float]:
    """f(x) and f(b)."""
    with torch.no_grad():
        return float(probe.ask(probe.x)[0]), float(probe.ask(b)[0])


def _map(attribution: Float[Tensor, "1 c h w"]) -> Float[Tensor, "h w"]:
    return attribution.detach()[0].sum(COLORS)


def _check(probe: PerturbationScorer, count: int) -> None:
    if probe.layer != INPUT:
        raise MethodError(f"this method explains the input only, not {probe.layer}: leave the layer out")
    if count < 1:
        raise MethodError(f"cannot average {count} gradients: use at least one")


def _captum() -> Any:
    try:
        return importlib.import_module("captum.attr")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"cannot import captum: {error.name} is not installed; pip install 'foveal[captum]'"
        ) from error


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Captum draws from the global generators of torch and NumPy: for the while, they begin at a seed."""
    state = np.random.get_state()  # noqa: NPY002
    cuda = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(cuda):
            torch.default_generator.manual_seed(seed)
            for gpu in cuda:
                with torch.cuda.device(gpu):
                    torch.cuda.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


_EXTRA = "pip install 'foveal[captum]'"

FAMILY = (
    Method(
        "smoothgrad", "SmoothGrad", smoothgrad, "forwards",
        "mean gradient over noisy copies of the input; summed over the colors",
        "Smilkov et al., 2017, arXiv:1706.03825; through Captum",
        _EXTRA,
        place="input",
        options={"samples": 50, "noise": 0.15, "seed": 0, "chunk": None},
        cost="50 + 50",
        looks_inside=True,
    ),
    Method(
        "integratedgradients", "Integrated Gradients", integrated_gradients, "forwards",
        "mean gradient on the path from a baseline; sums to the difference of the scores, and measures how well",
        "Sundararajan et al., ICML 2017, arXiv:1703.01365; through Captum",
        _EXTRA,
        place="input",
        options={"steps": 32, "baseline": "zero", "tolerance": 0.05, "most": None, "chunk": None},
        cost="32 + 32",
        looks_inside=True,
    ),
    Method(
        "gradientshap", "GradientSHAP", gradient_shap, "forwards",
        "gradients at random points from a baseline; to noisy copies of the input",
        "Lundberg & Lee, NeurIPS 2017, arXiv:1705.07874; through Captum",
        _EXTRA,
        place="input",
        options={"samples": 50, "noise": 0.05, "baseline": "zero", "seed": 0, "chunk": None},
        cost="50 + 50",
        looks_inside=True,
    ),
)  # fmt: skip
