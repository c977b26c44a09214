"""The commands as a person or a script meets them: what they print where, what they leave, how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli import errors, explain_photo
from foveal.cli.app import app
from foveal.methods import METHODS
from tests import forked

if TYPE_CHECKING:
    from typer.testing import Result

SHELLS = f"{Path(__file__).parents[1] / 'models' / 'factories.py'}:described"
SLOW = ("torch", "numpy", "PIL", "timm", "jinja2", "foveal.images", "foveal.models", "foveal.api.explain")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "beach.png"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


# --- help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["visualize", "-h"], ["train", "demo", "--help"], []])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["foveal", *{arguments!r}]
from foveal.cli import main
try:
    main()
finally:
    slow = [name for name in {SLOW!r} if name in sys.modules]
    assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "AssertionError" not in done.stderr, done.stderr
    assert done.returncode == (0 if arguments else 2)
    assert "foveal" in done.stdout + done.stderr


def panels() -> dict[str, list[str]]:
    """The commands of each panel of `foveal --help`."""
    panel, commands = "", {}
    for line in run("--help").output.splitlines():
        if line.startswith(("╭─ ", "+- ")):
            panel = line.strip("╭╮─+- ")
        elif line[2:3].isalpha() and line[:1] in "│|":
            commands.setdefault(panel, []).append(line.split()[1])
    return commands


def test_help_begins_with_what_most_people_need() -> None:
    commands = panels()
    assert next(iter(commands)) == "Start here" and commands["Start here"] == [
        "explain",
        "compare",
        "match",
        "studio",
        "page",
    ]
    assert "foveal explain" in next(line for line in run("--help").output.splitlines() if "  foveal" in line)


def test_a_command_bears_its_verb_s_name() -> None:
    listed = {name for names in panels().values() for name in names}
    verbs = {
        name
        for name in vars(foveal)["__all__"]
        if foveal._HOME.get(name, "").startswith(("api.", "runs.")) and name.islower()
    }
    assert verbs - {"class_tree", "flows", "follow_pair", "retrieve"} <= listed  # `foveal match` retrieves, too
    assert listed - verbs == {"demo", "studio", "page", "help", "models", "methods", "benchmark", "train"}


@pytest.mark.parametrize("command", [name for names in panels().values() for name in names])
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert f"  foveal {'explain' if command == 'methods' else command}" in shown.output


@pytest.mark.parametrize("width", [60, 80, 110])
def test_prose_of_help_fits_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert all(len(line) <= width for line in run("decompose", "--help").output.splitlines())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_options_and_models(shell: str) -> None:
    def completed(words: str, ask: str) -> str:
        variables = {
            "_FOVEAL_COMPLETE": f"{ask}_{shell}",
            "_TYPER_COMPLETE_ARGS": words,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        if ask == "complete" and shell == "bash":
            variables |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        done = forked.code("from foveal.cli import main; main()", env={**os.environ, **variables})
        assert "AssertionError" not in done.stderr, done.stderr
        return done.stdout

    assert "foveal" in completed("", "source")
    assert "decompose" in completed("foveal deco", "complete")
    assert "--resolution" in completed("foveal explain --res", "complete")
    assert "embed" in completed("foveal explain --model em", "complete")


# --- explain ------------------------------------------------------------------------------------------------


def test_explain_leaves_what_the_verb_gives(photo: Path, tmp_path: Path) -> None:
    done = run("explain", photo, "-m", SHELLS, "--target", "WHELK", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    overlay = Path(done.stdout.strip())
    assert overlay.parent == tmp_path / "out" / "beach" / "gradcam"
    # On the photo and not on the square the network saw; the bar stands beside it.
    with Image.open(overlay) as drawn:
        assert drawn.height >= 20 and drawn.width >= 30
    kept = foveal.Explanation.load(overlay.parent)
    assert kept.target == ("whelk (2)",) and kept.layers == ("conv",)
    assert "predicted" in done.stderr and "conv: stage 1 of 1" in done.stderr


def test_the_map_is_the_verb_s_own(photo: Path, tmp_path: Path) -> None:
    # A network without a seed of its own is another one every time, so its weights come from a file.
    model = foveal.load_model(SHELLS)
    torch.save(model.module.state_dict(), tmp_path / "shells.pth")
    arguments = ("-m", SHELLS, "--weights", tmp_path / "shells.pth", "-o", tmp_path / "out", "--layer", 1)
    run("explain", photo, *arguments, "--target", "cockle - limpet", "--method", "hirescam")
    why = foveal.explain(model, photo, foveal.Margin("cockle", "limpet"), method="hirescam", layer=1)
    kept = foveal.Explanation.load(tmp_path / "out" / "beach" / "hirescam")
    assert torch.allclose(kept.map, why.map, atol=1e-6) and kept.layers == why.layers


def test_json_is_all_that_standard_output_holds(photo: Path, tmp_path: Path) -> None:
    done = run("explain", photo, photo, "-m", SHELLS, "--json", "-o", tmp_path / "out", "--method", "all")
    answers = json.loads(done.stdout)
    methods = [answer["method"] for answer in answers]
    assert set(methods) <= METHODS.keys() and len(methods) > 4
    assert {Path(answer["folder"]).parent.name for answer in answers} == {"beach", "beach-2"}
    for answer in answers:
        assert all(Path(file).exists() for file in answer["files"])
        assert answer["predicted"]["class"] == answer["target"] or answer["target"] == "no decision"
        at_input = METHODS[answer["method"]].place == "input"
        assert at_input or answer["layers"][0]["stage"]["shape"] == [2, 6, 6]
        chosen = "where this method makes its map" if at_input else "the last stage before the decision"
        assert answer["layer_chosen"] == chosen
    assert Path(answers[0]["files"][0]).name == "sheet.png"


def test_one_bad_photo_does_not_stop_the_others(photo: Path, tmp_path: Path) -> None:
    bad = tmp_path / "notes.txt"
    bad.write_text("no picture")
    done = run("explain", tmp_path / "missing.png", photo, bad, "-m", SHELLS, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stdout.count("\n") == 1 and "beach" in done.stdout
    assert "missing.png" in done.stderr and "notes.txt" in done.stderr


def test_interrupted_says_what_is_kept(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    whole, asked = explain_photo.explain_photo, []

    def second_is_interrupted(*arguments: Any) -> Any:
        asked.append(arguments)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(explain_photo, "explain_photo", second_is_interrupted)
    done = run("explain", photo, photo, "-m", SHELLS, "-o", tmp_path / "out")
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert Path(done.stdout.strip()).exists()


@pytest.mark.real
def test_a_trained_network_by_its_factory(data: Path, tmp_path: Path) -> None:
    ostrich = next((data / "images" / "imagenet").glob("009_*.jpg"))
    factory = f"{Path(__file__).parents[1] / 'real_networks.py'}:squeezenet1_1"
    done = run("explain", ostrich, "-m", factory, "--target", "ostrich", "--layer", "all", "--json", "-o", tmp_path)
    (answer,) = json.loads(done.stdout)
    assert answer["predicted"]["index"] == 9 and answer["target_spec"]["index"] == [9]
    assert len(answer["layers"]) == 4 and len(answer["files"]) == 5


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["explain"], 2, "Usage"),
        (["explain", "beach.png"], 2, "--model"),
        (["explain", "beach.png", "-m", "demo", "--color", "red"], 2, "--color"),
        (["nothing"], 2, "nothing"),
        (["explain", "beach.png", "-m", "resnet18"], 2, "timm:resnet18"),
        (["explain", "beach.png", "-m", SHELLS, "--target", "winkle"], 2, "winkle"),
        (["explain", "beach.png", "-m", SHELLS, "--target", "e"], 2, "ambiguous"),
        (["explain", "beach.png", "-m", SHELLS, "--target", "neuron:conv"], 2, "neuron:LAYER"),
        (["explain", "beach.png", "-m", SHELLS, "--method", "gradcan"], 2, "gradcam"),
        (["explain", "beach.png", "-m", SHELLS, "--layer", "cnv"], 2, "conv"),
        (["explain", "beach.png", "-m", SHELLS, "--layer", "-9"], 2, "stage -9"),
        (["explain", "beach.png", "-m", SHELLS, "--device", "nowhere"], 2, "nowhere"),
        (["explain", "beach.png", "-m", SHELLS.replace("described", "Net")], 1, "--preprocessing"),
        (["stages", SHELLS, "--preprocessing", "imagenot"], 2, "imagenot"),
    ],
)
def test_failures_are_a_sentence(
    photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    monkeypatch.chdir(photo.parent)
    done = run(*arguments)
    assert done.exit_code == status, done.output
    assert said in done.stderr
    assert done.stdout == ""
    if not done.stderr.startswith("Usage"):
        assert done.stderr.startswith("foveal: ") and done.stderr.count("\n") == 1


def test_an_unexpected_error_is_a_sentence_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("foveal.models.catalog._listed", lambda *_: broken())
    done = run("models")
    assert done.exit_code == 1
    assert "unexpected error, ZeroDivisionError: one two" in done.stderr and "--traceback" in done.stderr
    monkeypatch.setattr(errors, "_tracebacks", True)
    assert isinstance(run("models").exception, ZeroDivisionError)


def test_traceback_may_stand_anywhere() -> None:
    code = "import sys; from foveal.cli import main; sys.argv[1:] = ['stages', 'nonsense', '--traceback']; main()"
    done = forked.code(code)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "UnknownModel" in done.stderr


# --- lists --------------------------------------------------------------------------------------------------


def test_stages() -> None:
    assert [line.split()[1] for line in run("stages", SHELLS).stdout.splitlines()] == ["layer", "conv"]
    (stage,) = json.loads(run("stages", SHELLS, "--json").stdout)
    assert (stage["number"], stage["name"], stage["receptive_field"]) == (1, "conv", [3, 3])


def test_stages_of_a_network_that_says_nothing_of_its_input(tmp_path: Path) -> None:
    plain = SHELLS.replace("described", "Net")
    (tmp_path / "gray.json").write_text('{"size": [9, 9], "channels": "L", "mean": [0.5], "std": [0.5]}')
    (stage,) = json.loads(run("stages", plain, "--preprocessing", tmp_path / "gray.json", "--json").stdout)
    assert stage["shape"] == [2, 7, 7]


def test_models() -> None:
    assert "timm:NAME" in run("models").stdout
    names = run("models", "resnet1*").stdout.split()
    assert {"timm:resnet18", "torchvision:resnet18"} <= set(names)
    assert all(name.partition(":")[2].startswith("resnet1") for name in names)
    nothing = run("models", "qqqq")
    assert nothing.stdout == "" and "qqqq" in nothing.stderr
    assert json.loads(run("models", "resnet18", "--json").stdout)[0]["spec"] == "demo"


def test_random_weights_are_said(photo: Path, tmp_path: Path) -> None:
    done = run("explain", photo, "-m", "torchvision:squeezenet1_1", "--no-pretrained", "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert "random" in done.stderr
    assert any("random" in note for note in foveal.Explanation.load(tmp_path / "out" / "beach" / "gradcam").notes)


# --- train --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "usual", "words"),
    [
        ("demo", 7, "accuracy on the test images: 75.0%"),
        ("embed", 10, "unknown individuals: 75.0%"),
        ("contrastive", 6, "nearest-neighbor accuracy on the test images: 75.0%"),
        ("fewshot", 7, "5-way 1-shot: 75.0%"),
    ],
)
def test_train_passes_its_settings_on(
    name: str, usual: int, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    from foveal.training import synthetic_recipe
    from foveal.training.synthetic_recipe import Recipe, SyntheticSettings

    asked = []

    def quick(course: Recipe, out: Path, *, settings: SyntheticSettings, device: str | None) -> Any:
        asked.append((course.name, out, settings.images, settings.epochs, settings.seed, device))
        yield synthetic_recipe.SyntheticStep("draw", 64, 64)
        yield synthetic_recipe.SyntheticStep("train", 1, 1, loss=1.5)
        yield synthetic_recipe.SyntheticStep("test", 10, 10, accuracy=0.75)

    monkeypatch.setattr(synthetic_recipe, "train", quick)
    done = run("train", name, "-o", tmp_path, "--images", 64, "--seed", 3)
    assert done.exit_code == 0
    assert asked == [(name, tmp_path, 64, usual, 3, None)]
    assert done.stdout.strip() == str(tmp_path / f"{name}.safetensors")
    assert words in done.stderr


def test_match(photo: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    (shelf / "deeper").mkdir(parents=True)
    with Image.open(photo) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(shelf / "deeper" / "mirrored.png")
        picture.convert("L").save(shelf / "gray.png")
        picture.save(shelf / photo.name)
    done = run("match", shelf / photo.name, shelf, "-m", "demo", "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0
    (answer,) = json.loads(done.stdout)
    assert {Path(one["image"]).name for one in answer["references"]} == {"mirrored.png", "gray.png"}  # not itself
    cosines = [one["cosine"] for one in answer["references"]]
    assert cosines == sorted(cosines, reverse=True)
    assert answer["embedding"] == "head.input" and len(answer["references"][0]["channels"]) == 5
    assert foveal.Match.load(tmp_path / "out" / photo.stem).similarity.shape == (1, 2)
    assert foveal.Retrieval.load(tmp_path / "out").similarity.shape == (1, 2)
    plain = run("match", photo, shelf / "gray.png", "-m", "demo", "-o", tmp_path / "two", "--metric", "euclidean")
    assert plain.stdout.strip() == str(tmp_path / "two" / "match.html") and Path(plain.stdout.strip()).exists()
    assert "euclidean distance" in plain.stderr
    names = {path.name for path in (tmp_path / "two" / photo.stem).iterdir()}
    assert names == {
        "manifest.json", "match.npz", "match.png", "ranks.png", f"query-{photo.stem}.png", "reference-gray.png"
    }  # fmt: skip
    (tmp_path / "empty").mkdir()
    wrong = run("match", photo, tmp_path / "empty", "-m", "demo", "-o", tmp_path / "out")
    assert wrong.exit_code == 1 and "no images in the folder" in wrong.stderr


@pytest.fixture
def gallery(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Queries a and b and a gallery of three, of which the gray one bears the wrong name."""
    with Image.open(photo) as picture:
        gray, mirrored = picture.convert("L").convert("RGB"), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for name, image in {
            "queries/jay/a.png": picture, "queries/crow/b.png": gray, "gallery/jay/1.png": mirrored,
            "gallery/jay/2.png": gray, "gallery/crow/3.png": mirrored.convert("L"),
        }.items():  # fmt: skip
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_match_counts_wrong_first_matches(gallery: Path) -> None:
    done = run("match", "queries", "gallery", "-m", "demo", "-o", "out", "--json", "--top", 1)
    assert done.exit_code == 0, done.stderr
    rows = {row["label"]: row for row in json.loads(done.stdout)}
    assert (rows["crow"]["right"], rows["crow"]["rank_of_right"], rows["crow"]["first_label"]) == (False, 2, "jay")
    assert rows["jay"]["right"] is True and rows["jay"]["folder"] is None and rows["crow"]["folder"] == "out/b"
    assert "1 of 2 queries has a wrong first match: rank-1 50.0 %" in done.stderr
    page = Path("out/match.html").read_text(encoding="utf-8")
    assert page.count("<article") == 2 and 'data-kind="wrong"' in page and "b/match.png" in page
    assert "http:" not in page and "https:" not in page
    found = foveal.Retrieval.load("out")
    assert [one.query for one in found.contrasts] == list(found.wrong)
    shown = run("match", "queries", "gallery", "-m", "demo", "-o", "both", "--show", 2)
    assert shown.exit_code == 0 and {path.name for path in Path("both").iterdir() if path.is_dir()} == {"a", "b"}


