"""The studio's page as a widget of a notebook: the same script, its questions travel as the widget's messages."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from foveal.errors import MissingExtra
from foveal.webapp.messages import Messages

if TYPE_CHECKING:
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio


def widget_of(studio: Studio, server: StudioServer) -> Any:
    """An `anywidget.AnyWidget` that shows the studio.

    Raises:
        MissingExtra: without anywidget.
    """
    widget = _widget_class()()
    messages = Messages(studio, server.jobs, lambda content, buffers: widget.send(content, buffers))
    widget.on_msg(lambda _, content, buffers: messages.hear(content, buffers))
    widget.on_close(messages.close)
    return widget


def page_script() -> str:
    """The script of the page; its default export has `render({model, el})`."""
    return _static("studio.js")


def page_style() -> str:
    """The style of the page, narrow where its own room is, whatever the width of the window around it."""
    style = re.sub(r"@media\s*\((max-width:|width<=)", r"@container studio (\1", _static("studio.css"))
    return style.replace(":root", ".foveal-widget")


@cache
def _widget_class() -> Any:
    try:
        import anywidget
    except ModuleNotFoundError as error:
        raise MissingExtra("the studio in a notebook needs anywidget: pip install 'foveal[notebook]'") from error

    class StudioWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """Closing it ends its conversation."""

        _esm = page_script()
        _css = page_style()

        def on_close(self, call: Any) -> None:
            """Call this when the widget is closed."""
            self._at_close = call

        def close(self) -> None:
            """Take the widget away."""
            getattr(self, "_at_close", lambda: None)()
            super().close()

    return StudioWidget


def _static(name: str) -> str:
    return (files("foveal.render") / "static" / name).read_text(encoding="utf-8")
