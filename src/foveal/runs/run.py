"""A data set explained, and gone on with wherever it was interrupted."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from foveal.attribution.perturbation import Progress
from foveal.datasets.executors import work_through
from foveal.datasets.inside import picture_files
from foveal.datasets.listing import DataSet, source_of
from foveal.datasets.local import torch_threads
from foveal.datasets.packing import DTYPES, Bits
from foveal.datasets.parts import Sealed, sealed_parts
from foveal.datasets.plan import Plan
from foveal.datasets.shard import ShardWork, Task, sizes
from foveal.engine.keywords import checked
from foveal.engine.select import LayerSpec
from foveal.errors import FovealError, ImageError, ResultError, TargetError, UnknownName
from foveal.methods import MethodLike
from foveal.models.black_box import Scorer
from foveal.models.load import load_model
from foveal.models.model import Model, as_model
from foveal.models.network import Network
from foveal.runs import record
from foveal.runs.explainer import Start, columns_of
from foveal.runs.question import RunQuestion, asked_target
from foveal.runs.record import RunManifest
from foveal.runs.result import Run
from foveal.runs.verbs.find import find_verb
from foveal.runs.verbs.verb import Verb
from foveal.storage.atomic import refusal
from foveal.storage.leftovers import clear
from foveal.storage.lock import alone
from foveal.targets import TargetLike
from foveal.targets import Task as OutputTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.datasets.plan import Item
    from foveal.images import Batch, Preprocessing
    from foveal.runs.explainer import RunExplainer
    from foveal.runs.verbs.verb import Columns

DOING = {"flow": "following photos", "measure": "measuring photos", "match": "matching photos",
         "parts": "dividing photos", "explain": "explaining photos"}  # fmt: skip
"""What a verb does to photos, in words; one of a person's own processes them."""
LISTING = 3600.0
"""Seconds that a part of a run waits while another one lists the pictures."""
SHARED = ("position", "classes")
"""Lists in what is said of a target that are the same for every picture; others have an entry for each."""
TRIED = 50
"""Pictures that may be unreadable, one after the other at the start of a data set, before the run refuses it."""
UNASKED = 3
"""The same of pictures that can be read, and of which the target cannot be asked."""


@checked
def run(
    model: nn.Module | Model | str | Scorer,
    images: DataSet,
    target: TargetLike = None,
    *,
    out: str | Path,
    verb: str | Verb = "explain",
    method: MethodLike | None = None,
    progress: Progress | None = None,
    layer: LayerSpec = None,
    resolution: int = 1,
    scales: Sequence[float] = (1.0,),
    audit: bool = False,
    contributions: bool = False,
    workers: int = 0,
    ray: str | None = None,
    threads: int = 1,
    batch: int = 8,
    shard: int = 0,
    part: Sequence[int] | None = None,
    maps: str = "float16",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: OutputTask | None = None,
    **options: Any,
) -> Run:
    """Ask the same of every picture of a data set, and keep what comes out in a folder of Parquet files.

    The same call goes on where an earlier one was interrupted or killed: parts that are done are not done again. A
    picture that cannot be read is a row with an error. Wherever and however often a part is made, it has the same
    bytes, because pictures go through the network in the same batches.

        run = foveal.run(model, "photos/", method="hirescam", out="run/", workers=4)
        run[run["predicted"] != run["label"]].figure()          # the wrong ones, with their maps
        run[17]                                                 # an Explanation again

        foveal.run(model, "photos/", verb="measure", metrics=["deletion", "road"], out="faithful/")
        foveal.run(model, "photos/", verb="match", references="shelf/", out="matches/")

    Args:
        model: as in `foveal.explain`; or the name of a network, as `foveal.load_model` takes it, which workers load
            themselves. Any other is sent to them by pickle.
        images: a folder, whose folders are labels where every picture lies in one; a list of files; a .csv or
            .parquet file with a column of paths (uri, path, file …), below its own folder, and one of labels; or
            pictures inside of files: .tar files as of WebDataset (one, a list, or a pattern), .parquet files with a
            column of images, a folder that `datasets.Dataset.save_to_disk` wrote, or a `datasets.Dataset` that is
            what its files hold.
        target: as in `foveal.explain`; "label" explains the label of each picture.
        out: the folder of the run; it holds one run, and another is refused.
        verb: "explain"; "flow": maps of all layers, and what each keeps; "measure": a map, and a number for each metric
            of its faithfulness; "match": the most similar of `references`, and the evidence for it; "parts": maps of
            the ranked parts. Or an object of your own, see `foveal.runs.verbs.verb.Verb`.
        method, layer, resolution, scales: as in `foveal.explain`, where the verb has them; each layer has a column of
            maps. The method is gradcam if left out.
        progress: hears (what, done, total) after each batch.
        audit: also a deletion test of each map, as `foveal.audit` makes them (of explain, flow and measure); takes some
            14 forward passes a picture.
        contributions: also keep what each channel contributes to the score, at the deepest explained layer (at the last
            stage where that is the input): the sum of its share of the hirescam map. `foveal.reasons` needs them. Of
            explain and measure; takes another forward and backward pass.
        workers: processes that work at once; 0 works in this one. They start anew and import the script that calls
            this, so it must call it below `if __name__ == "__main__":`.
        ray: the address of a Ray cluster, as `ray.init` takes it, on which so many `workers` work, one CPU each;
            "local" starts one on this machine. Pictures and `out` must have the same paths on every machine.
        threads: of torch in each process; more threads may change the last digits.
        batch: pictures that go through the network together.
        shard: pictures in each part; 0 chooses by the size of the data set.
        part: (3, 100) does the third of a hundred equal parts of the work; so many machines can share one folder.
        maps: "float16", of each map divided by its largest value, or "float32".
        preprocessing, labels, task: as in `foveal.explain`.
        options: what else the verb takes, as `foveal.flow`, `measure`, `match` and `parts` do: of a flow mode, mass,
            zero, coefficients, reference, iterations, tolerance, damping; of a measure metrics, baseline_maps (none if
            left out), precision (float32 if left out) and steps; of a match references (as `images` are given),
            metric, weights, embedding; of parts count.

    Returns:
        What there is in the folder now.

    Raises:
        FovealError: one sentence on what does not fit; ResultError where the folder holds another run, or cannot be
            written to; ImageError where there are no pictures.
        KeyboardInterrupt: with Ctrl-C; it says how many are done, and the same call goes on.
    """
    network = _network(model, preprocessing, labels, task)
    shared: dict[str, Any] = {
        "method": method,
        "layer": layer,
        "audit": audit or None,
        "contributions": contributions or None,
        "resolution": None if resolution == 1 else resolution,
        "scales": None if tuple(scales) == (1.0,) else tuple(scales),
    }
    given = {name: value for name, value in shared.items() if value is not None}
    question = RunQuestion(network, find_verb(verb, {**given, **options}), *asked_target(target))
    return explained(
        question, images, Path(out), workers=workers, ray=ray, threads=threads, batch=batch, shard=shard, part=part,
        bits=maps, progress=progress,
    )  # fmt: skip


