from __future__ import annotations

import re
import xml.etree.ElementTree as xml

import pytest

from foveal.render.charts import Bar, Bars, Column, Score, bar_chart, interval_chart, score_range, score_text

MIXED = Bars("effects", (Bar("beak", 4.0, marked=True), Bar("tail <x>", 1.0), Bar("eye", -2.0)))


def bars(chart: Bars) -> list[dict[str, str]]:
    return [rect.attrib for rect in xml.fromstring(bar_chart(chart)).iter("rect")]


def test_bars_are_as_long_as_their_values() -> None:
    beak, tail, eye = bars(MIXED)
    assert float(beak["width"]) == pytest.approx(4 * float(tail["width"]), abs=0.3)
    assert float(eye["width"]) == pytest.approx(2 * float(tail["width"]), abs=0.3)
    assert float(eye["x"]) + float(eye["width"]) == pytest.approx(float(beak["x"]), abs=0.2)  # zero
    assert (beak["class"], eye["class"]) == ("favor", "against")


def test_everything_stays_inside_of_the_drawing() -> None:
    for chart in (MIXED, Bars("t", (Bar("a" * 60, -3.0),)), Bars("t", (Bar("a", 0.0),)), Bars("t", ())):
        svg = xml.fromstring(bar_chart(chart))
        width = float(svg.attrib["viewBox"].split()[2])
        for rect in svg.iter("rect"):
            assert float(rect.attrib["x"]) >= 0 and float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width


def test_shares_are_drawn_against_the_whole() -> None:
    half = bars(Bars("p", (Bar("a", 0.5),), percent=True))[0]
    whole = bars(Bars("p", (Bar("a", 1.0),), percent=True))[0]
    assert float(whole["width"]) == pytest.approx(2 * float(half["width"]), abs=0.2)


def test_the_chart_is_said_in_words_too() -> None:
    svg = xml.fromstring(bar_chart(MIXED))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == "effects: beak 4.00; tail <x> 1.00; eye −2.00"
    assert [text.text for text in svg.iter("text") if text.get("class") == "marked"] == ["beak"]


@pytest.mark.parametrize(
    ("value", "text"), [(1234.0, "1234"), (0.0123, "0.0123"), (2e-7, "2.0e−7"), (9e9, "9.0e9"), (56.78, "56.8")]
)
def test_values_have_three_digits(value: float, text: str) -> None:
    assert f"a {text}" in bar_chart(Bars("t", (Bar("a", value),)))


def dot(score: Score, column: Column) -> float:
    found = re.search(r'class="dot" cx="([\d.]+)"', interval_chart(score, column))
    assert found is not None
    return float(found[1])


def test_scores_share_their_columns_scale() -> None:
    column = Column("hit rate", limits=(0, 2), reference=1)
    assert dot(Score(1), column) == pytest.approx((dot(Score(0), column) + dot(Score(2), column)) / 2)
    assert dot(Score(9), column) == dot(Score(2), column)  # what lies beyond stays on the axis
    assert 'class="reference"' in interval_chart(Score(1), column)
    assert 'class="range"' in interval_chart(Score(1, 0.5, 1.5), column)
    assert 'class="range"' not in interval_chart(Score(1), column)


def test_scores_as_text() -> None:
    share, plain = Column("a", percent=True), Column("b")
    assert score_text(Score(0.834), share) == "83 %" and score_text(Score(-0.5), plain) == "−0.50"
    assert score_range(Score(0.5, 0.4, 0.6), share) == "40 % to 60 %" and score_range(Score(0.5), share) == ""


def test_a_bar_that_could_not_be_measured_says_so() -> None:
    chart = Bars("t", (Bar("a", float("nan")), Bar("b", 2.0)))
    assert "not measured" in bar_chart(chart) and "nan" not in bar_chart(chart)
    assert float(bars(chart)[0]["width"]) < 1
