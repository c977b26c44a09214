"""How far a loop is and how long it takes yet, in words: "measuring 5 of 28 maps, about 40 s left"."""

from __future__ import annotations

import time

SURE = 1.0
"""Seconds of work before a guess is worth anything."""


class Pace:
    """The speed of one loop, measured from its first step on.

    Args:
        what: what is done, and to what: "measuring maps"; or only a name: "occlusion at input".
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._start: tuple[float, int] | None = None
        self._last = 0

    def words(self, done: int, total: int) -> str:
        """So many of so many are done now, and about how long the others take."""
        now = time.monotonic()
        if self._start is None or done < self._last:  # the next photo begins from the first step
            self._start = (now, done)
        self._last = done
        began, before = self._start
        left = (now - began) / (done - before) * (total - done) if done > before and now - began > SURE else None
        return counted(self.what, done, total) + (f", about {duration(left)} left" if left else "")


def counted(what: str, done: int, total: int) -> str:
    """ "measuring maps", 5, 28 → "measuring 5 of 28 maps"; "occlusion at input" → "occlusion at input: 5 of 28"."""
    verb, _, things = what.partition(" ")
    if verb.endswith("ing"):
        return f"{verb} {done} of {total} {things}".rstrip()
    return f"{what}: {done} of {total}"


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"
