"""Splits: balanced, disjoint, the same in any order and any number of workers, with their planted answers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from foveal.synthetic import SPLITS, SceneError, Split
from foveal.synthetic.backgrounds import BACKGROUNDS


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_a_sequence_of_examples_in_any_order(name: str) -> None:
    split = Split(name, 6)  # type: ignore[arg-type]
    forwards = [example.image for example in split]
    backwards = [split[i].image for i in reversed(range(6))][::-1]
    assert all((one == other).all() for one, other in zip(forwards, backwards, strict=True))
    assert len(split) == len(forwards) == 6
    assert (split[-1].image == forwards[-1]).all()
    with pytest.raises(IndexError):
        split[6]


@pytest.mark.parametrize("name", SPLITS)
def test_classes_are_balanced_and_named(name: str) -> None:
    split = Split(name, 360)  # type: ignore[arg-type]
    counts = Counter(split.target(i) for i in range(360))
    assert set(counts) == set(range(len(split.classes)))
    assert len(set(counts.values())) == 1
    assert all(split.scene(i).class_name == split.classes[split.target(i)] for i in range(0, 360, 7))


def test_training_test_and_seeds_are_disjoint() -> None:
    kinds = [Split("classes", 3000), Split("classes", 3000, train=True), Split("classes", 3000, seed=1)]
    seeds = [{split.scene(i).seed for i in range(3000)} for split in kinds]
    assert len(seeds[0] | seeds[1] | seeds[2]) == pytest.approx(9000, abs=3)


def test_the_shortcut_tells_in_training_and_only_there() -> None:
    kinds = tuple(BACKGROUNDS)
    train, test = Split("shortcut", 2000, train=True), Split("shortcut", 2000)
    expected = [kinds[train.target(i) % 5] for i in range(2000)]
    told = np.mean([train.scene(i).backdrop.kind == expected[i] for i in range(2000)])
    chance = np.mean([test.scene(i).backdrop.kind == expected[i] for i in range(2000)])
    assert told == pytest.approx(0.95 + 0.05 / 5, abs=0.02)  # four standard deviations
    assert chance == pytest.approx(0.2, abs=0.04)


def test_siblings_have_different_telling_backgrounds() -> None:
    train = Split("shortcut", 400, train=True)
    common = [Counter(train.scene(i).backdrop.kind for i in range(k, 400, 20)).most_common(1)[0][0] for k in range(20)]
    assert all(one != other for one, other in zip(common[::2], common[1::2], strict=True))


def test_individuals_change_cameras() -> None:
    split = Split("individuals", 180)
    for i in range(5):
        first, second = split.scene(i), split.scene(i + 90)
        assert first.individual_marks == second.individual_marks
        assert first.light.warmth <= 0 <= second.light.warmth
        assert first.camera != second.camera


def test_an_unknown_split_is_an_error() -> None:
    with pytest.raises(SceneError, match=r"no split is called 'cats'.*novel"):
        Split("cats")  # type: ignore[arg-type]


def test_worker_processes_draw_the_same() -> None:
    from torch.utils.data import DataLoader

    from foveal.synthetic.dataset import SplitDataset

    data = SplitDataset(Split("classes", 12))
    here = [(image.numpy(), target) for image, target in (data[i] for i in range(12))]
    there = [pair for batch in DataLoader(data, batch_size=4, num_workers=2) for pair in zip(*batch, strict=True)]
    for (image, target), (image2, target2) in zip(here, there, strict=True):
        assert (image == image2.numpy()).all()
        assert target == target2
