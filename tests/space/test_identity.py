"""A network seen along an axis more, of which it makes nothing, has the same maps by every method."""

from __future__ import annotations

import pytest
import torch

import foveal
from foveal.errors import MethodError
from foveal.methods import METHODS
from tests.space.networks import Net, images, pair

PICTURES_ALONE = {"gap"}
RANDOM_BY_AXIS = {"rise"}  # its grid has as many axes as the input: other masks are drawn
QUICK = {
    "occlusion": "occlusion:window=4", "opticam": "opticam:steps=3", "smoothgrad": "smoothgrad:samples=4",
    "gradientshap": "gradientshap:samples=4", "integratedgradients": "integratedgradients:steps=8",
    "sscorecam": "sscorecam:samples=2", "isscorecam": "isscorecam:samples=2",
}  # fmt: skip


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("method", [name for name in METHODS if name not in PICTURES_ALONE | RANDOM_BY_AXIS])
def test_an_axis_of_one_cell_changes_no_map(method: str, axes: int) -> None:
    plain, thin = pair(axes)
    x = images(axes)
    target = foveal.Similar(images(axes, 1).flip(-1)) if METHODS[method].similarity else foveal.Class(1)
    thick = foveal.Similar(images(axes, 1).flip(-1)[:, :, None]) if METHODS[method].similarity else foveal.Class(1)
    asked = QUICK.get(method, method)
    why = foveal.explain(plain, x, target, method=asked)
    as_volume = foveal.explain(thin, x[:, :, None], thick, method=asked)
    assert why.layer == as_volume.layer
    assert why.map.shape == (len(x), *why.map.shape[1:])
    assert as_volume.map.shape == (len(x), 1, *why.map.shape[1:])
    scale = float(why.map.abs().max())
    assert scale > 0
    torch.testing.assert_close(as_volume.map[:, 0], why.map, atol=2e-5 * scale, rtol=1e-4)
    torch.testing.assert_close(as_volume.score, why.score, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("axes", [1, 3])
def test_what_stays_with_pictures_says_so(axes: int) -> None:
    with pytest.raises(MethodError, match=r"decompositions so far are of images \(n, c, h, w\)"):
        foveal.explain(Net(axes), images(axes), 1, method="gap")


@pytest.mark.parametrize("axes", [1, 2])
def test_an_axis_of_one_cell_changes_no_flow(axes: int) -> None:
    plain, thin = pair(axes)
    x = images(axes)
    flow, thick = foveal.flow(plain, x, 1), foveal.flow(thin, x[:, :, None], 1)
    for maps, others in ((flow.maps, thick.maps), (flow.signed, thick.signed), (flow.kept, thick.kept)):
        for layer, map in maps.items():
            torch.testing.assert_close(others[layer][:, 0], map, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("axes", [1, 2])
def test_an_axis_of_one_cell_changes_no_measure(axes: int) -> None:
    plain, thin = pair(axes)
    x = images(axes)
    metrics = ["deletion", "insertion", "drop", "increase", "complexity"]
    side = (16,) * axes
    setting, thick = (foveal.metrics.EvaluationSettings(steps=16, grid=grid) for grid in (side, (1, *side)))
    asked = {"explanations": "hirescam", "metrics": metrics, "baseline_maps": ["center"], "task": "classes"}
    one = foveal.measure(plain, x, 1, setting=setting, **asked)
    other = foveal.measure(thin, x[:, :, None], 1, setting=thick, **asked)
    for metric in metrics:
        assert one.values["hirescam"][metric] == pytest.approx(other.values["hirescam"][metric], abs=1e-4)
    hidden = foveal.audit(plain, x, 1, explanations="hirescam", fill="blur", draws=2)
    thicker = foveal.audit(thin, x[:, :, None], 1, explanations="hirescam", fill="blur", draws=2)
    assert [test.marked for test in hidden] == pytest.approx([test.marked for test in thicker], abs=1e-5)
