"""What a page is told of matches: the numbers of the result, whether it was computed now or loaded."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import foveal
from foveal.report.answers.match import MatchAnswer, match_answer
from foveal.report.answers.ranks import contrast_answer, ranks_answer
from tests.networks import Tiny, tiny

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.report.answers.wire import MapAnswer


def images(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 20, 24, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> Tiny:
    return tiny(3)


def values(map: MapAnswer) -> np.ndarray:
    halves = np.frombuffer(base64.b64decode(map.values), "<f2").astype(float)
    return halves.reshape(map.rows, map.columns) * map.scale


def test_a_match_is_told_as_python_has_it(network: Tiny) -> None:
    pair = foveal.match(network, images(1, 0), images(3, 1), lines=4, weights="linear", parts=2)
    answer = match_answer(pair, 0, 2)
    assert answer.value == pytest.approx(pair.value(0, 2)) and answer.metric == "cosine" and answer.adds_up
    for told, map in ((answer.query_map, pair.query_maps), (answer.reference_map, pair.reference_maps)):
        np.testing.assert_allclose(values(told), map[0, 2], atol=1e-3 * float(map[0, 2].abs().max()))
        assert told.total == pytest.approx(answer.value - (answer.unplaced or 0), abs=1e-5)
    assert len(answer.lines) == 4
    for line, row in zip(answer.lines, pair.places[0, 2].tolist(), strict=True):
        assert (*line.query, *line.reference) == tuple(row[:4]) and line.value == pytest.approx(row[4])
    assert answer.held == pytest.approx(float(pair.places[0, 2, :, 4].sum()) / answer.value)
    shares = [channel.share for channel in answer.channels]
    assert shares == sorted(shares, key=abs, reverse=True)
    assert shares[0] == pytest.approx(float(pair.shares(0, 2)[answer.channels[0].index]))
    assert [part.share for part in answer.parts] == [pytest.approx(part.share) for part in pair.parts(0, 2)]


def test_a_saved_match_gives_the_same_answer(network: Tiny, tmp_path: Path) -> None:
    pair = foveal.match(network, images(1, 0), images(2, 1), parts=2)
    pair.save(tmp_path / "match")
    loaded = foveal.Match.load(tmp_path / "match")
    assert match_answer(loaded, 0, 1) == match_answer(pair, 0, 1)
    assert MatchAnswer.model_validate_json(match_answer(pair).model_dump_json()) == match_answer(pair)


def test_a_distance_has_its_own_number_and_no_lines(network: Tiny) -> None:
    pair = foveal.match(network, images(1, 0), images(2, 1), metric="euclidean")
    answer = match_answer(pair)
    assert answer.distance and answer.value > 0 and not answer.lines
    assert answer.held is None and answer.unplaced is None
    ranks = ranks_answer(pair, ["a", "b"])
    assert [one.value for one in ranks.ranked] == sorted(one.value for one in ranks.ranked)


def test_a_contrast_of_a_retrieval(network: Tiny) -> None:
    found = foveal.retrieve(
        network, images(1, 0), images(2, 1), query_labels=["a"], reference_labels=["a", "b"], show=1, draws=0
    )
    contrast = found.contrasts[0]
    answer = contrast_answer(contrast, found)
    np.testing.assert_allclose(values(answer.query_map), contrast.query_map, atol=2e-3 * answer.query_map.scale)
    assert answer.margin == pytest.approx(answer.values[0] - answer.values[1])
    assert answer.query_map.total == pytest.approx(answer.margin - answer.unplaced, abs=1e-6)
    assert [one.photo for one in ranks_answer(found, ["a", "b"]).ranked] == ["ab"[j] for j in found.ranking(0)]
