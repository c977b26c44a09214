"""How fast the studio's server answers, how fast it stops, and whether it grows.

    python -m benchmarks.studio        (--model timm:resnet50 --model demo; --rounds 5)

The server runs in this process, and is asked over its socket as pages ask it. Each line has a measurement and its goal.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import cycle, islice, product
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from tests.studio.asking import Client

import foveal
from foveal.synthetic import demo_scenes
from foveal.webapp.cache import AnswerCache
from foveal.webapp.serve import serving
from foveal.webapp.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foveal.webapp.serve import StudioServer

LONG: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        method: ("decision", {"method": method})
        for method in ("scorecam", "occlusion", "rise", "smoothgrad:samples=100000", "lrp-gamma")
    },
    "deletion": ("deletion", {"at": "input"}),
    "the methods' scores": ("method_scores", {"cells": [{"method": "occlusion", "layer": "input"}]}),
    "the tree": ("tree", {}),
    "depth": ("depth", {}),
    "channels": ("channels", {"layer": "2"}),
}
"""What takes a network long."""
NETWORKS = ("demo", "timm:resnet50")
WARM, MORE = 200, 1000


def resident() -> float:
    """Megabytes that this process has in memory at rest; what the allocator merely holds back is given back first."""
    sizes = []
    for _ in range(5):
        time.sleep(0.2)  # what the last answer needed is gone a moment later
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return min(sizes)


def first_map(model: foveal.Model) -> float:
    """Seconds from the page's first question to its first map, of a network that was only loaded."""
    studio = Studio({"model": model})
    studio.add_scenes(demo_scenes())
    with serving(studio, port=0) as server:
        client, started = Client(server), time.perf_counter()
        photo = client.answer("library")["photos"][0]["hash"]
        client.answer("scores", photo=photo, model="model")
        client.answer("decision", photo=photo, model="model", method="hirescam", target="predicted - runner-up")
        return time.perf_counter() - started


def cancels(server: StudioServer, photos: list[str], name: str, query: dict[str, Any]) -> tuple[float, float] | None:
    """Milliseconds until a cancel is acknowledged, and from there until the network is idle; None if it was over."""
    client = Client(server)
    reply = client.ask(name, photo=photos[0], model="model", **query)
    time.sleep(0.1)
    if reply.status != 202:
        return None
    started = time.perf_counter()
    client.cancel(reply.json["job"])
    heard = time.perf_counter()
    while server.busy:
        time.sleep(0.001)
    return 1000 * (heard - started), 1000 * (time.perf_counter() - heard)


def questions(photos: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A hundred different questions, again and again."""
    methods = ("hirescam", "gradcam", "layercam", "lrp-gamma", "gradcam++", "eigencam")
    decisions = product(photos[:5], methods, ("", "predicted - runner-up", "3"))
    return cycle(
        [
            *((name, {"photo": photo}) for name in ("scores", "tree") for photo in photos[:5]),
            *(
                ("decision", {"photo": photo, "method": method, "target": target})
                for photo, method, target in decisions
            ),
        ]
    )


def growth(name: str, asked: int) -> tuple[float, float]:
    """Megabytes that `MORE` questions add after `WARM`, and the milliseconds of the median one.

    Few answers are kept, so that nearly all are computed.
    """
    studio = Studio({"model": foveal.load_model(name, pretrained=False)})
    studio.answers = AnswerCache(most=2**18)
    studio.add_scenes(demo_scenes())
    with serving(studio, port=0) as server:
        client, seconds = Client(server), []
        photos = [photo["hash"] for photo in client.answer("library")["photos"]]
        stream = questions(photos)
        for name, query in islice(stream, min(WARM, asked)):
            client.answer(name, model="model", **query)
        before = resident()
        for name, query in islice(stream, asked):
            started = time.perf_counter()
            client.answer(name, model="model", **query)
            seconds.append(time.perf_counter() - started)
        return resident() - before, 1000 * median(seconds)


def pages_at_once(client: Client, photos: list[str]) -> float:
    """Seconds until each of four pages has its own maps of every photo."""

    def page(number: int) -> None:
        own = Client(client.server, f"page{number}")
        for photo in photos:
            own.answer("decision", photo=photo, model="model", method="gradcam", target=str(number))

    started = time.perf_counter()
    with ThreadPoolExecutor(4) as pages:
        list(pages.map(page, range(4)))
    return time.perf_counter() - started


def main(
    model: Annotated[list[str] | None, typer.Option(help=f"Networks (default: {', '.join(NETWORKS)}).")] = None,
    rounds: Annotated[int, typer.Option(help="Cancels of each method.")] = 5,
    asked: Annotated[int, typer.Option(help="Questions whose memory is measured.")] = MORE,
) -> None:
    """Print what was measured, and the goals."""
    table = Table("network", "what", "measured", "goal", title=f"torch {torch.__version__}, {platform.machine()}")
    for name in model or NETWORKS:
        network = foveal.load_model(name, pretrained=False)
        table.add_row(name, "first map", f"{first_map(network):.2f} s", "2 s" if name == "demo" else "")
        studio = Studio({"model": network})
        studio.add_scenes(demo_scenes())
        with serving(studio, port=0) as server:
            client = Client(server)
            photos = [photo["hash"] for photo in client.answer("library")["photos"]]
            table.add_row(name, f"4 pages, {len(photos)} maps each", f"{pages_at_once(client, photos):.2f} s", "")
            for about, (asked_name, query) in LONG.items():
                both = [times for _ in range(rounds) if (times := cancels(server, photos, asked_name, query))]
                heard, stopped = (max(times) for times in zip(*both, strict=True)) if both else (0.0, 0.0)
                table.add_row(name, f"cancel {about}: acknowledged", f"{heard:.0f} ms", "200 ms")
                table.add_row(name, f"cancel {about}: idle", f"{stopped:.0f} ms", "500 ms")
        if name == "demo":
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:  # what came before is not counted
                grown, usual = alone.submit(growth, name, asked).result()
            table.add_row(name, f"{asked} questions after {WARM}: memory", f"{grown:.1f} MB", "5 MB")
            table.add_row(name, "one of them", f"{usual:.0f} ms", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
