"""The atlas of a run: its decisions as points, some of them with their photos, and the mean map of a selection."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from foveal.errors import FovealError
from foveal.report.answers.library import PhotoEntry
from foveal.report.answers.wire import MapAnswer, Wire, flat_map
from foveal.runs.table import read_maps
from foveal.webapp.ask import Progress, Query, ask
from foveal.webapp.asks.library import photo_entry
from foveal.webapp.atlas import AtlasRow
from foveal.webapp.atlas_places import MOST_POINTS, cells_of, small_map, thinned
from foveal.webapp.opened_run import other_network, row_address, view_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.runs.group_effect import GroupEffect
    from foveal.runs.reasons import ReasonGroup
    from foveal.webapp.studio import Studio

MOST_ROWS = 48  # of a page of a gallery
MOST_FAILED = 1000
MOST_MAPS = 5000  # that a mean is made of
Row = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TextColumn(Wire):
    """A column of text: for each point the number of its value, little-endian int32, base64; −1 where it has none."""

    name: str
    values: list[str]
    codes: str


class NumberColumn(Wire):
    """A column of numbers: float32 a point, base64; NaN where it has none."""

    name: str
    values: str


class AtlasEffect(Wire):
    """What a test of a group found.

    Attributes:
        effect: by how much the score falls in its images on average, in points.
        chance, spread: the same in other images of the class, mean and standard deviation over draws.
        p: the chance of such an effect, corrected for the number of tests.
    """

    effect: float
    chance: float
    spread: float
    p: float


class AtlasGroup(Wire):
    """Decisions of one class for one reason.

    Attributes:
        points: how many.
        channels: that contribute more here than elsewhere in the class, the most distinctive first.
        odd: a small minority that lies apart; `flagged`, a test costs it more than chance explains.
        hiding: of hiding what its images share; None where it was not tested.
        appearance: of giving them the colors and the texture of others of the class.
    """

    class_name: str
    points: int
    map: MapAnswer
    channels: list[int]
    odd: bool
    flagged: bool
    hiding: AtlasEffect | None
    appearance: AtlasEffect | None


class AtlasQuery(Query):
    """The whole atlas.

    Attributes:
        run: the key of the run, as `library` gives it.
    """

    run: str = Field(max_length=64)


class AtlasAnswer(Wire):
    """Decisions as points.

    Attributes:
        run: its key.
        title: what was asked of which network, of how many images.
        load, grouping: the run and its groups as Python gets them; "" where there are no groups.
        saved: the folder that has the groups; "" where none has.
        contributing: the layer whose channels' contributions the run has; "" where it has none.
        rows: of each point, its row in the run: int32, base64.
        places: x and y of each point, uint16 from 0 to 65535, base64.
        by: what decisions near each other share: "contributions" of channels, or "maps".
        groups: by their reasons; none where the run was not grouped.
        group: of each point the number of its group: int32, base64; "" where there are no groups.
        view: where a row opens as the run asked for it.
        failed: rows with an error, at most `MOST_FAILED`; `failures`, how many there are.
    """

    run: str
    title: str
    model: str
    load: str
    grouping: str
    saved: str
    contributing: str
    layer: str
    method: str
    points: int
    rows: str
    places: str
    by: str
    texts: list[TextColumn]
    numbers: list[NumberColumn]
    groups: list[AtlasGroup]
    group: str
    view: str
    failed: list[int]
    failures: int
    notes: list[str]


class RowsQuery(AtlasQuery):
    """Some rows, as a gallery shows them."""

    rows: list[Row] = Field(max_length=MOST_ROWS)


class RowsAnswer(Wire):
    """In the order in which they were asked for."""

    rows: list[AtlasRow]


class MeanQuery(AtlasQuery):
    """A selection: a bit for each point, the first in the lowest bit, base64."""

    points: str = Field(max_length=MOST_POINTS // 6 + 4, pattern=r"^[A-Za-z0-9+/]*={0,2}$")


class MeanAnswer(Wire):
    """The mean of the raw maps of a selection.

    Attributes:
        map: None where nothing is selected.
        count: of the maps.
        notes: what a reader must know.
    """

    map: MapAnswer | None
    count: int
    notes: list[str]


class RowQuery(AtlasQuery):
    """A row of the run.

    Attributes:
        view: where it is shown; "" is the view of the run's verb.
    """

    row: Row
    view: Literal["", "decision", "tree", "parts", "match", "methods", "channel"] = ""


class OpenedRow(Wire):
    """A row's photo is one of the studio's now; `address` is where its decision is shown."""

    photo: PhotoEntry
    address: str


@ask("atlas")
def atlas(studio: Studio, query: AtlasQuery, progress: Progress) -> AtlasAnswer:
    """The run is read once, and its decisions placed once."""
    shown = studio.atlas_or_refuse(query.run)
    run, there = shown.run, shown.placed(progress)
    failed = np.flatnonzero([error is not None for error in run["error"]])
    numbers = {name: run[name][there.rows] for name in run.columns if run[name].dtype == np.float32}
    if there.typical is not None:
        numbers["typical"] = there.typical
    return AtlasAnswer(
        run=shown.key,
        title=run.summary,
        model=shown.model,
        load=shown.load,
        grouping=shown.grouping,
        saved=str(shown.saved or ""),
        contributing=shown.contributing,
        layer=shown.layer,
        method=run.record.settings["method"],
        points=len(there.rows),
        rows=_base64(there.rows.astype("<i4")),
        places=_base64((there.places * 65535).round().astype("<u2")),
        by=there.by,
        texts=[column for name in ("predicted", "label") if (column := _text(name, run[name][there.rows])).values],
        numbers=[NumberColumn(name=name, values=_base64(each.astype("<f4"))) for name, each in numbers.items()],
        groups=[_group(group) for group in shown.reasons.groups] if shown.reasons else [],
        group=_base64(there.group.astype("<i4")) if there.group is not None else "",
        view=view_of(run),
        failed=failed[:MOST_FAILED].tolist(),
        failures=len(failed),
        notes=[
            *there.notes,
            *(shown.reasons.notes if shown.reasons else ()),
            *run.notes,
            *other_network(studio, shown),
        ],
    )


@ask("atlas_rows", lasting=False)
def rows(studio: Studio, query: RowsQuery, progress: Progress) -> RowsAnswer:
    """Each photo is read from its file when it is first shown."""
    return RowsAnswer(rows=studio.atlas_or_refuse(query.run).rows(query.rows, progress))


@ask("atlas_mean")
def mean(studio: Studio, query: MeanQuery, progress: Progress) -> MeanAnswer:
    """The maps are read from the run, a part at once."""
    shown = studio.atlas_or_refuse(query.run)
    run, layer = shown.run, shown.layer
    there = shown.placed(progress)
    selected = there.rows[_selected(query.points, len(there.rows))]
    rows, notes = thinned(selected, MOST_MAPS, "map")
    total, cells, mixed = torch.zeros(0), (0, 0), False
    for start in range(0, len(rows), run.record.shard):
        progress("reading maps", start, len(rows))
        ids = run["id"][rows[start : start + run.record.shard]]
        maps = [one[layer] for one in read_maps(run.folder, run.record, ids, [layer])]
        if not total.numel():
            total = torch.zeros(maps[0].shape, dtype=torch.float64)
        if any(map.shape != total.shape for map in maps) and not mixed:  # from here on in cells
            mixed, cells = True, cells_of(maps[0])
            total = torch.from_numpy(small_map(total.float(), cells)).double().view(cells)
        for map in maps:
            total += torch.from_numpy(small_map(map, cells)).view(cells) if mixed else map.nan_to_num(0.0, 0.0, 0.0)
    if mixed:
        notes += (f"the maps differ in size; their mean is that of {cells[0]} × {cells[1]} cells",)
    return MeanAnswer(map=flat_map((total / len(rows)).float()) if len(rows) else None, count=len(rows), notes=[*notes])


@ask("atlas_open", lasting=False)
def opened(studio: Studio, query: RowQuery, progress: Progress) -> OpenedRow:
    """The photo is read from its file, and becomes one of the studio's."""
    address = row_address(studio, studio.atlas_or_refuse(query.run), query.row, query.view)
    hash = address.partition("photo=")[2].partition("&")[0]
    return OpenedRow(photo=photo_entry(studio.photo(hash)), address=address)


