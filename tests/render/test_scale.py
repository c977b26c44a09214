from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.render.color import diverging, sequential
from foveal.render.scale import Scale, choose_scale, nothing_to_show, number


@pytest.mark.parametrize(
    ("values", "sign", "limit"),
    [
        ([0, 1, 2], "positive", 2),
        ([-0.1, 0, 2], "positive", 2),  # a trace of negative is no second color
        ([-1, 0, 2], "signed", 2),
        ([-3, 0, 2], "signed", 3),
        ([-3, -1], "signed", 3),
        ([0, 0], "positive", 1),
        ([np.nan, 5], "positive", 5),
        ([np.nan], "positive", 1),
    ],
)
def test_the_automatic_scale(values: list[float], sign: str, limit: float) -> None:
    assert choose_scale(np.array(values, dtype=float)) == Scale(sign, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", ["positive", "negative", "signed"])
def test_a_robust_scale_is_not_ruled_by_a_few_cells(sign: Any) -> None:
    values = np.zeros(10_000)
    values[:500] = -np.arange(500) if sign == "negative" else np.arange(500)
    values[0] = -1e6 if sign == "negative" else 1e6
    robust = choose_scale(values, sign=sign, limit="robust")
    assert robust.limit == pytest.approx(490, abs=2)  # 98 % of the 500 that are shown
    assert robust.exceeded_by(values) == (False, True)
    assert choose_scale(np.zeros(3), limit="robust").limit == 1


@given(st.floats(1e-300, 1e300), st.sampled_from(["positive", "negative", "signed"]))
def test_no_magnitude_is_too_small_or_too_large(size: float, sign: Any) -> None:
    values = np.array([-size, 0, size])
    colors = choose_scale(values, sign=sign).color(values)
    np.testing.assert_array_equal(colors, Scale(sign, 1.0).color(np.array([-1.0, 0, 1])))


@pytest.mark.parametrize("sign", ["positive", "negative", "signed"])
def test_ends_of_the_table_are_ends_of_the_scale(sign: Any) -> None:
    scale = Scale(sign, 2.0)
    bottom, top = scale.ends
    colors = scale.color(np.array([bottom, top]))
    np.testing.assert_array_equal(colors, scale.table[[0, 255]])
    np.testing.assert_array_equal(scale.place(np.array([bottom, top, 9 * top])), [0, 1, 1])


def test_negative_evidence_is_blue_wherever_it_is_shown() -> None:
    strongest = np.array([-2.0])
    np.testing.assert_array_equal(Scale("negative", 2.0).color(strongest), diverging()[:1])
    np.testing.assert_array_equal(Scale("signed", 2.0).color(strongest), diverging()[:1])
    np.testing.assert_array_equal(Scale("positive", 2.0).color(strongest), sequential()[:1])


@given(st.floats(-10, 10), st.floats(0.01, 10))
def test_strength_is_the_shown_share(value: float, limit: float) -> None:
    v = np.array([value])
    share = {"positive": value / limit, "negative": -value / limit, "signed": abs(value) / limit}
    for sign, expected in share.items():
        found = Scale(sign, limit).strength(v)[0]  # type: ignore[arg-type]
        assert found == pytest.approx(np.clip(expected, 0, 1), abs=1e-5)


def test_a_fixed_limit_knows_what_it_cuts_off() -> None:
    values = np.array([-3.0, 0.5, np.nan])
    assert Scale("positive", 1.0).exceeded_by(values) == (False, False)
    assert Scale("positive", 0.4).exceeded_by(values) == (False, True)
    assert Scale("negative", 2.0).exceeded_by(values) == (False, True)
    assert Scale("signed", 1.0).exceeded_by(values) == (True, False)
    assert choose_scale(values).exceeded_by(values) == (False, False)


@pytest.mark.parametrize(
    ("values", "sign", "words"),
    [
        ([0.0, 0.0], "auto", "all values are zero"),
        ([0.0, np.nan], "auto", "1 of 2 values are not numbers"),
        ([1.0, np.inf], "auto", "not numbers"),
        ([-2.0, -1.0], "positive", "no positive evidence: all values lie in -2 to -1"),
        ([2.0, 1.0], "negative", "no negative evidence"),
    ],
)
def test_what_would_be_blank_is_said(values: list[float], sign: Any, words: str) -> None:
    found = nothing_to_show(np.array(values), choose_scale(np.array(values), sign=sign))
    assert found is not None and words in found


def test_what_can_be_shown_is_not_commented_on() -> None:
    for values in ([-2.0, -1.0], [1.0, 1.0], [0.0, 1e-20]):
        assert nothing_to_show(np.array(values), choose_scale(np.array(values))) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1.2345, "1.23"), (-0.5, "-0.5"), (12345.6, "12346"),
        (0.00012, "1.2e-4"), (float("nan"), "nan"), (float("-inf"), "-inf"),
        (3e9, "3.0e9"), (999.6, "1000"), (1234, "1234"),
    ],
)  # fmt: skip
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text
