"""Groups, rivals and corpora on trained networks and photos."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from tests import real_networks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real
DOGS, CATS = range(151, 269), range(281, 286)


def test_dogs_are_a_group_that_is_found_on_dogs_and_not_on_cats(data: Path) -> None:
    """And its evidence lies on the animal, more than the animal's share of the photo."""
    model = real_networks.resnet50()
    folder = data / "images" / "pets"
    dogs = sorted(folder.glob("american_bulldog*.jpg"))[:6]
    cats = sorted(folder.glob("Abyssinian*.jpg"))[:6]
    on_dogs = foveal.explain(model, dogs, foveal.Group(DOGS, "dog"), task="classes")
    on_cats = foveal.explain(model, cats, foveal.Group(DOGS, "dog"), task="classes")
    cat = foveal.explain(model, cats, foveal.Group(CATS, "cat"), task="classes")
    assert on_dogs.probability is not None and on_cats.probability is not None and cat.probability is not None
    assert float(on_dogs.probability.median()) > 0.9 > 0.1 > float(on_cats.probability.median())
    assert int((cat.probability > on_cats.probability).sum()) >= 5
    marked, area = [], []
    for one, path in zip(on_dogs, dogs, strict=True):
        trimap = np.asarray(Image.open(path.with_name(f"{path.stem}_trimap.png")))
        fine = np.nan_to_num(one.photos[0].geometry.map_to_photo(one.map[0].relu().numpy()))
        animal = trimap != 2
        marked.append(fine[animal].sum() / fine.sum())
        area.append(animal.mean())
    assert np.mean(marked) > np.mean(area)


def test_rivals_of_a_bird_are_the_classes_that_score_next(data: Path) -> None:
    """And the map is the class's less theirs, on a trained network."""
    model = real_networks.birds()
    folder = data / "images" / "birds"
    with (folder / "index.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if int(row["inat_bird_class"]) >= 0)
    photo, index = folder / row["file"], int(row["inat_bird_class"])
    why = foveal.explain(model, photo, foveal.Against(index), method="hirescam", task="classes")
    (rivals,) = why.target_spec["rivals"]
    with torch.no_grad():
        logits = model.module(foveal.images.load_images(photo, model.preprocessing).tensor)[0]
    others = logits.clone()
    others[index] = -torch.inf
    assert rivals == others.topk(3).indices.tolist()
    own, *theirs = (foveal.explain(model, photo, k, method="hirescam").map for k in (index, *rivals))
    torch.testing.assert_close(why.map, own - 0.6 * torch.stack(theirs).mean(0), rtol=1e-3, atol=1e-3)


def test_a_person_is_more_like_itself_than_like_others(data: Path) -> None:
    """The same person from the other side, less three others: the score is above zero for most."""
    model = real_networks.osnet()
    folder = data / "images" / "persons"
    people = sorted({path.name[:3] for path in folder.glob("*_c1_1.jpg")})[:6]
    scores = []
    for k, person in enumerate(people):
        others = [folder / f"{people[(k + step) % 6]}_c2_1.jpg" for step in (1, 2, 3)]
        like = [folder / f"{person}_c2_{i}.jpg" for i in (1, 2, 3)]
        why = foveal.explain(model, folder / f"{person}_c1_1.jpg", foveal.Corpus(like, others), method="fam")
        scores.append(float(why.score[0]))
    assert np.mean(np.array(scores) > 0) >= 5 / 6