def explained(
    question: RunQuestion, images: DataSet, out: Path, *, workers: int = 0, ray: str | None = None, threads: int = 1,
    batch: int = 8, shard: int = 0, part: Sequence[int] | None = None, bits: str = "float16",
    progress: Progress | None = None,
) -> Run:  # fmt: skip
    """`run` of what is asked already."""
    began = time.perf_counter()
    _check(workers=workers, threads=threads, batch=batch, shard=shard, bits=bits)
    number, count = _part(part)
    source = source_of(images)
    with refusal(out, ResultError):
        out.mkdir(parents=True, exist_ok=True)
    busy = (
        f"Another program is working on the run in {str(out)!r}: wait for it, or give each of them a part of its own."
    )
    with alone(out / f".foveal-lock-{number}-of-{count}", patience=0, busy=busy):
        asked = {**question.settings(), "bits": bits, "batch": batch, "threads": threads}
        asked |= {"shard": math.ceil(shard / batch) * batch} if shard else {}
        with alone(out / record.LOCK, patience=LISTING):
            before = record.existing(out)
            if before is not None:
                record.check_same(out, before, asked)
            plan = record.plan_of(
                out, before, images, source, lambda rows: Plan.of(rows, source.root, batch=batch, shard=shard)
            )
            start = Start(question)
            with torch_threads(threads):
                now = before or record.begin(out, plan, _new(start, plan, source, asked))
            if now.root != str(source.root):  # the same pictures, moved
                record.write(out, replace(now, root=str(source.root)))
        start.say_once(now.notes)
        tasks = [Task(shard, plan.items(shard)) for shard in plan.slice(number, count)]
        work = ShardWork(start, plan.root, out, now.of, now.layout, batch, threads)
        done = _worked(work, plan, tasks, workers, ray, doing(question.verb), progress)
        clear(out)
        record.end(out, done, time.perf_counter() - began)
    return Run.load(out)


def doing(verb: Verb) -> str:
    """What a run with this verb tells of its progress."""
    return DOING.get(verb.name, "processing photos")


