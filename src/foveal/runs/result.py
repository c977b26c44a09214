"""What a run gives: one row per image, to be filtered by any column, and opened again as explanations."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from foveal.datasets.parts import part_files
from foveal.datasets.plan import PLAN, Item
from foveal.errors import ResultError, counted
from foveal.images import Photo
from foveal.images.folders import is_folder
from foveal.render.scale import number, typeset
from foveal.results import Explanation
from foveal.results.data_frame import data_frame
from foveal.results.result import Result, check_kind, checked_index, finite
from foveal.runs.photos import picture_of, read_photo
from foveal.runs.record import CONTRIBUTIONS, FORMAT, RunManifest, plain_content
from foveal.runs.table import by_layer, class_rows, read_maps, read_table, read_vectors

if TYPE_CHECKING:
    from jaxtyping import Float, Float32
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    from foveal.datasets.inside import Picture
    from foveal.storage.manifest import Saved

LISTED = 8  # errors and notes that `str` tells


@dataclass(frozen=True, eq=False)
class Run(Result):
    """Explanations of a data set: one row per image, in the order of their numbers.

        run = foveal.Run.load("run/")
        len(run), run.columns                       # 50000, ("id", "uri", "label", "predicted", …)
        wrong = run[(run["predicted"] != run["label"]) & (run["probability"] > 0.9)]
        wrong.figure()                              # their maps on their photos
        wrong.maps()                                # (n, h, w)
        wrong[0].save("out/")                       # an Explanation

    Attributes:
        folder: where its parts lie.
        record: what was asked of every picture.
        table: column → (n,), numbers, or text with None where there is none.
        whole: how many pictures the data set has; there are fewer rows while a run is under way.
        root: the folder that pictures lie below.
        notes: what holds for every picture; those of single ones are in the column `notes`.
    """

    FORMAT: ClassVar[str] = FORMAT

    folder: Path
    record: RunManifest
    table: Mapping[str, NDArray[Any]]
    whole: int
    root: Path
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table["id"])

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns but those of maps."""
        return tuple(self.table)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of which there are maps, in forward order."""
        return self.record.layers

    @property
    def failed(self) -> Run:
        """The rows that have an error instead of a map."""
        return self._select(np.flatnonzero([error is not None for error in self.table["error"]]))

    @property
    def explained(self) -> Run:
        """The rows that have maps."""
        return self._select(np.flatnonzero([error is None for error in self.table["error"]]))

    def __getitem__(self, which: Any) -> Any:
        """A column by its name, a picture by its row as an `Explanation`, or a `Run` of some rows.

        Rows are chosen by a slice, numbers, or a mask (n,) of truth values.

        Raises:
            ResultError: for a column or row that is not here, and for a row that cannot be opened again.
        """
        if isinstance(which, str):
            if which not in self.table:
                raise ResultError(f"This run has no column {which!r}: it has {', '.join(self.columns)}.")
            return self.table[which]
        if isinstance(which, int | np.integer):
            return self._explanation(checked_index(int(which), len(self), "row"))
        rows = np.arange(len(self))[which] if isinstance(which, slice) else np.asarray(which)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise ResultError(f"A mask of rows must be ({len(self)},), but is {rows.shape}.")
            rows = np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ResultError("Choose rows by a number, a slice, a list of numbers, or a mask of truth values.")
        return self._select(np.array([checked_index(int(row), len(self), "row") for row in rows], int))

    def __iter__(self) -> Iterator[Explanation]:
        return (self[i] for i in range(len(self)))

    def rows(self) -> list[dict[str, Any]]:
        """Each picture as plain data, without its maps; None for numbers that there are not."""
        columns = {name: values.tolist() for name, values in self.table.items()}
        return [finite({name: values[i] for name, values in columns.items()}) for i in range(len(self))]

    def maps(self, layer: str | None = None) -> Float[Tensor, "n h w"]:
        """The maps of all rows at a layer, raw and signed; the deepest if left out.

        Raises:
            ResultError: where a row has none (`run.explained.maps()`), or they differ in size.
        """
        layer = self._layer(layer)
        each = read_maps(self.folder, self.record, self.table["id"], [layer])
        missing = [i for i, maps in enumerate(each) if layer not in maps]
        if missing or not each:
            raise ResultError(
                f"{counted(len(missing), 'row')} of {len(self)} have no map: take those that have, run.explained."
                if each
                else "There are no rows."
            )
        shapes = {tuple(maps[layer].shape) for maps in each}
        if len(shapes) > 1:
            raise ResultError(f"The maps have {len(shapes)} sizes: take one row after the other.")
        return torch.stack([maps[layer] for maps in each])

    def contributions(self, of: str = "sum") -> Float32[NDArray[np.float32], "n c"]:
        """What each channel of `record.contributions`, a layer, contributes to the score of each row.

        Args:
            of: "sum" over positions of gradient times activation, so that a row's sum is the sum of its hirescam map;
                "max" is the product at the one position where it is largest.

        Raises:
            ResultError: where the run was made without them, a row has none (`run.explained.contributions()`), or for
                another word.
        """
        if of not in CONTRIBUTIONS:
            raise ResultError(f"contributions cannot take of={of!r}: give 'sum' or 'max'")
        if self.record.contributions is None:
            raise ResultError(
                "This run has no channel contributions: make it again with contributions=True, in a new folder."
            )
        return read_vectors(self.folder, self.record, self.table["id"], CONTRIBUTIONS[of])

    def classes(self, by: str = "label") -> list[dict[str, Any]]:
        """How each class came out: pictures, errors, the share that is predicted right, the mean of every number.

        Args:
            by: the column whose values are the classes; "predicted" where pictures have no labels.

        Raises:
            ResultError: for a column that is not here.
        """
        values = self[by]
        if by == "label" and all(value is None for value in values):
            by = "predicted"
        return class_rows(self.table, by, self.record.numbers)

    def to_pandas(self) -> Any:
        """All columns but maps as a pandas DataFrame.

        Raises:
            MissingExtra: where pandas is not installed.
        """
        return data_frame(dict(self.table))

    def figure(self, kind: str = "sheet", *, side: int = 160) -> Image.Image:
        """The run in one picture.

        Args:
            kind: "sheet": photos with their maps, evenly out of all rows, at most 24; "numbers": how each column of
                numbers is distributed; "classes": how each class came out.
            side: of a photo in pixels.

        Raises:
            ResultError: for a kind there is not.
        """
        from foveal.runs import sheet

        check_kind(kind, "sheet", "numbers", "classes")
        draw = {"sheet": sheet.contact_sheet, "numbers": sheet.histograms, "classes": sheet.class_bars}[kind]
        return draw(self, side)

    def to_dict(self) -> dict[str, Any]:
        """What was asked, and what came out in numbers: classes, and how many failed; `rows` has each picture."""
        facts: dict[str, Any] = finite({
            "rows": len(self), "planned": self.whole, "failed": len(self.failed),
            "layers": list(self.layers), "columns": list(self.columns), "settings": dict(self.record.settings),
            "accuracy": self.accuracy, "classes": self.classes(), "summary": self.summary,
            "notes": list(self.notes), "seconds": self.seconds, "versions": dict(self.versions),
        })  # fmt: skip
        return facts

    @property
    def accuracy(self) -> float | None:
        """The share of labeled pictures whose predicted class is their label, 0 to 1; None without labels."""
        columns = [self.table[name] for name in ("predicted", "label", "error")]
        known = [
            predicted == label
            for predicted, label, error in zip(*columns, strict=True)
            if label is not None and predicted is not None and error is None
        ]
        return float(np.mean(known)) if known else None

    @property
    def agreement(self) -> str:
        """What `accuracy` counts: "predicted as labeled", or of a match "matched as labeled"."""
        return f"{'matched' if self.record.settings.get('verb') == 'match' else 'predicted'} as labeled"

    @property
    def summary(self) -> str:
        """ "hirescam of demo: 50000 images, 3 failed, layer4, 91.2 % predicted as labeled"."""
        settings, failed = self.record.settings, len(self.failed)
        count = counted(len(self), "image") if len(self) == self.whole else f"{len(self)} of {self.whole} images"
        parts = [count, f"{failed} failed" if failed else "", ", ".join(self.layers)]
        if self.accuracy is not None:
            parts.append(f"{100 * self.accuracy:.1f} % {self.agreement}")
        return f"{settings['method']} of {settings['model']}: {', '.join(part for part in parts if part)}"

    def __str__(self) -> str:
        lines = [self.summary, *self._means()]
        errors = [(uri, error) for uri, error in zip(self.table["uri"], self.table["error"], strict=True) if error]
        lines += [f"  {uri}: {error}" for uri, error in errors[:LISTED]]
        lines += [f"  … and {len(errors) - LISTED} more errors"] if len(errors) > LISTED else []
        own = Counter(note for notes in self.table["notes"] if notes for note in notes.split("\n"))
        said = [f"{note} ({counted(count, 'image')})" for note, count in own.most_common(LISTED)]
        return "\n".join([*lines, *(f"  note: {note}" for note in (*self.notes, *said))])

    __repr__ = __str__

    def _means(self) -> list[str]:
        """The mean of each column of numbers; of some of them, where there are many."""
        known = {name: values[np.isfinite(values)] for name in self.record.numbers if len(values := self.table[name])}
        means = [
            f"{name} {typeset(number(float(values.mean(dtype=np.float64))))}"
            for name, values in known.items()
            if len(values)
        ]
        more = f" … and {len(means) - LISTED} more" if len(means) > LISTED else ""
        return [f"  mean: {', '.join(means[:LISTED])}{more}"] if means else []

    def photo(self, i: int) -> Photo:
        """The photo of a row, read again from its file.

        Raises:
            ImageError: where it is not there, or cannot be read.
        """
        axes = next((map.ndim for map in self.row_maps(i).values()), 2)
        return read_photo(self.folder, self.record, self.root, self._item(i), axes)

    def picture(self, i: int) -> Picture:
        """The file of a row's picture as it lies now; its bytes, of a picture inside of a tar or a table.

        Raises:
            ImageError: where it is inside of a file that cannot be read.
        """
        return picture_of(self.folder, self.record, self.root, self._item(i))

    def _item(self, i: int) -> Item:
        row = checked_index(i, len(self), "row")
        return Item(int(self.table["id"][row]), self.table["uri"][row])

    def row_maps(self, i: int) -> Mapping[str, Tensor]:
        """The maps of one row: layer → (h, w); none of a row with an error."""
        (maps,) = read_maps(self.folder, self.record, self.table["id"][[i]], self.layers)
        return maps

    def _explanation(self, i: int) -> Explanation:
        row = {name: values[i] for name, values in self.table.items()}
        if row["error"] is not None:
            raise ResultError(f"Row {i}, {row['uri']!r}, was not explained: {row['error']}")
        maps = self.row_maps(i)
        score, probability = (_tensor(row[name]) for name in ("score", "probability"))
        settings = self.record.settings
        return Explanation(
            maps={layer: map[None] for layer, map in maps.items()},
            photos=(self.photo(i),),
            score=score,
            probability=probability,
            target=(row["target"] or "no decision",),
            target_spec=dict(self.record.spec),
            method=settings["method"],
            parameters={"run": str(self.folder), "id": int(row["id"]), **self.record.options},
            model=settings["model"],
            measured=by_layer(self.record, row),
            notes=self.notes,
            versions=dict(self.versions),
            where=self.record.places,
        )

    def _layer(self, layer: str | None) -> str:
        if layer is not None and layer not in self.layers:
            raise ResultError(f"There are no maps of {layer!r} here: there are {', '.join(self.layers)}.")
        return layer or self.layers[-1]

    def _select(self, rows: NDArray[Any]) -> Run:
        return replace(self, table={name: values[rows] for name, values in self.table.items()})

    def _write(self, aside: Path) -> Mapping[str, Any]:
        """The plan and every part, as they are; of some rows, which ones."""
        for name in (PLAN, *(path.name for _, path in part_files(self.folder))):
            shutil.copyfile(self.folder / name, aside / name)
        return {**plain_content(self.record), "kept": self.table["id"].tolist()}

    @classmethod
    def load(cls, folder: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> Run:
        """The run in a folder, also while it is under way.

        Args:
            root: the folder below which the pictures lie now, where they were moved: of a folder that was explained
                itself, of a table its folder.

        Raises:
            ResultError: if anything is missing or changed, or it is of another kind; if there is no such root.
        """
        run = super().load(folder)
        if root is None:
            return run
        place = Path(os.fspath(root)).resolve()
        if not is_folder(place):
            raise ResultError(f"Cannot read the images of the run below {os.fspath(root)!r}: there is no such folder.")
        return replace(run, root=place)

    @classmethod
    def _read(cls, saved: Saved) -> Run:
        record = RunManifest.read(saved)
        table = read_table(saved, record)
        run = cls(
            saved.folder, record, table, record.rows, Path(record.root), record.notes, record.seconds,
            dict(record.settings["versions"]),
        )  # fmt: skip
        kept = saved.get("kept", None)
        if kept is None or kept == table["id"].tolist():
            return run
        places = {int(id): place for place, id in enumerate(table["id"])}
        return run._select(np.array([places[int(id)] for id in kept], int))


def _tensor(value: Any) -> Tensor | None:
    return None if np.isnan(value) else torch.tensor([float(value)])
