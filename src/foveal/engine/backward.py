"""From a score back to the layers that were kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from foveal.engine.checkpoints import stopped
from foveal.engine.model_errors import reason
from foveal.errors import FovealError, ModelError

Origins = Mapping[str, Tensor | GradientEdge]
Gradients = dict[str, Tensor | None]


def follow(score: Tensor, origins: Origins, *, keep_graph: bool, differentiable: bool, magnify: bool) -> Gradients:
    """layer -> d Σ score / d origin, None where no way leads there.

    Args:
        keep_graph: keep the graph for a further call.
        differentiable: the gradients have a graph of their own.
        magnify: of half precision, where gradients vanish below 6e-8: take them of the score times a power of two
            as large as fits, and give them in single precision.
    """
    if not score.requires_grad:
        return dict.fromkeys(origins)
    keep_graph = keep_graph or differentiable
    if not magnify:
        return _pulled(score, origins, 1.0, retain_graph=keep_graph, create_graph=differentiable)
    for scale in (2.0**15, 2.0**10, 2.0**5, 1.0):
        raw = _pulled(score, origins, scale, retain_graph=keep_graph or scale > 1, create_graph=differentiable)
        gradients = {layer: None if G is None else G.float() / scale for layer, G in raw.items()}
        if all(bool(G.isfinite().all()) for G in gradients.values() if G is not None):
            break
    return gradients


def _pulled(score: Tensor, origins: Origins, scale: float, **options: bool) -> Gradients:
    sources: Any = list(origins.values())
    return dict(zip(origins, weighted(score, sources, scale, **options), strict=True))


def weighted(output: Tensor, to: Any, weights: Tensor | float, **options: Any) -> tuple[Any, ...]:
    """d Σ weights · of / d to.

    The weights stand in the sum: where `torch.autograd.grad` is handed them, it imports sympy to compare shapes, which
    takes long and changes the process's warning filters.
    """
    with torch.enable_grad():
        total = (output if isinstance(weights, float) and weights == 1 else output * weights).sum()
    gradients: tuple[Any, ...] = torch.autograd.grad(total, to, allow_unused=True, **options)
    return gradients


@contextmanager
def backward_errors(model: nn.Module) -> Iterator[None]:
    """Run a backward in here: what it raises is told in one sentence."""
    try:
        yield
    except FovealError:
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and "checkpoint" in str(error).lower():
            raise stopped(model) from error
        raise ModelError(f"the backward pass of this {type(model).__name__} failed: {reason(error)}") from error