def _worked(
    work: ShardWork,
    plan: Plan,
    tasks: Sequence[Task],
    workers: int,
    ray: str | None,
    doing: str,
    progress: Progress | None,
) -> list[Sealed]:
    """The parts that these tasks are about, once all of them are sealed."""
    sealed = sealed_parts(work.folder, work.of, {**sizes([Task(k, plan.items(k)) for k in range(plan.shards)])})
    mine = {task.shard: sealed[task.shard] for task in tasks if task.shard in sealed}
    left = [task for task in tasks if task.shard not in mine]
    total = sum(len(task.items) for task in tasks)

    def moved(done: int) -> None:
        if progress:
            progress(doing, earlier + done, total)

    earlier = sum(part.rows for part in mine.values())
    moved(0)
    try:
        with closing(work_through(work, left, moved, workers=workers, ray=ray)) as each:
            for part in each:
                mine[part.shard] = part
    except KeyboardInterrupt:
        kept = sum(part.rows for part in mine.values())
        raise KeyboardInterrupt(
            f"interrupted: {kept:,} of {total:,} images are done in {os.fspath(work.folder)!r}; the same call goes on"
        ) from None
    return [*mine.values()]


def _network(
    model: nn.Module | Model | str | Scorer, preprocessing: Preprocessing | None, labels: Sequence[str] | None,
    task: OutputTask | None,
) -> Network:  # fmt: skip
    if isinstance(model, str):
        return Network(partial(load_model, model, preprocessing=preprocessing, labels=labels, task=task))
    return Network(model=as_model(model, preprocessing, labels, task))


def _check(*, workers: int, threads: int, batch: int, shard: int, bits: str) -> None:
    least = {"workers": (workers, 0), "threads": (threads, 1), "batch": (batch, 1), "shard": (shard, 0)}
    for name, (value, low) in least.items():
        if value < low:
            raise FovealError(f"run cannot take {name}={value}: give a whole number from {low} up")
    if bits not in DTYPES:
        raise FovealError(f"run cannot keep maps as {bits!r}: give {' or '.join(DTYPES)}")


def _part(part: Sequence[int] | None) -> tuple[int, int]:
    try:
        number, count = (1, 1) if part is None else map(int, part)
    except (TypeError, ValueError) as error:
        raise FovealError(f"run cannot take part={part!r}: give two whole numbers, such as (3, 100)") from error
    if not 1 <= number <= count:
        raise FovealError(f"There is no part {number}/{count} of a run: give a number from 1 to {max(1, count)}.")
    return number, count


def _new(start: Start, plan: Plan, source: Any, asked: Mapping[str, Any]) -> RunManifest:
    """The record of a run, once one picture has shown that it can be explained."""
    columns, notes = _tried(start, plan)
    why, (texts, numbers) = columns.why, columns_of(columns)
    model = start.question.network.get()
    spec = {
        key: value
        for key, value in why.target_spec.items()
        if key in SHARED or not isinstance(value, list | tuple | dict)
    }
    learned = model.preprocessing is None or model.preprocessing.transform is not None
    outside = ("bits", "batch", "threads", "shard")
    return RunManifest(
        settings={name: value for name, value in asked.items() if name not in outside},
        layers=why.layers, numbers=numbers, texts=texts, bits=cast("Bits", asked["bits"]),
        where={layer: place.to_dict() for layer, place in why.where.items()}, spec=spec,
        preprocessing=None if learned or model.preprocessing is None else model.preprocessing.to_dict(),
        source={"kind": source.kind, "said": source.said}, root=str(source.root),
        rows=len(plan), shard=plan.size, batch=asked["batch"], threads=asked["threads"], plan=plan.digest,
        notes=notes, asked=dict(columns.asked),
        contributions=columns.contributions.layer if columns.contributions else None,
    )  # fmt: skip


def _tried(start: Start, plan: Plan) -> tuple[Columns, tuple[str, ...]]:
    """The columns of the first picture that can be read, and the notes that hold for all.

    What is wrong with all is said at once. What is said of the same picture at half of its strength and upside down,
    too, holds for every picture.
    """
    explainer, own = start(), start.question.own
    errors: list[FovealError] = []
    with picture_files(plan.root) as files:
        for item in plan.everything[:TRIED]:
            try:
                picture = explainer.read(files.get(item))
                columns = explainer.explain([item], [picture])[1]
                return columns, _also_said(columns.notes, explainer, item, picture)
            except ImageError as error:
                errors.append(error)
            except TargetError as error:  # a wrong target, or a picture of which that cannot be asked
                errors.append(error)
                if not own and (isinstance(error, UnknownName) or len(errors) >= UNASKED):
                    break
    raise errors[0]


def _also_said(notes: Sequence[str], explainer: RunExplainer, item: Item, picture: Batch) -> tuple[str, ...]:
    """Those of these notes that are said of another picture, too."""
    if not notes:
        return ()
    other = picture.tensor.flip(*range(2, picture.tensor.ndim)) / 2
    try:
        said = explainer.explain([item], [replace(picture, tensor=other)])[1].notes
    except FovealError:
        return ()
    return tuple(note for note in notes if note in said)
