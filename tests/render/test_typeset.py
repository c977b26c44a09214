"""Tables to paste: what Markdown, HTML and LaTeX make of them is what was in them, whatever names hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.render.typeset import TextCell, TypesetTable, latex

HOSTILE = "a_b & 50% #1 {x} $y$ ~ ^ \\z | *c* <i>"
TABLE = TypesetTable(
    f"Title {HOSTILE}",
    ("method", f"m_1 ↓ {HOSTILE}"),
    (
        (TextCell(HOSTILE, code=True), TextCell("0.10 ± 0.02", bold=True, value=0.1)),
        (TextCell(f"({HOSTILE})"), TextCell("−0.3†")),
    ),
    ("Half of 95 %.", "In _parentheses_."),
    ("m_1: something\nof two lines.",),
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


def cells(line: str) -> list[str]:
    """Of a row of Markdown; a bar behind a backslash divides nothing."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def unescaped(text: str) -> str:
    return re.sub(r"\\([\\`*_|<>\[\]#])", r"\1", text)


def test_markdown_comes_back() -> None:
    lines = TABLE.to_markdown().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert [len(cells(line)) for line in table] == [2] * 4 and set(cells(table[1])) == {"---", "---:"}
    assert [unescaped(cell) for cell in cells(table[0])] == ["method", f"m_1 ↓ {HOSTILE}"]
    assert unescaped(cells(table[3])[0]) == f"({HOSTILE})"
    assert cells(table[2])[1] == "**0.10 ± 0.02**" and cells(table[2])[0].startswith("`a_b & 50%")
    assert unescaped(lines[0]) == f"### Title {HOSTILE}" and "* Half of 95 %." in lines


@given(NAMES)
def test_any_name_stays_in_its_cell(name: str) -> None:
    table = TypesetTable(name, ("method", name), ((TextCell(name, code=True), TextCell(name, bold=True)),), (name,))
    rows = [line for line in table.to_markdown().split("\n") if line.startswith("| ")]
    assert len(rows) == 3 and all(len(cells(row)) == 2 for row in rows)
    check_latex(table.to_latex(), 2)
    assert "\x00" not in table.to_html()


class Reader(HTMLParser):
    """Cells of a table, and whether each is bold; every element ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[list[tuple[str, bool]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append(("", False))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.cells[-1][-1] = (self.cells[-1][-1][0] + data, "b" in self.open)


def test_html_comes_back() -> None:
    read = Reader(TABLE.to_html()).cells
    assert read[0] == [("method", False), (f"m_1 ↓ {HOSTILE}", False)]
    assert read[1] == [(HOSTILE, False), ("0.10 ± 0.02", True)] and read[2][0][0] == f"({HOSTILE})"
    assert 'data-value="0.1"' in TABLE.to_html() and "<i>" not in TABLE.to_html()


def check_latex(text: str, columns: int) -> None:
    """It is well formed: braces and environments end, every row has its cells, nothing special stands free."""
    source = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    plain = source.replace("\\\\\n", "\n").replace("\\textbackslash{}", "")
    plain = re.sub(r"\\[{}%&#$_]", "", plain)
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0 and plain.count("$") % 2 == 0
    assert not set('%#^"') & set(re.sub(r"\$\^2\$", "", plain)) and "_" not in plain.replace("$_n$", "")
    assert re.findall(r"\\begin\{(\w+)\}", source) == ["table", "tabular"]
    assert re.findall(r"\\end\{(\w+)\}", source) == ["tabular", "table"]
    (layout,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", source)
    rows = [line for line in source.splitlines() if line.endswith("\\\\") and not line.startswith("\\caption")]
    assert len(layout) == columns and rows
    assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def test_latex_is_well_formed() -> None:
    text = TABLE.to_latex()
    check_latex(text, 2)
    assert r"\textbf{0.10 $\pm$ 0.02}" in text and r"\texttt{a\_b \& 50\% \#1" in text and "$-$0.3$\\dagger$" in text
    assert r"95 \%." in text and "% m_1: something of two lines." in text


@pytest.mark.parametrize("character", '\\{}%&#$_~^<>|"−±×↓↑≥≤†τα–…²')
def test_no_symbol_is_left_to_a_font(character: str) -> None:
    assert latex(character) != character and latex(character).isascii()
