"""One forward pass, what the layers made of it, and the gradient back to them.

    with capture(model, ["layer4"]) as run:
        output = run.forward(x)                      # plain forward; activations are kept on the way
        A = run.activations["layer4"]                # (n, c, h, w)
        G = run.gradients(output[:, 3])["layer4"]    # d score / d A, same shape

Nothing above the first layer that is kept enters a graph, so the gradient at the last stage costs a sliver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from foveal.engine.address import INPUT, Address, pick, replace
from foveal.engine.arguments import Arguments
from foveal.engine.backward import Origins, backward_errors, follow
from foveal.engine.block import Block
from foveal.engine.checkpoints import hidden, reentrant
from foveal.engine.feeding import Feeding
from foveal.engine.forward import Given, output_of
from foveal.engine.graph import KeepGraph, operations_between
from foveal.engine.guard import untouched, unwrap
from foveal.engine.rows import OtherRows, other_rows_error
from foveal.engine.taps import Tap, tap
from foveal.errors import LayerError

if TYPE_CHECKING:
    from jaxtyping import Float

Hook: TypeAlias = Callable[[nn.Module, tuple[Any, ...], Any], Any]


@contextmanager
def capture(
    model: nn.Module,
    layers: Sequence[str],
    *,
    gradient: bool = True,
    differentiable: bool = False,
    freeze: bool | None = None,
    last_calls: Mapping[str, int] | None = None,
    neighbors: bool = False,
    rows: bool = True,
) -> Iterator[ForwardRun]:
    """A `ForwardRun` of `model` that keeps what `layers` return; the model is as it was when the block is left.

    Args:
        layers: addresses (see `Address`); names that do not exist raise LayerError at once.
        gradient: False where only activations are needed: no graph at all is recorded.
        differentiable: activations and gradients stay attached to the input and the weights, nothing is cut.
        freeze: leave the weights out of the graph; None does unless it is to be differentiable.
        last_calls: layer -> number of its last call, for a forward that is to stop at modules that run several times.
        neighbors: notice which layers are fed by another as it is, for `ForwardRun.block`.
        rows: each layer must have a row an image; False where others take the images' place on the way.
    """
    model = unwrap(model)
    addressed = {layer: Address.resolve(model, layer) for layer in layers}
    addresses = {layer: address for layer, (address, _) in addressed.items()}
    modules = {layer: module for layer, (_, module) in addressed.items() if module is not None}
    with untouched(model, freeze=not differentiable if freeze is None else freeze):
        yield ForwardRun(
            model, addresses, modules, last_calls or {},
            gradient=gradient, differentiable=differentiable, neighbors=neighbors, rows=rows,
        )  # fmt: skip


class ForwardRun:
    """What one forward pass left behind. Made by `capture`; lives as long as its block.

    Attributes:
        activations: layer -> (n, c, h, w), as the layer returned it (or any other shape it has).
        calls: layer -> how often its module has run in this forward.
    """

    def __init__(
        self,
        model: nn.Module,
        addresses: dict[str, Address],
        modules: dict[str, nn.Module],
        last_calls: Mapping[str, int],
        *,
        gradient: bool,
        differentiable: bool,
        neighbors: bool = False,
        rows: bool = True,
    ) -> None:
        self.activations: dict[str, Tensor] = {}
        self.calls: dict[str, int] = {}
        self._model = model
        self._gradient = gradient
        self._differentiable = differentiable
        self._neighbors = neighbors
        self._rows = rows
        self._images = 0
        self._addresses = addresses
        self._modules = modules
        self._last_calls = last_calls
        self._stop = False
        self._origins: dict[str, Tensor | GradientEdge] = {}
        self._feeding = Feeding({layer: module for layer, module in modules.items() if not addresses[layer].before})
        self._kept_fed: dict[str, str] = {}
        self._hidden: set[str] = set()

    def forward(
        self,
        x: Tensor,
        arguments: Arguments | None = None,
        *,
        stop: bool = False,
        through_no_grad: bool = False,
        mode: AbstractContextManager[Any] | None = None,
    ) -> Any:
        """The model's output, or None when `stop` ended the pass after the last layer that is kept.

        Args:
            x: the image, or several.
            arguments: what the model takes beside it.
            stop: end the forward as soon as every layer was seen once (label-free methods need no more).
            through_no_grad: ignore `torch.no_grad()` blocks inside the model's own forward.
            mode: one in which the model runs, such as rules for the backward pass.

        Raises:
            ModelError: when the model fails on these inputs (its own error is the cause).
            LayerError: when a layer to keep was never reached.
        """
        self._stop, self._images = stop, len(x)
        extra_inputs = arguments or Arguments()
        try:
            with KeepGraph() if through_no_grad else nullcontext(), mode or nullcontext():
                output = self._run(lambda: self._begun(x, extra_inputs))
        except OtherRows as other:
            module = self._addresses[other.layer].module
            raise other_rows_error(other, self._model, module, x, extra_inputs) from None
        missing = [layer for layer in self._addresses if layer not in self.activations]
        if missing:
            raise LayerError(
                f"layer {missing[0]!r} did not run in this forward pass, so it cannot be explained: "
                "choose a layer that the network uses in evaluation mode"
            )
        return output

    def gradients(
        self, score: Float[Tensor, " n"], *, keep_graph: bool = False, linear: bool = True
    ) -> dict[str, Tensor]:
        """d score / d activation for every layer, in one backward; score of one image may not depend on another.

        Args:
            keep_graph: keep the graph for a further call.
            linear: False where the backward follows rules that count what they see, and must run once only.

        Raises:
            LayerError: for a layer with no differentiable way to the score.
        """
        magnify = linear and any(A.dtype == torch.float16 for A in self.activations.values())
        with self._hooked(self._recomputed_by), backward_errors(self._model):
            arrived = follow(
                score, self._origins, keep_graph=keep_graph, differentiable=self._differentiable, magnify=magnify
            )
        return {layer: self._reached(layer, arrived[layer]) for layer in self._addresses}

    def block(self, before: str, after: str) -> Block:
        """What lies between two of the layers, linearized; needs a forward with gradients, and lives as long as it."""
        module = self._modules.get(after) if self._kept_fed.get(after) == before else None
        return Block(self.activations[before].detach(), self.activations[after], self._origins[before], module)

    def between(self, layer: str, score: Tensor) -> frozenset[str]:
        """Names of the operations on the way from a layer to the score."""
        return operations_between(self._origins[layer], score)

    @property
    def origins(self) -> Origins:
        """Layer -> where its gradient arrives."""
        return self._origins

    def _begun(self, x: Tensor, arguments: Arguments) -> Given:
        """What the model is given, for a forward of which nothing is known yet."""
        for kept in (self.activations, self.calls, self._origins, self._kept_fed):
            kept.clear()
        self._hidden.clear()
        self._feeding.clear()
        x = self._usable(x)
        if INPUT in self._addresses and INPUT not in self._modules:
            self.calls[INPUT] = 1
            x = self._keep(INPUT, tap(x, gradient=self._recording))
        return arguments.bind(x, self._usable)

    def _run(self, given: Callable[[], Given]) -> Any:
        if self._stop and not self._modules:
            given()
            return None
        with self._feeding.watch() if self._neighbors else nullcontext(), self._hooked(self._kept_by):
            try:
                return output_of(self._model, given, gradient=self._gradient)
            except _Enough:
                return None

    @contextmanager
    def _hooked(self, hook: Callable[[str], Hook]) -> Iterator[None]:
        handles = [
            module.register_forward_pre_hook(_on_the_way_in(hook(layer)))
            if self._addresses[layer].before
            else module.register_forward_hook(hook(layer))
            for layer, module in self._modules.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _kept_by(self, layer: str) -> Hook:
        """A hook that keeps what the layer returns and, where the network goes on with a copy of it, gives that."""
        address = self._addresses[layer]
        wanted = self._last_calls.get(layer) if address.call is None else address.call

        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            call = self.calls.get(layer, 0)
            self.calls[layer] = call + 1
            if wanted is not None and wanted != call:
                return None
            tensor = pick(output, address)
            if self._rows and (tensor.ndim == 0 or len(tensor) != self._images):
                raise OtherRows(layer, len(tensor) if tensor.ndim else 0)
            in_place = any(value is tensor for value in inputs)
            fed = self._feeding.giver(layer)
            last = self._stop and {*self.activations, layer} == {*self._addresses}
            onward = self._keep(layer, tap(tensor, gradient=self._recording, in_place=in_place, last=last))
            self._kept_fed[layer] = fed
            if last:
                raise _Enough
            return None if onward is tensor else replace(output, tensor, onward)

        return hook

    def _recomputed_by(self, layer: str) -> Hook:
        """Where the backward runs parts of the forward again (checkpointing), their graph must begin where it did."""
        address = self._addresses[layer]

        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            tensor = pick(output, address)
            if tensor.requires_grad or not torch.equal(tensor, self.activations[layer]):
                return None
            onward = tap(tensor, gradient=True, in_place=any(value is tensor for value in inputs)).onward
            return None if onward is tensor else replace(output, tensor, onward)

        return hook

    def _keep(self, layer: str, tapped: Tap) -> Tensor:
        self.activations.pop(layer, None)  # the order is that of the last calls
        self.activations[layer], self._origins[layer] = tapped.kept, tapped.origin
        if self._neighbors:
            self._feeding.returned(layer, tapped.onward)
        if not self._gradient:
            self.activations[layer] = tapped.kept.detach()
        elif not torch.is_grad_enabled() and reentrant():
            self._hidden.add(layer)
        return tapped.onward

    @property
    def _recording(self) -> bool:
        """Whether the forward records a graph: because one is wanted, or because the model expects one."""
        return self._gradient or torch.is_grad_enabled()

    def _usable(self, tensor: Tensor) -> Tensor:
        # A copy: a forward may write into its input, and inference tensors may not take part in a graph.
        return (tensor if self._differentiable else tensor.detach()).clone()

    def _reached(self, layer: str, gradient: Tensor | None) -> Tensor:
        if gradient is not None:
            return gradient
        if layer in self._hidden:
            raise hidden(self._model, layer)
        raise LayerError(
            f"the score does not depend on layer {layer!r} in a differentiable way: "
            "choose a layer on the path to the score"
        )


def _on_the_way_in(hook: Hook) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    """The same hook, for what goes into a module rather than what comes out."""

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
        onward = hook(module, (), inputs[0])
        return None if onward is None else (onward, *inputs[1:])

    return before


class _Enough(BaseException):
    """Every layer was seen: the rest of the forward is not needed. Not an Exception, so no model swallows it."""
