"""Hiding the positions that a map marks most."""

from __future__ import annotations

import torch

from foveal.metrics.hidden_share import marked, score_without


def test_exactly_the_share_is_marked() -> None:
    map = torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    where = marked(map, 0.1)
    assert int(where.sum()) == 10
    assert map[where].min() > map[~where].max()


def test_what_speaks_against_is_never_marked() -> None:
    map = -torch.ones(10, 10)
    map[3, 4] = 2.0
    assert marked(map, 0.1).nonzero().tolist() == [[3, 4]]


def test_the_score_is_that_of_the_image_without_them() -> None:
    x = torch.arange(64.0).view(1, 1, 8, 8) + 1
    where = torch.zeros(4, 4, dtype=torch.bool)
    where[0, 1] = True  # two by two pixels
    expected = x.clone()
    expected[0, 0, :2, 2:4] = 0
    assert score_without(lambda copies: copies.sum((1, 2, 3)), x, where) == float(expected.sum())
