"""What a question to a network is made of: model, pictures and target, checked and brought together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor, nn

from foveal.engine.arguments import Arguments
from foveal.engine.guard import unwrap
from foveal.engine.select import LayerSpec, last_stage_before, select_layers, stages_before
from foveal.engine.stages import describe
from foveal.engine.structure import Structure
from foveal.images import Batch, Photo
from foveal.models.model import Model
from foveal.results.notes import photo_notes
from foveal.targets import ModelOutput, Target, compares

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.engine.embedding_signs import EmbeddingSign
    from foveal.engine.task import Task

Traced: TypeAlias = "Callable[[], EmbeddingSign | None]"
Tracing: TypeAlias = Callable[[], Structure]


@dataclass(frozen=True)
class Context:
    """A question, prepared once: every verb and every pass of it shares one.

    Attributes:
        subject: the model, with what is known of it; unchanged by anything done here.
        x: (n, c, *space), the images, on its device.
        target: what is asked, ready; None where a method looks at no target.
        photos: where the images are from; empty for altered copies.
        arguments: what the network takes beside the images.
        notes: what a reader must know from the start.
        differentiable: maps are to stay attached to the input and the weights.
        mode: makes the mode in which every forward runs, such as one at a finer resolution; None for none.
        finer: layer -> how many times finer its map is there than the network's own.
        tracing: gives the network's structure, found out when first asked for, and once.
    """

    subject: Model
    x: Float[Tensor, "n c *space"]
    target: Target | None = None
    photos: tuple[Photo, ...] = ()
    arguments: Arguments = field(default_factory=Arguments)
    notes: tuple[str, ...] = ()
    differentiable: bool = False
    mode: Callable[[], AbstractContextManager[Any]] | None = None
    finer: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    tracing: Tracing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracing", cache(partial(describe, self.model, self.x, self.arguments)))

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.subject.module

    @property
    def labels(self) -> Sequence[str] | None:
        """Class names, if known."""
        return self.subject.labels

    @property
    def task(self) -> Task | None:
        """What the network's output means, if known."""
        return self.subject.task

    def outcome(self, output: Any, seen: Mapping[str, Tensor], traced: Traced | None = None) -> ModelOutput:
        """What a forward pass gave, as a target takes it; `traced` as of `ModelOutput`."""
        space = tuple(self.x.shape[2:])
        return ModelOutput(output, seen, self.labels, self.task, traced, self.subject.task_source, space)

    def embedding(self) -> EmbeddingSign | None:
        """What the traced network says of whether its output is an embedding."""
        return self.tracing().embedding

    @property
    def batch(self) -> Batch:
        """The images, and where they are from."""
        return Batch(self.x, self.photos)

    def remarks(self, *, photos: bool = False) -> tuple[str, ...]:
        """What a reader must know.

        Args:
            photos: also what had to be decided to read them, for results that do not keep their photos.
        """
        notes = list(self.notes)
        if photos:
            notes += photo_notes([photo for photo in self.photos if photo.source != "tensor"])
        return tuple(notes)

    def every_layer(self, wanted: LayerSpec = "all") -> tuple[str, ...]:
        """The same, where "all" is every stage up to what the target looks at."""
        if wanted == "all" and self.target and self.target.layers:
            return stages_before(self.target.layers[0], self.tracing(), itself=compares(self.target))
        return self.layers(wanted)

    def layers(self, wanted: LayerSpec) -> tuple[str, ...]:
        """The layers a person means; None is the last stage before whatever the target looks at."""
        if wanted is None and self.target and self.target.layers:
            itself = compares(self.target)
            return (last_stage_before(self.target.layers[0], self.tracing(), itself=itself),)
        return tuple(select_layers(unwrap(self.model), wanted, self.tracing))
