"""The run that a studio shows: which network made it, where its decisions lie, and its rows as a page shows them."""

from __future__ import annotations

import base64
import io
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from foveal.errors import FovealError, ModelError, ResultError
from foveal.images.load import photo_of
from foveal.images.selection import TO_LOOK_AT
from foveal.report.answers.wire import MapAnswer, Wire, map_answer
from foveal.runs.result import Run
from foveal.runs.table import read_maps
from foveal.storage.fingerprint import fingerprint
from foveal.webapp.atlas_places import Placed, placed, small_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Float32
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.attribution.perturbation import Progress
    from foveal.images import Geometry
    from foveal.models import Model
    from foveal.runs.reasons import Reasons

SIDE = 176  # long side in pixels of a photo in a gallery
QUALITY = 82
MOST_CELLS = 56  # rows and columns of a map in a gallery
MOST_KEPT = 2000  # rows whose small photos are kept


class AtlasRow(Wire):
    """One row of the run.

    Attributes:
        row: its number in the run.
        name: of its file, below the folder of the data set.
        thumb: the photo, small, as a data URI; "" where it cannot be read.
        map: of the deepest layer, at most 56 × 56 cells where they cover the input edge to edge; None where there is
            none, or where on the photo it lies is not known.
        match: the name of the reference that is most similar, in a run of matches.
        problem: why there is no photo, or no map.
        notes: what a reader must know of this row.
    """

    row: int
    name: str
    label: str | None
    predicted: str | None
    target: str | None
    score: float | None
    probability: float | None
    match: str | None
    thumb: str
    width: int
    height: int
    map: MapAnswer | None
    problem: str
    notes: str


class NoRow(FovealError, LookupError):
    """A number that no row of the run has."""


