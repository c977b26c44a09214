"""Chunks are sized by what the network makes of a copy: weighed, remembered, bounded; and ordinary ones stay."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import foveal
from foveal.api.shortcuts import _log_chances
from foveal.attribution.context import Context
from foveal.attribution.forwards import recorded, runs_for
from foveal.attribution.passes import forward_backward
from foveal.attribution.perturbation import PerturbationScorer
from foveal.engine import room
from foveal.engine.chunks import RESUMED, WHOLE, Chunks, fitting
from foveal.engine.memory import FEW, CreatedTensors, Load, load_of
from foveal.featurevis.network import FeatureNetwork
from foveal.featurevis.normalization import Normalization
from foveal.models.model import as_model
from foveal.targets import Class
from foveal.targets.class_scores import first_head
from tests.networks import architecture, tiny

MEBIBYTE = 2**20
LENS = Normalization((32, 32), torch.zeros(3), torch.ones(3))
CPU = torch.device("cpu")


# --- Weighing -----------------------------------------------------------------------------------------------------


def test_what_is_there_at_once_is_counted_once() -> None:
    x = torch.randn(4, 256, 256)  # one mebibyte
    with torch.no_grad(), CreatedTensors() as made:
        y = x + 1
        y.mul_(2)  # in place, and a view: nothing new
        y.view(-1).relu_()
        z = torch.cat([y, y])
        del y
        z = z.amax(0)
    assert made.most == 3 * MEBIBYTE and made.fixed == 0
    with CreatedTensors() as kept:
        w = x.clone().requires_grad_()
        loss = ((w * 2).exp() * 3).sum()  # the clone, the product that exp drops, its result that is kept, times 3
    assert 3 * MEBIBYTE <= kept.most <= 4 * MEBIBYTE + 64
    with kept:
        loss.backward()
    assert kept.most > 4 * MEBIBYTE


def test_what_is_made_of_parameters_alone_is_no_copy_s() -> None:
    layer, x = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64)), torch.randn(3, 64)
    with torch.no_grad(), CreatedTensors() as made:
        layer(x)
    assert made.fixed >= 64 * 64 * 4 and made.most == 3 * 64 * 4
    load = Load(CPU)
    with load.weighed(3):
        layer(x)
    assert load.each == 64 * 4 and load.fixed >= 64 * 64 * 4


def test_a_load_bounds_what_goes_through_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FORWARD", 100 * MEBIBYTE)
    monkeypatch.setattr(room, "GRAPH", 200 * MEBIBYTE)
    monkeypatch.setattr(room, "left", lambda: 2**40)
    for graph, most in ((False, 9), (True, 19)):
        load = Load(CPU, graph=graph)
        assert load.fitting(64) == 64  # nothing is known
        load.each, load.fixed = 10 * MEBIBYTE, 5 * MEBIBYTE
        assert load.fitting(64) == most and load.fitting(3) == 3
        load.each = 900 * MEBIBYTE
        assert load.fitting(64) == 1
    monkeypatch.setattr(room, "left", lambda: 100 * MEBIBYTE)  # a quarter of it
    load = Load(CPU)
    load.each = 5 * MEBIBYTE
    assert load.fitting(64) == 5


def test_the_first_copy_goes_alone_where_its_load_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FORWARD", 20 * MEBIBYTE)
    seen: list[tuple[int, int]] = []

    def scores(start: int, stop: int) -> Tensor:
        seen.append((start, stop))
        torch.ones(stop - start, 4 * MEBIBYTE // 4)
        return torch.arange(start, stop).float()

    chunks = Chunks(16, Load(CPU))
    assert chunks(scores, 12, lambda *step: None).tolist() == list(range(12))
    assert seen == [(0, 1), (1, 6), (6, 11), (11, 12)]
    seen.clear()
    chunks(scores, 12, lambda *step: None)
    assert seen == [(0, 5), (5, 10), (10, 12)]
    seen.clear()
    assert Chunks(16, Load(CPU))(scores, FEW, lambda *step: None).tolist() == list(range(FEW)) and len(seen) == 1
    seen.clear()
    known = Chunks(16, Load(CPU))
    known.weigh(scores, 12)
    known.weigh(scores, 12)
    assert seen == [(0, 1)]


def test_chunks_that_fit_are_still_halved_when_memory_runs_out() -> None:
    sizes = []

    def scores(start: int, stop: int) -> Tensor:
        sizes.append(stop - start)
        if stop - start > 3:
            raise MemoryError
        return torch.arange(start, stop).float()

    assert Chunks(16, Load(CPU))(scores, 12, lambda *step: None).tolist() == list(range(12))
    assert sizes == [1, 11, 8, 4, 2, 2, 2, 2, 2, 1]


def test_a_load_is_remembered_as_long_as_the_network_is_what_it_was() -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    load = load_of(model, x, "a")
    assert load_of(model, x, "a") is load
    others = load_of(model, x, "b"), load_of(model, x[..., :4], "a"), load_of(model, x, "a", graph=True)
    assert load not in others
    model.pool.stride = 1
    assert load_of(model, x, "a") is not load
    for side in range(1, 200):
        load_of(model, torch.empty(1, 3, side, 1))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_is_left_is_the_least_of_what_the_machine_and_its_groups_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outer, inner, old = tmp_path, tmp_path / "a", tmp_path / "b"
    inner.mkdir(), old.mkdir()
    monkeypatch.setattr(room, "_groups", lambda: iter([inner, outer, old]))
    machine = room.left()
    assert machine > 0
    (outer / "memory.max").write_text("3000\n"), (outer / "memory.current").write_text("1000\n")
    (inner / "memory.max").write_text("max\n"), (inner / "memory.current").write_text("1000\n")
    assert room.left() == 2000
    (outer / "memory.stat").write_text("anon 700\ninactive_file 250\n")
    assert room.left() == 2250
    (old / "memory.limit_in_bytes").write_text("1500\n"), (old / "memory.usage_in_bytes").write_text("1400\n")
    assert room.left() == 100 and room.room(CPU) == 25
    (old / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert room.left() == 2250


# --- Ordinary networks keep their chunks --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "densenet121"])
def test_ordinary_networks_keep_their_chunks(name: str) -> None:
    """Of the copies that there are, a channel each, as many go through together as without a bound."""
    model, x = architecture(name), torch.randn(1, 3, 224, 224)
    context = Context(as_model(model), x, Class(1))
    for stage in foveal.stages(model, x):
        with recorded(context, [stage.name]) as recording:
            passed = forward_backward(context, [stage.name], gradient=False, backward=False)
        passed.recording = recording
        with runs_for(context, passed) as runs, torch.no_grad():
            probe = PerturbationScorer(context, passed, 0, stage.name, lambda done, total: None, runs)
            size, channels = fitting(probe.A, RESUMED), probe.A.shape[1]
            load = probe._resumption.load
            assert load.each is not None and load.each >= probe.A.numel() * 4
            assert load.fitting(min(size, channels)) == min(size, channels), stage.name
    load = Load(CPU)
    with torch.no_grad(), load.weighed(1):
        model(x)
    assert load.fitting(fitting(x, WHOLE)) == fitting(x, WHOLE) == 4


# --- Networks that make much of little ----------------------------------------------------------------------------


class Grown(nn.Module):
    """A bottleneck, and what a decoder makes of it."""

    def __init__(self, shape: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shape = shape
        self.front = nn.Sequential(nn.Conv2d(3, 96, 4, 4), nn.ReLU())
        self.thin, self.pool, self.fc = nn.Conv2d(96, 16, 1), nn.AvgPool2d(2), nn.Linear(96, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.shape == "input":
            x = F.interpolate(x, scale_factor=8)
        y = self.front(x)
        if self.shape == "up":
            return F.interpolate(self.thin(y), scale_factor=32).mean((2, 3))[:, :3]
        if self.shape == "hourglass":
            wide = F.interpolate(y, scale_factor=12)
            y = F.avg_pool2d(wide.sigmoid(), 12)
        return self.fc(self.pool(y).mean((2, 3)))  # type: ignore[no-any-return]


def surrounded(model: nn.Module, x: Tensor) -> Tensor:
    subject = as_model(model).with_task("classes", "given")
    ending = first_head(subject.module, subject.task, x).ending
    with torch.no_grad():
        return _log_chances(subject, x, ending, lambda *step: None, "looking")


CASES: dict[str, tuple[str, Callable[[nn.Module, Tensor], object]]] = {
    "tail, up": ("up", lambda net, x: foveal.explain(net, x[:1], 1, method="ablationcam", layer="front")),
    "tail, hourglass": ("hourglass", lambda net, x: foveal.explain(net, x[:1], 1, method="ablationcam", layer="front")),
    "tail, occlusion": (
        "up", lambda net, x: foveal.explain(net, x[:1], 1, method="occlusion:window=1,stride=1", layer="front"),
    ),
    "input": ("input", lambda net, x: foveal.explain(net, x[:1], 1, method="occlusion:window=8,stride=4")),
    "masks": ("input", lambda net, x: foveal.explain(net, x[:1], 1, method="rise:count=24")),
    "gradients": ("input", lambda net, x: foveal.explain(net, x[:1], 1, method="integratedgradients:steps=16")),
    "noise": ("hourglass", lambda net, x: foveal.explain(net, x[:1], 1, method="smoothgrad:samples=16")),
    "samples": ("input", lambda net, x: foveal.explain(net, x[:1], 1, method="gradientshap:samples=16")),
    "portions": ("input", lambda net, x: foveal.explain(net, x, 1, method="inputxgradient")),
    "rules": ("input", lambda net, x: foveal.explain(net, x, 1, method="lrp-epsilon")),
    "match": ("input", lambda net, x: foveal.match(net, x[:1], x, layer="pool", embedding="fc.input", lines=0)),
    "embedding": ("input", lambda net, x: foveal.explain(net, x[:1], foveal.Prototypes(x, [0, 1] * 10))),
    "metrics": (
        "input", lambda net, x: foveal.measure(net, x[:1], 1, explanations=x[:1, 0, :8, :8], baseline_maps=False,
                                               metrics=["deletion", "insertion"]),
    ),
    "surroundings": ("input", lambda net, x: surrounded(net, x)),
    "features": ("input", lambda net, x: FeatureNetwork(net, LENS).strength(x, "front")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_networks_that_make_much_of_little_stay_within_bounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is alive at once is what one copy needs, or the bound; and results are those without a bound."""
    shape, run = CASES[name]
    model, x = Grown(shape).eval(), torch.randn(20, 3, 32, 32)
    monkeypatch.setattr(room, "FORWARD", 12 * MEBIBYTE)
    monkeypatch.setattr(room, "GRAPH", 24 * MEBIBYTE)
    with CreatedTensors() as made:
        bounded = run(model, x)
    assert made.most + made.fixed < 40 * MEBIBYTE, made.most / MEBIBYTE
    monkeypatch.setattr(room, "FORWARD", 2**40)
    monkeypatch.setattr(room, "GRAPH", 2**40)
    monkeypatch.setattr(room, "left", lambda: 2**50)
    with CreatedTensors() as made:
        free = run(model, x)
    assert made.most > 60 * MEBIBYTE, made.most / MEBIBYTE
    _alike(bounded, free)


