"""How fast the studio's atlas is with 50,000 decisions: the server's answers, and a frame in a real browser.

    python -m benchmarks.studio_atlas

The run is written as `foveal.run` writes one, with maps of 7 × 7 cells and contributions of 512 channels drawn at
random around 40 middles; its photos are twenty drawn scenes, again and again.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from playwright.sync_api import CDPSession, Page, sync_playwright
from rich.console import Console

import foveal
from benchmarks.timing import spread
from foveal.datasets.parts import Row
from foveal.datasets.plan import Plan
from foveal.models import load_model
from foveal.runs import record
from foveal.runs.record import CONTRIBUTIONS
from foveal.synthetic import Split
from foveal.webapp.opened_run import show_run
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

CELLS, CHANNELS, MIDDLES = 7, 512, 40
MANY = ".selection figure .waiting"
FRAME = """async key => {
  const canvas = document.querySelector('.points canvas');
  const context = canvas.getContext('2d');
  const put = context.putImageData.bind(context);
  const drawn = new Promise(resolve => (context.putImageData = (...given) => (put(...given), resolve())));
  const begun = performance.now();
  canvas.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  await drawn;
  await new Promise(requestAnimationFrame);
  context.putImageData = put;
  return performance.now() - begun;
}"""


def large_run(folder: Path, count: int) -> foveal.Run:
    """A run of so many decisions."""
    split = Split("classes", 20)
    for number, example in enumerate(split):
        place = folder / "photos" / split.classes[example.target]
        place.mkdir(parents=True)
        Image.fromarray(example.image).save(place / f"{number}.png")
    small = foveal.run("demo", folder / "photos", out=folder / "small", method="hirescam", contributions=True)
    uris = list(small["uri"])
    plan = Plan.of([(uris[k % 20], small["label"][k % 20]) for k in range(count)], small.root, batch=8)
    out = folder / "large"
    out.mkdir()
    made = record.begin(out, plan, replace(small.record, rows=count, shard=plan.size, plan=plan.digest, files={}))
    random = np.random.default_rng(0)
    middles = random.normal(size=(MIDDLES, CELLS * CELLS + CHANNELS))
    for shard in range(plan.shards):
        items = plan.items(shard)
        each = middles[random.integers(0, MIDDLES, len(items))]
        each = each + random.normal(size=each.shape)
        rows = [
            Row(
                {name: small[name][item.id % 20] for name in ("predicted", "target", "score", "probability")},
                {small.layers[-1]: values[: CELLS * CELLS].reshape(CELLS, CELLS)},
                vectors={CONTRIBUTIONS: values[CELLS * CELLS :]},
            )
            for item, values in zip(items, each, strict=True)
        ]
        made.layout.write(out, shard, made.of, items, rows)
    return foveal.Run.load(out)


def main(count: Annotated[int, typer.Option(help="decisions")] = 50_000, rounds: int = 40) -> None:
    """Print seconds of the server, and the median and range of a frame in milliseconds."""
    say = Console().print
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio({"demo": load_model("demo")})
        show_run(studio, large_run(Path(folder), count))
        with serving(studio, port=0) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            begun = time.perf_counter()
            page.goto(server.address)
            page.locator(".points canvas").wait_for()
            say(f"from the address to {count:,} points: {time.perf_counter() - begun:.1f} s")
            page.locator(".gallery li canvas").first.wait_for()
            say(f"and to their mean map and first photos: {time.perf_counter() - begun:.1f} s")
            page.wait_for_timeout(3000)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            wall, own = [], []
            for number in range(rounds):
                before = _spent(session)
                wall.append(page.evaluate(FRAME, "+-"[number % 2]))
                own.append(_spent(session) - before)
            say(f"from a key to the frame with all points, ms: {spread(wall)}")
            say(f"the page's processor time for it, ms: {spread(own)}")
            say(f"half of them selected, up to their mean map: {_selected(page):.1f} s")
            begun = time.perf_counter()
            page.goto(f"{server.address}#/atlas?row=7")
            page.get_by_role("button", name="Others decided for this reason").click()
            page.locator(".others .card").first.wait_for()
            say(f"a decision opened, and the others like it: {time.perf_counter() - begun:.1f} s")


def _spent(session: CDPSession) -> float:
    """Milliseconds that the page has computed so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def _selected(page: Page) -> float:
    """Seconds from the end of a rectangle to the mean map of what is in it."""
    page.get_by_text("Rectangle", exact=True).click()
    box = page.locator(".points canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=3)
    with page.expect_response("**/api/atlas_mean"):
        begun = time.perf_counter()
        page.mouse.up()
    page.locator(MANY).wait_for(state="detached")
    return time.perf_counter() - begun


if __name__ == "__main__":
    typer.run(main)
