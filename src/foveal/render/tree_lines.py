"""Lines between features, each with an end of its own."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from foveal.render.overlay import PAPER

if TYPE_CHECKING:
    from foveal.render.page_layout import Page, Point

K = TypeVar("K", bound=Hashable)
FLOW, DOUBT, AGAINST = (96, 128, 168), (190, 92, 70), (42, 107, 224)
FOR, UNCONFIRMED = (232, 122, 12), (168, 168, 174)  # of parts
THICKEST = 9  # pixels
APART = 3  # pixels between lines


@dataclass(frozen=True)
class Line:
    """From a parent to a child, `width` pixels wide."""

    parent: Hashable
    child: Hashable
    color: tuple[int, int, int]
    width: float


def draw_lines(
    page: Page, lines: Sequence[Line], below: Mapping[Any, Point], above: Mapping[Any, Point], *, room: float
) -> None:
    """The thin ones first, each with an edge of paper, so that those that cross stand apart.

    Args:
        page: to draw on.
        lines: between keys of `below` and `above`.
        below: where the lines of a parent begin.
        above: where those to a child end.
        room: pixels for the ends at one feature.
    """
    starts = _ends(lines, below, above, room, down=True)
    stops = _ends(lines, below, above, room, down=False)
    for line, x0, x1 in sorted(zip(lines, starts, stops, strict=True), key=lambda drawn: drawn[0].width):
        start, stop = (x0, below[line.parent][1]), (x1, above[line.child][1])
        page.line(start, stop, PAPER, line.width + APART)
        page.line(start, stop, line.color, line.width)


def untangled(rows: Sequence[Sequence[K]], links: Mapping[tuple[K, K], float]) -> list[list[K]]:
    """The rows with each key as nearly below those that it is linked to as can be, so that fewer lines cross.

    Args:
        rows: of keys, from above; the first stays as it is.
        links: (parent, child) -> how much the place below this parent counts.
    """
    ordered = [list(row) for row in rows[:1]]
    for row in rows[1:]:
        above = ordered[-1]
        places = {key: _mean_place([links.get((parent, key), 0.0) for parent in above]) for key in row}
        ordered.append(sorted(row, key=places.__getitem__))
    return ordered


def _mean_place(weights: Sequence[float]) -> float:
    """Σ k w_k / Σ w_k; far to the right where there is none."""
    total = sum(weights)
    return sum(k * weight for k, weight in enumerate(weights)) / total if total else float(len(weights))


def _ends(
    lines: Sequence[Line], below: Mapping[Any, Point], above: Mapping[Any, Point], room: float, *, down: bool
) -> list[float]:
    """Where each line begins (or ends): those of one feature side by side, in the order of where they lead."""
    ends = [0.0] * len(lines)
    for key in {line.parent if down else line.child for line in lines}:
        own = [k for k, line in enumerate(lines) if (line.parent if down else line.child) == key]
        own.sort(key=lambda k: above[lines[k].child][0] if down else below[lines[k].parent][0])
        wide = sum(lines[k].width + APART for k in own)
        squeezed = min(1.0, room / wide)
        x = (below if down else above)[key][0] - wide * squeezed / 2
        for k in own:
            ends[k] = x + (lines[k].width + APART) * squeezed / 2
            x += (lines[k].width + APART) * squeezed
    return ends
