"""The page as a widget: it asks by messages, which Python answers, and says the same."""

from __future__ import annotations

import base64
import io
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

import foveal
from foveal.errors import MissingExtra
from foveal.synthetic import class_scene, demo_scenes, render
from foveal.webapp.messages import Messages
from foveal.webapp.widget import page_script, page_style
from tests.studio.browsing import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

    from foveal.webapp.handle import StudioHandle

HOST = "http://127.0.0.1:1/"
IMAGES = [render(scene)[0] for scene in demo_scenes()[:2]]
NOTEBOOK = """
<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>Notebook</title>
<style>{style}</style>
<main><h1>A notebook</h1><div id="cell" style="width: {width}px"></div></main>
<script type="module">
  const hearers = new Set();
  const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer)));
  const view = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
  const model = {{
    send: (content, callbacks, buffers = []) => void window.toPython(content, buffers.map(text)),
    on: (event, hear) => hearers.add(hear),
    off: (event, hear) => hearers.delete(hear),
  }};
  const listen = async () => {{
    for (const [content, buffers] of await window.fromPython())
      for (const hear of hearers) hear(content, buffers.map(view));
    setTimeout(listen, 20);
  }};
  listen();
  const {{ default: widget }} = await import("/studio.js");
  window.gone = widget.render({{ model, el: document.getElementById("cell") }});
</script>
"""


@pytest.fixture(scope="module")
def handle() -> Iterator[StudioHandle]:
    with foveal.studio(foveal.load_model("demo"), IMAGES, port=0, open=False) as handle:
        yield handle


@pytest.fixture
def notebook(handle: StudioHandle, page: Page) -> Iterator[Page]:
    """A page like a notebook's, whose messages Python answers."""
    said: deque[tuple[dict[str, Any], list[str]]] = deque()

    def send(content: dict[str, Any], buffers: list[bytes]) -> None:
        said.append((content, [base64.b64encode(buffer).decode() for buffer in buffers]))

    messages = Messages(handle._studio, handle._server.jobs, send)

    def drain() -> list[Any]:
        return [said.popleft() for _ in range(len(said))]

    def serve(route: Route) -> None:
        script = route.request.url.endswith("studio.js")
        body = page_script() if script else NOTEBOOK.format(style=page_style(), width=620)
        route.fulfill(body=body, content_type="text/javascript" if script else "text/html")

    page.expose_function("toPython", lambda content, data: messages.hear(content, [*map(base64.b64decode, data)]))
    page.expose_function("fromPython", drain)
    page.context.route(f"{HOST}**", serve)
    page.goto(HOST)
    yield page
    page.goto("about:blank")
    messages.close()


def test_the_widget_says_what_python_says(handle: StudioHandle, notebook: Page) -> None:
    cell = notebook.locator("#cell")
    cell.get_by_role("heading", level=1).get_by_text("Why").wait_for()
    model = handle._studio.models["demo"]
    why = foveal.explain(model, IMAGES[0])
    assert why.score is not None
    row = cell.get_by_role("row", name=why.target[0].partition(" (")[0])
    row.get_by_text(f"{float(why.score[0]):.1f}", exact=True).wait_for()
    drawn = cell.locator("canvas").first
    assert drawn.evaluate("canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3]") == 255

    cell.get_by_role("link", name="Match").click()
    cell.get_by_role("group", name="Lines, the strongest first").wait_for()
    pair = foveal.match(model, IMAGES[0], IMAGES[1])
    assert f"Cosine {pair.value(0, 0):.3f}" in cell.locator(".question .answer").inner_text()
    assert notebook.url == HOST and notebook.title() == "Notebook", "the page around it is left alone"
    boxes = [photo.bounding_box() for photo in cell.get_by_role("application").all()]
    assert boxes[0] and boxes[1] and boxes[1]["y"] > boxes[0]["y"] + 100, "narrow, for so is its cell"
    assert not violations(notebook)


def test_photos_and_openings_travel_as_messages(handle: StudioHandle, notebook: Page) -> None:
    cell = notebook.locator("#cell")
    cell.get_by_role("heading", level=1).get_by_text("Why").wait_for()
    pixels = render(class_scene("Barred Finch", 5))[0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    cell.get_by_label("Add photos …").first.set_input_files(
        {"name": "finch.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )
    cell.locator(".which", has_text="finch.png").wait_for()
    assert handle._studio.photos.find(pixels) is not None
    why = foveal.explain(handle._studio.models["demo"], IMAGES[1], foveal.Class("Fan-crested Jay"), method="gradcam")
    handle.open(why)
    cell.get_by_role("heading", level=1).get_by_text("Fan-crested Jay").wait_for()
    assert cell.get_by_label("Method").input_value() == "gradcam"
    for _ in range(200):
        if handle.selected and handle.selected.target == "Fan-crested Jay":
            break
        notebook.wait_for_timeout(50)
    assert handle.selected and handle.selected.photo == "image 2"


def test_what_goes_wrong_is_said(handle: StudioHandle) -> None:
    said: deque[dict[str, Any]] = deque()
    messages = Messages(handle._studio, handle._server.jobs, lambda content, buffers: said.append(content))
    photo = next(iter(handle._studio.photos)).hash
    for content, buffers, sentence in (
        ({"kind": "ask", "name": "nothing", "query": {}}, [], "the studio has no answer to 'nothing'"),
        ({"kind": "ask", "name": "scores", "query": {"photo": 1}}, [], "the page asked something unreadable: photo"),
        ({"kind": "ask", "name": "scores", "query": {"photo": photo, "model": "x"}}, [], "this studio has no model"),
        ({"kind": "photo", "hash": "x"}, [], "this studio has no such photo"),
        ({"kind": "upload", "name": "a.png"}, [b"no image"], "The studio cannot read a.png: it is none of AVIF"),
        ({"kind": "upload", "name": "a.png"}, [], "the studio takes one photo"),
    ):
        said.clear()
        messages.hear({"id": "1", **content}, buffers)
        while not said or said[-1]["kind"] == "progress":
            handle._thread.join(0.01)
        assert said[-1]["kind"] == "error" and said[-1]["id"] == "1"
        assert said[-1]["sentence"].startswith(sentence), said[-1]["sentence"]


def test_a_notebook_shows_the_widget(handle: StudioHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = handle._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == handle.widget.model_id
    assert handle.address in bundle["text/html"]
    assert "@container studio (max-width:" in page_style() and ":root" not in page_style()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    from foveal.webapp import widget

    widget._widget_class.cache_clear()
    monkeypatch.setattr(handle, "_widget", None)
    assert set(handle._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(MissingExtra, match=r"pip install 'foveal\[notebook\]'"):
        _ = handle.widget
