"""A studio that is served, and a browser that looks at it.

def test_the_page_says_what_the_network_says(studio_server, page):
    page.goto(studio_server.address + "#/decision")

A page that reports an error, or asks another host for anything, fails its test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from foveal.models import load_model
from foveal.synthetic import demo_scenes
from foveal.webapp.serve import StudioServer, serving
from foveal.webapp.studio import Studio
from tests.studio.asking import Client
from tests.studio.browsing import PATIENCE, Watch, violations

QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # tests run as root in containers; the pages are our own
)

expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="session")
def studio() -> Studio:
    """The bundled networks and the drawn scenes of the demo."""
    studio = Studio({name: load_model(name) for name in ("demo", "embed", "parts")})
    studio.add_scenes(demo_scenes())
    return studio


@pytest.fixture(scope="session")
def studio_server(studio: Studio) -> Iterator[StudioServer]:
    """The studio on a free port of this machine; `studio_server.address` opens it."""
    with serving(studio, port=0) as server:
        yield server


@pytest.fixture(scope="session")
def client(studio_server: StudioServer) -> Client:
    """Asks the studio without a browser."""
    return Client(studio_server)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One chromium for all tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("the tests of the studio need a browser: install Debian's `chromium` and run them again", False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`new_page(**options)`: a watched page in a context of its own, such as `new_page(color_scheme="dark")`."""
    opened: list[tuple[Page, Watch]] = []

    def new(**options: Any) -> Page:
        page = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | options)
        page.set_default_timeout(2000 * PATIENCE)
        opened.append((page.new_page(), Watch()))
        opened[-1][1].over(opened[-1][0])
        return opened[-1][0]

    yield new
    for page, _ in opened:
        page.context.close()
    for _, watch in opened:
        watch.check()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A watched page, 1280 pixels wide, in light colors."""
    return new_page()


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], None]:
    """`axe(page)` fails where axe-core finds a barrier."""

    def check(page: Page) -> None:
        barriers = violations(page)
        assert not barriers, "\n".join(barriers)

    return check


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What opens a page is marked `browser`."""
    for item in items:
        if {"browser", "page", "new_page"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
