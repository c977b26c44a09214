"""`foveal methods`"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.cli.command import command
from foveal.cli.console import print_json, print_table
from foveal.cli.options import Json

if TYPE_CHECKING:
    from foveal.methods import Method


@command
def methods(json: Json = False) -> None:
    """What can follow --method.

    For each method: what it needs, where it looks if no layer is named, what it shows, its options, its source.

    \b
      activations   one forward up to the layer, no decision
      gradients     a forward and a backward to the layer
      rules         the same, with a backward of the method's own
      forwards      the network is asked again, up to thousands of times

    \b
      foveal explain bird.jpg -m demo --method lrp-epsilon:epsilon=0.1

    Options follow the name; what is left out is as listed here.
    """
    from foveal.methods import METHODS

    if json:
        fields = ("name", "title", "about", "condition", "citation", "place")
        print_json(
            [
                {key: getattr(m, key) for key in fields} | {"needs": _needs(m), "options": dict(m.options)}
                for m in METHODS.values()
            ]
        )
        return
    print_table(
        [(m.name, _needs(m), m.place, _options(m), _about(m), m.citation) for m in METHODS.values()],
        head=("method", "needs", "looks at", "options", "what it shows", "source"),
    )


def _needs(method: Method) -> str:
    return "rules" if method.rules else method.needs


def _about(method: Method) -> str:
    return method.about if method.condition == "any layer" else f"{method.about} ({method.condition})"


def _options(method: Method) -> str:
    return ",".join(f"{key}={value}" for key, value in method.options.items()) or "–"
