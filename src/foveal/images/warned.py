"""What libraries warn of while they read a picture, also where another thread explains meanwhile."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from PIL import Image

from foveal.errors import WARNINGS


@contextmanager
def warned() -> Iterator[list[str]]:
    """The warnings of this thread, as text; those of other threads go where they went before."""
    messages: list[str] = []
    mine = get_ident()
    with WARNINGS, warnings.catch_warnings():
        show = warnings.showwarning

        def hear(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if get_ident() == mine:
                messages.append(str(message))
            else:
                show(message, category, *rest, **more)

        warnings.simplefilter("always")
        # Phones make pictures beyond Pillow's warning; its error, at twice that, stays.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.showwarning = hear
        yield messages
