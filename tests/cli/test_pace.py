"""How far a loop is, and how long it takes yet."""

from __future__ import annotations

import time

import pytest

from foveal.cli import console
from foveal.cli.pace import Pace, counted, duration


def test_counts_name_what_they_count() -> None:
    assert counted("measuring maps", 5, 28) == "measuring 5 of 28 maps"
    assert counted("explaining", 5, 28) == "explaining 5 of 28"
    assert counted("occlusion at input", 5, 28) == "occlusion at input: 5 of 28"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (95, "2 min"), (3600, "60 min"), (9000, "2 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_time_left_is_that_of_the_steps_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace("measuring maps")
    assert pace.words(3, 28) == "measuring 3 of 28 maps"  # gone on with: the first three cost nothing now
    now[0] += 4
    assert pace.words(8, 28) == "measuring 8 of 28 maps, about 16 s left"
    now[0] += 4
    assert pace.words(28, 28) == "measuring 28 of 28 maps"
    assert pace.words(1, 28) == "measuring 1 of 28 maps"  # the loop begins again


def test_lines_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heard: list[str] = []
    with console.heard(heard), console.progress("explaining photos") as move:
        for done in range(1, 5):
            move("rise at input", 1, 2)
            now[0] += 6
            move("explaining photos", done, 10, f"{done}.png")
    assert capsys.readouterr().err.splitlines() == [
        "explaining 2 of 10 photos, about 48 s left 2.png",
        "explaining 4 of 10 photos, about 36 s left 4.png",
    ]
    assert not heard  # progress is no message to be kept
