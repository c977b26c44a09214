"""The training recipe: what it reads, what it leaves, and that a killed run ends as an undisturbed one."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import ImageError, ResultError
from foveal.images import Preprocessing
from foveal.images.load import load_images
from foveal.training import brnpa
from foveal.training.brnpa import train
from foveal.training.brnpa_data import AS_IT_IS, Batches, Files, Listed, altered
from foveal.training.brnpa_network import build, loss_of, rate_at, teacher_of
from foveal.training.datasets import cub, held_out, open_folder, tree
from foveal.training.settings import Settings, SettingsError, changed, read_settings, usual, write_settings
from foveal.training.train_step import TrainStep
from tests import forked

pytest.importorskip("lightning_fabric")

SMALL: dict[str, Any] = {
    "backbone": "timm:test_resnet", "pretrained": False, "side": 32, "epochs": 2, "batch": 4, "accumulate": 2,
    "rate": 0.02, "dropout": 0.3, "validation": 0.2,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Reds, greens and blues."""
    random = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (40, 48, 3))
                pixels[..., channel] += 150
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / part / name / f"{number}.png")
    return tmp_path / "data"


def learned(settings: Settings, out: Path) -> list[TrainStep]:
    return list(train(settings, out, accelerator="cpu"))


def test_a_folder_is_learned_and_the_result_is_a_model(folder: Path, tmp_path: Path) -> None:
    settings = usual(str(folder), **{**SMALL, "epochs": 6, "dropout": 0.0, "batch": 6, "accumulate": 1})
    steps = learned(settings, tmp_path / "low")
    assert steps[-1].phase == "test" and steps[-1].accuracy is not None and steps[-1].accuracy > 0.9
    out = tmp_path / "low"
    found = {path.name for path in out.iterdir()}
    assert found == {"brnpa.safetensors", "brnpa.json", "settings.toml", "log.csv", "accuracy.json"}
    assert changed(Settings(), read_settings(out / "settings.toml")) == settings
    with (out / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    model = foveal.load_model(out / "brnpa.safetensors")
    assert model.labels == ("blue", "green", "red")
    assert model.card["accuracy"] == {
        k: round(v, 4) for k, v in json.loads((out / "accuracy.json").read_text()).items()
    }
    picture = folder / "test" / "green" / "0.png"
    parts = foveal.parts(model, picture)
    assert parts.uses_own_parts and parts.target[0].startswith("green")

    # A finer network learns from it.
    teacher = str(out / "brnpa.safetensors")
    student = replace(settings, resolution=2, teacher=teacher, start="teacher", epochs=1)
    learned(student, tmp_path / "high")
    fine = foveal.parts(foveal.load_model(tmp_path / "high" / "brnpa.safetensors"), picture)
    assert 2 * (parts.map.shape[1] - 1) < fine.map.shape[1] <= 2 * parts.map.shape[1]
    other = replace(student, count=2)
    with pytest.raises(SettingsError, match="another network"):
        learned(other, tmp_path / "other")


KILLED = """
import os, signal, sys, torch
torch.set_num_threads(1)
from pathlib import Path
from foveal.training import brnpa
from foveal.training.settings import Settings, changed, read_settings
brnpa.EVERY = 2
settings = changed(Settings(), read_settings(sys.argv[1]))
for step in brnpa.train(settings, sys.argv[2], accelerator="cpu"):
    if step.phase == "train" and step.done == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killed_and_started_again_ends_the_same(folder: Path, tmp_path: Path) -> None:
    """With dropout, accumulated gradients and pictures altered at random; killed twice, within both epochs."""
    settings = usual(str(folder), **SMALL)
    write_settings(settings, tmp_path / "settings.toml")

    def run(out: str, kill_at: int) -> int:
        return forked.code(KILLED, tmp_path / "settings.toml", tmp_path / out, kill_at, timeout=200).returncode

    assert run("whole", -1) == 0
    assert run("broken", 2) == -signal.SIGKILL
    assert (tmp_path / "broken" / "settings.toml").exists() and not (tmp_path / "broken" / "brnpa.json").exists()
    assert run("broken", 5) == -signal.SIGKILL
    with pytest.raises(SettingsError, match="another rate"):
        next(train(replace(settings, rate=0.5), tmp_path / "broken", accelerator="cpu"))
    assert run("broken", -1) == 0
    whole, broken = ((tmp_path / name / "brnpa.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "broken")]
    assert [line.rsplit(",", 1)[0] for line in logs[0]] == [line.rsplit(",", 1)[0] for line in logs[1]]


def test_a_run_goes_on_with_its_own_pictures_and_weights_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brnpa, "EVERY", 1)
    settings = usual(str(folder), **SMALL)
    out = tmp_path / "out"
    steps = train(settings, out, accelerator="cpu")
    for _ in range(4):
        next(steps)
    steps.close()
    kept = (out / "checkpoint.pt").read_bytes()
    picture = folder / "train" / "red" / "3.png"
    content, times = picture.read_bytes(), picture.stat()

    def refused(words: str) -> None:
        with pytest.raises(SettingsError, match=words):
            next(train(settings, out, accelerator="cpu"))
        assert (out / "checkpoint.pt").read_bytes() == kept

    Image.effect_noise((48, 40), 50).convert("RGB").save(picture)
    os.utime(picture, ns=(times.st_atime_ns, times.st_mtime_ns))
    refused("other images, another teacher, backbone")
    picture.write_bytes(content)
    plain = brnpa.build

    def otherwise(*given: Any) -> Any:
        net = plain(*given)
        with torch.no_grad():
            list(net.buffers())[-1].add_(1)
        return net

    with monkeypatch.context() as patch:
        patch.setattr(brnpa, "build", otherwise)
        refused("backbone")
    assert next(train(settings, out, accelerator="cpu")).done > 1
    for damaged in (kept[:-1], b"", kept[:9000] + bytes([kept[9000] ^ 1]) + kept[9001:]):
        (out / "checkpoint.pt").write_bytes(damaged)
        with pytest.raises(ResultError, match="delete it to start from the beginning"):
            next(train(settings, out, accelerator="cpu"))


def test_accumulated_gradients_are_those_of_the_whole_batch() -> None:
    """The published program forgets them at every sub-batch."""
    torch.manual_seed(0)
    x, y = torch.randn(8, 3, 16, 16), torch.randint(3, (8,))
    settings = Settings(backbone="timm:test_resnet", pretrained=False, side=16)
    net = build(settings, 3).eval()
    loss_of(net, None, x, y, settings).backward()
    whole = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    net.zero_grad()
    for part in (slice(0, 4), slice(4, 8)):
        (loss_of(net, None, x[part], y[part], settings) / 2).backward()
    parts = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(whole, parts, strict=True))


def test_the_teacher_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    """Frozen, in evaluation mode, outside of the graph."""
    settings = usual(str(folder), **{**SMALL, "epochs": 1})
    learned(settings, tmp_path / "low")
    path = tmp_path / "low" / "brnpa.safetensors"
    teacher = teacher_of(replace(settings, teacher=str(path)), 3)
    assert teacher is not None and not teacher.training and not any(p.requires_grad for p in teacher.parameters())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = build(settings, 3).train()
    loss = loss_of(student, teacher, torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long), settings)
    loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    with pytest.raises(SettingsError, match="knows 3 classes"):
        teacher_of(replace(settings, teacher=str(path)), 4)


def test_better_settings_are_searched_for(folder: Path, tmp_path: Path) -> None:
    """By what was held out; test pictures are left alone, and a search goes on from what it knows."""
    pytest.importorskip("optuna")
    from foveal.training.search import Tried, search

    settings = usual(str(folder), **{**SMALL, "epochs": 1, "accumulate": 1})

    def tried(trials: int) -> list[Tried]:
        found = list(search(settings, tmp_path / "tried", trials=trials, accelerator="cpu"))
        assert not any(isinstance(step, TrainStep) and step.phase == "test" for step in found)
        return [step for step in found if isinstance(step, Tried)]

    first = tried(2)
    again = tried(3)
    assert [trial.number for trial in first] == [0, 1] and [trial.number for trial in again] == [2]
    every = [*first, *again]
    best = changed(Settings(), read_settings(tmp_path / "tried" / "best.toml"))
    assert best in [trial.settings for trial in every if trial.accuracy == max(t.accuracy for t in every)]
    assert all(1e-4 <= trial.settings.rate <= 1e-2 and trial.settings.crop >= 0.8 for trial in every)
    assert set(json.loads((tmp_path / "tried" / "trial-000" / "accuracy.json").read_text())) == {"validation"}
    (tmp_path / "tried" / "best.toml").unlink()  # as if it had been killed just before
    assert not tried(3)
    assert changed(Settings(), read_settings(tmp_path / "tried" / "best.toml")) == best
    picture = folder / "train" / "red" / "0.png"
    Image.open(folder / "train" / "blue" / "0.png").save(picture)
    with pytest.raises(SettingsError, match="a search with other settings, images or another teacher"):
        tried(4)


# --- data ---


def test_orders_go_on_from_anywhere_and_are_shared_out() -> None:
    whole = list(Batches(23, 3, 2, seed=5, micro=7))
    assert len(whole) == 14 and all(len(batch) == 3 for batch in whole)
    for start in (1, 7, 9):
        assert list(Batches(23, 3, 2, seed=5, micro=7, start=start)) == whole[start:]
    first = [i for batch in whole[:7] for _, i in batch]
    assert len(set(first)) == 21 and first != [i for batch in whole[7:] for _, i in batch]
    shares = [list(Batches(23, 3, 1, seed=5, micro=3, rank=rank, world_size=2)) for rank in (0, 1)]
    assert not {i for b in shares[0] for _, i in b} & {i for b in shares[1] for _, i in b}


def test_pictures_depend_on_seed_epoch_and_number_alone(folder: Path) -> None:
    listed, test, classes = tree(folder)
    assert classes == ("blue", "green", "red") and len(listed.files) == 30 and test is not None
    settings = Settings(side=32)
    pictures = Files(listed, settings, Preprocessing((32, 32), resize_to=36))
    a, b, c = (pictures[key][0] for key in ((0, 3), (0, 3), (1, 3)))
    assert torch.equal(a, b) and not torch.equal(a, c) and a.shape == (3, 32, 32)
    # As they are examined, they are what `load_images` makes of them.
    expected = load_images(listed.files[3], pictures.preprocessing).tensor[0]
    assert torch.allclose(pictures[AS_IT_IS, 3][0], expected, atol=1e-5)


def test_alterations() -> None:
    pixels = torch.rand(3, 40, 40)
    plain = Settings(flip=0.0, brightness=0.0, saturation=0.0)
    seen = altered(pixels, (40, 40), plain, np.random.default_rng(0))
    assert torch.equal(seen, pixels)
    mirrored = altered(pixels, (40, 40), replace(plain, flip=1.0), np.random.default_rng(0))
    assert torch.equal(mirrored, pixels.flip(2))
    moved = {tuple(altered(pixels, (40, 40), replace(plain, shift=2), np.random.default_rng(s)).flatten()[:3].tolist())
             for s in range(9)}  # fmt: skip
    assert len(moved) > 4
    gray = pixels[:1].expand(3, -1, -1)
    colored = altered(gray, (40, 40), replace(plain, saturation=0.9), np.random.default_rng(1))
    assert torch.allclose(colored, gray, atol=1e-5)  # gray has no color to lose


def test_held_out_pictures_are_some_of_each_class() -> None:
    targets = [0] * 10 + [1] * 20 + [2]
    learned_, held = held_out(targets, 0.1, seed=3)
    assert sorted(learned_ + held) == list(range(31)) and [targets[i] for i in held] == [0, 1, 1]
    assert held_out(targets, 0.1, seed=3) == (learned_, held) != held_out(targets, 0.1, seed=4)


def test_the_layout_of_cub(tmp_path: Path) -> None:
    (tmp_path / "images.txt").write_text("1 001.Auk/a.jpg\n2 001.Auk/b.jpg\n3 002.Tern/c.jpg\n4 002.Tern/d.jpg\n")
    (tmp_path / "image_class_labels.txt").write_text("1 1\n2 1\n3 2\n4 2\n")
    (tmp_path / "train_test_split.txt").write_text("1 1\n2 0\n3 1\n4 0\n")
    (tmp_path / "classes.txt").write_text("1 001.Auk\n2 002.Least_Tern\n")
    training, test, classes = cub(tmp_path)
    assert test is not None and classes == ("Auk", "Least Tern")
    assert training == Listed((tmp_path / "images/001.Auk/a.jpg", tmp_path / "images/002.Tern/c.jpg"), (0, 1))
    assert [path.name for path in test.files] == ["b.jpg", "d.jpg"]
    (tmp_path / "train_test_split.txt").unlink()
    with pytest.raises(ImageError, match=r"train_test_split\.txt"):
        cub(tmp_path)


def test_folders_of_individuals_and_of_unknown_classes(tmp_path: Path) -> None:
    """Who is learned, who is looked for, what is asked at the end."""
    pixel = Image.new("RGB", (40, 40), (90, 120, 30))
    for inside, names in {
        "bounding_box_train": [f"{who:04d}_c{camera}s1_000001_00.jpg" for who in (2, 7) for camera in (1, 2, 3)],
        "query": ["0003_c1s1_000001_00.jpg", "0009_c1s1_000001_00.jpg"],
        "bounding_box_test": [f"{who:04d}_c2s1_000001_00.jpg" for who in (3, 9)] + ["-1_c2s1_000001_00.jpg"],
    }.items():
        (tmp_path / "market" / inside).mkdir(parents=True)
        for name in names:
            pixel.save(tmp_path / "market" / inside / name)
    found = open_folder(Settings(data=str(tmp_path / "market"), side=32), None)
    assert found.exam == "individuals" and found.queries == 2 and found.cameras == (1, 1, 2, 2, 2)
    assert found.classes == ("2", "7") and found.test.targets.tolist() == [3, 9, -1, 3, 9]
    assert len(found.train) == 4 and len(found.validation) == 2
    for part, classes in (("train", ("a", "b")), ("test", ("c", "d"))):
        for name in classes:
            (tmp_path / "tree" / part / name).mkdir(parents=True)
            for number in range(3):
                pixel.save(tmp_path / "tree" / part / name / f"{number}.png")
    found = open_folder(Settings(data=str(tmp_path / "tree"), side=32), None)
    assert found.exam == "few shots" and found.test.targets.tolist() == [2, 2, 2, 3, 3, 3]
    (tmp_path / "tree" / "test" / "a").mkdir()
    pixel.save(tmp_path / "tree" / "test" / "a" / "0.png")
    with pytest.raises(ImageError, match="or none"):
        tree(tmp_path / "tree")


@pytest.mark.parametrize("data", ["individuals", "novel"])
def test_drawn_birds_are_found_again(tmp_path: Path, data: str) -> None:
    """The whole way on a handful of pictures: what is written of the examination, not how well it went."""
    settings = usual(data, images=80, tests=60 if data == "individuals" else 30, epochs=1, batch=16)
    steps = learned(settings, tmp_path)
    accuracy = json.loads((tmp_path / "accuracy.json").read_text())
    names = {
        "individuals": {f"{a}{b}" for a in ("rank 1", "mAP") for b in ("", ", in any order")},
        "novel": {"5 ways, 1 shot"},
    }[data]
    assert set(accuracy) == {"validation"} | names and all(0 <= value <= 1 for value in accuracy.values())
    assert steps[-1].accuracy in accuracy.values()
    assert len(foveal.load_model(tmp_path / "brnpa.safetensors").labels or ()) == (60 if data == "individuals" else 20)


# --- settings ---


def test_settings_are_checked(tmp_path: Path, folder: Path) -> None:
    for values, said in (
        ({"epoch": 3}, "no setting 'epoch'"), ({"rate": "fast"}, "rate: input should be a valid number, not 'fast'"),
        ({"epochs": True}, "a valid integer"),
        ({"mode": "zoom"}, "mode: input should be 'dilate' or 'stride', not 'zoom'"),
        ({"start": "teacher"}, "needs a teacher"),
        ({"weight": 2.0}, "weight: input should be less than or equal to 1, not 2.0"), ({"batch": 0}, "batch: .* to 1"),
        ({"rate": float("nan")}, "finite"),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=said):
            changed(Settings(), values)
    (tmp_path / "bad.toml").write_text("epochs = ")
    with pytest.raises(SettingsError, match="Cannot read"):
        read_settings(tmp_path / "bad.toml")
    odd = usual("synthetic", backbone='na"me', rate=3, flip=0.25)
    write_settings(odd, tmp_path / "odd.toml")
    assert changed(Settings(), read_settings(tmp_path / "odd.toml")) == odd and asdict(odd)["rate"] == 3.0
    with pytest.raises(SettingsError, match="do not fill one step"):
        learned(usual(str(folder), **{**SMALL, "batch": 100}), tmp_path / "none")


def test_rates() -> None:
    cosine = Settings(schedule="cosine", epochs=10)
    rates = [rate_at(cosine, 100, step) for step in range(100)]
    assert max(rates) > 0.9 and rates[0] == pytest.approx(0.2) and rates[-1] < 0.01
    step = Settings(schedule="step", epochs=10)
    assert [rate_at(step, 100, s) for s in (0, 19, 20, 45)] == pytest.approx([1, 1, 0.9, 0.81])
