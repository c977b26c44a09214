"""Every writer, killed at random moments: afterwards there is what was there before, or what was being written.

FOVEAL_KILLS=100 kills each of them a hundred times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from foveal.report.recorded_page import RecordedPage
from foveal.storage.atomic import write_text
from foveal.storage.checkpoint import load_state, save_state
from foveal.training.settings import Settings, changed, read_settings, write_settings
from tests.results.kinds import KINDS, called, known, made
from tests.storage.crashing import killed_after, kills, left_over, moments

Writer = tuple[Callable[[Path], None], Callable[[Path], None]]


def result(kind: str) -> Writer:
    """Two results in turn, with other files and other numbers."""
    one = made(kind)
    if kind == "scores":
        other: Any = replace(one, of="another", pictures=("u", "v"))
    elif kind in ("explanation", "parts", "flow"):
        other = replace(called(one, *(f"other{i}.png" for i in range(len(one)))), seconds=77.0)
    elif kind == "explanations":
        other = one[::-1]
    else:
        other = replace(one, notes=("another",))
    both = [one, other]

    def write(place: Path) -> None:
        for each in cycle(both):
            each.save(place / "out")

    def check(place: Path) -> None:
        if (place / "out").exists():
            assert known(KINDS[kind][1](place / "out")) in map(known, both)
        one.save(place / "out")
        assert known(KINDS[kind][1](place / "out")) == known(one)

    return write, check


def state() -> Writer:
    """A checkpoint or a cache."""

    def write(place: Path) -> None:
        for step in range(100_000):
            save_state(place / "kept" / "k.pt", {"step": step, "net": torch.full((60_000,), float(step))}, "of")

    def check(place: Path) -> None:
        file = place / "kept" / "k.pt"
        if file.exists():
            found = load_state(file, "of")
            assert found is not None and bool((found["net"] == found["step"]).all())
        save_state(file, {"step": 0, "net": torch.zeros(1)}, "of")

    return write, check


def training() -> Writer:
    """A checkpoint by Lightning Fabric."""
    files = pytest.importorskip("foveal.training.brnpa_files")
    fabric = pytest.importorskip("lightning_fabric").Fabric(accelerator="cpu", devices=1)

    def contents(step: int) -> dict[str, Any]:
        net = nn.Linear(200, 200)
        nn.init.constant_(net.weight, step)
        return {"net": net, "step": step}

    def write(place: Path) -> None:
        for step in range(100_000):
            files.save_checkpoint(fabric, place / "checkpoint.pt", contents(step))

    def check(place: Path) -> None:
        if (place / "checkpoint.pt").exists():
            found = contents(-1)
            files.load_checkpoint(fabric, place / "checkpoint.pt", found)
            assert bool((found["net"].weight == found["step"]).all()) and found["step"] >= 0
        files.save_checkpoint(fabric, place / "checkpoint.pt", contents(0))

    return write, check


def page() -> Writer:
    """A page of the studio that opens from disk."""

    def write(place: Path) -> None:
        for number in range(100_000):
            write_text(place / "report.html", RecordedPage().html(title=f"{number}"))

    def check(place: Path) -> None:
        if (place / "report.html").exists():
            text = (place / "report.html").read_text()
            assert text.rstrip().endswith("</html>")
        write_text(place / "report.html", "<html></html>")

    return write, check


def settings() -> Writer:
    """The settings of a training."""

    def write(place: Path) -> None:
        for seed in range(100_000):
            write_settings(Settings(seed=seed, epochs=seed + 1), place / "settings.toml")

    def check(place: Path) -> None:
        if (place / "settings.toml").exists():
            found = changed(Settings(), read_settings(place / "settings.toml"))
            assert found.epochs == found.seed + 1
        write_settings(Settings(epochs=1), place / "settings.toml")

    return write, check


WRITERS: dict[str, Callable[[], Writer]] = {
    **{kind: lambda kind=kind: result(kind) for kind in KINDS},  # type: ignore[misc]
    "state": state, "training": training, "page": page, "settings": settings,
}  # fmt: skip
SLOW = {"flow": 3.0, "feature_images": 0.6, "tree": 0.6, "match": 0.8, "parts": 0.8, "explanation": 0.6}
"""Seconds that a save takes, about: so late a kill may come."""


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.timeout(3600)
def test_killed_at_random_moments(writer: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    write, check = WRITERS[writer]()
    count = kills(1 if writer == "flow" else 3)
    for seconds in moments(count, len(writer), 2 * SLOW.get(writer, 0.1)):
        assert killed_after(0.005 + seconds, lambda: write(tmp_path))
        check(tmp_path)
    assert not left_over(tmp_path)
