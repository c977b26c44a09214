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
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from foveal.engine.address import INPUT, Address, find_module, is_input, pick, replace
from foveal.engine.arguments import Arguments
from foveal.engine.guard import untouched, unwrap
from foveal.errors import FovealError, LayerError, ModelError

if TYPE_CHECKING:
    from jaxtyping import Float


@contextmanager
def capture(
    model: nn.Module, layers: Sequence[str], *, gradient: bool = True, last_calls: Mapping[str, int] | None = None
) -> Iterator[Run]:
    """A `Run` of `model` that keeps what `layers` return; the model is as it was when the block is left.

    Args:
        layers: addresses (see `Address`); names that do not exist raise LayerError at once.
        gradient: False where only activations are needed: no graph at all is recorded.
        last_calls: layer -> number of its last call, for a forward that is to stop at modules that run several times.
    """
    model = unwrap(model)
    addresses = {layer: Address.parse(layer) for layer in layers}
    modules = {
        layer: find_module(model, address.module)
        for layer, address in addresses.items()
        if not is_input(model, address.module)
    }
    with untouched(model):
        yield Run(model, addresses, modules, gradient, last_calls or {})


class Run:
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
        gradient: bool,
        last_calls: Mapping[str, int],
    ) -> None:
        self.activations: dict[str, Tensor] = {}
        self.calls: dict[str, int] = {}
        self._model = model
        self._gradient = gradient
        self._addresses = addresses
        self._modules = modules
        self._last_calls = last_calls
        self._stop = False
        self._origins: dict[str, Tensor | GradientEdge] = {}

    def forward(
        self,
        x: Tensor,
        arguments: Arguments | None = None,
        *,
        stop: bool = False,
        through_no_grad: bool = False,
        under: AbstractContextManager[Any] | None = None,
    ) -> Any:
        """The model's output, or None when `stop` ended the pass after the last layer that is kept.

        Args:
            x: the image, or several.
            arguments: what the model takes beside it.
            stop: end the forward as soon as every layer was seen once (label-free methods need no more).
            through_no_grad: ignore `torch.no_grad()` blocks inside the model's own forward.
            under: a mode in which the model runs, such as rules for the backward pass.

        Raises:
            ModelError: when the model fails on these inputs (its own error is the cause).
            LayerError: when a layer to keep was never reached.
        """
        self.activations.clear()
        self.calls.clear()
        self._origins.clear()
        self._stop = stop
        x = _usable(x)
        if INPUT in self._addresses and INPUT not in self._modules:
            x = self._tap_input(x)
        given = (arguments or Arguments()).around(x, _usable)
        with KeepGraph() if through_no_grad else nullcontext(), under or nullcontext():
            output = self._run(*given)
        missing = [layer for layer in self._addresses if layer not in self.activations]
        if missing:
            raise LayerError(
                f"layer {missing[0]!r} did not run in this forward pass, so there is nothing to explain at it: "
                "choose a layer that the network uses in evaluation mode"
            )
        return output

    def gradients(self, score: Float[Tensor, " n"], *, keep_graph: bool = False) -> dict[str, Tensor]:
        """d score / d activation for every layer, in one backward; score of one image may not depend on another.

        Args:
            keep_graph: keep the graph for a further call.

        Raises:
            LayerError: for a layer with no differentiable way to the score.
        """
        cotangents = self._backward(score, torch.ones_like(score), keep_graph=keep_graph)
        return {layer: self._reached(layer, g) for layer, g in cotangents.items()}

    def gradients_of_each(self, scores: Float[Tensor, "d n"]) -> dict[str, Tensor]:
        """The same for `d` decisions on one forward: layer -> (d, n, c, h, w)."""
        each = [self.gradients(score, keep_graph=index + 1 < len(scores)) for index, score in enumerate(scores)]
        return {layer: torch.stack([one[layer] for one in each]) for layer in self._addresses}

    def between(self, layer: str, score: Tensor) -> frozenset[str]:
        """Names of the operations on the way from a layer to the score (autograd's, without "Backward0")."""
        origin = self._origins[layer]
        first = origin.grad_fn if isinstance(origin, Tensor) else origin.node
        stack, seen, names = [score.grad_fn], set(), set()
        while stack:
            node = stack.pop()
            if node is None or node in seen or node is first or getattr(node, "variable", None) is origin:
                continue
            seen.add(node)
            names.add(type(node).__name__.rstrip("0123456789").removesuffix("Backward"))
            stack += [parent for parent, _ in node.next_functions]
        return frozenset(names)

    def _run(self, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        hooks = [module.register_forward_hook(self._keep(layer)) for layer, module in self._modules.items()]
        try:
            if self._stop and not hooks:
                return None
            with torch.set_grad_enabled(self._gradient):
                return self._model(*inputs, **keywords)
        except _Enough:
            return None
        except FovealError:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AssertionError) as error:
            shapes = ", ".join(_shape(value) for value in (*inputs, *keywords.values()))
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"running {type(self._model).__name__} on {shapes} failed: {reason[0]}") from error
        finally:
            for hook in hooks:
                hook.remove()

    def _keep(self, layer: str) -> Callable[[nn.Module, Any, Any], Any]:
        address = self._addresses[layer]
        wanted = self._last_calls.get(layer) if address.call is None else address.call

        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            call = self.calls.get(layer, 0)
            self.calls[layer] = call + 1
            if wanted is not None and wanted != call:
                return None
            tensor = pick(output, address)
            self.activations.pop(layer, None)  # the order is that of the last calls
            in_place = any(value is tensor for value in inputs) and self._tap_in_place(layer, tensor)
            kept = self.activations[layer] if in_place else self._tap(layer, tensor)
            if self._stop and len(self.activations) == len(self._addresses):
                raise _Enough
            if in_place:
                return None
            # What goes on is a copy, so an in-place operation further down cannot overwrite what was kept.
            with torch.set_grad_enabled(self._gradient):
                return replace(output, tensor, kept.clone())

        return hook

    def _tap_input(self, x: Tensor) -> Tensor:
        self.calls[INPUT] = 1
        kept = self._tap(INPUT, x)
        with torch.set_grad_enabled(self._gradient):
            return kept.clone()

    def _tap(self, layer: str, tensor: Tensor) -> Tensor:
        """The cut: a tensor without history becomes a leaf, so the graph begins here."""
        if self._gradient and not tensor.requires_grad and tensor.is_floating_point():
            tensor = tensor.detach().requires_grad_()
        self.activations[layer] = self._origins[layer] = tensor
        return tensor

    def _tap_in_place(self, layer: str, tensor: Tensor) -> bool:
        """The same where a module gave back its own input: whoever holds that tensor must go on with it.

        A copy in its place would be unknown to a skip connection that reads the tensor again.
        """
        with torch.set_grad_enabled(self._gradient):
            if not self._gradient or tensor.requires_grad or not tensor.is_floating_point():
                self.activations[layer] = tensor.clone()
                self._origins[layer] = get_gradient_edge(tensor) if tensor.requires_grad else tensor
                return True
            leaf = tensor.detach().clone().requires_grad_()
            try:
                tensor.copy_(leaf)  # the same object, now with a history that begins at the leaf
            except RuntimeError:  # a view that autograd refuses to give a history
                return False
            self.activations[layer] = self._origins[layer] = leaf
            return True

    def _backward(self, score: Tensor, cotangent: Tensor, *, keep_graph: bool) -> dict[str, Tensor | None]:
        if not score.requires_grad:
            return dict.fromkeys(self._addresses)
        origins = [self._origins[layer] for layer in self._addresses]
        gradients = torch.autograd.grad(score, origins, cotangent, retain_graph=keep_graph, allow_unused=True)  # type: ignore[arg-type]
        return dict(zip(self._addresses, gradients, strict=True))

    def _reached(self, layer: str, gradient: Tensor | None) -> Tensor:
        if gradient is None:
            raise LayerError(
                f"the score does not depend on layer {layer!r} in a differentiable way: "
                "choose a layer on the way to the score"
            )
        return gradient


class _Enough(BaseException):
    """Every layer was seen: the rest of the forward is not needed. Not an Exception, so no model swallows it."""


class KeepGraph(TorchFunctionMode):
    """Leaves gradients on where a model's own forward turns them off (frozen backbones under `no_grad`)."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._C._set_grad_enabled:
            return None
        return func(*args, **(kwargs or {}))


def _usable(tensor: Tensor) -> Tensor:
    # A copy: a forward may write into its input, and inference tensors may not take part in a graph.
    return tensor.detach().clone()


def _shape(value: Any) -> str:
    return (
        f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
        if isinstance(value, Tensor)
        else type(value).__name__
    )
