"""Scores of altered copies in bfloat16: given where they agree with float32, and only there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.attribution import rounded
from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.attribution.rounded import BEFORE, EVERY, SOON, Agreement, root_mean_square
from foveal.engine.precision import bfloat16, has_bfloat16, single
from foveal.errors import MethodError
from foveal.metrics import EvaluationSettings

if TYPE_CHECKING:
    from tests.conftest import NoTrace

METRICS = ("deletion", "insertion", "drop", "drop_in_deletion", "road", "faithfulness")
SETTING = EvaluationSettings(steps=36, shares=(0.3, 0.7), samples=30, grid=(8, 8), chunk=10)


class Network(nn.Module):
    """Three classes, the first of bright pictures; remembers how many images it has met in each precision.

    Args:
        magnified: how much a rounded picture's logits lie beside those of the exact one.
        blank: only that of pictures which are empty in their corner.
        breaks: does not run on rounded numbers.
    """

    def __init__(self, *, magnified: float = 0.0, blank: bool = False, breaks: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, 2, 1)
        self.head = nn.Linear(8, 3)
        for convolution in (self.first, self.second):  # means of what is bright
            kernel = convolution.weight.data.abs()
            convolution.weight.data = kernel / kernel.sum((1, 2, 3), keepdim=True)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.head.weight.data[0] += 0.4
        self._magnified, self._blank, self._breaks = magnified, blank, breaks
        self.eval()
        self.met: dict[torch.dtype, int] = {torch.float32: 0, torch.bfloat16: 0}

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        first = self.norm(self.first(x)).relu()
        A = self.second(first).relu()
        self.met[A.dtype] = self.met.get(A.dtype, 0) + len(x)
        is_rounded = A.dtype == torch.bfloat16
        if is_rounded and self._breaks:
            raise RuntimeError("no kernel for BFloat16")
        logits: Tensor = self.head(A.mean((2, 3)))
        if bias is not None:
            logits = logits + bias
        if is_rounded and self._magnified:
            wrong = (x[:, :, :2, :2].abs().amax((1, 2, 3)) == 0) if self._blank else torch.ones(len(x)) > 0
            logits = logits + self._magnified * wrong[:, None] * torch.tensor([1.0, 0, 0])
        return logits


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks on any machine are tried as large ones are where there are units, and found fast."""
    monkeypatch.setattr(rounded, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(rounded, "PIXELS", 1)
    monkeypatch.setattr(rounded, "FASTER", 1e9)


def pictures(n: int = 1) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2


def measured(model: nn.Module, precision: Any, n: int = 1, **more: Any) -> foveal.Scores:
    maps = torch.linspace(0, 1, 64).view(1, 8, 8).expand(n, 8, 8)
    return foveal.measure(
        model, pictures(n), 0, explanations={"up": maps, "down": -maps}, metrics=METRICS, setting=SETTING,
        baseline_maps=["center"], precision=precision, task="classes", **more,
    )  # fmt: skip


def remarks(scores: foveal.Scores) -> list[str]:
    return [note for note in scores.notes if "bfloat16" in note or "precision" in note]


def test_scores_agree_and_few_copies_are_scored_twice(no_trace: NoTrace) -> None:
    network = Network()
    exact = measured(network, "float32", 2)
    asked, network.met = network.met[torch.float32], dict.fromkeys(network.met, 0)
    with no_trace(network):
        scores = measured(network, "auto", 2)
    for name, by_metric in exact.values.items():
        for metric, values in by_metric.items():
            assert scores.values[name][metric] == pytest.approx(values, abs=0.01), (name, metric)
        for metric in ("drop", "drop_in_deletion", "faithfulness"):  # of single copies, of small changes
            assert scores.values[name][metric] == by_metric[metric]
    assert scores.whole == exact.whole
    (remark,) = remarks(scores)
    assert remark.startswith("altered copies were scored in bfloat16: ") and "scored again in float32" in remark
    both = network.met[torch.float32] + network.met[torch.bfloat16] - asked
    chunks = 2 * 10 + 2 * 10  # the first of each picture, in both; twice more for the time
    alone = 2 * 3 * (2 + 30) + 2  # what is never rounded
    assert chunks / 2 <= both <= chunks + asked / EVERY + 2 * (3 + SOON)
    assert network.met[torch.float32] <= BEFORE + 10 + 2 * 10 + alone + asked / EVERY + 2 * (3 + SOON)
    again = measured(network, "auto", 2)
    assert again.values == scores.values


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_a_network_that_fails_in_bfloat16_is_asked_in_float32(precision: str, no_trace: NoTrace) -> None:
    network = Network(breaks=True)
    with no_trace(network):
        scores = measured(network, precision)
    assert scores.values == measured(network, "float32").values != {}
    (remark,) = remarks(scores)
    assert "does not run in bfloat16" in remark and "no kernel for BFloat16" in remark


def at_once() -> int:
    """How many copies a network scores in bfloat16 that disagrees on the first ones."""
    network = Network(magnified=2.0)
    measured(network, "auto", 2)
    return network.met[torch.bfloat16]


@pytest.mark.parametrize("blank", [False, True], ids=["at once", "late"])
def test_a_network_that_disagrees_is_asked_again_exactly(blank: bool, no_trace: NoTrace) -> None:
    network, heard = Network(magnified=2.0, blank=blank), []
    with no_trace(network):
        scores = measured(network, "auto", 2, on_row=lambda row: heard.append((row["score"], row["method"])))
    assert network.met[torch.bfloat16] > (at_once() if blank else 0)
    exact = measured(network, "float32", 2)
    assert scores.values == exact.values
    (remark,) = remarks(scores)
    assert "scored in float32, because in bfloat16" in remark
    assert len(heard) == len(set(heard)) == 2 * 3
    met = network.met[torch.bfloat16]
    assert measured(network, "auto").values and network.met[torch.bfloat16] == met  # it is not tried again
    rounded_scores = measured(network, "bfloat16", 2)  # whoever insists gets them, and is told
    assert rounded_scores.values != exact.values and "differ by at most" in remarks(rounded_scores)[0]


def test_what_is_not_faster_is_not_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded, "FASTER", 0.0)
    network = Network()
    scores = measured(network, "auto")
    assert scores.values == measured(network, "float32").values and not remarks(scores)
    met = network.met[torch.bfloat16]
    assert 0 < met <= 20
    measured(network, "auto")
    assert network.met[torch.bfloat16] == met  # the time is known


