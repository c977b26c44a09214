"""What is written as JSON or CSV comes back equal, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.storage import table
from foveal.storage.plain import from_json, to_json

KEYS = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["$number", "$pairs", "$data"]))
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), KEYS),
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.dictionaries(KEYS, inside, max_size=4),
        st.dictionaries(st.one_of(st.integers(), st.none(), KEYS), inside, max_size=3),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@given(PLAIN)
def test_plain_data_comes_back(value: Any) -> None:
    text = to_json(value)
    assert same(from_json(text), value)
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", [print], {"a": {"b": 1j}}])
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        to_json(value)


CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(
        ["=1+1", "+x", "-x", "@x", "'", "'=x", '"', "a,b", "\r", "\n", "\u2028", "\x85", " ", "\t=", "＝1"]
    ),
)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=5))
def test_cells_come_back_and_none_is_a_formula(rows: list[list[str]]) -> None:
    text = "".join(map(table.line, rows))
    assert list(table.rows(text)) == rows
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(row) for row in read] == [len(row) for row in rows]
    assert not any(cell.startswith(table.FORMULA) for row in read for cell in row)


@given(st.lists(st.floats(), min_size=2))
def test_numbers_come_back_exactly(values: list[float]) -> None:
    ((*cells,),) = table.rows(table.line(values))
    assert all(same(table.number(cell), value) for cell, value in zip(cells, values, strict=True))


def test_what_is_no_table_is_an_error_at_once() -> None:
    for text in ('a,"b', 'a"b,c\n', 'a,"' + "x" * 200_000, '"a"b\n'):
        with pytest.raises(ValueError, match="line 1 is not a row"):
            list(table.rows(text))
    assert list(table.rows("a,b\r\n\n1,2")) == [["a", "b"], ["1", "2"]]
    assert list(table.rows("a,\n,\n")) == [["a", ""], ["", ""]]
