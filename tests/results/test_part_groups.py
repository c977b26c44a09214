"""Parts found again: what is the same, and what is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from foveal.results.part_groups import UNKNOWN, alike, grouped, least_alike


def planted(images: int, kinds: int, seed: int = 0) -> tuple[list[torch.Tensor], np.ndarray, np.ndarray]:
    """Noisy profiles of `kinds` parts over 20 channels in each image, in another order in each; images; the truth."""
    random = torch.Generator().manual_seed(seed)
    centers = torch.rand(kinds, 20, generator=random) ** 6
    profiles, owner, truth = [], [], []
    for image in range(images):
        for kind in torch.randperm(kinds, generator=random).tolist():
            profiles.append(centers[kind] * (0.5 + torch.rand(20, generator=random)) * 10 ** (image - 2))
            owner.append(image)
            truth.append(kind)
    return profiles, np.array(owner), np.array(truth)


def test_alike_is_bhattacharyya_s_coefficient_whatever_the_size() -> None:
    a, b = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([4.0, 0.0, 12.0])
    table = alike([a, b, 7 * a, torch.zeros(3)])
    assert table[0, 1] == pytest.approx((0.25 * 0.25) ** 0.5)
    assert table[0, 2] == pytest.approx(1) and not table[3].any()


def test_planted_parts_are_found_again_whatever_their_order() -> None:
    profiles, images, truth = planted(6, 4)
    table = alike(profiles)
    found = grouped(table, images, least_alike(table, images))
    assert {(int(a), int(b)) for a, b in zip(found, truth, strict=True)} == {
        (int(found[truth == kind][0]), kind) for kind in range(4)
    }
    order = np.random.default_rng(0).permutation(len(images))
    again = grouped(table[np.ix_(order, order)], images[order], least_alike(table, images))
    same, mixed = (labels[:, None] == labels for labels in (found[order], again))
    np.testing.assert_array_equal(same, mixed)


def test_a_group_has_one_part_of_an_image_and_is_alike_enough() -> None:
    """Also where parts of one image are more alike than any of different images."""
    random = np.random.default_rng(1)
    images = np.repeat(np.arange(5), 4)
    table = random.random((20, 20))
    table = (table + table.T) / 2
    table[images[:, None] == images] = 1
    groups = grouped(table, images, 0.55)
    for group in set(groups.tolist()):
        members = np.flatnonzero(groups == group)
        assert len(set(images[members])) == len(members)
    assert 5 <= len(set(groups.tolist())) < 20
    assert len(set(grouped(table, images, 1.1).tolist())) == 20


def test_groups_are_those_of_average_linkage_where_every_part_is_of_another_image() -> None:
    """SciPy's linkage knows no parts that must stay apart; where there are none, both say the same."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    table = alike(list(torch.rand(12, 5, generator=torch.Generator().manual_seed(2)) ** 3))
    distance = 1 - table
    np.fill_diagonal(distance, 0)
    for least in (0.6, 0.8, 0.9, 0.97):
        slow = fcluster(linkage(squareform(distance, checks=False), "average"), 1 - least, "distance")
        fast = grouped(table, np.arange(12), least)
        np.testing.assert_array_equal(slow[:, None] == slow, fast[:, None] == fast)


def test_the_least_is_the_median_of_pairs_within_images() -> None:
    table, images = (
        alike(list(torch.rand(7, 4, generator=torch.Generator().manual_seed(3)))),
        np.array([0, 0, 0, 1, 1, 2, 3]),
    )
    within = [table[a, b] for a, b in itertools.combinations(range(7), 2) if images[a] == images[b]]
    assert least_alike(table, images) == pytest.approx(float(np.median(within)))
    assert least_alike(table, np.arange(7)) == UNKNOWN