@dataclass(eq=False)
class Atlas:
    """A run on the page.

    Attributes:
        run: what is shown.
        model: the studio's name of the network that made it.
        reasons: how its decisions were grouped, if they were.
        grouped: the page grouped them.
        saved: the folder that has the groups, where one has.
        key: under which pages know it; another one each time that a run is shown.
    """

    run: Run
    model: str
    reasons: Reasons | None = None
    grouped: bool = False
    saved: Path | None = None
    key: str = field(default_factory=lambda: secrets.token_hex(6))
    _placed: Placed | None = None
    _kept: OrderedDict[int, AtlasRow] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    @property
    def layer(self) -> str:
        """Whose maps are shown: the deepest."""
        return self.run.layers[-1]

    @property
    def contributing(self) -> str:
        """The layer whose channels' contributions the run has; "" where it has none."""
        return self.run.record.contributions or ""

    @property
    def load(self) -> str:
        """The run as Python gets it: "run" where it is some of the rows of the run in its folder."""
        run = self.run
        root = "" if str(run.root) == run.record.root else f", root={str(run.root)!r}"
        call = f"foveal.Run.load({str(run.folder)!r}{root})"
        if len(run) == run.whole:
            return call
        return f"{call}[:{len(run)}]" if np.array_equal(run["id"], np.arange(len(run))) else "run"

    @property
    def grouping(self) -> str:
        """The groups as Python gets them, `model` being the network; "" where there are none."""
        if self.reasons is None:
            return ""
        if self.saved is not None:
            return f"foveal.Reasons.load({str(self.saved)!r})"
        return f"foveal.reasons({self.load}, model)" if self.grouped else "reasons"

    def save_groups(self) -> Atlas:
        """The same with its groups in a folder beside that of the run, which has a name that is free there.

        Raises:
            ResultError: where there are no groups, or they cannot be written.
        """
        if self.reasons is None:
            raise ResultError("the decisions of this run have no groups by reason: group them first")
        if self.saved is not None:
            return self
        beside = self.run.folder.absolute()
        names = (f"{beside.name}-reasons{f'-{number}' if number > 1 else ''}" for number in count(1))
        folder = next(folder for name in names if not (folder := beside.parent / name).exists())
        return replace(self, saved=self.reasons.save(folder), key=secrets.token_hex(6))

    def placed(self, progress: Progress) -> Placed:
        """Where the decisions lie; found once."""
        with self._lock:
            if self._placed is None:
                self._placed = placed(self.run, self.layer, self.reasons, progress)
            return self._placed

    def checked(self, rows: Sequence[int]) -> list[int]:
        """Raises NoRow for numbers that no rows have."""
        if any(row >= len(self.run) for row in rows):
            raise NoRow(f"this run has {len(self.run)} rows, and no row {max(rows)}: load the page again")
        return list(rows)

    def rows(self, rows: Sequence[int], progress: Progress) -> list[AtlasRow]:
        """These rows with their photos, read from their files, and their maps."""
        with self._lock:
            made = {row: self._kept[row] for row in self.checked(rows) if row in self._kept}
        missing = [row for row in dict.fromkeys(rows) if row not in made]
        for number, (row, maps) in enumerate(zip(missing, self._maps(missing), strict=True)):
            progress("reading photos", number, len(missing))
            made[row] = self._row(row, maps)
        with self._lock:
            self._kept.update(made)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return [made[row] for row in rows]

    def reason_of_row(self, row: int, progress: Progress) -> Float32[NDArray[np.float32], " d"]:
        """What is compared of a row. Raises ResultError for one with an error."""
        (maps,) = self._maps(self.checked([row]))
        if self.layer not in maps:
            raise ResultError(f"row {row} was not explained: {self.run['error'][row]}")
        if self.placed(progress).by == "contributions":
            return np.asarray(self.run[[row]].contributions()[0])
        return self.reason_of_map(maps[self.layer], progress)

    def reason_of_map(self, map: Tensor, progress: Progress) -> Float32[NDArray[np.float32], " d"]:
        """What is compared of a map (h, w)."""
        return small_map(map.detach().float().cpu(), self.placed(progress).cells)

    def _maps(self, rows: Sequence[int]) -> list[Mapping[str, Tensor]]:
        ids = self.run.table["id"][np.array(rows, int)]
        return [*read_maps(self.run.folder, self.run.record, ids, [self.layer])]

    def _row(self, row: int, maps: Mapping[str, Tensor]) -> AtlasRow:
        table = {name: values[row] for name, values in self.run.table.items()}
        thumb, map, size, problem = "", None, (0, 0), str(table["error"] or "")
        try:
            picture, geometry = self._photo(row)
            thumb, size = _small(picture), picture.size  # in the photo's proportions
            if geometry is not None and self.layer in maps and maps[self.layer].ndim == 2:
                place = self.run.record.places.get(self.layer)
                cells = _fine(maps[self.layer]) if place is None else maps[self.layer]
                map = map_answer(cells, geometry, place)
        except FovealError as error:
            problem = problem or str(error)
        return AtlasRow(
            row=row, name=str(table["uri"]), label=table["label"], predicted=table["predicted"],
            target=table["target"], score=_number(table["score"]), probability=_number(table["probability"]),
            match=table.get("match"),
            thumb=thumb, width=size[0], height=size[1], map=map, problem=problem, notes=table["notes"] or "",
        )  # fmt: skip

    def _photo(self, row: int) -> tuple[Image.Image, Geometry | None]:
        """The photo, and where the network saw it; None where the run does not know how it was prepared."""
        if self.run.record.preprocessing is None:
            return Image.fromarray(photo_of(self.run.picture(row), TO_LOOK_AT).pixels), None
        photo = self.run.photo(row)
        return Image.fromarray(photo.pixels), photo.geometry


def atlas_of(shown: Run | Reasons, models: Mapping[str, Model]) -> Atlas:
    """A run, grouped or not, with the one of these networks that made it.

    Raises:
        ResultError: for a run without rows.
        ModelError: where none of them has its weights.
    """
    run, reasons = (shown, None) if isinstance(shown, Run) else (shown.run, shown)
    if not len(run):
        raise ResultError(f"the run in {str(run.folder)!r} has no rows (yet): wait for its first part")
    wanted = run.record.settings["weights"]
    for name, model in models.items():
        if fingerprint(weights=model.module) == wanted:
            return Atlas(run, name, reasons, saved=reasons.folder if reasons else None)
    raise ModelError(
        f"the run in {str(run.folder)!r} is of {run.record.settings['model']}, and {', '.join(models)} has other "
        "weights: open the studio with the network that made the run"
    )


def _fine(map: Tensor) -> Tensor:
    """A map (h, w) as fine as a small photo shows it."""
    h, w = min(MOST_CELLS, map.shape[0]), min(MOST_CELLS, map.shape[1])
    return map if (h, w) == tuple(map.shape) else adaptive_avg_pool2d(map[None], (h, w))[0]


def _small(picture: Image.Image) -> str:
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
