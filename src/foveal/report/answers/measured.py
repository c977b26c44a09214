"""Tables of what was measured, with what a reader must know of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from foveal.report.answers.wire import Pair, Wire


class MeasuredCell(Wire):
    """A number as it is written, and where it lies on the scale of its column.

    Attributes:
        value: None where it is undefined or not measured; such cells stand at the end when a table is sorted.
        low, high: the ends of its interval.
        best: no other row is better, as far as can be said.
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    best: bool = False


class MeasuredColumn(Wire):
    """One measure.

    Attributes:
        ends: of its scale, the same for all rows; None draws none.
        better: the direction in which it is better, where there is one.
        reference: a value to compare with, such as chance; `reference_name` says what it is.
    """

    title: str
    about: str = ""
    ends: Pair | None = None
    better: Literal["higher", "lower"] | None = None
    reference: float | None = None
    reference_name: str = ""


class MeasuredRow(Wire):
    """A name and a cell a column.

    Attributes:
        photo: the hash of the photo that the row is about.
        aside: a map that ignores the network, to compare with.
    """

    name: str
    cells: list[MeasuredCell]
    about: str = ""
    photo: str = ""
    aside: bool = False


class MeasuredTable(Wire):
    """Rows under their columns.

    Attributes:
        rows_are: what a row is: "method", "image".
        notes: what the numbers are, a sentence each.
    """

    title: str
    rows_are: str
    columns: list[MeasuredColumn]
    rows: list[MeasuredRow]
    notes: list[str] = Field(default_factory=list)


class Said(Wire):
    """Something and what is said of it: a word and its meaning, a number and what it counts."""

    what: str
    says: str


class MeasuredAnswer(Wire):
    """The tables of a page, and what stands around them.

    Attributes:
        highlights: a few numbers, with a line each.
        caveats: how to read maps and numbers, a sentence each.
        terms: words and their meanings.
        provenance: how to make the page again.
    """

    title: str
    intro: str
    highlights: list[Said] = Field(default_factory=list)
    tables: list[MeasuredTable] = Field(default_factory=list)
    caveats: list[str] = Field(default_factory=list)
    terms: list[Said] = Field(default_factory=list)
    provenance: list[Said] = Field(default_factory=list)
