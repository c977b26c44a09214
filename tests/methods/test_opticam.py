"""Opti-CAM: the same ascent by torch's own Adam, and that it ascends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import interpolate

import foveal
from foveal.errors import MethodError
from tests.methods.perturbed import TARGET, activation, explained, images, network, peak, planted

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tests.conftest import NoTrace


def literal(model: nn.Module, x: Tensor, steps: int) -> Tensor:
    A = activation(model, x)
    A = A[A.amax((1, 2)) > A.amin((1, 2))]
    u = torch.zeros(len(A), dtype=A.dtype, requires_grad=True)
    adam = torch.optim.Adam([u], lr=0.1, maximize=True)
    for _ in range(steps):
        M = interpolate(torch.einsum("c,chw->hw", u.softmax(0), A)[None, None], x.shape[1:], mode="bilinear")
        (u.grad,) = torch.autograd.grad(model(x[None] * (M - M.min()) / (M.max() - M.min()))[0, TARGET], u)
        adam.step()
    return torch.einsum("c,chw->hw", u.softmax(0), A).detach()


def test_it_is_its_definition(no_trace: NoTrace) -> None:
    model, x = network(), images(2)
    with no_trace(model):
        maps = explained(model, x, "opticam:steps=6")
    for map, image in zip(maps, x, strict=True):
        assert torch.allclose(map, literal(model, image, 6), rtol=1e-6)


def test_the_score_rises() -> None:
    measured = foveal.explain(network(), images(3), TARGET, method="opticam:steps=30").measured["relu2"]
    before, after = (measured[f"score of {which} weights"] for which in ("equal", "these"))  # type: ignore[call-overload, index]
    assert all(a > b for a, b in zip(after, before, strict=True))


def test_it_needs_no_gradients_around_it() -> None:
    with torch.no_grad():
        inside = explained(network(), images(), "opticam:steps=3")
    assert torch.equal(inside, explained(network(), images(), "opticam:steps=3"))


def test_neurons_and_progress() -> None:
    told: list[tuple[str, int, int]] = []
    why = foveal.explain(
        network(),
        images(2),
        foveal.Neuron("fc", TARGET),
        method="opticam:steps=3",
        layer="relu2",
        progress=lambda *step: told.append(step),
    )
    assert torch.allclose(why.map, explained(network(), images(2), "opticam:steps=3"), rtol=1e-6)
    assert told == [("opticam:steps=3 at relu2", done, 6) for done in range(1, 7)]


def test_networks_without_gradients_are_refused() -> None:
    model = network()
    plain = model.forward
    model.forward = torch.no_grad()(plain)  # type: ignore[method-assign]
    with pytest.raises(MethodError, match="use scorecam"):
        explained(model, images(), "opticam")


def test_points_at_planted_evidence() -> None:
    model, x, (rows, columns) = planted()
    row, column = peak(explained(model, x, "opticam:steps=20", "relu")[0])
    assert rows.start <= row < rows.stop and columns.start <= column < columns.stop
