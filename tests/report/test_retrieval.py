"""The page of queries and their matches: what it shows, and names that are no HTML."""

from __future__ import annotations

import re

import torch
from torch import nn

import foveal
from foveal.images import Photo, load_images
from foveal.report.retrieval import retrieval_page

NAMES = ["<script>alert(1)</script>", "b & c", "d"]


def retrieved(labeled: bool = True) -> foveal.Retrieval:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    given = {"query_labels": NAMES[:2] * 4 + NAMES[2:], "reference_labels": NAMES[:2] * 6} if labeled else {}
    return foveal.retrieve(net, torch.rand(9, 3, 16, 16), torch.rand(12, 3, 16, 16), show=3, draws=2, **given)  # type: ignore[arg-type]


def photo(name: str) -> Photo:
    return load_images(torch.rand(3, 16, 16)).photos[0]


def test_every_query_has_a_row_and_the_shown_ones_have_maps() -> None:
    found = retrieved()
    assert 0 < len(found.wrong) < len(found.counted) == 8
    page = retrieval_page(found, photo, sheets={found.contrasts[0].query: "a b/match.png"}, side=64)
    kinds = re.findall(r'data-kind="(\w+)"', page)
    assert sorted(kinds) == sorted(["wrong"] * len(found.wrong) + ["right"] * (8 - len(found.wrong)) + ["unknown"])
    assert page.count('<b title="margin map"') == 3 and page.count('<b title="to hide"') == min(3, len(found.wrong))
    assert "a%20b/match.png" in page and found.summary[1:] in page
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http:" not in page and "https:" not in page


def test_without_labels_it_lists_the_first_references() -> None:
    page = retrieval_page(retrieved(labeled=False), photo, side=64)
    assert page.count("<article") == 9 and page.count("<figure>") == 9 * 6 and "<select" not in page
