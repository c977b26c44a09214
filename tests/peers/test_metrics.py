"""Metrics beside those of pytorch-grad-cam, torchcam and Captum: the same numbers where the definition is the same."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from foveal.metrics import deletion, impute, infidelity, insertion, masked, sensitivity
from foveal.metrics.masked import mask_of
from tests.peers.subjects import TARGETS, subject


class Fixed:
    """An extractor, as torchcam's metrics take it, that always gives these maps."""

    def __init__(self, model: Any, maps: Tensor) -> None:
        self.model, self.maps = model, maps

    def __call__(self, *_: Any, **__: Any) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self) -> nullcontext[None]:
        return nullcontext()


def chances(model: Any, z: Tensor, target: int) -> Tensor:
    """The probability of a class."""
    found: Tensor = model(z).softmax(1)[:, target]
    return found


def unit_maps(size: int = 6) -> Tensor:
    maps = torch.rand(2, size, size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # theirs
def test_the_imputer_of_pytorch_grad_cam() -> None:
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    torch.manual_seed(0)
    x, kept = torch.randn(3, 17, 12), torch.rand(17, 12) < 0.6
    theirs = NoisyLinearImputer(noise=0)(x, kept.float())
    ours = impute(x[None], ~kept[None, None], noise=0, tolerance=1e-9)[0]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_drop_and_increase_of_pytorch_grad_cam_are_not_divided() -> None:
    from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    model, x = subject("tiny")
    maps = unit_maps()
    cams = mask_of(maps, (24, 24))[:, 0].numpy()
    targets = [ClassifierOutputSoftmaxTarget(target) for target in TARGETS]
    drop, increase = (metric()(x, cams, targets, model) for metric in (DropInConfidence, IncreaseInConfidence))
    for i, target in enumerate(TARGETS):
        found = masked(partial(chances, model, target=target), x[i : i + 1], maps[i : i + 1])
        assert float(found.drop) * float(found.whole) == pytest.approx(float(drop[i]), abs=1e-6)
        assert float(found.increase) == float(increase[i])


def test_drop_and_increase_of_torchcam() -> None:
    from torchcam.metrics import ClassificationMetric

    model, x = subject("tiny")
    maps = unit_maps()
    metric = ClassificationMetric(Fixed(model, maps), partial(torch.softmax, dim=-1))
    metric.update(x, TARGETS)
    ours = [masked(partial(chances, model, target=t), x[i : i + 1], maps[i : i + 1]) for i, t in enumerate(TARGETS)]
    assert metric.summary()["avg_drop"] == pytest.approx(np.mean([float(one.drop) for one in ours]), abs=1e-6)
    assert metric.summary()["conf_increase"] == np.mean([float(one.increase) for one in ours])


@pytest.mark.parametrize("steps", [16, 24])
def test_deletion_and_insertion_of_torchcam_with_equal_steps(steps: int) -> None:
    from torchcam.metrics import DeletionInsertionMetric

    model, x = subject("tiny")
    maps = torch.rand(2, 24, 24, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    metric = DeletionInsertionMetric(Fixed(model, maps), partial(torch.softmax, dim=-1), steps=steps)
    metric.update(x, TARGETS)
    for curve, total in ((deletion, metric.deletion), (insertion, metric.insertion)):
        ours = [
            curve(partial(chances, model, target=t), x[i : i + 1], maps[i], steps=steps, fill="zero").area
            for i, t in enumerate(TARGETS)
        ]
        assert sum(ours) == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_of_captum_with_the_same_perturbations(scaled: bool) -> None:
    from captum.metrics import infidelity as theirs

    model, x = subject("tiny")
    x, samples, target = x[:1], 12, TARGETS[0]
    Phi = torch.randn(x.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    noise = (
        0.2
        * torch.stack(
            [torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(k)) for k in range(samples)]
        ).double()
    )

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return noise, inputs - noise

    found = theirs(
        model,
        perturb,
        x,
        Phi,
        target=target,
        n_perturb_samples=samples,
        max_examples_per_batch=samples,
        normalize=scaled,
    )
    ask = lambda z: model(z)[:, target]  # noqa: E731
    ours = infidelity(ask, x, Phi[0], by="noise", samples=samples, chunk=samples)
    assert float(found) == pytest.approx(ours.value if scaled else ours.unscaled, rel=1e-5)


def test_sensitivity_of_captum_with_the_same_neighbors() -> None:
    from captum.attr import Saliency
    from captum.metrics import sensitivity_max

    model, x = subject("tiny")
    x, samples, radius = x[:1], 6, 0.05
    random = torch.Generator().manual_seed(0)
    noise = ((2 * torch.rand((samples, *x.shape[1:]), generator=random) - 1) * radius).double()

    def gradients(inputs: Any) -> Tensor:
        given = inputs[0] if isinstance(inputs, tuple) else inputs
        found: Tensor = Saliency(model).attribute(given.detach().requires_grad_(), target=TARGETS[0], abs=False)
        return found

    def neighbors(inputs: Any, _: float) -> Tensor:
        return (inputs[0] if isinstance(inputs, tuple) else inputs) + noise

    theirs = sensitivity_max(
        lambda inputs: (gradients(inputs),), x, neighbors, perturb_radius=radius, n_perturb_samples=samples,
        max_examples_per_batch=samples,
    )  # fmt: skip
    ours = sensitivity(lambda z: gradients(z).flatten(1)[:, None], x, radius=radius, samples=samples)
    assert float(theirs) == pytest.approx(ours, rel=1e-5)
