"""HTML templates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


@cache
def environment() -> jinja2.Environment:
    """Escapes everything that is not marked safe, and refuses names it does not know."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("foveal.render"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
