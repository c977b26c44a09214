"""`foveal methods`"""

from __future__ import annotations

from dataclasses import fields

from foveal.cli.options import Json
from foveal.cli.reported import reported
from foveal.cli.talk import answer_json, answer_table


@reported
def methods(json: Json = False) -> None:
    """What can follow --method.

    What each method shows, where it applies, and where it was published.
    """
    from foveal.methods import METHODS

    if json:
        plain = [field.name for field in fields(next(iter(METHODS.values()))) if field.name != "formula"]
        answer_json([{name: getattr(method, name) for name in plain} for method in METHODS.values()])
        return
    rows = [(m.name, m.about, m.condition, m.citation) for m in METHODS.values()]
    answer_table(rows, head=("method", "what it shows", "where it applies", "from"))
