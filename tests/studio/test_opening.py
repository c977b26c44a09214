"""The studio's address in a real browser: who opens it, from where, and what strangers' words do on its page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from torch import nn

import foveal
from foveal.models import Model
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio
from tests.studio.asking import Client
from tests.studio.browsing import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from foveal.webapp.serve import StudioServer

ELSEWHERE = "http://example.org/"


def shown(page: Page) -> None:
    """The studio is open."""
    expect(page.get_by_role("heading", level=1)).to_contain_text("Why")


def test_the_key_leaves_the_address_and_the_view_stays(studio_server: StudioServer, page: Page) -> None:
    page.goto(f"{studio_server.address}#/decision?layer=stage1")
    shown(page)
    assert page.url.startswith(f"http://127.0.0.1:{studio_server.port}/#/decision")
    assert "layer=stage1" in page.url and "token" not in page.url
    assert page.evaluate("document.cookie") == ""
    assert "token" not in str(page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)"))
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.reload()
    shown(page)


def test_without_the_key_there_is_a_sentence(studio_server: StudioServer, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        reply = page.goto(f"http://127.0.0.1:{studio_server.port}/#/decision")
        assert reply is not None and reply.status == 403
        assert "the address that was shown when it started" in page.inner_text("body")


@pytest.fixture
def foreign(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """A page of another host, with this content, in a browser that has opened the studio."""
    with browser.new_context() as context:

        def page_of(html: str) -> Page:
            page = context.new_page()
            context.route(ELSEWHERE, lambda route: route.fulfill(body=html, content_type="text/html"))
            page.goto(ELSEWHERE)
            return page

        yield page_of


def test_a_link_on_another_page_opens_it(studio_server: StudioServer, foreign: Callable[[str], Page]) -> None:
    """As in a notebook: with the key in its address, and the view."""
    page = foreign(f'<a href="{studio_server.address}#/decision?layer=stage1">studio</a>')
    page.get_by_role("link").click()
    shown(page)
    assert page.url.startswith(f"http://127.0.0.1:{studio_server.port}/#/decision") and "layer=stage1" in page.url


def test_another_page_gets_nothing(studio_server: StudioServer, foreign: Callable[[str], Page]) -> None:
    """Neither by a question nor in a frame, though the same browser has opened the studio."""
    own = f"http://127.0.0.1:{studio_server.port}"
    page = foreign(f'<iframe src="{own}/"></iframe><img src="{own}/photos/a">')
    page.context.new_page().goto(studio_server.address)
    page.reload()
    ask = """async ([url, mode]) => {
        try {
            const answer = await fetch(url, {method: 'POST', mode, credentials: 'include', body: '{}'});
            return [answer.type, answer.status, await answer.text()];
        } catch (error) { return String(error); }
    }"""
    assert "Failed to fetch" in str(page.evaluate(ask, [f"{own}/api/library", "cors"]))
    refused = page.evaluate(ask, [f"{own}/api/library", "no-cors"])
    assert "Failed to fetch" in str(refused) or refused == ["opaque", 0, ""]
    assert "Why" not in " ".join(frame.inner_text("body") for frame in page.frames[1:])


BAD = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "{{7*7}}",
    "a\u202eb",
)


class Linear(nn.Module):
    """Four classes, whose names are no good."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 5, 4), nn.Linear(8, 4)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(self.conv(x).relu().mean((2, 3)))


@pytest.fixture(scope="module")
def strange() -> Iterator[StudioServer]:
    """A studio where everything that strangers name is a script."""
    model = Model(Linear(), BAD[0], foveal.Preprocessing.named("imagenet", 64), labels=BAD, task="classes")
    studio = Studio({BAD[1]: model}, {BAD[0]: lambda output: output[:, 0]})
    for scene, name in zip(demo_scenes(), BAD, strict=False):
        studio.photos.add(render(scene)[0], name)
    with serving(studio, port=0) as server:
        yield server


