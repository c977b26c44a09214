"""Feature images of photographs by trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import foveal
from foveal.featurevis import Octave, Schedule
from foveal.featurevis.transfer import transfer
from tests import real_networks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NoTrace

pytestmark = pytest.mark.real


def network(name: str) -> foveal.Model:
    return foveal.load_model(f"{real_networks.__file__}:{name}")


def pets(data: Path, count: int) -> list[Path]:
    """So many photos of each breed, breed by breed."""
    folder = data / "images" / "pets"
    names = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    breeds = sorted({path.name.rsplit("_", 1)[0] for path in names})
    assert len(breeds) == 3
    return [path for breed in breeds for path in [p for p in names if p.name.startswith(breed)][:count]]


def test_breeds_are_facets_and_feature_images_are_like_them(data: Path, no_trace: NoTrace) -> None:
    photos = pets(data, 5)
    model = network("resnet18")
    schedule = Schedule((Octave(0.6, 24),), rate=3.0, check=12, patience=0)
    with no_trace(model.module):
        feature_images = foveal.visualize(
            model, [str(photo) for photo in photos], layer="layer4", facets=3, schedule=schedule
        )
    dogs = [facet for facet in feature_images.facets if all(i >= 10 for i in facet.members)]
    assert dogs, "no facet is of dogs alone"
    for one in feature_images:
        assert one.loss < one.curve[0][1] and one.fit > one.fit_before
    assert feature_images.retrieval() == 1
    assert transfer(feature_images, network("squeezenet1_1")).share >= 2 / 3
