"""Rows of a CSV file that grows picture by picture: what is there already is not measured again."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foveal.errors import ResultError
from foveal.results.scores import Scores

KEY = ("decision", "picture", "method")


class Ledger:
    """A row for each decision, picture and method; all methods of a picture are written together.

    Args:
        path: of the CSV file; it is made when there is none. Beside it PATH.json says what it was made with.
        metrics: its columns, after decision, picture and method.
        setting: what the numbers were made with: a file of another setting is not added to.

    Raises:
        ResultError: for a file with other columns, or of another setting.
    """

    def __init__(self, path: Path, metrics: Sequence[str], setting: Mapping[str, Any]) -> None:
        self.path, self.metrics = path, tuple(metrics)
        self.columns = (*KEY, *self.metrics)
        self._check(json.loads(json.dumps(dict(setting))))
        self.done = {(row["decision"], row["picture"]) for row in self.rows()}

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of one picture; a run that is broken off in between leaves none of them."""
        new = [{key: _plain(row.get(key, "")) for key in self.columns} for row in rows]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            text = _Text()
            csv.DictWriter(text, self.columns, lineterminator="\n").writerows(new)
            file.write(text.all)
        self.done |= {(row["decision"], row["picture"]) for row in new}

    def rows(self) -> list[dict[str, str]]:
        """All rows so far."""
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def scores(self, decision: str, *, references: Sequence[str] = (), model: str = "", of: str = "score") -> Scores:
        """The values of one decision; a method that some picture lacks is undefined there, and counted."""
        own = [row for row in self.rows() if row["decision"] == decision]
        pictures = tuple(dict.fromkeys(row["picture"] for row in own))
        methods = tuple(dict.fromkeys(row["method"] for row in own))
        at = {(row["method"], row["picture"]): row for row in own}
        metrics = [m for m in self.metrics if any(row[m] for row in own)]
        values = {
            name: {m: tuple(float(at.get((name, p), {}).get(m) or "nan") for p in pictures) for m in metrics}
            for name in methods
        }
        known = tuple(name for name in methods if name in references or name.startswith("("))
        nothing = (math.nan,) * len(pictures)
        return Scores(values, pictures, ("",) * len(pictures), nothing, of, known, model)

    @property
    def decisions(self) -> tuple[str, ...]:
        """In the order in which they were first measured."""
        return tuple(dict.fromkeys(row["decision"] for row in self.rows()))

    def _check(self, setting: Mapping[str, Any]) -> None:
        card = self.path.with_suffix(".json")
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            card.write_text(json.dumps(setting, indent=1) + "\n", encoding="utf-8")
            self.path.write_text(",".join(self.columns) + "\n", encoding="utf-8")
            return
        with self.path.open(encoding="utf-8") as file:
            columns = tuple(file.readline().strip().split(","))
        saved = json.loads(card.read_text(encoding="utf-8")) if card.exists() else None
        if columns != self.columns or saved != setting:
            raise ResultError(
                f"{str(self.path)!r} holds numbers made otherwise: ask for the same model, metrics and steps, or name "
                "another folder with --out"
            )


class _Text:
    """What a CSV writer writes, to be written at once."""

    def __init__(self) -> None:
        self.all = ""

    def write(self, text: str) -> None:
        self.all += text


def _plain(value: Any) -> Any:
    return "" if isinstance(value, float) and not math.isfinite(value) else value
