"""Running again only what comes after a layer; what comes before it was recorded once.

    recorded:  x ─── conv ─── relu ─── … ─── layer ─── … ─── score
    resumed:   x ┄┄┄ conv ┄┄┄ relu ┄┄┄ … ┄┄┄ layer ═══ … ═══ k scores
                     nothing is computed here  └ k altered copies of what it returned

A function mode meets every operation where it happens, so functional calls, reused modules and skip connections
round the layer are seen like everything else, and no module is replaced. What depends on the image and came before
the layer gives back its recorded result, seen k times at no cost (stride 0). Everything else is computed: what comes
after the layer, what depends on parameters only, and every question about shapes, whose answer is k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.engine.address import Address, find_module, pick, replace
from foveal.engine.guard import every_module
from foveal.engine.locks import turn_at
from foveal.engine.memory import Load
from foveal.engine.model_errors import out_of_memory, reason
from foveal.engine.op_record import Record, Replay, seen
from foveal.engine.taps import like
from foveal.errors import LayerError

if TYPE_CHECKING:
    from jaxtyping import Float

Ask = Callable[[Tensor], Tensor]
"""Inputs (k, c, h, w) to scores (k,), by running the network."""

Swap = Callable[[Tensor], "Tensor | None"]
"""What the layer returned to what it is to return; None leaves it."""


class Cut:
    """A layer of a network, and the call of it that counts."""

    def __init__(self, model: nn.Module, layer: str, last_call: int) -> None:
        address = Address.parse(layer)
        self.layer = layer
        self._model, self._address = model, address
        self._module = find_module(model, address.module)
        self._call = last_call if address.call is None else address.call

    @contextmanager
    def hooked(self, swap: Swap, begin: Callable[[Any], Any] = lambda inputs: None) -> Iterator[None]:
        """`begin` is told, and may change, what the network is given; `swap` what the layer returns."""
        calls = count()

        def before(_module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            nonlocal calls
            calls = count()
            return begin((inputs, keywords))

        def after(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            if next(calls) != self._call:
                return None
            old = pick(output, self._address)
            new = swap(old)
            if new is None:
                return None
            if not any(value is old for value in inputs):
                return replace(output, old, like(old, new))
            # A module that gave back its own input: whoever holds that tensor must go on with it.
            old.data = new.clone()
            return None

        with turn_at(self._model, every_module(self._model)):
            hooks = [
                self._model.register_forward_pre_hook(before, with_kwargs=True),
                self._module.register_forward_hook(after),
            ]
            try:
                yield
            finally:
                for hook in hooks:
                    hook.remove()


class Recording:
    """A forward of n images up to a layer.

    Attributes:
        cut: the layer.
        returned: (n, …), what it returned, as the network lays it out.
        record: the operations before it.
    """

    def __init__(self, cut: Cut, n: int) -> None:
        self.cut = cut
        self.record = Record(n)
        self.returned: Tensor | None = None

    @contextmanager
    def running(self, *, stop: bool = False) -> Iterator[None]:
        """Record the forward that runs in this block; `stop` ends it, and the block, at the layer."""

        def swap(returned: Tensor) -> None:
            self.record.finish()
            self.returned = returned.detach().clone()
            if stop:
                raise _Enough

        try:
            with self.cut.hooked(swap, self.record.start), self.record:
                yield
        except _Enough:
            return


class Resumption:
    """One image's forward, to be gone on with from a layer. Made and used while the model is `untouched`.

    Attributes:
        returned: (1, …), what the layer returned for the image, as the network lays it out.
        score: of the image as it is, found the way altered copies get theirs.
        load: what going on makes of memory, weighed on the way to finding that out.
        fault: why the network cannot go on from there, so that each copy takes a whole forward; None where it can.
    """

    def __init__(
        self,
        cut: Cut,
        ask: Ask,
        x: Float[Tensor, "1 c h w"],
        score: float,
        recording: Recording | None = None,
        image: int = 0,
        load: Load | None = None,
    ) -> None:
        """
        Args:
            ask: runs the network.
            score: of the image as it is, by a whole forward.
            recording: of a forward in which this was one image of several, if there was one; else one is made.
            image: its number among them.
            load: of going on from there, where it may be known.
        """
        self.score = score
        self.load = load or Load(x.device)
        self.refusal: str | None = None
        self._alone = False
        self._cut, self._ask, self._x = cut, ask, x
        if recording is not None and recording.returned is not None and self._fits(recording, image):
            return
        recording, image = Recording(cut, 1), 0
        with recording.running(stop=True):
            ask(x.clone())
        if recording.returned is None:
            raise LayerError(f"the score does not depend on layer {cut.layer!r}, which runs after it is computed")
        if not self._fits(recording, image):
            self.load = Load(x.device)
            self._alone = not self._right(self._whole)
            self.score = float(self._whole(self.returned)[0])

    def __call__(self, copies: Float[Tensor, "k ..."]) -> Float[Tensor, " k"]:
        """The scores where the layer returns these copies instead."""
        if self._alone:
            return torch.cat([self._whole(copy[None]) for copy in copies])
        return self._resumed(copies) if self.refusal is None else self._whole(copies)

    def _resumed(self, copies: Float[Tensor, "k ..."]) -> Float[Tensor, " k"]:
        replay = Replay(self._recording.record, self._image, len(copies))

        def swap(_: Tensor) -> Tensor:
            replay.finish()
            return copies

        with self._cut.hooked(swap, replay.start), replay:
            return self._ask(seen(self._x, len(copies)))

    def _whole(self, copies: Float[Tensor, "k ..."]) -> Float[Tensor, " k"]:
        """The same by running the network from its input on."""
        with self._cut.hooked(lambda _: copies):
            return self._ask(seen(self._x, len(copies)).clone())

    def _fits(self, recording: Recording, image: int) -> bool:
        """Whether going on from a recording is right."""
        assert recording.returned is not None
        self._recording, self._image = recording, image
        self.returned = recording.returned[image : image + 1]
        self.refusal = None
        record = recording.record
        if not record.intact:
            self.refusal = "a result from before the layer is overwritten later"
        elif self._right(self._resumed) and not record.intact:
            self.refusal = "an operation after the layer overwrites a result from before it"
        return self.refusal is None

    def _right(self, scores_of: Callable[[Tensor], Tensor]) -> bool:
        """Whether the image gets its score, also beside a copy of it that is another; else there is a `refusal`."""
        try:
            with self.load.weighed(4):
                own = self.returned
                scores = scores_of(torch.cat([own, _altered(own), own, own]))
        except REFUSALS as error:
            if out_of_memory(error):
                raise
            self.refusal = reason(error)
            return False
        if scores.shape != (4,) or not _agree(scores, self.score):
            self.refusal = self.refusal or "the score of the unaltered image is not reproduced"
            return False
        self.score = float(scores[0])
        return True


class _Enough(BaseException):
    """The layer was seen. Not an Exception, so no model swallows it."""


REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, AssertionError, ArithmeticError)
"""What a network raises where it cannot do what was tried."""


def _altered(activation: Tensor) -> Tensor:
    """A copy that is smaller in places and larger in others."""
    factor = 2 * torch.rand(activation.shape, generator=torch.Generator().manual_seed(0), device="cpu")
    return activation * factor.to(activation)


def _agree(scores: Tensor, score: float) -> bool:
    """Down to the rounding of forwards of other batch sizes: those of all copies but the second, the altered one."""
    rounding = max(1e-5, 8 * torch.finfo(scores.dtype).eps)
    allowed = 100 * rounding * (scores - score).abs().amax() + rounding * abs(score)
    return bool(((scores[[0, 2, 3]] - score).abs() <= allowed).all())
