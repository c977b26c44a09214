"""Whether an output of unknown meaning is an embedding: read off its values and off the graph that made it.

… ─ convolution ─ batch norm ─ + ─ ReLU ─ mean ─ flatten        pooled feature maps: no classifier ends so
… ─ linear ─ x / ‖x‖                                            rows of length 1: no class scores look so
… ─ linear                                                      class scores or an embedding: nothing is said
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foveal.engine.graph import RESHAPING, node_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Float
    from torch import Tensor

DIRECTIONS = 4
"""Angles, normals and quaternions, which regressions give, have length 1 too; no embedding is that small."""

FARTHEST = 64  # operations looked at

POOLING = ("Mean", "AvgPool", "AdaptiveAvgPool", "MaxPool", "AdaptiveMaxPool", "Amax", "Max", "Sum", "Logsumexp")
BATCH_NORM = ("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm")
OTHER_NORM = ("NativeLayerNorm", "NativeGroupNorm")
ACTIVATIONS = (
    "Relu", "Hardtanh", "LeakyRelu", "Elu", "Gelu", "Silu", "Hardswish", "Mish", "Prelu", "Softplus",
)  # fmt: skip
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Clamp", "NativeDropout", "ToCopy", "Sqrt", "Sign", "Abs")
WEIGHTED = ("Addmm", "Mm", "Convolution", "CudnnConvolution", "MkldnnConvolution")
ORDER = ("Permute", "Transpose")


@dataclass(frozen=True)
class EmbeddingSign:
    """Why an output looks like an embedding.

    Attributes:
        words: the sign, as the start of a sentence: "its rows have length 1".
        certain: whether no class scores look so; otherwise it is only likely.
    """

    words: str
    certain: bool


def embedding_sign(
    scores: Float[Tensor, "n k"], traced: Callable[[], EmbeddingSign | None] | None = None
) -> EmbeddingSign | None:
    """What says that the output is an embedding; None where nothing does.

    Args:
        traced: gives the sign that the network's whole graph shows, for scores whose own graph begins at a layer.
    """
    if scores.shape[1] < 2:
        return None
    found = _unit_norm(scores) or (traced() if traced else _without_classifier(scores))
    return EmbeddingSign(found.words, certain=False) if found and scores.shape[1] <= DIRECTIONS else found


def _unit_norm(scores: Float[Tensor, "n k"]) -> EmbeddingSign | None:
    """Rows of length 1, by a division that the graph shows, or by their values alone."""
    norms = scores.detach().float().norm(dim=1)
    rounding = 1e-4 if scores.element_size() >= 4 else 1e-2
    if not len(norms) or not bool(((norms - 1).abs() < rounding).all()):
        return None
    last = next(map(node_name, _main_path(scores)), "")
    divided = last.startswith(("Div", "Mul"))
    if len(norms) == 1 and last and not divided:
        return None  # by chance
    return EmbeddingSign("it has unit norm", certain=divided or len(norms) > 1)


@dataclass
class _Passed:
    """What lies between the output and the last operation with weights."""

    pooled: bool = False
    batch_norm: bool = False
    other_norm: bool = False
    activated: bool = False
    merged: bool = False

    def note(self, node: Any) -> bool:
        """Take notice of an operation; False for one whose meaning is not known."""
        name = node_name(node)
        self.pooled |= name.startswith(POOLING)
        self.batch_norm |= name.startswith(BATCH_NORM)
        self.other_norm |= name.startswith(OTHER_NORM)
        self.activated |= name.startswith(ACTIVATIONS)
        self.merged |= name.startswith(("Add", "Cat")) and len(_computed(node)) > 1
        known = (*POOLING, *BATCH_NORM, *OTHER_NORM, *ACTIVATIONS, *ARITHMETIC, *ORDER, "Cat")
        return name.startswith(known)


def _without_classifier(scores: Float[Tensor, "n k"]) -> EmbeddingSign | None:
    """Feature maps that were pooled or flattened, or a projection with a normalization behind it."""
    passed = _Passed()
    for node in _main_path(scores):
        name = node_name(node)
        if passed.other_norm:
            return EmbeddingSign("a normalization layer is its last layer", certain=True)
        if name.startswith(WEIGHTED):
            maps = "Convolution" in name
            return _of_maps(passed, getattr(node, "_saved_weight", None)) if maps else _of_projection(passed)
        if not passed.note(node):
            return None
    return None


def _of_projection(passed: _Passed) -> EmbeddingSign | None:
    """No classifier ends in a batch norm with an activation behind it, and few in one of them."""
    if passed.merged or not (passed.batch_norm or passed.activated):
        return None
    behind = "batch normalization" if passed.batch_norm else "an activation"
    return EmbeddingSign(f"{behind} follows its last linear layer", certain=passed.batch_norm and passed.activated)


def _of_maps(passed: _Passed, weight: Tensor | None) -> EmbeddingSign | None:
    """Some networks have a convolution of 1×1 as classifier; none adds feature maps behind it."""
    pointwise = weight is None or set(weight.shape[2:]) == {1}
    words = "it is a pooled feature map" if passed.pooled else "it is a feature map, flattened"
    if passed.merged or (passed.batch_norm and not pointwise):
        return EmbeddingSign(words, certain=True)
    if passed.batch_norm or (passed.activated and not pointwise):
        return EmbeddingSign(words, certain=False)
    return None


def _main_path(scores: Tensor) -> Iterator[Any]:
    """The operations back from the output, along the first input of each; those that only reshape are left out."""
    node = scores.grad_fn
    for _ in range(FARTHEST):
        if node is None:
            return
        if not node_name(node).startswith(RESHAPING):
            yield node
        node = next(iter(_computed(node)), None)


def _computed(node: Any) -> list[Any]:
    """The inputs of an operation that were computed themselves: no weights, no constants."""
    inputs = [before for before, _ in node.next_functions]
    return [before for before in inputs if before is not None and node_name(before) != "AccumulateGrad"]
