"""Asking the network again: the score of altered copies of one image, in chunks that fit memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from foveal.decisions import Decision, Outcome
from foveal.engine.address import INPUT
from foveal.engine.capture import capture
from foveal.engine.guard import untouched, unwrap

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.evidence import Asked
    from foveal.passes import Passed, Scene

Progress: TypeAlias = Callable[[str, int, int], None]
"""(what is being done, done, total)."""

Copies: TypeAlias = Callable[[int, int], Tensor]
"""(start, stop) -> the altered copies of these numbers, (stop − start, c, h, w)."""


class Probe:
    """One image, one decision about it, and the network to ask.

    Attributes:
        x: (1, c, h, w), the input.
        layer: where the method looks; "input" for the input itself.
        A: (1, c, h, w), the activation there, channels first.
        score: of the image as it is.
        measured: what the method finds out about itself; goes into the result.
        cautions: what a reader must know of the map; goes into the result's notes.
    """

    def __init__(self, scene: Scene, passed: Passed, image: int, layer: str, tick: Callable[[int, int], None]) -> None:
        assert passed.verdict is not None
        self.model = unwrap(scene.model)
        self.x = scene.x[image : image + 1]
        self.layer = layer
        self.A = self.x if layer == INPUT else passed.activations[layer][image : image + 1]
        self.score = float(passed.verdict.score[image])
        self.measured: dict[str, Any] = {}
        self.cautions: list[str] = []
        self._decision: Decision = passed.verdict.each[image]
        self._labels = scene.labels
        self._arguments = scene.arguments.row(image)
        self._under = scene.under or nullcontext
        self._tick = tick

    def scores(self, copies: Copies, count: int) -> Float[Tensor, " count"]:
        """The scores of `count` altered copies of the input."""
        chunk, done, found = 16, 0, []
        while done < count:
            stop = min(done + chunk, count)
            with torch.no_grad():
                found.append(self.ask(copies(done, stop)))
            done = stop
            self._tick(done, count)
        return torch.cat(found)

    def ask(self, x: Float[Tensor, "k c h w"]) -> Float[Tensor, " k"]:
        """The scores of these inputs; differentiable where gradients are on."""
        if not self._decision.layers:
            with self._under():
                inputs, keywords = self._arguments.around(x)  # its rows, once a copy
                output = self.model(*inputs, **keywords)
            return self._decision.decide(Outcome(output, {}, self._labels)).score
        with capture(self.model, self._decision.layers, gradient=torch.is_grad_enabled()) as run:
            output = run.forward(x, self._arguments, under=self._under())
            return self._decision.decide(Outcome(output, run.activations, self._labels)).score


def probe_images(
    scene: Scene,
    asked: Asked,
    passed: Passed,
    measured: dict[str, Any],
    cautions: list[str],
    progress: Progress | None,
) -> dict[str, Float[Tensor, "n h w"]]:
    """The maps of a method that asks the network again, image after image."""
    n, maps = len(scene.x), {}
    with untouched(scene.model):
        for layer in asked.layers:
            each = []
            for image in range(n):

                def tick(done: int, total: int, before: int = image) -> None:
                    if progress:
                        progress(f"{asked.name} at {layer}", before * total + done, n * total)  # noqa: B023

                probe = Probe(scene, passed, image, layer, tick)
                each.append(asked.method.formula(probe, **asked.method.options))
                _gather(measured, layer, probe.measured)
                cautions += [f"{layer}: {words}" for words in probe.cautions]
            maps[layer] = torch.stack(each)
    return maps


def _gather(measured: dict[str, Any], layer: str, found: dict[str, Any]) -> None:
    """Numbers a picture, under the layer they belong to."""
    for key, value in found.items():
        measured.setdefault(layer, {}).setdefault(key, []).append(value)
