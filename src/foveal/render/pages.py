"""HTML templates."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from foveal.render.direction import html_text

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

# What could end a script element, begin a comment in it, or a line in old JavaScript.
_TELLING = re.compile("[<>&\u2028\u2029]")


@cache
def environment(package: str) -> jinja2.Environment:
    """Templates of a package; escapes what is not marked safe, refuses names it does not know.

    The filter `bdi` sets apart what is written to the left.
    """
    import jinja2
    from markupsafe import Markup

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["bdi"] = lambda text: Markup(html_text(str(text)))
    return templates


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element, whatever names are in it."""
    return script_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def script_text(text: str) -> Markup:
    """The same of a text that is JSON already."""
    from markupsafe import Markup

    return Markup(_TELLING.sub(lambda char: f"\\u{ord(char[0]):04x}", text))