def test_a_match_that_keeps_graphs_is_weighed_and_left_in_order() -> None:
    model, x = Grown("hourglass").eval(), torch.randn(20, 3, 32, 32)
    first, again = (foveal.match(model, x[:1], x, layer="front", embedding="fc.input") for _ in range(2))
    assert torch.equal(first.query_maps, again.query_maps) and torch.equal(first.reference_maps, again.reference_maps)
    assert bool(torch.ones(2, 2).bool().all(1).all())  # no mode is left active


def _alike(one: Any, other: Any) -> None:
    if isinstance(one, Tensor):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)
        return
    for field in ("map", "query_maps", "similarity", "maps"):
        a, b = getattr(one, field, None), getattr(other, field, None)
        if isinstance(a, Tensor):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))
    for name, metrics in getattr(one, "values", {}).items():
        for metric, values in metrics.items():
            assert values == pytest.approx(other.values[name][metric], rel=1e-3, abs=1e-5)


_DECODER = """
import resource, sys, torch, foveal
from torch import nn
torch.manual_seed(0)
e = nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 128, 8, 8), nn.ReLU())
d = nn.Sequential(nn.ConvTranspose2d(128, 16, 8, 8), nn.ReLU(), nn.ConvTranspose2d(16, 16, 4, 4), nn.ReLU(),
                  nn.Conv2d(16, 2, 1))
net, x = nn.Sequential(e, d).eval(), torch.randn(1, 3, 256, 256)
options = {"layer": "0"} if sys.argv[1] == "ablationcam" else {}
method = {"occlusion": "occlusion:window=32,stride=32"}.get(sys.argv[1], sys.argv[1])
foveal.explain(net, x, lambda output: output[:, 1].mean((1, 2)), method=method, **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process took at most is counted in other units elsewhere")
def test_a_decoder_takes_no_more_than_twice_what_occlusion_does() -> None:
    # Large blocks go back to the system at once, so that what is measured is not how the allocator tears its heap.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "1"}
    taken = {}
    for method in ("occlusion", "ablationcam"):
        done = subprocess.run(
            [sys.executable, "-c", _DECODER, method], env=environment, capture_output=True, text=True, timeout=120,
            check=True,
        )  # fmt: skip
        taken[method] = int(done.stdout)
    assert taken["ablationcam"] < 2 * taken["occlusion"]
