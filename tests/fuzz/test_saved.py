"""Saved results, caches, checkpoints and ledgers, damaged: they load as they were, or a sentence says why not.

FOVEAL_FUZZ=20000 tries as many mutations over all kinds; a thousand are usual. A failure prints the number that makes
it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import foveal
from foveal.api.visualize import optimize
from foveal.benchmark.measurements import Measurements, Subject
from foveal.errors import FovealError
from foveal.featurevis import Octave, Schedule
from foveal.images import pictures_in
from foveal.results.channel_examples import ChannelExamples
from foveal.storage.checkpoint import load_state, save_state
from foveal.storage.fingerprint import fingerprint
from foveal.storage.manifest import _digest
from foveal.training.synthetic_recipe import SyntheticSettings, _Run
from tests.featurevis.networks import colored, small
from tests.fuzz.mutation import damaged_copy, limit, mutations
from tests.results.kinds import KINDS, known, made, pictures, saved, tiny

PATIENCE = 10.0  # seconds for one load, however damaged


def outcome(load: Callable[[], Any]) -> Any:
    """What was loaded, or the sentence that says why not. Anything else is a failure."""
    began = time.monotonic()
    try:
        return load()
    except FovealError as error:
        said = str(error)
        assert said and "\n" not in said and len(said) < 2000, said
        return error
    finally:
        assert time.monotonic() - began < PATIENCE


# --- results ---


@cache
def needed(kind: str) -> Path:
    """A saved result without the files that nobody needs to load it; and with one of those, which may be anything."""
    folder = Path(shutil.copytree(saved(kind), saved(kind).parent / "needed"))
    pictures = sorted(path for path in folder.iterdir() if path.suffix not in (".json", ".npz", ".csv"))
    spare = 1
    for path in pictures:
        path.rename(folder.parent / "away")
        if isinstance(outcome(lambda: KINDS[kind][1](folder)), FovealError):
            (folder.parent / "away").rename(path)
        elif spare:
            (folder.parent / "away").rename(path)
            spare -= 1
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(limit(300))
def test_a_damaged_result_is_refused_or_as_it_was(kind: str) -> None:
    whole = known(made(kind))
    for number in range(mutations(60)):
        with damaged_copy(needed(kind), number) as (folder, what):
            found = outcome(lambda: KINDS[kind][1](folder))
            assert isinstance(found, FovealError) or known(found) == whole, f"{kind} {number}: {what}"


def sealed_again(folder: Path) -> None:
    """As if somebody had made it so on purpose: all digests fit again, where the manifest can still be read."""
    try:
        said = json.loads((folder / "manifest.json").read_text())
        for name in said["files"]:
            if (folder / name).is_file():
                said["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        said.pop("digest", None)
        (folder / "manifest.json").write_text(json.dumps({**said, "digest": _digest(said)}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(limit(300))
def test_what_was_changed_on_purpose_loads_or_is_refused(kind: str) -> None:
    """Values may be others then; no traceback, no hang, no memory without end."""
    for number in range(mutations(60)):
        with damaged_copy(needed(kind), number) as (folder, what):
            sealed_again(folder)
            try:
                found = outcome(lambda: KINDS[kind][1](folder))
            except Exception as error:
                raise AssertionError(f"{kind} {number}: {what}: {type(error).__name__}") from error
            assert isinstance(found, FovealError) or type(found) is type(made(kind))


# --- caches and checkpoints ---


def same(a: Any, b: Any) -> bool:
    return fingerprint(x=a) == fingerprint(x=b)


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    from PIL import Image

    (tmp_path / "birds").mkdir()
    for number, pixels in enumerate(pictures()):
        Image.fromarray(pixels).save(tmp_path / "birds" / f"{number}.png")
    return tmp_path / "birds"


@pytest.mark.timeout(limit(300))
def test_a_damaged_cache_is_made_anew(birds: Path, tmp_path: Path) -> None:
    def words(place: Path) -> ChannelExamples:
        return foveal.channels(tiny(), birds, cache=place, most=2)

    first = words(tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "channels").iterdir()
    for number in range(mutations(80)):
        with damaged_copy(kept, number) as (file, what):
            place = file.parent / "channels"
            place.mkdir()
            file.rename(place / file.name)
            again = words(file.parent)
            assert all(
                same(getattr(again, name), getattr(first, name)) for name in ("values", "pictures", "places", "files")
            ), f"{number}: {what}"
            assert again.notes or (place / file.name).read_bytes() == kept.read_bytes(), f"{number}: {what}"
            assert not words(file.parent).notes, "it is said once, and then whole"
    assert len(pictures_in([birds])) == 2


@pytest.mark.timeout(limit(300))
def test_a_damaged_checkpoint_of_feature_images_is_refused(tmp_path: Path) -> None:
    def sitting() -> Any:
        return optimize(small(), colored()[:2], layer="relu2", facets=1, schedule=Schedule((Octave(1.0, 6),)))

    first = sitting()
    steps = iter(first)
    for _ in range(3):
        next(steps)
    first.checkpoint(tmp_path / "k.pt")
    for number in range(mutations(80)):
        with damaged_copy(tmp_path / "k.pt", number) as (file, what):
            other = sitting()
            found = outcome(lambda: other.resume(file))  # noqa: B023
            assert isinstance(found, FovealError) or same(other.state(), first.state()), f"{number}: {what}"
            if isinstance(found, FovealError):
                assert "delete it to start from the beginning" in str(found)


@pytest.mark.timeout(limit(300))
def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    """Of any size and shape; and one of another work is no state at all."""
    states: list[dict[str, Any]] = [
        {}, {"a": torch.arange(5000), "b": [1, None, "x"], "c": {"d": (1.5, True)}}, {"n": torch.zeros(0), "s": "x"},
    ]  # fmt: skip
    for which, state in enumerate(states):
        save_state(tmp_path / "k.pt", state, "of")
        assert load_state(tmp_path / "k.pt", "other") is None
        for number in range(mutations(60)):
            with damaged_copy(tmp_path / "k.pt", 1000 * which + number) as (file, what):
                found = outcome(lambda: load_state(file, "of"))
                assert isinstance(found, FovealError) or same(found, state), f"{which} {number}: {what}"


class Recipe:
    """Nothing to learn."""

    name, usual = "nothing", SyntheticSettings(images=32, batch=16, epochs=1)

    def network(self) -> torch.nn.Module:
        return torch.nn.Linear(4, 4)


@pytest.mark.timeout(limit(300))
def test_a_damaged_checkpoint_of_a_training_is_refused(tmp_path: Path) -> None:
    def run(place: Path) -> Any:
        return _Run(Recipe(), Recipe.usual, torch.device("cpu"), place)  # type: ignore[arg-type]

    first = run(tmp_path)
    with torch.no_grad():
        first.net.weight.add_(1)
    first.save(7)
    for number in range(mutations(60)):
        with damaged_copy(tmp_path / "nothing.checkpoint.pt", number) as (file, what):
            found = outcome(lambda: run(file.parent))
            whole = not isinstance(found, FovealError) and found.epoch == 7 and same(found._state(), first._state())
            assert isinstance(found, FovealError) or whole, f"{number}: {what}"


@pytest.mark.timeout(limit(300))
def test_a_damaged_checkpoint_by_fabric_is_refused(tmp_path: Path) -> None:
    files = pytest.importorskip("foveal.training.brnpa_files")
    fabric = pytest.importorskip("lightning_fabric").Fabric(accelerator="cpu", devices=1)

    def state() -> dict[str, Any]:
        return {"net": torch.nn.Linear(9, 9), "step": 0, "of": ""}

    first = {**state(), "step": 5, "of": "x"}
    files.save_checkpoint(fabric, tmp_path / "checkpoint.pt", first)
    for number in range(mutations(60)):
        with damaged_copy(tmp_path / "checkpoint.pt", number) as (file, what):
            found = state()
            failed = outcome(lambda: files.load_checkpoint(fabric, file, found))  # noqa: B023
            assert isinstance(failed, FovealError) or same(found, first), f"{number}: {what}"


# --- measurements ---


def values(place: int) -> dict[str, dict[str, float | None]]:
    return {method: {"a": place + 0.25, "b": -1.5} for method in ("x", "(y)")}


@pytest.mark.timeout(limit(300))
def test_damaged_measurements_lose_images_but_never_numbers(tmp_path: Path) -> None:
    """What they still hold is as it was measured; what they lost is measured again; or a sentence says what to do."""
    images = [Subject("d", f"p{number}", "0") for number in range(5)]

    def opened(place: Path) -> Measurements:
        return Measurements(place / "t.csv", ["a", "b"], {"model": "m", "steps": [1, 2.5]})

    first = opened(tmp_path / "whole")
    list(first.measure(lambda: values, images, lambda count: None))
    wanted = first.rows(images)
    for number in range(mutations(220)):
        with damaged_copy(first.parts, number) as (parts, what):

            def completed() -> list[dict[str, str]]:
                log = opened(parts.parent)
                left = [one for one in images if log.missing(one, ["x", "(y)"])]
                places = [images.index(one) for one in left]
                list(log.measure(lambda: lambda at: values(places[at]), left, lambda count: None))
                return opened(parts.parent).rows(images)

            found = outcome(completed)
            if isinstance(found, FovealError):
                assert "t.parts" in str(found), f"{number}: {what}"
            else:
                assert found == wanted, f"{number}: {what}"
