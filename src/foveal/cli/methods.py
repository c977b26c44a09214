"""`foveal methods`"""

from __future__ import annotations

from foveal.cli.options import Json
from foveal.cli.reported import reported
from foveal.cli.talk import answer_json, answer_table


@reported
def methods(json: Json = False) -> None:
    """What can follow --method.

    For each method: what it needs, where it was published, what it shows, and where it applies if not everywhere.
    "activations" needs one forward up to the layer and no decision; "gradients" a forward and a backward to the layer.
    """
    from foveal.methods import METHODS

    if json:
        told = ("name", "title", "needs", "about", "condition", "citation")
        answer_json([{key: getattr(method, key) for key in told} for method in METHODS.values()])
        return
    answer_table(
        [
            (m.name, m.needs, m.about if m.condition == "any layer" else f"{m.about} ({m.condition})", m.citation)
            for m in METHODS.values()
        ],
        head=("method", "needs", "what it shows", "source"),
    )
