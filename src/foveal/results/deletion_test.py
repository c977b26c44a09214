"""What `foveal.audit` gives: for each picture, what hiding its marked places does, beside others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.render.scale import number


@dataclass(frozen=True)
class DeletionTest:
    """One map of one picture.

    method, picture, target     what was audited.
    of          what number was asked for: "probability of the class".
    whole       that number, as the picture is.
    area        the share of the picture that was hidden, 0 to 1.
    marked      the number without what the map marks; None where it marks nothing.
    others      the same without an equal area elsewhere, once a draw.
    """

    method: str
    picture: str
    target: str
    of: str
    whole: float
    area: float
    marked: float | None
    others: tuple[float, ...]

    @property
    def effect(self) -> float:
        """How far hiding what is marked lowers the number, as a share of it where it is above 0."""
        return self._lowered(self.marked) if self.marked is not None else float("nan")

    @property
    def chance(self) -> tuple[float, float]:
        """The same at random: mean and standard deviation over the draws."""
        each = [self._lowered(one) for one in self.others] or [float("nan")]
        return float(np.mean(each)), float(np.std(each, ddof=1)) if len(each) > 1 else float("nan")

    @property
    def beats(self) -> float:
        """The share of draws that cost less, 0 to 1: 0.5 is what a map at random gets."""
        lower = [one > self.marked for one in self.others] if self.marked is not None else []
        return float(np.mean(lower)) if lower else float("nan")

    @property
    def sentence(self) -> str:
        """The finding, as a person would say it."""
        if self.marked is None:
            return f"this map marks nothing that could be hidden: it has no positive evidence for {self.target}"
        mean, spread = self.chance
        what = "score" if self.of == "score" else self.of.split()[0]
        unit = " %" if self._relative else ""
        return (
            f"hiding what this map marks ({100 * self.area:.0f} % of the picture) {self._moves()} the {what} of "
            f"{self.target}{self._by()}; hiding an equal area at random, by {self._plain(mean)} ± "
            f"{self._plain(spread)}{unit}"
        )

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        mean, spread = self.chance
        known = self.marked is not None
        return {
            "method": self.method, "picture": self.picture, "target": self.target, "of": self.of, "whole": self.whole,
            "area": self.area, "marked": self.marked, "others": list(self.others),
            "effect": self.effect if known else None, "chance": mean if known else None,
            "spread": spread if known else None, "beats": self.beats if known else None, "sentence": self.sentence,
        }  # fmt: skip

    @property
    def _relative(self) -> bool:
        return self.whole > 1e-6

    def _lowered(self, score: float) -> float:
        lost = self.whole - score
        return lost / self.whole if self._relative else lost

    def _plain(self, value: float) -> str:
        said = f"{100 * value:.0f}" if self._relative else number(value)
        return {"-0": "0"}.get(said, said).replace("-", "−")

    def _moves(self) -> str:
        if self._plain(abs(self.effect)) == self._plain(0.0):
            return "does not change"
        return "lowers" if self.effect > 0 else "raises"

    def _by(self) -> str:
        if self._moves() == "does not change":
            return ""
        return f" by {self._plain(abs(self.effect))}{' %' if self._relative else ''}"


@dataclass(frozen=True, eq=False)
class DeletionTests:
    """The audits of several maps and pictures; `notes` say what was assumed about the network and how it was asked."""

    each: tuple[DeletionTest, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[DeletionTest]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, i: int) -> DeletionTest:
        return self.each[i]

    def __str__(self) -> str:
        several = len(self.each) > 1
        lines = [f"{one.picture}, {one.method}: {one.sentence}" if several else one.sentence for one in self.each]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__
