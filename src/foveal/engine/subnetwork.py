"""The part of a network between two layers, run on maps of one's own: whole ones or windows cut out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.engine.address import Address, pick, replace
from foveal.engine.arguments import Arguments
from foveal.engine.backward import weighted
from foveal.engine.capture import capture
from foveal.engine.layout import Layout, channels_first
from foveal.engine.taps import like
from foveal.errors import FovealError

if TYPE_CHECKING:
    from jaxtyping import Float

CORNER = 64  # pixels: few, and enough for the poolings of most networks


class Subnetwork:
    """From what one layer returns to what a later one does, for one image; the later must depend on the former alone.

    Args:
        x: (1, …), the image, which is run through what comes before; what the layer made of it is thrown away.
        last_call: layer -> number of its module's last call.
        layouts: of what both layers return; maps here are channels first.
        known: what both layers returned for the image. With it a corner of the image is enough, if it turns out to
            give the same: what comes before the first layer is run for nothing but to get there.
    """

    def __init__(
        self,
        model: nn.Module,
        x: Float[Tensor, "1 c h w"],
        arguments: Arguments,
        before: str,
        after: str,
        last_call: Callable[[str], int],
        layouts: tuple[Layout, Layout] = ("nchw", "nchw"),
        known: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.before, self.after, self._layouts = before, after, layouts
        self._model, self._x, self._arguments, self._last_call = model, x, arguments, last_call
        self._known = known

    def gradients(
        self, maps: Float[Tensor, "k ..."], start: Callable[[Tensor], Tensor]
    ) -> tuple[Float[Tensor, " k"], Float[Tensor, "k ..."]]:
        """The number that `start` reads off what comes out for each of k maps, and its derivative by the map.

        start: (k, …) -> (k,), each entry of its own map alone.
        """
        leaf = maps.detach().clone().requires_grad_()
        scores = self._run(leaf, start)
        (gradient,) = torch.autograd.grad(scores.sum(), leaf)
        return scores.detach(), gradient

    def scores(self, maps: Float[Tensor, "k ..."], start: Callable[[Tensor], Tensor]) -> Float[Tensor, " k"]:
        """The numbers alone."""
        with torch.no_grad():
            return self._run(maps, start)

    def returned(self, maps: Float[Tensor, "k ..."]) -> Float[Tensor, "k ..."]:
        """What the later layer returns for each of k maps."""
        with torch.no_grad():
            return self._run(maps, lambda out: out)

    def carried_back(
        self,
        maps: Float[Tensor, "r ..."],
        cotangents: Iterable[Float[Tensor, "r ..."]],
        mode: AbstractContextManager[Any] | None,
    ) -> Iterator[Float[Tensor, "r ..."]]:
        """Cotangents of what comes out, each carried back to the maps: one forward, and a backward each.

        mode: what the backward does at each operation; None for the derivative.
        """
        leaf = maps.detach().clone().requires_grad_()
        out = self._run(leaf, lambda out: out, mode)
        for cotangent in cotangents:
            yield weighted(out, [leaf], cotangent.to(out), retain_graph=True)[0]

    @cached_property
    def _image(self) -> Tensor:
        """What is run through what comes before: a corner of the image, where that makes no difference."""
        corner = self._x[..., :CORNER, :CORNER]
        if self._known is None or self._x.ndim != 4 or corner.shape == self._x.shape:
            return self._x
        before, after = self._known
        try:
            with torch.no_grad():
                output = self._through(corner, before, lambda out: out)
        except FovealError:
            return self._x
        same = output.shape == after.shape and torch.allclose(
            output, after, rtol=1e-4, atol=1e-5 * float(after.abs().max())
        )
        return corner if same else self._x

    def _run(
        self, maps: Tensor, start: Callable[[Tensor], Tensor], mode: AbstractContextManager[Any] | None = None
    ) -> Tensor:
        return self._through(self._image, maps, start, mode)

    def _through(
        self,
        x: Tensor,
        maps: Tensor,
        start: Callable[[Tensor], Tensor],
        mode: AbstractContextManager[Any] | None = None,
    ) -> Tensor:
        model, calls = self._model, {self.after: self._last_call(self.after)}
        given = maps if self._layouts[0] == "nchw" else maps.permute(0, 2, 3, 1)
        with (
            capture(model, [self.after], gradient=maps.requires_grad, last_calls=calls, rows=False) as run,
            self._swapped(given),
        ):
            run.forward(x, self._arguments, stop=True, mode=mode)
            return start(channels_first(run.activations[self.after], self._layouts[1]))

    @contextmanager
    def _swapped(self, given: Tensor) -> Iterator[None]:
        """The layer returns these maps at its last call, also where it works in place."""
        address, module = Address.resolve(self._model, self.before)
        assert module is not None, "the input is not a stage"
        calls, wanted = count(), self._last_call(self.before)

        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            if next(calls) != wanted:
                return None
            old = pick(output, address)
            return replace(output, old, like(old, given.clone()))

        handle = module.register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()
