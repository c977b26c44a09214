"""Work that is gone on with is the very same work, or none; and it ends as if nothing had happened."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import foveal
from foveal.api.visualize import optimize
from foveal.errors import ResultError
from foveal.featurevis import Octave, Schedule, run
from foveal.featurevis.optimization import Optimization
from foveal.images import Preprocessing
from foveal.results.feature_images import FeatureImages
from foveal.storage.fingerprint import fingerprint
from tests.featurevis.networks import colored, known, small
from tests.storage.crashing import killed_after, kills, left_over, moments

SCHEDULE = Schedule((Octave(0.5, 6), Octave(1.0, 8)), check=4, patience=0)
OPTIONS: dict[str, Any] = {"facets": 2, "schedule": SCHEDULE}


def same(a: FeatureImages, b: FeatureImages) -> bool:
    """In everything but the time it took."""
    return fingerprint(p=replace(a, seconds=0.0)) == fingerprint(p=replace(b, seconds=0.0))


def made_of(changed: dict[str, Any], **more: Any) -> FeatureImages:
    """Feature images of what is usual here, but for what was changed."""
    asked = {"model": small(), "images": colored(), "layer": "relu2", **OPTIONS, **changed}
    return foveal.visualize(asked.pop("model"), asked.pop("images"), **asked, **more)


def interrupted(file: Path, at: int = 9, **changed: Any) -> FeatureImages:
    def stop(what: str, done: int, total: int) -> None:
        if done == at:
            raise KeyboardInterrupt

    asked = {"model": small(), "images": colored(), "layer": "relu2", **OPTIONS, **changed}
    return foveal.visualize(asked.pop("model"), asked.pop("images"), checkpoint=file, progress=stop, **asked)


def begun(file: Path, **changed: Any) -> tuple[int, FeatureImages]:
    """The step after which the work is gone on with, and what it becomes."""
    steps: list[int] = []
    made = made_of(changed, checkpoint=file, progress=lambda what, done, total: steps.append(done))
    return steps[0] - 1 if steps else SCHEDULE.steps, made


def _weights(scale: float, *at: int) -> Any:
    net = small()
    with torch.no_grad():
        net.conv2.weight[at] += scale
    return net


def _pictures(at: tuple[int, ...]) -> torch.Tensor:
    x = colored().clone()
    x[at] += 0.5
    return x


CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "the last number of the last picture": lambda: {"images": _pictures((-1, -1, -1, -1))},
    "the second picture": lambda: {"images": _pictures((1,))},
    "a picture less": lambda: {"images": colored()[:-1]},
    "the order": lambda: {"images": colored().flip(0)},
    "the last weight": lambda: {"model": _weights(0.1, -1, -1, -1, -1)},
    "a layer": lambda: {"layer": "relu1"},
    "a seed": lambda: {"schedule": replace(SCHEDULE, seed=1)},
    "steps": lambda: {"schedule": replace(SCHEDULE, octaves=(Octave(0.5, 6), Octave(1.0, 9)))},
    "views": lambda: {"schedule": replace(SCHEDULE, views=replace(SCHEDULE.views, turn=11.0))},
    "a mask": lambda: {"schedule": replace(SCHEDULE, mask=lambda size: torch.ones(size))},
    "an option": lambda: {"distance_weight": 0.5},
    "pictures to compare with": lambda: {"channels": "contrast", "background": colored().flip(0)},
    "a unit": lambda: {"images": None, "target": foveal.Neuron("relu2", 3), "model": known(small())},
    "preprocessing": lambda: {"preprocessing": Preprocessing((16, 16), mean=(0.4,) * 3, std=(0.2,) * 3)},
}


@pytest.mark.parametrize("what", CHANGES)
def test_work_on_something_else_is_not_gone_on_with(what: str, tmp_path: Path) -> None:
    file = tmp_path / "k.pt"
    interrupted(file)
    changed = CHANGES[what]()
    steps, made = begun(file, **changed)
    assert steps == 0 and any("starts again" in note for note in made.notes)
    alone = made_of(changed)
    assert same(replace(made, notes=()), replace(alone, notes=()))


def test_backgrounds_and_targets_that_differ_inside(tmp_path: Path) -> None:
    """What is compared with is pictures, too; and two functions of one name are two functions."""
    other = colored().flip(0)[:5]
    contrasts = [{"channels": "contrast", "background": pictures} for pictures in (colored(), other)]
    alone = {"images": None, "model": known(small())}
    units = [{**alone, "target": foveal.Neuron("relu2", 3, at)} for at in ((1, 1), (1, 2))]
    for first, second in (contrasts, units):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.pt"
        interrupted(file, **first)
        assert begun(file, **second)[0] == 0
        interrupted(file, **first)
        assert begun(file, **first)[0] == 9


def test_sets_with_white_margins_are_told_apart(tmp_path: Path) -> None:
    """The first numbers of each picture are equal."""

    def photos(n: int) -> list[Any]:
        draw = [np.random.default_rng(n + i).integers(0, 255, (120, 120, 3)).astype(np.uint8) for i in range(4)]
        return [np.pad(one, ((20, 20), (20, 20), (0, 0)), constant_values=255) for one in draw]

    model, file = foveal.load_model("demo"), tmp_path / "k.pt"
    a = foveal.visualize(model, photos(0), steps=3, facets=1, checkpoint=file)
    b = foveal.visualize(model, photos(9), steps=3, facets=1, checkpoint=file)
    assert not torch.equal(a[0].image, b[0].image)
    assert [note for note in b.notes if "starts again" in note] and not a.notes
    assert same(b, replace(foveal.visualize(model, photos(9), steps=3, facets=1), notes=b.notes))


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "descent"])
def test_interrupted_anywhere_it_ends_as_if_nothing_had_happened(
    published: bool, optimizer: Any, tmp_path: Path
) -> None:
    options = {"published": published, "schedule": replace(SCHEDULE, optimizer=optimizer)}
    whole = foveal.visualize(small(), colored(), layer="relu2", **{**OPTIONS, **options})
    file, at = tmp_path / "k.pt", 0
    for at in (1, 6, 7, 8, 13):
        interrupted(file, at, **options)
    steps, made = begun(file, **options)
    assert (steps == at or published) and same(made, whole)  # the published plan has steps of its own
    steps, again = begun(file, **options)
    assert same(again, whole) and (steps == SCHEDULE.steps or published)


def test_an_interrupt_in_the_middle_of_a_step_undoes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where half of the parameters have moved, randomness was drawn, or half of the images were looked at."""
    whole = foveal.visualize(small(), colored(), layer="relu2", **OPTIONS)
    for name, call in (("_remember", 5), ("_retouch", 6), ("_losses", 6), ("_evaluated", 3), ("_enter", 2)):
        plain, calls, file = getattr(Optimization, name), [0], tmp_path / f"{name}.pt"

        def stops(self: Any, *given: Any, plain: Any = plain, calls: Any = calls, at: int = call, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                plain(self, *given, **more)
                raise KeyboardInterrupt
            return plain(self, *given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Optimization, name, stops)
            made = foveal.visualize(small(), colored(), layer="relu2", checkpoint=file, **OPTIONS)
        assert "interrupted after" in made.notes[-1]
        steps, made = begun(file)
        assert steps > 0 and same(made, whole), name


def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(run, "EVERY", 2)
    schedule = Schedule((Octave(1.0, 40),), check=5, patience=0)
    whole = foveal.visualize(small(), colored(), layer="relu2", facets=2, schedule=schedule)
    file, seen = tmp_path / "k.pt", set()

    def work() -> None:
        foveal.visualize(small(), colored(), layer="relu2", facets=2, schedule=schedule, checkpoint=file)

    for seconds in moments(kills(6), 3, 0.6):
        if not killed_after(0.2 + seconds, work):
            file.unlink()
            continue
        optimization = optimize(small(), colored(), layer="relu2", facets=2, schedule=schedule)
        if optimization.resume(file):
            seen.add(optimization.done)
            assert not optimization.notes
    steps, made = begun(file, schedule=schedule)
    assert steps <= 40 and same(made, whole) and not left_over(tmp_path)


def test_a_damaged_checkpoint_is_said_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "k.pt"
    interrupted(file)
    content = file.read_bytes()
    for damaged in (
        content[:-1],
        content[:100],
        b"",
        content + b"x",
        content.replace(content[3000:3001], b"?", 1),
        b"{}",
    ):
        file.write_bytes(damaged)
        with pytest.raises(ResultError, match=r"^Cannot go on from '.*k\.pt', delete it to begin anew: "):
            begun(file)
        assert file.read_bytes() == damaged
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ResultError, match="named pipe"):
        begun(file)


def test_work_that_cannot_be_kept_is_done_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    steps, made = begun(tmp_path / "file" / "k.pt")
    assert steps == 0 and [note for note in made.notes if "could not be saved: Cannot write" in note]
    assert len(made.notes) == 1 and same(
        replace(made, notes=()), foveal.visualize(small(), colored(), layer="relu2", **OPTIONS)
    )
