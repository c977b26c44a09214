"""A page of the studio that opens from disk: the bundle and its answers in one file, which asks nobody for anything."""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from foveal.render.pages import environment, script_text
from foveal.report.answers.wire import Wire
from foveal.report.keys import key_of
from foveal.report.shared_text import once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.report.answers.library import LibraryAnswer


def studio_page(
    answers: Mapping[str, Wire | str],
    library: LibraryAnswer,
    address: str = "",
    *,
    title: str = "foveal",
    coarse: bool = False,
) -> str:
    """One HTML document that shows these answers as the studio does. What is not among them is absent in it.

    Args:
        answers: by `key_of` what was asked; an answer, or its JSON.
        library: what there is to choose from, with the photos inside as data URIs.
        address: the view to begin with, such as "#/decision?method=gradcam"; "" is the first.
        title: of the page, until a view names its own.
        coarse: large maps in 255 steps, from minus to plus their largest absolute value: half the size.
    """
    from markupsafe import Markup

    inside = {key_of("library", {}): library.model_copy(update={"live": False}), **answers}
    fields = (f"{json.dumps(key)}:{_json(answer)}" for key, answer in inside.items())
    shared, text = once("{" + ",".join(fields) + "}", coarse=coarse)
    script, style = _bundle()
    policy = (
        f"default-src 'none'; img-src data: blob:; script-src {_digest(script)}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        environment("foveal.report")
        .get_template("studio.html")
        .render(
            title=title,
            policy=Markup(policy),
            style=Markup(style),
            address=address,
            answers=script_text(f'{{"shared":{json.dumps(shared)},"answers":{text}}}'),
            script=Markup(script),
        )
    )


def _json(value: Wire | str) -> str:
    return value.model_dump_json() if isinstance(value, Wire) else value


@cache
def _bundle() -> tuple[str, str]:
    """The script and the style sheet, as they may stand inside their elements."""
    script, style = static("studio.js"), static("studio.css")
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.I).replace("<!--", r"<\!--"), style.replace("</", r"<\/")


def static(name: str) -> str:
    """A file of the bundle."""
    return (files("foveal.render") / "static" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """How a policy names what stands inside an element."""
    return f"'sha256-{base64.b64encode(sha256(content.encode()).digest()).decode()}'"
