"""Two sides of a comparison, and the maps of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from foveal.attribution.embedding import AT_ONCE
from foveal.attribution.placing import Whereabouts, located
from foveal.engine.arguments import Arguments
from foveal.engine.backward import weighted
from foveal.engine.capture import ForwardRun, capture
from foveal.engine.chunks import Chunks
from foveal.engine.guard import unwrap
from foveal.engine.memory import load_of
from foveal.engine.stages import Structure, describe
from foveal.errors import LayerError, TargetError
from foveal.images import Batch
from foveal.methods.fam import CHANNELS, oriented
from foveal.similarity import Distance, Linear
from foveal.targets.comparison import Comparison
from foveal.targets.reference import check_embedding, embedded

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.attribution.perturbation import Progress


THROUGH = "the model's forward turns gradients off inside; they were kept on for this explanation"


@dataclass
class Side:
    """The pictures of one side, seen by the network.

    Attributes:
        A: (n, c, h, w).
        v: (n, d), or A itself where places are compared.
        runs: a pass each of a few pictures, with the graph from A to v; empty where v is A's mean.
        what: what a picture of this side is called.
        placed: what each place adds to the embedding, once it is known.
    """

    A: Float[Tensor, "n c h w"]
    v: Tensor
    layers: tuple[str, str]
    what: str
    local: bool
    structure: Structure
    image: tuple[int, ...]
    runs: list[ForwardRun] = field(default_factory=list)
    placed: Tensor | None = None

    @classmethod
    def of(
        cls, model: nn.Module, batch: Batch, at: str, site: str, arguments: Arguments, metric: Distance, what: str,
        block: ExitStack, progress: Progress | None, notes: list[str],
    ) -> Side:  # fmt: skip
        look = _Look(unwrap(model), batch.tensor, at, site, arguments, metric.local, notes)
        load = load_of(look.model, look.x[:1], "match", at, site, arguments.key(), graph=look.graph)
        chunks, tick = Chunks(AT_ONCE, load), partial(progress, f"comparing {what} images") if progress else None
        chunks.weigh(replace(look).once, len(look.x))
        parts = [*chunks.parts(partial(look, block), len(look.x), tick)]
        A, v = torch.cat([part.A for part in parts]), torch.cat([part.v for part in parts])
        runs = [part.run for part in parts if part.run]
        side = cls(A, v, (at, site), what, metric.local, look.structure, look.image, runs)
        names = [
            photo.source if photo.source not in ("tensor", "image", "array") else str(i)
            for i, photo in enumerate(batch.photos)
        ]
        check_embedding(side.v, names, what=what, scale_free=metric.scale_free)
        return side

    @property
    def cells(self) -> int:
        return self.A.shape[2] * self.A.shape[3]

    def whereabouts(self, model: nn.Module) -> Whereabouts:
        """Where the cells of its maps lie."""
        return located(model, lambda: self.structure, (len(self.A), 0, *self.image), {self.layers[0]: self.A})

    def pulled(self, weights: Float[Tensor, "n m d"]) -> Float[Tensor, "n m h w"]:
        """Σ_c A ⊙ ∂(weights · v)/∂A, for each of m weights a picture."""
        if not self.runs:
            return torch.einsum("nmc,nchw->nmhw", weights / self.cells, self.A)
        return self._through(weights, lambda share: share.sum(1))

    def shares(self, weights: Float[Tensor, "n m d"]) -> Float[Tensor, "n m c h w"]:
        """A ⊙ ∂(weights · v)/∂A, through the graph."""
        return self._through(weights, lambda share: share)

    def _through(self, weights: Float[Tensor, "n m d"], then: Callable[[Tensor], Tensor]) -> Tensor:
        parts, start = [], 0
        at, site = self.layers
        for run in self.runs:
            A = self._laid(at, run.activations[at].detach())
            v = embedded(self._laid(site, run.activations[site]), local=False)
            own = weights[start : start + len(v)]
            pulled = [run.gradients((w * v).sum(1), keep_graph=True)[at] for w in own.unbind(1)]
            each = [then(A * self._laid(at, G)) for G in pulled]
            parts.append(torch.stack(each, 1))
            start += len(v)
        return torch.cat(parts)

    def _laid(self, layer: str, tensor: Tensor) -> Tensor:
        return self.structure.channels_first(layer, tensor, self.image)


@dataclass
class Pairs:
    """Every query with every reference."""

    queries: Side
    references: Side
    metric: Distance
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        q, s = self.queries.v[:, None], self.references.v[None]
        with torch.no_grad():
            self.score: Float[Tensor, "n m"] = self.metric.score(q, s)
            self.contributions: Float[Tensor, "n m e"] = self.metric.contributions(q, s)
        if not bool(torch.isfinite(self.score).all()):
            raise TargetError(
                "a similarity is not finite: the embeddings are too large to be compared in this precision"
            )

    def maps(self, weights: str, progress: Progress | None) -> tuple[Tensor, Tensor]:
        """(n, m, h, w) on the queries and on the references."""
        q, s = self.queries.v[:, None], self.references.v[None]
        with torch.no_grad():
            if weights == "linear":
                ours, theirs = self.metric.linear(q, s), self.metric.mirrored(q, s)
            else:
                alpha = CHANNELS[weights](Comparison(q, q, self.contributions.flatten(0, 1), Linear(q, q)))
                alpha = alpha.unflatten(0, self.score.shape)
        if weights != "linear":
            return self._drawn(self.queries, alpha), self._drawn(self.references, alpha.transpose(0, 1)).transpose(0, 1)
        if self.metric.local:
            A, B = self.queries.A[:, None], self.references.A[None]
            return (ours.weights * A).sum(2), (theirs.weights * B).sum(2)
        self._say_remainder(ours)
        on_references = self.references.pulled(theirs.weights.transpose(0, 1)).transpose(0, 1)
        return self.queries.pulled(ours.weights), on_references

    def _drawn(self, side: Side, alpha: Float[Tensor, "n m e"]) -> Float[Tensor, "n m h w"]:
        if self.metric.local:
            alpha = oriented(alpha, side.A.mean((2, 3))[:, None].expand_as(alpha))
            return torch.einsum("nme,nehw->nmhw", alpha / side.cells, side.A)
        with torch.enable_grad():
            v = side.v[:, None].expand(-1, alpha.shape[1], -1).clone().requires_grad_()
            described = self.metric.described(v)
            (weights,) = weighted(described, v, oriented(alpha, described.detach()))
        return side.pulled(weights)

    def _say_remainder(self, ours: Linear) -> None:
        if bool(ours.remainder.any()):
            self.notes.append(
                f"a part of the {self.metric.name} belongs to no position: {float(ours.remainder[0, 0]):.3g} of "
                f"{float(self.score[0, 0]):.3g} for the first pair"
            )


def _is_mean(A: Float[Tensor, "n c h w"], v: Float[Tensor, "n d"]) -> bool:
    """Whether the embedding is the mean over places."""
    mean = A.detach().mean((2, 3))
    return mean.shape == v.shape and torch.allclose(mean, v.detach(), rtol=1e-4, atol=1e-5 * float(mean.abs().amax()))


class _Part(NamedTuple):
    """A few pictures: A and v, and the pass with the graph between them where it is needed."""

    A: Float[Tensor, "k c h w"]
    v: Tensor
    run: ForwardRun | None


@dataclass
class _Look:
    """Shows the network a few of one side's pictures at a time.

    Attributes:
        graph: whether v is anything but A's mean, as far as is known.
    """

    model: nn.Module
    x: Float[Tensor, "n c h w"]
    at: str
    site: str
    arguments: Arguments
    local: bool
    notes: list[str]
    graph: bool = field(init=False)

    def __post_init__(self) -> None:
        self.graph = not self.local
        self.image = tuple(self.x.shape[2:])
        self.structure = describe(self.model, self.x, self.arguments)

    def __call__(self, block: ExitStack, start: int, stop: int) -> _Part:
        """The pictures from `start` to `stop`; a pass that is kept lives as long as the block."""
        layers = [*dict.fromkeys((self.at, self.site))]
        last_calls = self.structure.last_calls(self.model, layers)
        with ExitStack() as own:
            run = own.enter_context(capture(self.model, layers, gradient=self.graph, last_calls=last_calls))
            run.forward(self.x[start:stop], self.arguments, stop=True)
            A, v = self._read(run)
            if start == 0 and self.graph:
                self.graph = not _is_mean(A, v)
            if self.graph and self.at != self.site and run.activations[self.site].is_leaf:
                # The model turns gradients off inside: once more, with them on.
                run.forward(self.x[start:stop], self.arguments, stop=True, through_no_grad=True)
                A, v = self._read(run)
                if THROUGH not in self.notes:
                    self.notes.append(THROUGH)
            if self.graph:
                block.push(own.pop_all())
            return _Part(A.detach(), v.detach(), run if self.graph else None)

    def once(self, start: int, stop: int) -> None:
        """The same, of which nothing is kept."""
        with ExitStack() as block:
            self(block, start, stop)

    def _read(self, run: ForwardRun) -> tuple[Tensor, Tensor]:
        each = run.activations[self.at], run.activations[self.site]
        A, v = map(self.structure.channels_first, (self.at, self.site), each, (self.image, self.image))
        if A.ndim != 4:
            raise LayerError(f"layer {self.at!r} gives {tuple(A.shape)}, which is not a feature map (n, c, h, w)")
        return A, embedded(v, local=self.local)