def test_match_takes_labels_from_a_table(gallery: Path) -> None:
    table = Path("who.csv")
    lines = [
        "queries/jay/a.png,x",
        "crow/b.png,y",
        "gallery/jay/1.png,x",
        "jay/2.png,y",
        "crow/3.png,x",
        "not there.png,x",
    ]
    table.write_text("\n".join(["file,label", *lines]), encoding="utf-8")
    done = run("match", "queries", "gallery", "-m", "demo", "-o", "out", "--labels", table, "--json")
    assert done.exit_code == 0, done.stderr
    assert {row["label"] for row in json.loads(done.stdout)} == {"x", "y"} and "0 of 2 queries have" in done.stderr
    for content, words in {
        "file,name\na.png,x": "has the columns file, name: it must have the columns file and label",
        "file,label\njay/a.png,x": "no label for 1 of 2 queries: queries/crow/b.png",
        "file,label\njay/a.png,": "has no label",
        "file,label\njay/a.png,x\njay/a.png,y": "an earlier line gives 'x'",
        "": "must have the columns file and label",
    }.items():
        table.write_text(content, encoding="utf-8")
        wrong = run("match", "queries", "gallery", "-m", "demo", "-o", "bad", "--labels", table)
        assert wrong.exit_code == 1 and words in " ".join(wrong.stderr.split()), wrong.stderr
    assert "Cannot read" in run("match", "queries", "gallery", "-m", "demo", "--labels", "none.csv").stderr
    (gallery / "gallery" / "stray.png").write_bytes((gallery / "gallery" / "jay" / "1.png").read_bytes())
    partly = run("match", "queries", "gallery", "-m", "demo", "-o", "out")
    assert partly.exit_code == 0 and "1 of 4 references lie in no sub-folder" in " ".join(partly.stderr.split())


