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
    for _ in range(240):
        page.wait_for_timeout(500)
        if not page.locator(".waiting, .wait, .old").count():
            page.wait_for_timeout(700)
            if not page.locator(".waiting, .wait, .old").count():
                return
    raise TimeoutError("the page still waits for an answer")


VIEWS = ("decision", "tree", "parts", "match", "methods", "channel", "truth")


def pictures(names: tuple[str, ...] = VIEWS) -> None:
    """A screenshot of each view, and of the decision on a phone and in dark colors."""
    if not names:
        return
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


class Tour:
    """Frames of a page, each as long as it is looked at."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._times: list[int] = []

    def look(self, seconds: float) -> None:
        """The page as it is now."""
        with Image.open(io.BytesIO(self._page.screenshot())) as shot:
            height = round(shot.height * WIDTH / shot.width)
            self._frames.append(shot.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS))
        self._times.append(round(1000 * seconds))

    def save(self, path: Path) -> None:
        """As an animated WebP that begins anew at its end."""
        first, *others = self._frames
        first.save(path, save_all=True, append_images=others, duration=self._times, loop=0, quality=60, method=4)
        print(f"{path.name}: {sum(self._times) / 1000:.0f} s, {path.stat().st_size / 2**20:.1f} MB")


def tour() -> None:
    """Twenty seconds: why the jay, at which depth, what hiding the crest does, the tree, other methods, the truth."""
    with opened(1280, 800, reduced_motion="reduce") as (page, address):
        made = Tour(page)
        page.goto(address("decision"))
        settled(page)
        made.look(2.5)
        depth = page.get_by_role("slider", name="Depth")
        for key, seconds in (("ArrowLeft", 0.9), ("ArrowLeft", 0.9), ("End", 0.9)):
            depth.focus()
            page.keyboard.press(key)
            page.wait_for_timeout(400)
            made.look(seconds)
        page.keyboard.press("b")
        photo = page.locator(".photomap").bounding_box()
        assert photo
        points = [(0.55 + 0.04 * k, 0.26 + 0.02 * (k % 2)) for k in range(6)]
        for k, (x, y) in enumerate(points):
            page.mouse.move(photo["x"] + x * photo["width"], photo["y"] + y * photo["height"])
            if not k:
                page.mouse.down()
            page.wait_for_timeout(300)
            made.look(0.25)
        page.mouse.up()
        settled(page)
        made.look(2.8)
        page.goto(address("tree"))
        page.reload()
        settled(page)
        made.look(1.5)
        page.get_by_role("treeitem").nth(1).click()
        settled(page)
        made.look(2.5)
        page.goto(address("methods"))
        page.reload()
        settled(page)
        made.look(2.5)
        page.goto(address("truth"))
        page.reload()
        settled(page)
        made.look(1.8)
        page.get_by_role("button", name="no crest").click()
        settled(page)
        made.look(3.0)
        made.save(FOLDER / "studio.webp")


if __name__ == "__main__":
    wanted = tuple(sys.argv[1:]) or (*VIEWS, "tour")
    pictures(tuple(name for name in wanted if name != "tour"))
    if "tour" in wanted:
        tour()
