"""What `foveal.audit` gives: for each image, what hiding the marked area does, and hiding the same area elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from foveal.render.scale import number
from foveal.results.result import Result, check_kind, checked_index, finite

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from foveal.storage.manifest import Saved

SHOWN = 12  # tests in a notebook's figure
EXPLAINED = (
    "The first bar: the area that the map marks is hidden. The second: the same shape at random positions, mean and "
    "standard deviation. A faithful map has a first bar far to the left of the second."
)


@dataclass(frozen=True)
class DeletionTest:
    """One map of one image.

    method, source, target      what was audited.
    of          what number was asked for: "probability of the class".
    whole       that number, as the image is.
    area        the share of the image that was hidden, 0 to 1.
    marked      the number without what the map marks; None where it marks nothing.
    others      the same without an equal area elsewhere, once a draw.
    """

    method: str
    source: str
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
        each = [self._lowered(score) for score in self.others] or [float("nan")]
        return float(np.mean(each)), float(np.std(each, ddof=1)) if len(each) > 1 else float("nan")

    @property
    def beats(self) -> float:
        """The share of draws that cost less, 0 to 1: 0.5 is what a map at random gets."""
        lower = [score > self.marked for score in self.others] if self.marked is not None else []
        return float(np.mean(lower)) if lower else float("nan")

    @property
    def summary(self) -> str:
        """The finding, as a person would say it."""
        if self.marked is None:
            return f"this map has no positive evidence for {self.target}, so there is nothing to hide"
        mean, spread = self.chance
        what = "score" if self.of == "score" else self.of.split()[0]
        unit = " %" if self._relative else ""
        return (
            f"hiding what this map marks ({100 * self.area:.0f} % of the image) {self._moves()} the {what} of "
            f"{self.target}{self._by()}; hiding an equal area at random, by {self._plain(mean)} ± "
            f"{self._plain(spread)}{unit}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        mean, spread = self.chance
        return {
            "method": self.method, "picture": self.source, "target": self.target, "of": self.of,
            "whole": finite(self.whole), "area": self.area, "marked": finite(self.marked),
            "others": finite(self.others), "effect": finite(self.effect), "chance": finite(mean),
            "spread": finite(spread), "beats": finite(self.beats), "summary": self.summary,
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

    def _change(self, lowered: float, spread: float | None = None) -> str:
        """What becomes of the number: "−19 %" where it is lowered by 0.19 of itself; "−14 ± 25 %" with a spread."""
        said = self._plain(abs(lowered))
        sign = "" if said == self._plain(0.0) else "−" if lowered > 0 else "+"
        beside = "" if spread is None else f" ± {self._plain(spread)}"
        return f"{sign}{said}{beside}{' %' if self._relative else ''}"

    def _moves(self) -> str:
        if self._plain(abs(self.effect)) == self._plain(0.0):
            return "does not change"
        return "lowers" if self.effect > 0 else "raises"

    def _by(self) -> str:
        if self._moves() == "does not change":
            return ""
        return f" by {self._plain(abs(self.effect))}{' %' if self._relative else ''}"


@dataclass(frozen=True, eq=False)
class DeletionTests(Result):
    """The audits of several maps and images; `notes` say what was assumed about the network and how it was asked."""

    FORMAT: ClassVar[str] = "foveal-audit/1"

    tests: tuple[DeletionTest, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[DeletionTest]:
        return iter(self.tests)

    def __len__(self) -> int:
        return len(self.tests)

    def __getitem__(self, i: int) -> DeletionTest:
        return self.tests[checked_index(i, len(self.tests), "test")]

    def figure(self, kind: str = "effects", *, side: int = 720) -> Image.Image:
        """What hiding the marked area does, and the same area elsewhere: a block an image and map."""
        from foveal.render.bar_sheet import BarBlock, SpreadBar, bar_sheet

        check_kind(kind, "effects")
        blocks = []
        for test in self.tests:
            mean, spread = test.chance
            bars = [
                SpreadBar("marked area hidden", -test.effect, 0.0, test._change(test.effect)),
                SpreadBar("same area elsewhere", -mean, spread, test._change(mean, spread)),
            ]
            blocks.append(BarBlock(f"{PurePath(test.source).name}, {test.method}, {test.target}", bars))
        notes = " ".join(f"{note[:1].upper()}{note[1:]}." for note in self.notes)
        return bar_sheet(
            "Deletion test: change of the score when an area is hidden", blocks, f"{EXPLAINED} {notes}", width=side
        )

    def _shown(self) -> Sequence[tuple[Image.Image, str]]:
        """The first tests."""
        first = replace(self, tests=self.tests[:SHOWN])
        return [(first.figure(), " ".join(f"{test.source}, {test.method}: {test.summary}." for test in first))]

    def to_dict(self) -> dict[str, Any]:
        """Every test, and what was assumed."""
        return {
            "tests": [test.to_dict() for test in self.tests], "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions),
        }  # fmt: skip

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The effects as an image; all numbers stand in the manifest."""
        self.figure().save(aside / "audit.png")
        return {
            "tests": [asdict(test) for test in self.tests], "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> DeletionTests:
        tests = tuple(DeletionTest(**{**facts, "others": tuple(facts["others"])}) for facts in saved["tests"])
        return cls(tests, tuple(saved["notes"]), float(saved["seconds"]), saved["versions"])

    def __str__(self) -> str:
        several = len(self.tests) > 1
        lines = [f"{test.source}, {test.method}: {test.summary}" if several else test.summary for test in self.tests]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__
