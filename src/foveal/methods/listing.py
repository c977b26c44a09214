"""Methods in words: a table of all, in 80 columns or as HTML, and everything about one."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping

from foveal.attribution.method import Method

WIDTH = 80
LEGEND = (
    "passes: forward + backward passes through the network for each image. In one call, methods with 1 + 1 passes "
    "share them; * marks those with backward rules of their own, which do not."
)


def passes(method: Method) -> str:
    """What a map of one image costs: forward + backward passes."""
    if method.cost:
        return method.cost
    return {"activations": "1", "gradients": "1 + 1", "forwards": "many"}[method.needs] + "*" * bool(method.rules)


def shows(method: Method) -> str:
    """What its map shows, in a few words: `about` up to the semicolon."""
    return method.about.partition(";")[0]


def as_text(families: Mapping[str, tuple[Method, ...]]) -> str:
    """A line for each method, below its family."""
    every = [method for methods in families.values() for method in methods]
    name, cost = (max(len(column(m)) for m in every) for column in (lambda m: m.name, passes))
    lines = [f"{'method':{name + 2}}  {'passes':{cost}}  what its map shows"]
    for family, methods in families.items():
        lines += ["", family]
        for m in methods:
            lines.append(_cut(f"  {m.name:{name}}  {passes(m):{cost}}  {shows(m)}".rstrip()))
    return "\n".join([*lines, "", *textwrap.wrap(LEGEND, WIDTH)])


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1].rstrip() + "…"


def as_html(families: Mapping[str, tuple[Method, ...]]) -> str:
    """The same as an HTML table, with the whole of `about` and the source."""
    from html import escape

    rows = ["<tr><th>method</th><th>passes</th><th>what its map shows</th><th>source</th></tr>"]
    for family, methods in families.items():
        rows.append(f'<tr><th colspan="4" style="text-align:left">{escape(family)}</th></tr>')
        for m in methods:
            cells = (f"<code>{escape(m.name)}</code>", *map(escape, (passes(m), m.about, m.citation)))
            rows.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table><p>{escape(LEGEND)}</p>"


def described(method: Method) -> str:
    """Everything about one method, a line each."""
    options = ", ".join(f"{key}={value}" for key, value in method.options.items())
    formula = (inspect.getdoc(method.formula) or "").partition("\n\n")[0].replace("\n", " ")
    facts = {
        "shows": method.about,
        "passes": f"{passes(method)} (forward + backward passes for an image)",
        "applies to": method.condition + (", targets that compare embeddings" if method.similarity else ""),
        "layer": f"the {method.place}, if no layer is named",
        "options": f"{options}   (--method {method.name}:{next(iter(method.options))}=…)" if options else "none",
        "formula": formula,
        "source": method.citation,
    }
    lines = [f"{method.name}" + (f" ({method.title})" if method.title != method.name else "")]
    for key, fact in facts.items():
        if fact:
            lines += textwrap.wrap(fact, WIDTH, initial_indent=f"  {key:10}  ", subsequent_indent=" " * 14)
    return "\n".join(lines)
