"""What an output means, and where the embedding is, does not depend on how it is spelled, and is never guessed in
silence."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError, ModelError, TargetError

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def pictures(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(5))


class Tailed(nn.Module):
    def __init__(self, tail: Callable[[Tensor], Any], outputs: int = 6, name: str = "fc") -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU())
        setattr(self, name, nn.Linear(12, outputs))
        self.tail, self.name = tail, name

    def forward(self, x: Tensor) -> Any:
        return self.tail(getattr(self, self.name)(self.f(x).mean((2, 3))))


def tailed(tail: Callable[[Tensor], Any], outputs: int = 6, name: str = "fc") -> Tailed:
    torch.manual_seed(0)
    return Tailed(tail, outputs, name).eval()


# --- where the embedding is -----------------------------------------------------------------------------------------


def _divide(e: Tensor) -> Tensor:
    e /= e.norm(dim=1, keepdim=True)
    return e


def _assign(e: Tensor) -> Tensor:
    e[:] = F.normalize(e)
    return e


def _copy(e: Tensor) -> Tensor:
    return e.copy_(F.normalize(e))


def _rows(e: Tensor) -> Tensor:
    for i in range(len(e)):
        e[i] /= e[i].norm()
    return e


Record = namedtuple("Record", ["embedding", "loss"])


@dataclass
class Answer:
    embedding: Tensor


TAILS: dict[str, Callable[[Tensor], Any]] = {
    "out of place": F.normalize,
    "divided in place": _divide,
    "div_": lambda e: e.div_(e.norm(dim=1, keepdim=True)),
    "assigned": _assign,
    "copied": _copy,
    "row by row": _rows,
    "dict": lambda e: {"embedding": F.normalize(e)},
    "dict, in place": lambda e: {"embedding": _divide(e)},
    "dict, among others": lambda e: {"norm": e.norm(dim=1), "embedding": F.normalize(e), "loss": e.new_zeros(())},
    "tuple": lambda e: (_divide(e),),
    "list": lambda e: [F.normalize(e)],
    "named tuple": lambda e: Record(_divide(e), None),
    "ordered": lambda e: OrderedDict(features=_divide(e)),
    "object": lambda e: Answer(_divide(e)),
    "namespace": lambda e: SimpleNamespace(image_embeds=_divide(e), text=None),
}


@pytest.mark.parametrize("spelling", TAILS)
def test_the_embedding_is_what_the_model_returns_however_it_is_spelled(spelling: str, no_trace: NoTrace) -> None:
    x, net = pictures(3), tailed(TAILS[spelling])
    want = foveal.match(tailed(F.normalize), x[:1], x[1:])
    with no_trace(net):
        pair = foveal.match(net, x[:1], x[1:])
    assert torch.allclose(pair.similarity, want.similarity, atol=1e-6)
    assert torch.allclose(pair.query_maps, want.query_maps, atol=1e-6)
    assert any("the model's output (6 numbers)" in note for note in pair.notes)
    for target in (foveal.Similar(x[:1]), foveal.Prototypes(x[1:], ["a", "b"])):
        same = [foveal.explain(one, x[:2], target).map for one in (net, tailed(F.normalize))]
        assert torch.allclose(*same, atol=1e-6)


def test_the_one_taken_of_several_embeddings_is_said() -> None:
    net = tailed(lambda e: {"hidden": 2 * e, "image_embeds": F.normalize(e)})
    notes = foveal.match(net, pictures(1), pictures(2)).notes
    assert any("'image_embeds' of the model's output" in note and "'hidden'" in note for note in notes)


def test_what_is_known_of_the_task_decides() -> None:
    x = pictures()
    plain = tailed(lambda e: e)
    assert foveal.match(plain, x[:1], x).embedding == "fc.input"
    assert foveal.match(foveal.Model(plain, "e", task="embedding"), x[:1], x).embedding == ""
    odd = tailed(lambda e: e, name="last")
    assert foveal.match(odd, x[:1], x).embedding == ""
    assert foveal.match(foveal.Model(odd, "c", task="classes"), x[:1], x).embedding == "last.input"


# --- what an output means -------------------------------------------------------------------------------------------


def test_one_number_of_unknown_meaning_is_a_value_unless_a_class_is_named() -> None:
    net, x = tailed(lambda e: e, 1), pictures()
    nn.init.constant_(net.fc.bias, -3)  # type: ignore[union-attr, arg-type]
    y = net(x)[:, 0].detach()
    guessed = foveal.explain(net, x)
    assert guessed.target == ("output",) * 2 and torch.allclose(guessed.score, y)  # type: ignore[arg-type]
    assert any("explained as a value" in note and "task='value'" in note for note in guessed.notes)
    below = foveal.explain(net, x, 0)
    assert below.target == ("class 0",) * 2 and torch.allclose(below.score, -y)  # type: ignore[arg-type]
    assert any("read as a logit" in note and "task='classes'" in note for note in below.notes)
    for said in (foveal.explain(net, x, task="value"), foveal.explain(net, x, lambda o: o.flatten())):
        assert torch.allclose(said.score, y) and said.probability is None  # type: ignore[arg-type]
        assert torch.allclose(said.map, guessed.map, atol=1e-6) and torch.allclose(said.map, -below.map, atol=1e-6)
        assert not any("read as" in note for note in said.notes)
    assert foveal.explain(net, x, task="value").target == ("value",) * 2
    assert torch.allclose(foveal.explain(net, x, 1).map, guessed.map, atol=1e-6)


def test_one_logit_that_is_said_to_be_two_classes_needs_no_remark() -> None:
    why = foveal.explain(tailed(lambda e: e, 1), pictures(), task="classes")
    assert not any("read as" in note for note in why.notes)
    assert foveal.explain(tailed(torch.sigmoid, 1), pictures()).notes == why.notes  # a probability is no guess


@pytest.mark.parametrize("spelling", [lambda e: e, lambda e: {"logits": e}, lambda e: (e,)])
def test_labels_of_which_several_may_hold(spelling: Callable[[Tensor], Any]) -> None:
    net, x = tailed(spelling), pictures()
    z = tailed(lambda e: e)(x).detach()
    why = foveal.explain(net, x, task="labels")
    best = z.argmax(1)
    assert torch.allclose(why.probability, z.sigmoid().gather(1, best[:, None])[:, 0], atol=1e-6)  # type: ignore[arg-type]
    assert why.target == tuple(f"label {k}" for k in best.tolist())
    assert not any("read as" in note for note in why.notes)
    guessed = foveal.explain(net, x)
    assert guessed.probability is None
    assert any("what the network's 6 numbers mean is not known" in note for note in guessed.notes)
    table = foveal.measure(net, x, 2, explanations="gradcam", task="labels", baseline_maps=False)
    assert table.whole == pytest.approx(z.sigmoid()[:, 2].tolist(), abs=1e-5)
    assert "read as" not in "".join(table.notes)


@pytest.mark.parametrize("task", [None, "classes", "labels"])
def test_probabilities_that_the_network_makes_itself_are_those_that_are_measured(task: Any) -> None:
    """Altered copies have no graph, off which the ending could be read again."""
    x = pictures()
    for outputs in (1, 4):
        net = tailed(torch.sigmoid, outputs)
        p = net(x)[:, 0 if outputs == 1 else 2].detach()
        target = (0 if task == "labels" else 1) if outputs == 1 else 2
        why = foveal.explain(net, x, target, task=task)
        assert torch.allclose(why.probability, p, atol=1e-6)  # type: ignore[arg-type]
        table = foveal.measure(net, x, target, explanations="gradcam", task=task, baseline_maps=False)
        assert table.whole == pytest.approx(p.tolist(), abs=1e-5)
        hiding = foveal.audit(net, x[:1], target, explanations="gradcam", task=task, draws=2)
        assert hiding[0].whole == pytest.approx(float(p[0]), abs=1e-5)


def test_log_probabilities_are_those_of_softmax() -> None:
    x = pictures()
    plain, logs = tailed(lambda e: e), tailed(lambda e: e.log_softmax(1))
    tables = [
        foveal.measure(net, x, 2, explanations="gradcam", baseline_maps=False, task="classes").whole
        for net in (plain, logs)
    ]
    assert tables[0] == pytest.approx(tables[1], abs=1e-5)


def test_values_have_no_probability_and_several_are_to_be_chosen_from() -> None:
    net, x = tailed(lambda e: e), pictures()
    with pytest.raises(TargetError, match=r"predicts 6 values.*target=0"):
        foveal.explain(net, x, task="value")
    why = foveal.explain(net, x, 4, task="value")
    assert why.target == ("value 4",) * 2 and why.probability is None
    with pytest.raises(TargetError, match="no probability"):
        foveal.explain(net, x, foveal.Class(4, of="probability"), task="value")
    assert foveal.measure(net, x, explanations=why, task="value", baseline_maps=False).of == "score"
    assert foveal.explain(foveal.Model(net, "r", labels=tuple("abcdef"), task="value"), x, "e").target == ("e (4)",) * 2
    with pytest.raises(FovealError, match="is value"):
        foveal.shortcuts(net, pictures(8), [0, 1] * 4, task="value")


@pytest.mark.parametrize("verb", ["explain", "flow", "decompose", "parts", "measure", "audit", "sanity"])
def test_an_embedding_has_no_classes_in_any_verb(verb: str) -> None:
    net, x = foveal.Model(tailed(F.normalize), "e", task="embedding"), pictures(1)
    asked = {
        "measure": lambda: foveal.measure(net, x, explanations="gradcam"),
        "audit": lambda: foveal.audit(net, x, explanations="gradcam"),
    }.get(verb, lambda: getattr(foveal, verb)(net, x))  # fmt: skip
    with pytest.raises(TargetError, match=r"embedding of 6 numbers, not class scores.*foveal\.match"):
        asked()


def test_the_head_that_was_taken_is_said_and_the_others() -> None:
    net, x = tailed(lambda e: {"species": e[:, :4], "sex": e[:, 4:]}), pictures()
    why = foveal.explain(net, x)
    assert any("read from 'species'" in note and "'sex' (2, 2)" in note for note in why.notes)
    with pytest.raises(TargetError, match=r"class 5 is out of range: 'species' of the output has 4 classes"):
        foveal.explain(net, x, 5)
    named = tailed(lambda e: {"aux": e[:, 4:], "logits": e[:, :4]})
    assert any("read from 'logits'" in note and "'aux' (2, 2)" in note for note in foveal.explain(named, x).notes)
    assert not any("read from" in note for note in foveal.explain(tailed(lambda e: {"logits": e}), x).notes)
    heads = tailed(lambda e: (e[:, :4], e[:, 4:]))
    assert any("read from '0'" in note and "'1' (2, 2)" in note for note in foveal.explain(heads, x).notes)


def test_remarks_reach_every_result() -> None:
    net, x = tailed(lambda e: e, 1), pictures()
    results = [
        foveal.explain(net, x), foveal.flow(net, x), foveal.parts(net, x), foveal.decompose(net, x[:1]),
        foveal.measure(net, x, explanations="gradcam", baseline_maps=False),
        *foveal.compare(net, x, methods=["gradcam", "occlusion"]),
    ]  # fmt: skip
    for result in results:
        assert any("one number means is not known" in note for note in result.notes), result


def test_tasks_that_are_none() -> None:
    for make in (
        lambda: foveal.explain(tailed(lambda e: e), pictures(), task="segments"),  # type: ignore[arg-type]
        lambda: foveal.Model(tailed(lambda e: e), "n", task="Classes"),
    ):  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="classes, labels, value, embedding"):
            make()
