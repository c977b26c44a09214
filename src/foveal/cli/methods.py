"""`foveal methods`"""

from __future__ import annotations

from dataclasses import fields

from foveal.cli.options import Json
from foveal.cli.reported import reported
from foveal.cli.talk import answer_json, answer_table


@reported
def methods(json: Json = False) -> None:
    """What can follow --method.

    What each method shows, and where it applies if that is not everywhere; --json adds where it was published.
    """
    from foveal.methods import METHODS

    if json:
        plain = [field.name for field in fields(next(iter(METHODS.values()))) if field.name != "formula"]
        answer_json([{name: getattr(method, name) for name in plain} for method in METHODS.values()])
        return
    answer_table(
        [(m.name, m.about if m.condition == "any layer" else f"{m.about} ({m.condition})") for m in METHODS.values()],
        head=("method", "what it shows"),
    )
