"""Trained networks on photographs: the maps lie on the object, and on the original photo."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import foveal
from tests import real_networks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.conftest import NoTrace

pytestmark = pytest.mark.real


def network(name: str) -> foveal.Model:
    return foveal.load_model(f"{real_networks.__file__}:{name}")


def boxed(data: Path, count: int) -> list[tuple[Path, int, NDArray[np.bool_]]]:
    """Photos with their class and the mask of all boxes of its instances."""
    folder = data / "images" / "imagenet_boxes"
    with (folder / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows[:: max(1, len(rows) // count)]:
        inside = np.zeros((227, 227), bool)
        for x0, y0, x1, y1 in np.array(json.loads(row["boxes"]), int).reshape(-1, 4):
            inside[y0:y1, x0:x1] = True
        found.append((folder / row["file"], int(row["class_index"]), inside))
    return found


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_evidence_lies_on_the_object(data: Path, name: str, no_trace: NoTrace) -> None:
    """More of it than of the picture's area, more than on the objects of other photos, and its peak mostly.

    Objects sit in the middle of most photos, so the boxes of the others are a control for that.
    """
    model = network(name)
    photos = boxed(data, 33)
    with no_trace(model.module):
        why = foveal.explain(model, [path for path, _, _ in photos], [index for _, index, _ in photos])
    shares, elsewhere, areas, peaks = [], [], [], []
    for i, (_, _, inside) in enumerate(photos):
        map = np.nan_to_num(why.on_photo(i)).clip(0)
        shares.append(map[inside].sum() / map.sum())
        areas.append(inside.mean())
        peaks.append(inside.flat[int(map.argmax())])
        elsewhere += [map[other].sum() / map.sum() for _, _, other in photos if other is not inside]
    assert np.mean(shares) > 1.4 * np.mean(areas)
    assert np.mean(shares) > 1.1 * np.mean(elsewhere)
    assert np.mean(peaks) > 0.75


@pytest.mark.parametrize("name", real_networks.IMAGENET)
def test_every_method_at_every_stage(data: Path, name: str, no_trace: NoTrace) -> None:
    model = network(name)
    photos = sorted((data / "images" / "imagenet").glob("*.jpg"))[:2]
    with no_trace(model.module):
        explanations = foveal.compare(model, photos, methods="fast", layer="all")
    for why in explanations:
        assert len(why.layers) >= 4
        if why.method != "deconvnet":  # without looking at what was active, all of SqueezeNet's paths may close
            assert not any("zero" in remark or "noise" in remark for remark in why.notes)
        assert why.overlay(1).size[0] >= why.photos[1].pixels.shape[1]


def test_cam_is_exact_on_a_real_head(data: Path) -> None:
    model = network("resnet50")
    photo = sorted((data / "images" / "imagenet").glob("*.jpg"))[3]
    why = foveal.explain(model, photo, method="cam")
    assert why.score is not None
    bias = model.module.get_submodule("fc").bias[why.target_spec["index"][0]]  # type: ignore[index, union-attr]
    assert float(why.map.mean()) + float(bias.detach()) == pytest.approx(float(why.score[0]), rel=1e-4)


def test_parts_of_photographs(data: Path, no_trace: NoTrace) -> None:
    """The first part is the object's, more than chance; a replicated head decides as the network did, mostly."""
    from foveal.models.brnpa import PartsNet

    model = network("resnet18")
    photos = boxed(data, 12)
    on_object, area = [], []
    with no_trace(model.module):
        found = foveal.parts(model, [path for path, _, _ in photos], resolution=2)
    for i, (_, _, inside) in enumerate(photos):
        map = np.nan_to_num(found.on_photo(i))
        on_object.append(map[inside].sum() / map.sum())
        area.append(inside.mean())
    assert np.mean(on_object) > 1.2 * np.mean(area)
    assert bool((found.evidence[:, 0] > found.evidence[:, 1:].amax(1)).float().mean() > 0.5)
    total = found.evidence.sum(1) + found.remainder + found.offset
    assert found.score is not None and np.allclose(total, found.score, atol=1e-3)
    decided = [words.rsplit(" (", 1)[1].rstrip(")") for words in found.target]
    net = PartsNet(network("resnet18").module, len(model.labels or ()), size=224).eval()
    from foveal.images import load_images

    x = load_images([path for path, _, _ in photos], model.preprocessing).tensor
    again = net(x).argmax(1).tolist()
    assert np.mean([int(a) == b for a, b in zip(decided, again, strict=True)]) > 0.7
