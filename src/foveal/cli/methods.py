"""`foveal methods`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.command import command
from foveal.cli.console import print_json, print_lines
from foveal.cli.options import Json

if TYPE_CHECKING:
    from foveal.methods import Method


@command
def methods(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="METHOD", show_default=False, help="Everything about these; a line about each method if left out."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """What can follow --method: the methods by family, what each costs, and what its map shows.

    \b
      foveal methods
      foveal methods gradcam lrp-epsilon
      foveal explain bird.jpg -m demo --method lrp-epsilon:epsilon=0.1
      foveal explain bird.jpg -m demo --method my.py:mine

    Options follow the name; the others keep their defaults. A method of your own is a Python function
    mine(A, G) -> (n, h, w) of the activations and gradients (n, c, h, w) of a layer (`foveal help methods`).
    """
    from foveal.methods import METHODS, find_method
    from foveal.methods.listing import described

    chosen = [find_method(each) for each in name] if name else [*METHODS.values()]
    if json:
        print_json([_facts(method) for method in chosen])
    elif name:
        print_lines(*"\n\n".join(map(described, chosen)).splitlines())
    else:
        print_lines(*repr(METHODS).splitlines())


def _facts(method: Method) -> dict[str, Any]:
    from foveal.methods.listing import passes

    fields = ("name", "title", "about", "condition", "citation", "place")
    needs = "rules" if method.rules else method.needs
    facts = {field: getattr(method, field) for field in fields}
    return {**facts, "needs": needs, "passes": passes(method), "options": dict(method.options)}
