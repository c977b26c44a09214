"""Where channels are strongest, against a slow search; kept and found again."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import LayerError
from foveal.images import load_images
from foveal.synthetic import Split

if TYPE_CHECKING:
    from tests.conftest import NoTrace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("birds")
    for i, example in enumerate(Split("classes", 11)):
        Image.fromarray(example.image).save(folder / f"{i:02d}.png")
    return folder


def test_channels_are_found_where_they_are_strongest(folder: Path, no_trace: NoTrace) -> None:
    model = foveal.load_model("demo")
    with no_trace(model.module):
        words = foveal.channels(model, folder, layer=["stage1", "stage3"], most=3, cache=False)
    kept: dict[str, torch.Tensor] = {}
    modules = dict(model.module.named_modules())
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, out, at=layer: kept.update({at: out}))
        for layer in ("stage1", "stage3")
    ]
    with torch.no_grad():
        model.module(load_images(sorted(folder.iterdir()), model.preprocessing).tensor)
    for handle in handles:
        handle.remove()
    for layer, A in kept.items():
        for channel in range(0, A.shape[1], 7):
            top = A[:, channel].flatten(1).max(1).values
            found = words.entries(layer, channel)
            wanted = [i for i in top.argsort(descending=True, stable=True).tolist()[:3] if top[i] > 0]
            assert [int(entry.file.stem) for entry in found] == wanted
            for entry, i in zip(found, wanted, strict=True):
                assert entry.value == pytest.approx(float(top[i]), rel=1e-5)
                assert float(A[i, channel, *entry.place]) == pytest.approx(entry.value, rel=1e-5)
    assert all(crop.size == (48, 48) for crop in words.crops("stage3", 0, side=48))


def test_what_was_found_is_kept_for_the_same_question_only(folder: Path, tmp_path: Path) -> None:
    model, asked = foveal.load_model("demo"), []

    def found(**options: object) -> foveal.ChannelExamples:
        return foveal.channels(
            model, folder, cache=tmp_path, progress=lambda *step: asked.append(step), **{"layer": "stage3", **options}
        )  # type: ignore[arg-type]

    first = found()
    times = len(asked)
    assert times > 0
    again = found()
    assert len(asked) == times and torch.equal(first.values["stage3"], again.values["stage3"])
    found(most=2)
    assert len(asked) == 2 * times
    with torch.no_grad():
        model.module.get_parameter(next(name for name, _ in model.module.named_parameters())).mul_(1.5)
    changed = found()
    assert len(asked) == 3 * times and not torch.equal(first.values["stage3"], changed.values["stage3"])
    for file in (tmp_path / "channels").iterdir():
        file.write_bytes(b"half of it")
    mended = found()
    assert torch.equal(mended.values["stage3"], changed.values["stage3"])
    assert len(mended.notes) == 1 and "was damaged, so the images were searched again" in mended.notes[0]
    times = len(asked)
    assert not found().notes and len(asked) == times  # once only


def test_what_is_in_the_pictures_counts_and_not_where_they_lie(folder: Path, tmp_path: Path) -> None:
    asked: list[object] = []
    place = tmp_path / "place"
    place.mkdir()
    for file in folder.iterdir():
        Image.open(file).save(place / f"{file.stem}.bmp")  # of one size, whatever is in it

    def found(place: Path) -> torch.Tensor:
        words = foveal.channels(
            foveal.load_model("demo"), place, cache=tmp_path / "cache", layer="stage3",
            progress=lambda *step: asked.append(step),
        )  # fmt: skip
        return words.values["stage3"]

    first, times = found(place), len(asked)
    moved = Path(shutil.copytree(place, tmp_path / "moved"))
    assert torch.equal(found(moved), first) and len(asked) == times
    file, before = moved / "03.bmp", (moved / "03.bmp").stat()
    Image.effect_noise((160, 160), 90).convert("RGB").save(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size and file.stat().st_mtime_ns == before.st_mtime_ns
    assert not torch.equal(found(moved), first) and len(asked) > times
    times = len(asked)
    for old, new in (("00", "x"), ("01", "00"), ("x", "01")):  # the same pictures under each other's names
        (moved / f"{old}.bmp").rename(moved / f"{new}.bmp")
    found(moved)
    assert len(asked) > times


class Stop(Exception):
    """Somebody ends the search."""


def test_an_interrupted_search_goes_on_and_finds_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foveal.api.channel_search.SMALLEST_SHARD", 2)
    monkeypatch.setattr("foveal.api.channel_search.BATCH", 2)
    model, steps = foveal.load_model("demo"), list[int]()

    def found(until: int, cache: Path | None = tmp_path) -> foveal.ChannelExamples:
        def hear(what: str, done: int, total: int) -> None:
            steps.append(done)
            if done > until:
                raise Stop

        return foveal.channels(model, folder, layer="stage3", most=3, cache=cache, progress=hear)

    whole = found(99, None)
    with pytest.raises(Stop):
        found(5)
    (parts,) = (place for place in (tmp_path / "channels").iterdir() if place.is_dir())
    assert [part.name for part in sorted(parts.iterdir())] == ["part-00000.pt", "part-00001.pt"]
    (parts / "part-00001.pt").write_bytes(b"half of it")
    steps.clear()
    again = found(99)
    assert steps[0] == 4 and steps[-1] == 11  # the first two images are not searched again
    for name in ("values", "pictures", "places"):
        assert torch.equal(getattr(again, name)["stage3"], getattr(whole, name)["stage3"])
    (kept,) = (tmp_path / "channels").iterdir()
    assert kept.suffix == ".pt"


@pytest.mark.slow
def test_workers_find_the_same(folder: Path) -> None:
    torch.set_num_threads(1)
    one, two = (
        foveal.channels(foveal.load_model("demo"), folder, layer="stage3", most=3, cache=None, workers=workers)
        for workers in (0, 1)
    )
    assert torch.equal(one.values["stage3"], two.values["stage3"])
    assert torch.equal(one.places["stage3"], two.places["stage3"])
    with pytest.raises(foveal.FovealError, match="workers=-1"):
        foveal.channels(foveal.load_model("demo"), folder, layer="stage3", cache=None, workers=-1)


def test_images_that_cannot_be_read_are_told_as_before(tmp_path: Path) -> None:
    for name, side in (("a.png", 40), ("b.png", 48)):
        Image.new("RGB", (side, side)).save(tmp_path / name)
    (tmp_path / "c.png").write_text("no picture")
    with pytest.raises(foveal.FovealError, match=r"c\.png"):
        foveal.channels(foveal.load_model("demo"), tmp_path, layer="stage3", cache=None)


def test_a_kept_file_of_another_question_is_not_taken(folder: Path, tmp_path: Path) -> None:
    model = foveal.load_model("demo")

    def found(layer: str) -> foveal.ChannelExamples:
        return foveal.channels(model, folder, cache=tmp_path, layer=layer, most=2)

    one = found("stage1")
    (first,) = (tmp_path / "channels").iterdir()
    found("stage3")
    (second,) = set((tmp_path / "channels").iterdir()) - {first}
    shutil.copy(second, first)
    again = found("stage1")
    assert again.notes and torch.equal(again.values["stage1"], one.values["stage1"])


def test_a_cache_that_cannot_be_written_or_is_no_file_is_no_reason_to_fail(folder: Path, tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    (tmp_path / "file").touch()
    assert not foveal.channels(model, folder, cache=tmp_path / "file", layer="stage3").notes
    foveal.channels(model, folder, cache=tmp_path, layer="stage3")
    (kept,) = (tmp_path / "channels").iterdir()
    for make in (os.mkfifo, Path.mkdir):
        kept.unlink()
        make(kept)
        assert "damaged" in foveal.channels(model, folder, cache=tmp_path, layer="stage3").notes[0]


def test_a_tree_shows_what_its_channels_mean(folder: Path) -> None:
    from foveal.report.answers.tree import feature_id
    from foveal.report.trees import tree_page
    from tests.recorded import answers

    model = foveal.load_model("demo")
    tree = foveal.decompose(model, sorted(folder.iterdir())[0], branching=2).grow(1)
    assert not answers(tree_page(tree), "tree/pictures")
    tree = replace(tree, channel_examples=foveal.channels(model, folder, cache=None))
    (first, *_) = tree.root.children
    found = {query["of"]: answer["rows"] for query, answer in answers(tree_page(tree), "tree/pictures")}
    (row,) = found[feature_id(first.feature)]
    assert row["about"] == "Where the channel is strongest elsewhere"
    assert row["pictures"] and all(picture.startswith("data:image/webp") for picture in row["pictures"])


def test_bad_wishes_get_one_sentence(folder: Path, tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    words = foveal.channels(model, folder, layer="stage3", cache=False)
    for layer, channel in (("stage1", 0), ("stage3", 10_000), ("stage3", -1)):
        with pytest.raises(LayerError, match="no examples of channel"):
            words.entries(layer, channel)
    with pytest.raises(foveal.FovealError, match=r"no (pictures|images)"):
        foveal.channels(model, tmp_path)
