"""A forward without numbers: a network runs on tensors that have shapes only, as a log says that it ran before.

Nothing is computed. Each operation has to be the one in the log, with the same arguments; sizes go through it by its
rule. Whatever differs ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

from foveal.engine.positions import Call, Where, tensors_in
from foveal.engine.positions.regular import stretched
from foveal.engine.receptive import Field, FieldTracker
from foveal.engine.run_log import Kind, RunLog, Step, channels_last, spelled
from foveal.engine.sizes import Shape, to_a_size


class Differs(BaseException):
    """The network does not run as it did. Not an Exception, so no model swallows it."""


class Blank(Tensor):
    """A tensor without numbers.

    Attributes:
        number, spelled: which tensor of the log it stands for.
        moved: whether its shape is another than there.
        elsewhere: whether it lies elsewhere than its shape and the log say.
    """

    number: int
    spelled: str
    moved: bool
    elsewhere = False

    @staticmethod
    def __new__(cls, shape: Shape, kind: Kind) -> Blank:
        strides = _channels_last(shape) if kind.channels_last else None
        blank: Blank = torch.Tensor._make_wrapper_subclass(
            cls, shape, strides=strides, dtype=kind.dtype, device=kind.device
        )
        return blank

    def __init__(self, shape: Shape, kind: Kind) -> None:
        self.moved = shape != kind.shape

    def register_hook(self, hook: Any) -> Any:
        """A network that sets gradients by code of its own is traced."""
        raise Differs

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise Differs


class BlankRun(TorchDispatchMode):
    """Lets a network run without numbers, and compares what runs with a log.

    Attributes:
        shapes: of each tensor, by its number.
        elsewhere: fields and positions of tensors that were pooled to a given size, and of what was made of them.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """As in `engine.receptive.FieldTracker`."""
        return False

    def __init__(self, log: RunLog) -> None:
        super().__init__()
        self.shapes: list[Shape] = [kind.shape for kind in log.kinds]
        self._log = log
        self._steps = iter(log.steps)
        self._modules = iter(log.modules)
        self.elsewhere: dict[int, tuple[Field | None, Where | None]] = {}
        self._moved = self._strayed = False
        self._tracker: FieldTracker | None = None

    def image(self, x: Tensor) -> Blank:
        """What stands for an image."""
        if channels_last(x) != self._log.kinds[0].channels_last:
            raise Differs
        return self._blank(0, tuple(x.shape))

    def module(self, name: str, inputs: Any, output: Any) -> None:
        """A module has returned."""
        before = next(self._modules, None)
        if before is None or before[0] != name or not self._again((inputs, output), before[1:]):
            raise Differs

    def end(self, output: Any) -> None:
        """The network has returned."""
        left = next(self._steps, None) or next(self._modules, None)
        if left or not self._again(output, self._log.output):
            raise Differs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        step = next(self._steps, None)
        self._moved = self._strayed = False
        kwargs = kwargs or {}
        if step is None or func is not step.func or not self._again((args, tuple(kwargs.items())), step.given):
            raise Differs
        if not step.made:
            return func(*args, **kwargs)
        shapes = self._sizes(step, args, kwargs)
        if step.written:
            if shapes != [args[0].shape]:
                raise Differs
            made = [args[0]]
        else:
            made = [self._blank(number, shape) for number, shape in zip(step.made, shapes, strict=True)]
        result = step.form(made) if step.form else made[0]
        if self._strayed or (self._moved and step.sizes is to_a_size):
            self._follow(step, args, kwargs, result, made)
        return result

    def _number(self, tensor: Tensor) -> int | None:
        return tensor.number if isinstance(tensor, Blank) else None

    def _again(self, value: Any, before: Any) -> bool:
        """Whether an argument is the one in the log: as `spelled`, faster."""
        kind = type(value)
        if kind is Blank:
            self._moved |= value.moved
            self._strayed |= value.elsewhere
            return bool(before == value.spelled)
        if kind is type(before) and (kind is tuple or kind is list):
            if len(value) != len(before):
                return False
            for own, other in zip(value, before, strict=True):
                if own is not other and not self._again(own, other):
                    return False
            return True
        if kind is Parameter:
            return bool(before == (tuple(value.shape), value.dtype))
        return bool(spelled(value, self._number) == before)

    def _sizes(self, step: Step, args: Any, kwargs: Any) -> Sequence[Shape]:
        before = [self._log.kinds[at].shape for at in step.made]
        if not self._moved:
            return before
        if step.sizes is None or self._strayed:
            raise Differs
        try:
            return step.sizes(Call(step.func, args, kwargs, [], []), before)
        except (RuntimeError, ValueError) as error:  # sizes that do not fit together
            raise Differs from error

    def _follow(self, step: Step, args: Any, kwargs: Any, result: Any, made: Sequence[Blank]) -> None:
        """Where things lie that the log does not know of is followed as in a trace."""
        tracker = self._tracker = self._tracker or FieldTracker(made[0])
        tracker.log.complete = False
        given = [tensor for tensor in tensors_in((*args, *kwargs.values())) if isinstance(tensor, Blank)]
        for blank, (field, where) in zip(given, step.lies, strict=True):
            if not blank.elsewhere:
                tracker.put(blank, field, stretched(where, blank.shape) if blank.moved else where)
        tracker.follow(step.func, args, kwargs, result)
        for blank in made:
            found = (tracker.field(blank), tracker.where(blank))
            if step.written and self.elsewhere.get(blank.number) != found:
                raise Differs  # what was there before had another place
            blank.elsewhere, self.elsewhere[blank.number] = True, found

    def _blank(self, number: int, shape: Shape) -> Blank:
        kind = self._log.kinds[number]
        if shape != kind.shape and not _comparable(shape, kind.shape):
            raise Differs
        self.shapes[number] = shape
        blank = Blank(shape, kind)
        blank.number, blank.spelled = number, f"#{number}"
        return blank


def _channels_last(shape: Shape) -> Shape:
    """Strides."""
    _, c, h, w = shape
    return (c * h * w, 1, c * w, c)


def _comparable(shape: Shape, before: Shape) -> bool:
    """Whether both are maps of several rows and columns that differ in size alone."""
    return len(shape) == len(before) == 4 and shape[:2] == before[:2] and min(*shape[2:], *before[2:]) > 1
