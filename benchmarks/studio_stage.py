"""How long the page takes to draw another stage, in a real browser.

    python -m benchmarks.studio_stage

From the key that moves the depth slider to the frame that has the other map, and the processor time that the page
needs for it.
"""

from __future__ import annotations

import shutil
from typing import Annotated

import typer
from playwright.sync_api import sync_playwright
from rich.console import Console

from benchmarks.timing import spread
from foveal.models import load_model
from foveal.synthetic import demo_scenes
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

CHANGED = """async key => {
  const slider = document.querySelector('[role=slider][aria-label=Depth]');
  const context = document.querySelector('.photomap canvas').getContext('2d');
  const put = context.putImageData.bind(context);
  const drawn = new Promise(resolve => (context.putImageData = (...given) => (put(...given), resolve())));
  const begun = performance.now();
  slider.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  await drawn;
  await new Promise(requestAnimationFrame);
  context.putImageData = put;
  return performance.now() - begun;
}"""


def main(rounds: Annotated[int, typer.Option(help="changes of stage")] = 40) -> None:
    """Print the median and the range, in milliseconds."""
    studio = Studio({"demo": load_model("demo")})
    studio.add_scenes(demo_scenes())
    with serving(studio, port=0) as server, sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(server.address)
        page.get_by_role("slider", name="Depth").focus()
        page.wait_for_timeout(3000)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def spent() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return 1000 * float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

        wall, own = [], []
        for number in range(rounds):
            before = spent()
            wall.append(page.evaluate(CHANGED, "ArrowRight" if number % 2 else "ArrowLeft"))
            own.append(spent() - before)
            page.wait_for_timeout(200)
        browser.close()
    console = Console()
    console.print(f"until it is drawn, ms: {spread(wall)}")
    console.print(f"the page's processor time, ms: {spread(own)}")


if __name__ == "__main__":
    typer.run(main)
