"""Steps that make objectives smaller, each image by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from foveal.errors import UnknownMethod

OptimizerName: TypeAlias = "Literal['adam', 'sgd', 'plain', 'descent']"
Ask: TypeAlias = Callable[[Sequence[int], bool], tuple[Tensor, list[Tensor]]]
"""(which images, whether gradients are wanted) -> their losses (k,), and the gradients of their parameters."""


class Optimizer(Protocol):
    """Owns nothing but its memory; an image that is left out of a step keeps its own."""

    def step(self, which: Sequence[int], ask: Ask, rate: float) -> Tensor:
        """Change the parameters of these images in place; their losses (k,) before."""
        ...

    def state(self) -> dict[str, Any]:
        """The memory, as plain data and tensors."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved memory."""
        ...


class Stepper:
    """One of torch's optimizers."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, parameters

    def step(self, which: Sequence[int], ask: Ask, rate: float) -> Tensor:
        """Change the parameters of these images in place; their losses (k,) before."""
        losses, gradients = ask(which, True)
        for parameter in self.parameters:
            parameter.grad = None
        for i, gradient in zip(which, gradients, strict=True):
            self.parameters[i].grad = gradient
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return losses

    def state(self) -> dict[str, Any]:
        """The memory, as plain data and tensors."""
        return self.optimizer.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved memory."""
        self.optimizer.load_state_dict(dict(state))


class Descent:
    """Steepest descent with backtracking: the loss never rises, where there are no random views."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.rates = [1.0] * len(parameters)

    def step(self, which: Sequence[int], ask: Ask, rate: float) -> Tensor:
        """Change the parameters of these images in place; their losses (k,) before."""
        losses, gradients = ask(which, True)
        before = [self.parameters[i].detach().clone() for i in which]
        energy = torch.stack([g.square().sum() for g in gradients])
        waiting = list(range(len(which)))
        for _ in range(40):
            for k in waiting:
                self._put(which[k], before[k] - self.rates[which[k]] * gradients[k])
            tried, _ = ask([which[k] for k in waiting], False)
            needed = {k: float(losses[k]) - 0.5 * self.rates[which[k]] * float(energy[k]) for k in waiting}
            failed = [k for k, loss in zip(waiting, tried.tolist(), strict=True) if not loss <= needed[k]]
            for k in set(waiting) - set(failed):
                self.rates[which[k]] *= 2
            waiting = failed
            if not waiting:
                return losses
            for k in waiting:
                self.rates[which[k]] /= 4
        for k in waiting:  # nothing along the gradient is better: this is the end of the way
            self._put(which[k], before[k])
        return losses

    def state(self) -> dict[str, Any]:
        """The memory, as plain data and tensors."""
        return {"rates": list(self.rates)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved memory."""
        self.rates = list(state["rates"])

    def _put(self, i: int, value: Tensor) -> None:
        with torch.no_grad():
            self.parameters[i].copy_(value)


def optimizer(name: OptimizerName, parameters: Sequence[Tensor]) -> Optimizer:
    """The optimizer of that name, of parameters (…) an image each.

    Args:
        name: "adam"; "sgd" with Nesterov's momentum; "plain", without; or "descent" with a line search.
        parameters: changed in place.

    Raises:
        MethodError: for an unknown name.
    """
    if name == "adam":
        return Stepper(torch.optim.Adam(parameters, lr=0.05, foreach=False), parameters)
    if name == "sgd":
        return Stepper(torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, foreach=False), parameters)
    if name == "plain":
        return Stepper(torch.optim.SGD(parameters, lr=0.05, foreach=False), parameters)
    if name == "descent":
        return Descent(parameters)
    raise UnknownMethod(f"there is no optimizer {name!r}: choose adam, sgd, plain or descent")