@pytest.mark.parametrize("why", ["no units", "small", "double", "autocast"])
def test_where_it_is_not_tried(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network().double() if why == "double" else Network()
    if why == "no units":
        monkeypatch.setattr(rounded, "has_bfloat16", lambda device: False)
    if why == "small":
        monkeypatch.setattr(rounded, "PIXELS", 128 * 128)
    x = pictures().double() if why == "double" else pictures()
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        context = prepare(network, x, 0)
        with perturbed_scores(context, precision="auto") as (question,):
            before = question.count
            for _ in range(4):
                question(x.expand(10, -1, -1, -1))
    if why == "autocast":
        assert question.count - before == 40  # none twice
    else:
        assert network.met[torch.bfloat16] == 0
    assert not [note for note in question.notes if "bfloat16" in note]


def test_the_decision_sees_float32(no_trace: NoTrace) -> None:
    network, seen = Network(), []
    x = pictures(2)
    context = prepare(network, x, 1, keywords={"bias": torch.tensor([[0.0, 1, 0], [0, 0, 2]])})
    with no_trace(network), perturbed_scores(context, precision="bfloat16") as questions:
        for i, question in enumerate(questions):
            copies = x[i : i + 1] * torch.linspace(0, 1, 8)[:, None, None, None]
            for _ in range(2):
                numbers = question(copies, lambda outcome: seen.append(outcome.output))
            exact = question.exactly(copies)
            assert numbers.dtype == torch.float32
            assert 0 < float((numbers - exact).abs().max()) < 0.02
    assert {output.dtype for output in seen} == {torch.float32}
    assert sum(len(output) for output in seen) == 2 * 2 * 8  # each copy is shown once


def test_the_first_convolution_is_not_rounded() -> None:
    network, x, given = Network(), pictures(), []
    network.norm.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.no_grad(), bfloat16(x.device):
        rounded_output = network(x)
    with torch.no_grad():
        network(x)
    assert rounded_output.dtype == torch.bfloat16 and torch.equal(*given)
    assert not torch.is_autocast_enabled("cpu")
    assert {t.dtype for t in single({"a": rounded_output, "b": [x]}).values() if isinstance(t, Tensor)} == {x.dtype}


def test_an_agreement_is_scale_free_for_scores_and_never_of_what_is_not_finite() -> None:
    for factor in (1e-3, 1e3):
        agreement = Agreement("score")
        scores = torch.linspace(-1, 1, 11) * factor
        agreement.seen(scores)
        agreement.compare(scores, scores + 0.015 * factor)
        assert agreement.holds
        agreement.compare(scores, scores - 0.03 * factor)
        assert not agreement.holds
    probability = Agreement("probability")
    probability.seen(torch.tensor([0.4, 0.5]))
    probability.compare(torch.zeros(4), torch.tensor([0.0, 0, 0, 0.019]))
    assert not probability.holds  # a tenth of what they vary by
    probability.seen(torch.tensor([0.9]))
    assert probability.holds
    probability.compare(torch.zeros(1), torch.tensor([math.nan]))
    assert not probability.holds
    assert root_mean_square([3.0, -4.0]) == pytest.approx(math.sqrt(12.5))


def test_signs_and_ranks_of_close_scores_are_exact() -> None:
    network = Network()
    maps = {"up": torch.linspace(0, 1, 64).view(1, 8, 8)}
    for metric in ("validity", "deletion_rank_correlation"):
        foveal.measure(network, pictures(), 0, explanations=maps, metrics=[metric, "deletion"], setting=SETTING)
    assert network.met[torch.bfloat16] == 0


@pytest.mark.parametrize("method", ["rise:count=100", "occlusion:window=16,stride=2", "scorecam"])
@pytest.mark.parametrize("agrees", [True, False])
def test_methods_go_on_in_bfloat16_while_scores_agree(method: str, agrees: bool, no_trace: NoTrace) -> None:
    network, x = Network(magnified=0.0 if agrees else 2.0), pictures()
    option = ("," if ":" in method else ":") + "chunk=5,precision="
    layer = "second" if method == "scorecam" else "input"
    exact = foveal.explain(network, x, 0, method=f"{method}{option}float32", layer=layer)
    with no_trace(network):
        why = foveal.explain(network, x, 0, method=f"{method}{option}auto", layer=layer)
    noted = " ".join(why.notes)
    if method == "scorecam":  # eight masks, too few to begin
        assert torch.equal(why.map, exact.map) and "bfloat16" not in noted
    elif agrees:
        assert 0 < float((why.map - exact.map).abs().max()) < 0.02 * float(exact.map.abs().max())
        assert "scored in bfloat16" in noted
    else:
        assert torch.equal(why.map, exact.map) and "because in bfloat16" in noted
    with pytest.raises(MethodError, match="say float32, bfloat16 or auto"):
        foveal.explain(network, x, 0, method=f"{method}{option}half", layer=layer)


def test_copies_to_compare_are_spread_over_all() -> None:
    agreement, at, begun = Agreement("probability"), [], 0
    for count in (3, 10, 1, 60, 26):
        at += [begun + k for k in agreement.due(count)]
        begun += count
    assert len(at) == len(set(at)) == -(-100 // EVERY) + SOON
    assert at[0] < 3 and at[-1] > 60


def test_units_are_known_and_words_are_checked() -> None:
    assert has_bfloat16(torch.device("meta")) is False
    with pytest.raises(MethodError, match="say float32, bfloat16 or auto"):
        measured(Network(), "half")
