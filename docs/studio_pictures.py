"""The pictures of the studio in docs/studio.md, and the tour in the README.

python docs/studio_pictures.py [NAME …]

Everything that is shown is the drawn world, explained by the bundled networks. Needs Debian's `chromium`.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from foveal.models import load_model
from foveal.synthetic import demo_scenes
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = Path(__file__).parent / "images"
JAY = "fan-crested-jay.png"
FRAMES = 6  # a second
WIDTH = 960  # of the tour in the README


@contextmanager
def opened(width: int = 1280, height: int = 860, **options: object) -> Iterator[tuple[Page, Callable[[str], str]]]:
    """A page on a studio of the drawn world, and the address of a view of the jay."""
    studio = Studio({name: load_model(name) for name in ("demo", "parts", "embed")})
    studio.add_scenes(demo_scenes())
    jay = next(photo.hash for photo in studio.photos if photo.name == JAY)
    with serving(studio, port=0) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(server.address)

        def address(view: str, **fields: str) -> str:
            query = "&".join(f"{name}={value}" for name, value in ({"photo": jay} | fields).items())
            return f"{server.address.partition('?')[0]}#/{view}?{query}"

        yield page, address
        browser.close()


def settled(page: Page) -> None:
    """Wait until nothing on the page is awaited any more."""
    page.wait_for_timeout(1500)
    page.wait_for_function("!document.querySelector('.waiting, .wait')", timeout=120_000)
    page.wait_for_timeout(500)


VIEWS = ("decision", "tree", "match", "methods", "channel", "truth")


def pictures(names: tuple[str, ...] = VIEWS) -> None:
    """A screenshot of each view, and of the decision on a phone and in dark colors."""
    with opened() as (page, address):
        for name in names:
            page.goto(address(name))
            page.reload()
            settled(page)
            save(page, f"studio-{name}")
    with opened(390, 844, color_scheme="dark") as (page, address):
        page.goto(address("decision"))
        settled(page)
        save(page, "studio-narrow")


def save(page: Page, name: str) -> None:
    """The page as it is, as WebP."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").save(FOLDER / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    pictures(tuple(sys.argv[1:]) or VIEWS)