def _selected(points: str, count: int) -> NDArray[np.int64]:
    try:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(points, validate=True), np.uint8), bitorder="little")
    except binascii.Error as error:
        raise FovealError("this selection cannot be read: select anew") from error
    chosen = np.flatnonzero(bits)
    if len(chosen) and chosen[-1] >= count:
        raise FovealError(f"this selection has points beyond the {count} of this atlas: load the page again")
    return chosen


def _group(group: ReasonGroup) -> AtlasGroup:
    return AtlasGroup(
        class_name=group.class_name, points=len(group.rows), map=flat_map(group.mean_map),
        channels=list(group.channels), odd=group.odd, flagged=group.flagged, hiding=_effect(group.hiding),
        appearance=_effect(group.appearance),
    )  # fmt: skip


def _effect(found: GroupEffect | None) -> AtlasEffect | None:
    if found is None:
        return None
    return AtlasEffect(effect=found.effect, chance=found.chance, spread=found.spread, p=found.p)


def _text(name: str, values: NDArray[Any]) -> TextColumn:
    known = sorted({str(value) for value in values if value is not None})
    codes = {value: code for code, value in enumerate(known)}
    each = np.array([-1 if value is None else codes[str(value)] for value in values], "<i4")
    return TextColumn(name=name, values=known, codes=_base64(each))


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