@pytest.mark.parametrize("view", ["decision", "tree", "parts", "methods", "match", "channel"])
def test_names_are_text_on_every_page(strange: StudioServer, page: Page, view: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(f"{strange.address}#/{view}")
    expect(page.get_by_role("main")).to_be_visible()
    page.wait_for_timeout(1000)  # whatever it asks and shows
    assert page.title() != "owned"
    assert page.locator("main script, main img[src=x], header script, header img[src=x]").count() == 0
    assert re.search(r"<script>|<img src=x|7\\*7", page.inner_text("body")) or view != "decision"


def test_names_are_text_on_a_page_that_is_saved(strange: StudioServer, browser: Browser, tmp_path: Path) -> None:
    """It has its answers inside, and no server forbids anything."""
    client = Client(strange)
    photo, model = client.answer("library")["photos"][0]["hash"], BAD[1]
    asked = [
        ("scores", {"photo": photo, "model": model}),
        ("decision", {"photo": photo, "model": model, "method": "hirescam", "target": "predicted - runner-up"}),
    ]
    for name, query in asked:
        client.answer(name, **query)
    saved = client.answer(
        "page", photo=photo, model=model, asked=[{"name": name, "query": query} for name, query in asked]
    )
    (tmp_path / "saved.html").write_text(saved["html"], encoding="utf-8")
    with browser.new_context() as context:
        page, watch = context.new_page(), Watch()
        watch.over(page)
        page.goto((tmp_path / "saved.html").as_uri())
        shown(page)
        assert page.title() != "owned"
        assert page.locator("img[src=x]").count() == 0
        watch.check()


def test_the_policy_holds_in_the_browser(studio_server: StudioServer, browser: Browser) -> None:
    """What got into the page after all could not run, load, or send anything."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(studio_server.address)
        shown(page)
        blocked: list[str] = []
        page.expose_function("blocked", lambda what: blocked.append(what))
        page.evaluate("addEventListener('securitypolicyviolation', event => blocked(event.effectiveDirective))")
        page.evaluate(
            """() => {
                const add = (name, set) => document.body.append(Object.assign(document.createElement(name), set));
                add('script', {textContent: "document.title = 'owned'"});
                add('img', {src: 'http://example.org/a.png'});
                add('iframe', {src: 'http://example.org/'});
                fetch('http://example.org/').catch(() => undefined);
                document.body.insertAdjacentHTML('beforeend', '<a id=on onclick="document.title = 1">on</a>');
                document.getElementById('on').click();
            }"""
        )
        page.wait_for_timeout(300)
        assert {"script-src-elem", "img-src", "frame-src", "connect-src", "script-src-attr"} <= set(blocked), blocked
        assert page.title() not in ("owned", "1")


def test_an_upload_in_the_browser(studio_server: StudioServer, page: Page) -> None:
    """Chosen by a person; what is no photo is a sentence where they look."""
    page.goto(studio_server.address)
    shown(page)
    chooser = page.locator("input[type=file]").first
    chooser.set_input_files({"name": "<b>no</b>.png", "mimeType": "image/png", "buffer": b"nothing"})
    expect(page.get_by_text(re.compile("cannot read <b>no</b>.png"))).to_be_visible()


def test_a_stopped_studio_says_so(studio: Studio, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with serving(studio, port=0) as server:
            page.goto(server.address)
            shown(page)
        page.evaluate("location.hash = '#/decision?method=layercam'")
        expect(page.get_by_text(re.compile("foveal has stopped")).first).to_be_visible()


def test_many_questions_leave_the_page_alive(studio: Studio, browser: Browser) -> None:
    """Browsers open six connections to a server: ten slow questions at once must not use them up."""
    with browser.new_context() as context, serving(studio, port=0) as server:
        page = context.new_page()
        page.goto(server.address)
        shown(page)
        photo = next(iter(studio.photos)).hash
        page.evaluate(ASKING)
        slow = {"photo": photo, "model": "demo", "method": "rise:count=100000"}
        assert page.evaluate("slow => asked(10, slow)", slow) == [202] * 10
        assert page.evaluate("ask('library', {}).then(answer => answer.status)") == 200
        assert page.evaluate("canceled(10)") == [True] * 10


ASKING = """() => {
    window.stream = new EventSource('api/events/many');
    window.ask = (name, query, job = 'many.99') => fetch(`api/${name}`, {
        method: 'POST', headers: {'Content-Type': 'application/json', 'X-Job': job}, body: JSON.stringify(query)});
    const each = (count, run) => Promise.all(Array.from({length: count}, (_, k) => run(k)));
    window.asked = (count, query) =>
        each(count, k => ask('decision', {...query, target: String(k)}, `many.${k}`).then(answer => answer.status));
    window.canceled = count =>
        each(count, k => fetch(`api/jobs/many.${k}`, {method: 'DELETE'}).then(answer => answer.json()));
}"""
