"""Command lines put together at random: done, failed in one sentence, or misused; nothing unexpected, no traceback."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foveal.cli.app import app
from foveal.errors import printable_lines
from tests.birds import drawn_bird
from tests.fuzz.mutation import draw, limit, mutations

COUNT, SHARES = mutations(400), 10

FILES = (
    "a.png",
    "b.png",
    "shelf",
    "classes",
    "broken.png",
    "empty",
    "nowhere.png",
    "labels.txt",
    "x\x1b[2J",
    "²",
    "-",
)
NUMBERS = ("1", "2", "3", "0", "-1", "1.5", "1e3", "nan", "²", "99999999999999999999", "", "x", " 2 ", "１")
NAMES = ("", " ", "nonsense", "\x1b[2J", "[/x]", "a\0b", "*", "**", "..", "a:b", "a=b", "é中", "-", "--", "None", "all")

VALUES: dict[str, tuple[str, ...]] = {
    "--model": ("demo", "demo", "demo", "embed", "parts", "a.png", "labels.txt", "net.py:f", "os:getcwd", *NAMES),
    "--target": ("predicted", "0", "3", "-1", "²", "--5", "Jay - Crow", "0 - 1", "predicted - runner-up", "1 - 1",
                 "neuron:stage2:3", "neuron:stage2:3:1,1", "neuron:stage2:999", "neuron::", "20", *NAMES),
    "--method": ("gradcam", "hirescam", "lrp-gamma", "Grad-CAM", "scorecam:clusters=2", "gradcam:x=1", "fam",
                 "lrp-epsilon:epsilon=x", "fast", *NAMES),
    "--layer": ("stage1", "stage3", "1", "-1", "²", "all", "stage*", "input", "head.input", "9", *NAMES),
    "--fuse": ("mean", "max", "product", *NAMES),
    "--resolution": ("1", "2", "3", *NUMBERS),
    "--scales": ("1", "1,1.5", "1,1", "1e9", "nan", ",", "1,x", "-1", "0.01", *NUMBERS),
    "--mode": ("exact", "project", *NAMES),
    "--mass": ("0.9", "1", *NUMBERS),
    "--iterations": ("1", "2", *NUMBERS),
    "--depth": ("1", "2", *NUMBERS),
    "--branching": ("1", "2", *NUMBERS),
    "--rule": ("pool_up", "exact", "window", *NAMES),
    "--nodes": ("neuron", "sum", "map", *NAMES),
    "--patterns": ("guided", *NAMES),
    "--opponents": ("0", "1", *NUMBERS),
    "--count": ("1", "2", *NUMBERS),
    "--metric": ("deletion", "drop", "sparsity", "usual", *NAMES),
    "--rule=episode": ("mean", "nearest", "average", "svm", *NAMES),
    "--temperature": ("0.1", "1", *NUMBERS),
    "--area": ("0.1", "0.5", *NUMBERS),
    "--draws": ("2", "3", *NUMBERS),
    "--fill": ("impute", "mean", "blur", "black", *NAMES),
    "--most": ("1", "2", *NUMBERS),
    "--metric=match": ("cosine", "dot", "euclidean", "emd", *NAMES),
    "--steps": ("1", "2", "0", "-1", "x", "", "²"),
    "--like": FILES,
    "--labels": ("labels.txt", *FILES),
    "--preprocessing": ("imagenet", "labels.txt", *FILES),
    "--weights": FILES,
    "--task": ("classes", "labels", "value", "embedding", *NAMES),
    "--device": ("cpu", "nowhere", "cuda:99", "meta", *NAMES),
    "--embedding": ("head.input", "stage3", *NAMES),
    "--channels": ("contribution", "positive", "linear", *NAMES),
    "--lines": ("0", "2", *NUMBERS),
    "--top": ("1", "2", *NUMBERS),
    "--ring": ("0.1", "0.6", *NUMBERS),
    "--facets": ("1", "auto", *NUMBERS),
    "--class": ("0", "Jay", "²", *NAMES),
    "--channel": ("1", "999", *NUMBERS),
    "--neuron": ("1", "1:2,2", "1:²,2", "x", *NAMES),
    "--octave": ("0.5x2", "1x1", "x", "1x", *NAMES),
    "--start": ("mean", "noise", "0.5", *NAMES),
    "--parametrization": ("fourier", "pixel", *NAMES),
    "--choose": ("top_mean", "variance", *NAMES),
    "--distance-weight": ("1", *NUMBERS),
}  # fmt: skip
FLAGS = (
    "--json",
    "--audit",
    "--merge",
    "--together",
    "--right-and-wrong",
    "--no-pretrained",
    "--published",
)

COMMON = ("--model", "--target", "--like", "--layer", "--labels", "--preprocessing", "--weights", "--task", "--device")
COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "explain": (1, (*COMMON, "--method", "--fuse", "--resolution", "--scales")),
    "flow": (1, (*COMMON, "--mode", "--mass", "--iterations")),
    "decompose": (1, (*COMMON, "--depth", "--branching", "--rule", "--nodes", "--opponents", "--patterns")),
    "parts": (1, (*COMMON, "--count", "--resolution")),
    "measure": (1, (*COMMON, "--method", "--metric", "--steps")),
    "compare": (1, (*COMMON, "--method", "--metric", "--steps")),
    "match": (2, ("--model", "--layer", "--device", "--metric=match", "--channels", "--embedding", "--lines", "--top")),
    "sanity": (1, (*COMMON, "--method", "--steps")),
    "shortcuts": (1, ("--model", "--layer", "--ring", "--labels")),
    "visualize": (1, ("--model", "--layer", "--facets", "--class", "--channel", "--neuron", "--octave", "--start",
                    "--parametrization", "--choose", "--count", "--distance-weight", "--steps")),
    "stages": (1, ("--weights", "--preprocessing")),
    "audit": (1, (*COMMON, "--method", "--area", "--draws", "--fill")),
    "channels": (1, ("--model", "--layer", "--channel", "--count", "--most")),
    "episode": (2, ("--model", "--layer", "--method", "--metric=match", "--rule=episode", "--temperature",
                    "--embedding")),
    "models": (1, ()),
    "methods": (0, ()),
}  # fmt: skip
USUAL = {
    "flow": ["--layer", "3"],
    "decompose": ["--branching", "1", "--depth", "1"], "measure": ["--steps", "1", "--metric", "drop"],
    "compare": ["--method", "gradcam", "--metric", "drop", "--steps", "1"], "sanity": ["--steps", "1"],
    "visualize": ["--steps", "1", "--layer", "stage2", "--facets", "1"],
}  # fmt: skip


LIKELY = {
    "stages": ("demo",), "shortcuts": ("shelf",), "channels": ("shelf",), "visualize": ("shelf",),
    "episode": ("a.png", "classes"),
}  # fmt: skip


def line(number: int) -> list[str]:
    """A command line: mostly what works, and something odd."""
    dice = draw(number, "command")
    command = dice.choice(list(COMMANDS))
    places, options = COMMANDS[command]
    words = [command]
    for place in range(places):
        likely = LIKELY.get(command, ("a.png", "shelf"))[place]
        words.append(dice.choice([likely, likely, likely, dice.choice(FILES)]))
    words += USUAL.get(command, [])
    if "--model" in options:
        words += ["--model", "demo"]
    for option in dice.sample(options, min(len(options), dice.randint(0, 3))):
        likely = VALUES[option][:2]
        words += [option.partition("=")[0], dice.choice([*likely, *likely, dice.choice(VALUES[option])])]
    words += dice.sample(FLAGS, dice.choice([0, 0, 1, 2]))
    words += [] if command in ("stages", "models", "methods") else ["-o", "out"]
    return damaged(words, dice) if dice.random() < 0.15 else words


def damaged(words: list[str], dice: random.Random) -> list[str]:
    """The words with one lost, doubled, moved or replaced."""
    at = dice.randrange(len(words))
    changed = dice.choice(["lost", "doubled", "moved", "replaced"])
    if changed == "lost":
        return words[:at] + words[at + 1 :]
    if changed == "doubled":
        return [*words[: at + 1], *words[at:]]
    if changed == "moved":
        return [*words[:at], *words[at + 1 :], words[at]]
    return [*words[:at], dice.choice(NAMES + NUMBERS), *words[at + 1 :]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOVEAL_CACHE", str(tmp_path / "cache"))
    for folder in ("shelf", "classes/Jay", "classes/Crow", "empty"):
        Path(folder).mkdir(parents=True)
    for k, name in enumerate(
        ("a.png", "b.png", "shelf/a.png", "shelf/b.png", "classes/Jay/a.png", "classes/Crow/a.png")
    ):
        drawn_bird(k).resize((40, 36)).save(name)
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    Path("labels.txt").write_text("\n".join(f"bird {k}" for k in range(20)))
    Path("net.py").write_text("def f():\n    raise SystemExit(3)\n")
    return tmp_path


def check(words: list[str], done: Any) -> None:
    shown = f"foveal {' '.join(map(repr, words))}\n{done.output}"
    assert done.exception is None or isinstance(done.exception, SystemExit), f"{shown}\n{done.exception!r}"
    assert done.exit_code in (0, 1, 2), shown
    assert "unexpected error" not in done.stderr and "Traceback" not in done.output, shown
    assert printable_lines(done.stdout) == done.stdout, shown
    if done.exit_code == 1 or (done.exit_code == 2 and done.stderr and "Error ─" not in done.stderr):
        last = [line for line in done.stderr.strip().splitlines() if not line.startswith("open ")][-1]
        assert last.startswith("foveal: ") and len(last) < 1200, shown
    if done.exit_code == 0 and "--json" in words:
        json.loads(done.stdout)


@pytest.mark.timeout(limit(300))
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("share", range(SHARES))
def test_command_lines(share: int, place: Path) -> None:
    runner = CliRunner()
    for number in range(share, COUNT, SHARES):
        words = line(number)
        check(words, runner.invoke(app, words))


def test_the_same_number_is_the_same_line() -> None:
    assert [line(number) for number in range(50)] == [line(number) for number in range(50)]
    assert {line(number)[0] for number in range(200)} >= set(COMMANDS)
