"""What is known of tensors: as `WeakTensorKeyDictionary` has it, for as long as they are there."""

from __future__ import annotations

import gc
import random
import weakref

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from foveal.engine.tensor_map import TensorMap


def test_it_is_a_weak_dictionary() -> None:
    """Random tensors come, are asked for and go, in it and in torch's own."""
    draw = random.Random(0)
    known: TensorMap[int] = TensorMap()
    slow = WeakTensorKeyDictionary()
    there = [torch.zeros(1) for _ in range(5)]
    for step in range(2000):
        tensor = draw.choice(there)
        match draw.randrange(5):
            case 0:
                known[tensor], slow[tensor] = step, step
            case 1:
                assert known.setdefault(tensor, step) == slow.setdefault(tensor, step)
            case 2:
                known.discard(tensor)
                slow.pop(tensor, None)
            case 3:
                there.remove(tensor)
                del tensor
                there.append(torch.zeros(1))  # often in the place of the one that went
            case _:
                there.append(torch.zeros(1))
                del there[0]
        assert len(known) == len(slow)
        assert all((t in known) == (t in slow) and known.get(t) == slow.get(t, None) for t in there)
        assert {id(t): value for t, value in known.items()} == {id(t): value for t, value in slow.items()}
    there.clear()
    del tensor
    assert len(known) == 0


def test_what_autograd_keeps_is_the_same_tensor() -> None:
    """Python lets go of it, autograd does not: it comes back as it was, and so does what is known of it."""
    known: TensorMap[str] = TensorMap()
    x = torch.ones(2, requires_grad=True)
    y = x + 1
    z = y * y  # its backward keeps y
    known[y] = "sum"
    del y
    gc.collect()
    assert [value for _, value in known.items()] == ["sum"]
    assert known[z.grad_fn._saved_self] == "sum"  # type: ignore[union-attr]
    del z
    gc.collect()
    assert len(known) == 0


def test_it_is_gone_with_its_last_reference() -> None:
    """In no circle: what is known is let go of at once, whether or not the tensors are still there."""
    tensor, known = torch.zeros(1), TensorMap[int]()
    known[tensor] = 1
    it = weakref.ref(known)
    del known
    assert it() is None
    del tensor
