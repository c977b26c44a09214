"""What a page of saved results shows: answers, with the photos, models and methods that they are about.

page = RecordedPage()
record_explanation(page, why, why.method)
page.html()                    # one HTML file
"""

from __future__ import annotations

import base64
import io
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from foveal.errors import printable
from foveal.render.color import diverging, sequential
from foveal.render.overlay import draw_photo
from foveal.report.answers.library import ColorTables, LibraryAnswer, MethodEntry, ModelEntry, PhotoEntry
from foveal.report.keys import key_of
from foveal.report.page import studio_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.images import Photo
    from foveal.report.answers.wire import Wire

SHOWN = 1024
EXACT = 256  # smaller pictures are kept pixel by pixel
QUALITY = 86


class RecordedPage:
    """Answers by what was asked, and what they are about, in the order in which they came.

    Args:
        side: long side of a photo on the page, in pixels.
    """

    def __init__(self, *, side: int = SHOWN) -> None:
        self._side = side
        self.answers: dict[str, Wire | str] = {}
        self._photos: dict[str, PhotoEntry] = {}
        self._models: dict[str, ModelEntry] = {}
        self._methods: dict[str, MethodEntry] = {}
        self._first = ""

    def add(self, name: str, query: Mapping[str, Any], answer: Wire | str) -> None:
        """The answer to a query, as the page asks it."""
        self.answers[key_of(name, query)] = answer
        self._first = self._first or f"#/{name}"

    def photo(self, photo: Photo, number: int = 0) -> str:
        """The hash of a photo, which the page now has.

        Args:
            number: which of its result's images it is; what has no name of a file is called by it.
        """
        hash = photo_hash(photo)
        if hash not in self._photos:
            signal = photo.values is not None and photo.values.ndim == 2
            picture = draw_photo(photo, self._side) if signal else Image.fromarray(photo.pixels)
            name = re.split(r"[\\/]", photo.source)[-1]
            file = "." in name
            self._photos[hash] = PhotoEntry(
                hash=hash,
                name=printable(name)[:200] if file else f"image {number + 1}",
                width=picture.width,
                height=picture.height,
                url=photo_uri(picture, side=self._side),
                source=repr(photo.source) if file else f"images[{number}]",
            )
        return hash

    def model(self, name: str) -> str:
        """A model by name, which the page now has."""
        entry = ModelEntry(name=name, source=name, labels=[], task=None, input_size=None, notes=[])
        return self._models.setdefault(name, entry).name

    def method(self, name: str, *, targeted: bool = True) -> str:
        """A method by name, which the page now has.

        Args:
            targeted: it explains a decision; maps of activations alone have no sign.
        """
        needs: Literal["activations"] | None = None if targeted else "activations"
        entry = MethodEntry(
            name=name, title=name, family="", about="", condition="", options="", cost="", place="", needs=needs,
            similarity=False,
        )  # fmt: skip
        return self._methods.setdefault(name, entry).name

    def html(self, address: str = "", *, title: str = "foveal") -> str:
        """The page, see `studio_page`; it begins with the first answer's view."""
        return studio_page(self.answers, self.library(), address or self._first, title=title)

    def library(self) -> LibraryAnswer:
        """What the page can choose from."""
        return LibraryAnswer(
            photos=list(self._photos.values()),
            models=list(self._models.values()),
            methods=list(self._methods.values()),
            colors=color_tables(),
            own_targets=[],
            live=False,
        )


def photo_hash(photo: Photo) -> str:
    """A name for a photo that only its pixels have; of signals and volumes, all that the network is shown."""
    shown = photo.pixels if photo.values is None else photo.values
    return blake2b(repr(shown.shape).encode() + shown.tobytes(), digest_size=12).hexdigest()


def photo_uri(picture: Image.Image, *, side: int = SHOWN) -> str:
    """A photo inside a page, reduced to what is drawn of it."""
    shown = picture.copy()
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=QUALITY, lossless=max(picture.size) <= EXACT)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def color_tables() -> ColorTables:
    """The colors of maps."""
    return ColorTables(
        diverging=base64.b64encode(diverging().tobytes()).decode(),
        sequential=base64.b64encode(sequential().tobytes()).decode(),
    )
