"""A table of text as Markdown, HTML and LaTeX, with a title and the sentences that explain it.

LaTeX needs no package: rules are \\hline, and the few symbols that foveal writes become commands of math mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foveal.errors import printable
from foveal.render.direction import html_text


@dataclass(frozen=True)
class TextCell:
    """What stands in a table: text, set bold or as code, and the number behind it, by which a page sorts."""

    text: str
    bold: bool = False
    code: bool = False
    value: float | None = None


@dataclass(frozen=True)
class TypesetTable:
    """A head, rows as long as the head, and the legend: a sentence a line.

    `comments` explain further; they stand below the legend, in LaTeX as comments of the source.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[TextCell, ...], ...]
    legend: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    def to_markdown(self, *, level: int = 3) -> str:
        """A heading, a table of pipes, the legend as a list."""
        head = [_markdown(TextCell(cell)) for cell in self.head]
        lines = [f"{'#' * level} {_plain(self.title)}", ""]
        lines += [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
        lines += [_row([_markdown(cell) for cell in row]) for row in self.rows]
        notes = [f"* {_plain(line)}" for line in (*self.legend, *self.comments)]
        return "\n".join([*lines, *(["", *notes] if notes else []), ""])

    def to_html(self, *, level: int = 3) -> str:
        """A fragment: heading, table, legend."""
        head = "".join(f'<th scope="col">{_escaped(cell)}</th>' for cell in self.head)
        body = "".join(f"<tr>{''.join(map(_html, row))}</tr>" for row in self.rows)
        notes = "".join(f"<li>{_escaped(line)}</li>" for line in (*self.legend, *self.comments))
        return (
            f"<h{level}>{_escaped(self.title)}</h{level}>"
            f'<div style="overflow-x:auto"><table class="foveal"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
            f"</table></div>{f'<ul>{notes}</ul>' if notes else ''}"
        )

    def to_latex(self) -> str:
        """A `table` with its caption above; needs no package."""
        head = [latex(cell) for cell in self.head]
        rows = [[_latex(cell) for cell in row] for row in self.rows]
        caption = " ".join(latex(line) for line in (f"{self.title.rstrip('.')}.", *self.legend))
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\hline", f"{' & '.join(head)} \\\\", r"\hline",
            *(f"{' & '.join(row)} \\\\" for row in rows), r"\hline", r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
        return "\n".join([*(f"% {_one_line(line)}" for line in self.comments), *lines, ""])


def latex(text: str) -> str:
    """Text as LaTeX prints it: its special characters escaped, symbols as math."""
    return "".join(LATEX.get(character, character) for character in _one_line(text))


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", '"': "''",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "≥": r"$\geq$",
    "≤": r"$\leq$", "†": r"$\dagger$", "τ": r"$\tau$", "α": r"$\alpha$", "β": r"$\beta$", "ε": r"$\varepsilon$",
    "–": "--", "…": r"\dots{}", "\u00a0": "~", "²": "$^2$", "ₙ": "$_n$",
}  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(cell: TextCell) -> str:
    if cell.code:
        text = f"`{_one_line(cell.text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"
    else:
        text = _plain(cell.text)
    return f"**{text}**" if cell.bold and text else text


def _plain(text: str) -> str:
    r"""Text that Markdown takes as it is: \ before what would be markup, or the end of a cell."""
    return "".join(f"\\{c}" if c in "\\`*_|<>[]#" else c for c in _one_line(text))


def _html(cell: TextCell) -> str:
    text = _escaped(cell.text)
    text = f"<code>{text}</code>" if cell.code else text
    value = "" if cell.value is None else f' data-value="{cell.value!r}"'
    return f"<td{value}>{f'<b>{text}</b>' if cell.bold else text}</td>"


def _escaped(text: str) -> str:
    return html_text(printable(text))


def _latex(cell: TextCell) -> str:
    text = rf"\texttt{{{latex(cell.text)}}}" if cell.code else latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.bold else text


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