def test_flow(photo: Path, tmp_path: Path) -> None:
    done = run(
        "flow", photo, "-m", "demo", "--audit", "--mode", "exact", "--mode", "project", "--iterations", 3, "--json",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0
    exact, project = json.loads(done.stdout)
    assert [exact["mode"], project["mode"]] == ["exact", "project"]
    assert exact["layers"][0]["iterations"] == 0 and project["layers"][0]["iterations"] == 3
    assert len(exact["audit"]) == len(exact["layers"]) == 3
    assert Path(exact["strip"]).exists() and (tmp_path / "out" / photo.stem / "modes.png").exists()
    assert foveal.Flow.load(Path(exact["strip"]).parent).layers[-1] == "stage3"
    like = run("flow", photo, "-m", "demo", "--like", photo, "-o", tmp_path / "like", "--layer", "all")
    assert like.exit_code == 0 and "cosine" in like.stderr
    both = run("flow", photo, "-m", "demo", "--like", photo, "--target", "3", "-o", tmp_path / "both")
    assert both.exit_code == 2 and "--like" in both.stderr
    assert run("flow", photo, "-m", "demo", "--mode", "nope", "-o", tmp_path / "nope").exit_code == 2


def test_finer_and_fused_maps(photo: Path, tmp_path: Path) -> None:
    def kept(*flags: str) -> foveal.Explanation:
        done = run("explain", photo, "-m", "demo", "--method", "layercam", "--json", "-o", tmp_path / "out", *flags)
        return foveal.Explanation.load(Path(json.loads(done.stdout)[0]["folder"]))

    h, w = kept().map.shape[1:]
    finer = kept("--resolution", "2")
    assert finer.map.shape == (1, 2 * h, 2 * w) and finer.parameters["resolution"] == 2
    assert kept("--scales", "1,1.5").parameters["scales"] == [1.0, 1.5]
    assert kept("--layer", "all", "--fuse", "max").layer.startswith("max of ")


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (("--fuse", "sum", "--layer", "all", "-m", "demo"), 2, "mean, product, max"),
        (("--fuse", "max"), 1, "the one map"),
        (("--resolution", "2"), 1, "cannot be made 2 times finer"),  # a network without strides
        (("--scales", "1;2"), 2, "numbers with commas"),
    ],
)
def test_finer_maps_that_cannot_be_had(
    photo: Path, tmp_path: Path, flags: tuple[str, ...], status: int, words: str
) -> None:
    done = run("explain", photo, "-m", SHELLS, "-o", tmp_path, *flags)
    assert done.exit_code == status and words in " ".join(done.stderr.replace("│", "").split())
