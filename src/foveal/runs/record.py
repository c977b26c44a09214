"""What the folder of a run says of itself: manifest.json, written before the first picture is explained.

run/
  manifest.json         what is asked of every picture, with one fingerprint; what is sealed, with digests
  plan.parquet          shard, id, uri, label
  part-00000.parquet …  one row per image
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foveal.datasets.listing import DataSet, DataSource, listed
from foveal.datasets.packing import Bits
from foveal.datasets.parts import PartLayout, Sealed, part_files, part_name
from foveal.datasets.plan import PLAN, Plan
from foveal.errors import ResultError
from foveal.images import Place
from foveal.runs.question import changed
from foveal.storage import plain
from foveal.storage.atomic import write_bytes
from foveal.storage.fingerprint import fingerprint
from foveal.storage.folder import MANIFEST, digest_of, kind_of
from foveal.storage.lock import alone
from foveal.storage.manifest import Saved, load, manifest_bytes

FORMAT = "foveal-run/2"
LOCK = ".foveal-lock-manifest"
TEXTS = ("predicted", "target")
"""The columns of text that every run has."""
OPTIONS = (
    "resolution", "scales", "mode", "mass", "zero", "coefficients", "reference", "iterations", "tolerance", "damping"
)  # fmt: skip
"""Settings of verbs that say how a map was made."""
CONTRIBUTIONS = {"sum": "contributions", "max": "largest_contributions"}
"""The columns of channel contributions: over all positions, and at the one where they are largest."""


@dataclass(frozen=True)
class RunManifest:
    """What is known of a run before any of it is done.

    Attributes:
        settings: everything that decides a row.
        layers: of which there are maps, in forward order; `numbers` and `texts`, the columns there are.
        where: layer -> where the cells of its maps lie.
        spec: what is explained, as far as it holds for every picture.
        preprocessing: how a photo becomes the network's input; None where that cannot be written down.
        source: which pictures: a folder's path, or a fingerprint.
        root: the folder below which they lie.
        rows, shard, batch, threads: how many pictures, in a part, at once, and threads in each process.
        notes: what holds for every picture.
        asked: settings in words, see `foveal.runs.verbs.verb.Columns`.
        contributions: the layer of which channel contributions are kept; None where none are.
        seconds: of work, over all that took part.
        files: name -> digest of what is known to be whole.
    """

    settings: Mapping[str, Any]
    layers: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    bits: Bits
    where: Mapping[str, Any]
    spec: Mapping[str, Any]
    preprocessing: Mapping[str, Any] | None
    source: Mapping[str, str]
    root: str
    rows: int
    shard: int
    batch: int
    threads: int
    plan: str
    notes: tuple[str, ...] = ()
    asked: Mapping[str, str] = field(default_factory=dict)
    contributions: str | None = None
    seconds: float = 0.0
    files: Mapping[str, str] | None = None

    @property
    def of(self) -> str:
        """The fingerprint that every part carries."""
        return fingerprint(
            settings=dict(self.settings), layers=list(self.layers), numbers=list(self.numbers),
            texts=list(self.texts), bits=self.bits, plan=self.plan, batch=self.batch, threads=self.threads,
        )  # fmt: skip

    @property
    def layout(self) -> PartLayout:
        """The columns of its parts."""
        vectors = tuple(CONTRIBUTIONS.values()) if self.contributions else ()
        return PartLayout(self.texts, self.numbers, self.layers, self.bits, vectors)

    @property
    def places(self) -> dict[str, Place]:
        """Layer -> where the cells of its maps lie, but for those that lie edge to edge."""
        return {layer: Place.from_dict(place) for layer, place in self.where.items()}

    @property
    def options(self) -> dict[str, Any]:
        """Options of the verb, as a result about one picture says them; those of a finer map only where it is one."""
        said = {name: self.settings[name] for name in OPTIONS if name in self.settings}
        usual = {"resolution": 1, "scales": [1.0], "reference": None}
        return {
            name: self.asked.get(name, "given") if name == "reference" else value
            for name, value in said.items()
            if name not in usual or value != usual[name]
        }

    def content(self) -> dict[str, Any]:
        """What the manifest says."""
        own = {name: value for name, value in vars(self).items() if name != "files"}
        return {"format": FORMAT, "fingerprint": self.of, **own}

    @classmethod
    def read(cls, saved: Saved) -> RunManifest:
        """What a manifest says."""
        said = {name: saved[name] for name in cls.__dataclass_fields__ if name != "files"}
        tuples = {name: tuple(said[name]) for name in ("layers", "numbers", "texts", "notes")}
        record = cls(**{**said, **tuples}, files=dict(saved["files"]))
        if record.of != saved["fingerprint"]:
            raise ValueError("its fingerprint is of other settings")
        return record


def existing(folder: Path) -> RunManifest | None:
    """The record of the run that a folder holds; None where there is no result of foveal in it.

    Raises:
        ResultError: for a result of another kind, or a damaged record.
    """
    if not (folder / MANIFEST).exists():
        return None
    if (kind := kind_of(folder)) not in ("run", None):
        raise ResultError(f"Cannot write to {str(folder)!r}: it holds a saved {kind}; name another folder.")
    return load(folder, FORMAT, RunManifest.read)


def write(folder: Path, record: RunManifest) -> None:
    """Put it into the folder, in place of an earlier one."""
    write_bytes(folder / MANIFEST, manifest_bytes(plain_content(record), record.files or {}))


def begin(folder: Path, plan: Plan, record: RunManifest) -> RunManifest:
    """A new run: its plan, then its record.

    Raises:
        ResultError: where parts of another run lie there.
    """
    if stray := next(part_files(folder), None):
        raise ResultError(
            f"Cannot start a run in {str(folder)!r}: {stray[1].name} there is of another run, whose manifest.json is "
            "gone; name another folder."
        )
    plan.save(folder)
    record = replace(record, files={PLAN: digest_of(folder / PLAN)})
    write(folder, record)
    return record


def check_same(folder: Path, before: RunManifest, now: Mapping[str, Any]) -> None:
    """Raises ResultError unless the run in a folder asks the same: these settings, `bits`, `batch` and so on."""
    known = {name: before.settings.get(name, getattr(before, name, None)) for name in now}
    if how := changed(known, plain.from_json(plain.to_json(dict(now)))):
        raise ResultError(
            f"The run in {str(folder)!r} was made with other settings ({how}): ask the same, or name another folder."
        )


def plan_of(
    folder: Path, before: RunManifest | None, pictures: DataSet, source: DataSource, make: Callable[[Any], Plan]
) -> Plan:
    """What is to be explained: the plan that the folder has, where it is of the same source, or a new one.

    Raises:
        ResultError: where the folder has a plan of other pictures.
    """
    if before is not None and before.source == {"kind": source.kind, "said": source.said}:
        if digest_of(folder / PLAN) != (before.files or {}).get(PLAN):
            raise ResultError(f"Cannot go on with the run in {str(folder)!r}: {PLAN} was changed; name another folder.")
        return Plan.load(folder, source.root, before.shard)
    plan = make(listed(pictures, source))
    if before is not None and plan.digest != before.plan:
        raise ResultError(
            f"The run in {str(folder)!r} is of other images ({before.rows}, and now {len(plan)}): name another folder."
        )
    return plan


def end(folder: Path, sealed: Iterable[Sealed], seconds: float) -> None:
    """Add what was done to the record, also while others do the same."""
    with alone(folder / LOCK):
        before = load(folder, FORMAT, RunManifest.read)
        files = {**(before.files or {})}
        for part in sealed:
            name = part_name(part.shard)
            files[name] = part.digest or files.get(name) or digest_of(folder / name)
        write(folder, replace(before, files=files, seconds=before.seconds + seconds))


def plain_content(record: RunManifest) -> dict[str, Any]:
    """Tuples as lists, so that what is read is what was written."""
    return dict(plain.from_json(plain.to_json(record.content())))
