"""What `foveal.reasons` returns: the decisions of a run, grouped in each class by why they were made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from foveal.errors import ResultError, counted
from foveal.results.result import Result, check_kind, finite
from foveal.runs.group_effect import GroupEffect
from foveal.runs.result import Run
from foveal.storage.arrays import described, read_arrays, write_arrays
from foveal.storage.folder import MANIFEST
from foveal.storage.reading import Damaged

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.storage.manifest import Saved

ARRAYS = "reasons.npz"
SURE = 0.05
"""From what corrected p-value on an effect is taken for chance."""
TESTS = {
    "hiding": "hiding what they share lowers the score",
    "appearance": "giving them the colors and texture of others of the class lowers the score",
}
"""The names of the tests, and what they find."""


@dataclass(frozen=True, eq=False)
class ReasonGroup:
    """Images of one class that were decided for alike reasons.

    Attributes:
        class_name: the class.
        rows: (k,), their rows in the run.
        mean_map: (h, w), the mean of their maps, positive evidence alone, each summing to 1.
        channels: those that contribute more here than elsewhere in the class, the most distinctive first; empty for the
            only group of a class.
        odd: a minority of its class that lies clearly apart from the rest of it.
        hiding: by how much the score falls when the evidence of its channels is hidden; None where it was not tested.
        appearance: … when its images get the mean colors and the amplitude spectrum of others of the class.
    """

    class_name: str
    rows: Int[NDArray[np.intp], " k"]
    mean_map: Float[Tensor, "h w"]
    channels: tuple[int, ...] = ()
    odd: bool = False
    hiding: GroupEffect | None = None
    appearance: GroupEffect | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tests(self) -> dict[str, GroupEffect]:
        """Its tests that were made, by name, the surest effect first."""
        made = {name: test for name in TESTS if (test := getattr(self, name)) is not None}
        return dict(sorted(made.items(), key=lambda item: item[1].p))

    @property
    def flagged(self) -> bool:
        """It is odd, and one of the tests costs its images more than it costs others: look whether it should."""
        return self.odd and any(test.p < SURE for test in self.tests.values())

    @property
    def summary(self) -> str:
        """ "12 images, odd: hiding what they share lowers the score by 3.1, elsewhere in the class by 0.4 ± 0.2"."""
        said = counted(len(self), "image") + (", odd" if self.odd else "")
        for name, test in self.tests.items():
            return (
                f"{said}: {TESTS[name]} by {test.effect:.3g}, elsewhere in the class by {test.chance:.3g} ± "
                f"{test.spread:.2g} (p = {test.p:.2g})"
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "class": self.class_name, "rows": self.rows.tolist(), "channels": list(self.channels), "odd": self.odd,
            "flagged": self.flagged, **{name: _plain(self.tests.get(name)) for name in TESTS}, "summary": self.summary,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reasons(Result):
    """The decisions of a run by their reasons.

        found = foveal.reasons(run)
        found.flagged                               # small groups decided for a reason of their own, by measurement
        found.run[found.flagged[0].rows].figure()   # their images

    Attributes:
        run: whose decisions they are.
        rows: (n,), the rows of the run that were grouped.
        places: (n, 2), each decision as a point, 0 to 1: decisions with alike reasons lie close to each other.
        group: (n,), the number of its group.
        typical: (n,), the share of its class that is less typical, 0 to 1.
        groups: class by class, the largest first.
        by: the column that classes are of.
        grouping: "mixture" or "spectral".
        notes: what a reader must know.
        folder: where it was loaded from; None where it was just found.
    """

    FORMAT: ClassVar[str] = "foveal-reasons/2"

    run: Run
    rows: Int[NDArray[np.intp], " n"]
    places: Float32[NDArray[np.float32], "n 2"]
    group: Int[NDArray[np.intp], " n"]
    typical: Float32[NDArray[np.float32], " n"]
    groups: tuple[ReasonGroup, ...]
    by: str = "predicted"
    grouping: str = "mixture"
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def flagged(self) -> tuple[ReasonGroup, ...]:
        """Odd groups with a measured effect beyond chance."""
        return tuple(group for group in self.groups if group.flagged)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that were grouped."""
        return tuple(dict.fromkeys(group.class_name for group in self.groups))

    @property
    def summary(self) -> str:
        """The finding, in one sentence."""
        made = (
            f"{self.run.record.settings['model']}: {counted(len(self), 'decision')} of "
            f"{counted(len(self.classes), 'class', 'classes')} in {counted(len(self.groups), 'group')} by their reasons"
        )
        if not self.flagged:
            tested = sum(bool(group.tests) for group in self.groups)
            return f"{made}, none of them flagged ({sum(g.odd for g in self.groups)} odd, {tested} tested)"
        first = max(self.flagged, key=_excess)
        return f"{made}, {len(self.flagged)} flagged: {first.class_name}, {first.summary}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data; groups by their rows."""
        return {
            "model": self.run.record.settings["model"], "run": os.fspath(self.run.folder), "by": self.by,
            "grouping": self.grouping, "summary": self.summary, "rows": self.rows.tolist(),
            "places": self.places.tolist(), "group": self.group.tolist(), "typical": self.typical.tolist(),
            "groups": [group.to_dict() for group in self.groups], "notes": list(self.notes), "seconds": self.seconds,
            "versions": dict(self.versions),
        }  # fmt: skip

    def figure(self, kind: str = "groups", *, class_name: str | None = None, side: int = 160) -> Image.Image:
        """Groups in a picture: a row each, the mean of its maps first, then its most typical images with their maps.

        Args:
            kind: "groups".
            class_name: whose groups; None is the class with the clearest flag, or the first.
            side: of an image in pixels.

        Raises:
            ResultError: for a kind or a class there is not.
        """
        from foveal.runs.reasons_sheet import groups_sheet

        check_kind(kind, "groups")
        if class_name is not None and class_name not in self.classes:
            raise ResultError(f"No decision of the class {class_name!r} is here: there are {', '.join(self.classes)}.")
        first = (self.flagged or self.groups)[0].class_name if self.groups else ""
        return groups_sheet(self, class_name or first, side)

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The groups of one class as a picture, and reasons.npz; of the run where it lies."""
        self.figure().save(aside / "groups.png")
        arrays = {
            "rows": torch.from_numpy(self.rows.astype(np.int64)),
            "kept": torch.from_numpy(self.run.table["id"].astype(np.int64)),
            "places": torch.from_numpy(self.places),
            "group": torch.from_numpy(self.group.astype(np.int64)),
            "typical": torch.from_numpy(self.typical),
            **{f"mean_map/{k}": group.mean_map for k, group in enumerate(self.groups)},
        }
        write_arrays(aside / ARRAYS, arrays)
        groups = [
            {
                "class_name": group.class_name, "odd": group.odd, "channels": list(group.channels),
                "tests": {name: vars(test) for name, test in group.tests.items()},
            }
            for group in self.groups
        ]  # fmt: skip
        return {
            "run": str(self.run.folder.resolve()), "of": self.run.record.of, "groups": groups,
            "arrays": described(arrays), "by": self.by, "grouping": self.grouping, "notes": list(self.notes),
            "seconds": self.seconds, "versions": dict(self.versions),
        }  # fmt: skip

    @classmethod
    def _read(cls, saved: Saved) -> Reasons:
        with saved.open(ARRAYS) as file:
            arrays = read_arrays(file, saved["arrays"])
        run = _run_of(saved, arrays["kept"].numpy())
        rows, group = (arrays[name].numpy().astype(np.intp) for name in ("rows", "group"))
        groups = tuple(
            ReasonGroup(
                facts["class_name"], rows[group == k], arrays[f"mean_map/{k}"], tuple(facts["channels"]), facts["odd"],
                *(GroupEffect(**facts["tests"][name]) if name in facts["tests"] else None for name in TESTS),
            )
            for k, facts in enumerate(saved["groups"])
        )  # fmt: skip
        return cls(
            run, rows, arrays["places"].numpy(), group, arrays["typical"].numpy(), groups, saved["by"],
            saved["grouping"], tuple(saved["notes"]), float(saved["seconds"]), saved["versions"], saved.folder,
        )  # fmt: skip

    def __str__(self) -> str:
        lines = [self.summary]
        for name in self.classes:
            own = [group for group in self.groups if group.class_name == name]
            lines.append(f"  {name}: {counted(sum(map(len, own)), 'image')}")
            lines += [f"  {'!' if group.flagged else ' '}   {group.summary}" for group in own]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def _plain(effect: GroupEffect | None) -> dict[str, Any] | None:
    return None if effect is None else {name: finite(value) for name, value in vars(effect).items()}


def _excess(group: ReasonGroup) -> float:
    """How much more the surest test of a group costs it than others."""
    surest = next(iter(group.tests.values()))
    return surest.effect - surest.chance


def _run_of(saved: Saved, ids: NDArray[Any]) -> Run:
    """The run that a saved result is about, where it lay, or beside the result if both were moved.

    Raises:
        Damaged: where it is not there any more, or another run is.
    """
    cannot = f"Cannot load the reasons in {str(saved.folder)!r}"
    before = Path(saved["run"])
    folder = next((place for place in (before, saved.folder.parent / before.name) if (place / MANIFEST).exists()), None)
    if folder is None:
        raise Damaged(f"{cannot}: the run they are of, {str(before)!r}, is not there; put it back, or beside them.")
    try:
        run = Run.load(folder)
    except ResultError as error:
        raise Damaged(f"{cannot}: {error}") from error
    if run.record.of != saved["of"]:
        raise Damaged(f"{cannot}: {str(folder)!r} holds another run now.")
    rows = {int(id): row for row, id in enumerate(run["id"])}
    if gone := [int(id) for id in ids if int(id) not in rows]:
        raise Damaged(f"{cannot}: the run in {str(folder)!r} has no image {gone[0]} any more, which was grouped.")
    chosen: Run = run[[rows[int(id)] for id in ids]]
    return chosen
