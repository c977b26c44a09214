"""Tables as CSV: numbers exactly, text in a form that no spreadsheet takes for a formula, and both back again."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

Cell = str | float | int | None
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""Text that begins so is computed by one spreadsheet or another."""
CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r\n]*+))(,|\r?\n|\Z)')
QUOTED = re.compile(r'[",;\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029\x00]|^\s|\s$')


def line(cells: Iterable[Cell]) -> str:
    """One row, with its end. None and numbers that are undefined are empty cells."""
    return ",".join(map(_written, cells)) + "\n"


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row that has any, as they were before they were written; numbers as text.

    Raises:
        ValueError: for what is no table.
    """
    at, row = 0, list[str]()
    while at < len(text):
        match = CELL.match(text, at)
        if match is None:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1} is not a row of a table")
        quoted, plain, end = match.groups()
        row.append(_read(plain if quoted is None else quoted.replace('""', '"')))
        at = match.end()
        if end != ",":
            if row != [""]:
                yield row
            row = []
    if row:
        yield [*row, ""]


def number(cell: str) -> float:
    """Of a cell; an empty one is not a number."""
    return float(cell) if cell else math.nan


def _read(cell: str) -> str:
    return cell.removeprefix("'")


def _written(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if not isinstance(cell, str):
        return repr(float(cell)) if isinstance(cell, float) else str(cell)
    # A leading apostrophe is how spreadsheets themselves mark text; one that was there gets another.
    text = f"'{cell}" if cell.startswith((*FORMULA, "'")) else cell
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text
