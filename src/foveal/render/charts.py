"""Small charts as inline SVG: drawn in the page's own type and ink, readable without color."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from foveal.render.scale import number


@dataclass(frozen=True)
class Bar:
    """One value; `marked` ones are named in bold, with a dot."""

    label: str
    value: float
    marked: bool = False


@dataclass(frozen=True)
class Bars:
    """A bar a value, from zero to the right or to the left.

    percent     values are shares in 0..1 and the axis ends at 1; else the axis ends at the largest value.
    """

    title: str
    bars: tuple[Bar, ...]
    caption: str = ""
    percent: bool = False


@dataclass(frozen=True)
class Score:
    """A measured value, with the ends of its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Column:
    """A measure: its name, its scale, which direction is better, and a value to compare with, such as chance."""

    title: str
    about: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    percent: bool = False
    higher_is_better: bool = True
    reference: float | None = None
    reference_name: str = "chance"


# Of a bar chart, in its own units: line height, whole width, room for a value, width of a letter of a label.
ROW, WIDTH, VALUE, LETTER = 22, 420, 58, 8.2


def bar_chart(chart: Bars) -> str:
    """The bars as an <svg>, with its content said in an aria-label."""
    measured = [bar.value for bar in chart.bars if math.isfinite(bar.value)]
    low, high = min([0.0, *measured]), max([0.0, *measured])
    high = high if low < high else 1.0
    if chart.percent:
        low, high = 0.0, 1.0
    label = 18 + LETTER * max([6, *(len(bar.label) for bar in chart.bars)])
    left, right = min(label, WIDTH / 2) + (VALUE if low < 0 else 0), WIDTH - VALUE
    zero = left + (0 - low) / (high - low) * (right - left)
    height = ROW * len(chart.bars) + 4
    texts = [_shown(bar.value, chart.percent, max(high, -low)) for bar in chart.bars]
    lines = [
        _bar(bar, text, i * ROW + 2, zero, zero + _finite(bar.value) / (high - low) * (right - left))
        for i, (bar, text) in enumerate(zip(chart.bars, texts, strict=True))
    ]
    said = "; ".join(f"{bar.label} {text}" for bar, text in zip(chart.bars, texts, strict=True))
    return (
        f'<svg class="bars" role="img" viewBox="0 0 {WIDTH} {height}" '
        f'aria-label="{escape(f"{chart.title}: {said}", quote=True)}">{"".join(lines)}'
        f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/></svg>'
    )


def interval_chart(score: Score, column: Column) -> str:
    """A dot on the column's scale, with its interval and the reference as a fine line."""
    wide, high = 150, 22

    def x(value: float) -> float:
        low, top = column.limits
        return 5 + (min(max(value, low), top) - low) / (top - low) * (wide - 10)

    parts = [f'<line class="axis" x1="5" x2="{wide - 5}" y1="11" y2="11"/>']
    if column.reference is not None:
        at = x(column.reference)
        parts.append(f'<line class="reference" x1="{at:.1f}" x2="{at:.1f}" y1="1" y2="{high - 1}"/>')
    if score.low is not None and score.high is not None:
        parts.append(f'<line class="range" x1="{x(score.low):.1f}" x2="{x(score.high):.1f}" y1="11" y2="11"/>')
    parts.append(f'<circle class="dot" cx="{x(score.value):.1f}" cy="11" r="4"/>')
    return f'<svg class="interval" aria-hidden="true" viewBox="0 0 {wide} {high}">{"".join(parts)}</svg>'


def score_text(score: Score, column: Column) -> str:
    """The value as a reader wants it: 83 % or 0.71."""
    return f"{100 * score.value:.0f} %" if column.percent else f"{score.value:.2f}".replace("-", "−")


def score_range(score: Score, column: Column) -> str:
    """The interval in words, for a tooltip; empty if there is none."""
    if score.low is None or score.high is None:
        return ""
    low, high = (score_text(Score(end), column) for end in (score.low, score.high))
    return f"{low} to {high}"


def _bar(bar: Bar, text: str, y: float, zero: float, end: float) -> str:
    x, width = min(zero, end), max(abs(end - zero), 0.8)
    kind = "against" if bar.value < 0 else "favor"
    beside, anchor = (end - 6, "end") if bar.value < 0 else (end + 6, "start")
    middle = y + ROW / 2 + 0.5
    name = escape(bar.label)
    marked = ' class="marked"' if bar.marked else ""
    dot = f'<circle class="mark" cx="4" cy="{middle}" r="3.5"/>' if bar.marked else ""
    return (
        f'{dot}<text{marked} x="14" y="{middle}">{name}</text>'
        f'<rect class="{kind}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}" rx="2"/>'
        f'<text class="value" x="{beside:.1f}" y="{middle}" text-anchor="{anchor}">{text}</text>'
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _shown(value: float, percent: bool, largest: float) -> str:
    """The value with as many decimals as the chart's largest value needs for three digits."""
    if not math.isfinite(value):
        return "not measured"
    if percent:
        return f"{100 * value:.1f} %"
    if not 1e-3 <= largest < 1e5:
        return number(value).replace("-", "−")
    return f"{value:.{max(0, 2 - math.floor(math.log10(largest)))}f}".replace("-", "−")
