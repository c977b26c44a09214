"""The exit status: 2 for a name that nothing bears, 1 for failure, 130 when interrupted; each in a sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import foveal
from foveal.cli import errors
from foveal.cli.app import app
from foveal.cli.errors import FAILED, INTERRUPTED, MISUSED
from foveal.cli.wording import as_options
from foveal.errors import (
    FovealError,
    ImageError,
    LayerError,
    MethodError,
    MissingExtra,
    ModelError,
    ResultError,
    TargetError,
    UnknownLayer,
    UnknownMethod,
    UnknownModel,
    UnknownName,
    UnknownTarget,
)
from tests.birds import drawn_bird

STATUS: dict[BaseException, int] = {
    UnknownLayer("x"): MISUSED, UnknownMethod("x"): MISUSED, UnknownModel("x"): MISUSED, UnknownTarget("x"): MISUSED,
    ImageError("x"): FAILED, LayerError("x"): FAILED, MethodError("x"): FAILED, MissingExtra("x"): FAILED,
    ModelError("x"): FAILED, ResultError("x"): FAILED, TargetError("x"): FAILED, ZeroDivisionError("x"): FAILED,
    OSError(28, "No space left on device", "out"): FAILED, KeyboardInterrupt(): INTERRUPTED,
}  # fmt: skip


@pytest.fixture
def bird(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    drawn_bird(6).resize((64, 64)).save("bird.png")
    return tmp_path / "bird.png"


@pytest.mark.parametrize("error", STATUS, ids=lambda error: type(error).__name__)
def test_each_error_has_a_status_and_a_sentence(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, errors.exit_status():
        raise error
    assert ended.value.exit_code == STATUS[error]
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("foveal: ") and shown.err.count("\n") == 1


def test_an_unknown_name_is_also_what_it_is_the_name_of() -> None:
    for kind, of in {UnknownLayer: LayerError, UnknownMethod: MethodError, UnknownModel: ModelError}.items():
        assert issubclass(kind, of) and issubclass(kind, UnknownName) and issubclass(kind, FovealError)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("explain bird.png -m dmeo", "dmeo"),
        ("explain bird.png -m timm:resnet51", "resnet51"),
        ("explain bird.png -m torchvision:resnet51", "resnet51"),
        ("explain bird.png -m json:nothing", "nothing"),
        ("explain bird.png -m demo --task clases", "clases"),
        ("explain bird.png -m demo --device nowhere", "nowhere"),
        ("explain bird.png -m demo --target phoenix", "phoenix"),
        ("explain bird.png -m demo --target 20", "20"),
        ("explain bird.png -m demo --target neuron:stage2:9999", "9999"),
        ("explain bird.png -m demo --method gradcan", "gradcan"),
        ("explain bird.png -m demo --method scorecam:cluster=3", "cluster"),
        ("explain bird.png -m demo --layer stage9", "stage9"),
        ("flow bird.png -m demo --mode exakt", "exakt"),
        ("decompose bird.png -m demo --rule pool", "pool"),
        ("decompose bird.png -m demo --nodes neurone", "neurone"),
        ("decompose bird.png -m demo --patterns guide", "guide"),
        ("measure bird.png -m demo --metric deletions", "deletions"),
        ("match bird.png bird.png -m demo --metric cosin", "cosin"),
        ("match bird.png bird.png -m demo --channels most", "most"),
        ("match bird.png bird.png -m demo --embedding nowhere", "nowhere"),
        ("audit bird.png -m demo --fill blut", "blut"),
        ("channels bird.png -m demo --layer stage9", "stage9"),
        ("channels bird.png -m demo --channel 9999", "9999"),
        ("episode bird.png classes -m demo --rule medium", "medium"),
        ("visualize bird.png -m demo --parametrization oil", "oil"),
        ("visualize bird.png -m demo --start middle", "middle"),
        ("sanity bird.png -m demo --method gradcan", "gradcan"),
        ("train brnpa --data world --set speed=9", "speed"),
    ],
)
def test_a_name_that_nothing_bears_is_misuse(words: str, named: str, bird: Path) -> None:
    for name in ("classes/one/a.png", "classes/two/b.png"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(bird.read_bytes())
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == MISUSED, done.output
    assert done.stdout == "" and named in done.stderr
    told = done.stderr.splitlines()[-1]  # foveal's own sentence, or the frame around one about an option
    assert told.startswith(("foveal: ", "╰")) and "unexpected error" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "explain nowhere.png -m demo",
        "explain bird.png -m demo --weights nowhere.pth",
        "explain bird.png -m demo --labels nowhere.txt",
        "explain bird.png -m demo --resolution 3",
        "explain bird.png -m nowhere.safetensors",
        "channels empty -m demo",
    ],
)
def test_what_cannot_be_done_is_failure(words: str, bird: Path) -> None:
    Path("empty").mkdir()
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == FAILED, done.output
    assert done.stdout == "" and done.stderr.startswith("foveal: ")


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("say task='classes'; or task='value'", "say --task classes; or --task value"),
        ("explain several layers, layer='all' say", "explain several layers, --layer all say"),
        ("use rule='average'.", "use --rule average."),
        ("pass its index or labels=[…]", "pass its index or --labels FILE"),
        ("this model has none: pass preprocessing=", "this model has none: pass --preprocessing"),
        ("pass a file (weights=…)", "pass a file (--weights FILE)"),
        ("ask for random weights (pretrained=False)", "ask for random weights (--no-pretrained)"),
        ("e.g. load_model('timm:a', weights='b c.pth')", "e.g. --model timm:a --weights 'b c.pth'"),
        ("Cannot read 'task=x.png'", "Cannot read 'task=x.png'"),
        ("out/layer=2/a.png", "out/layer=2/a.png"),
        ("scorecam:layer=3", "scorecam:layer=3"),
        ("say target=foveal.Similar(reference), or", "say --like PHOTO, or"),
        ("a cosine (in Python also foveal.Learned(matrix) or your own).", "a cosine."),
        ("compare images with foveal.match", "compare images with `foveal match`"),
        ("preprocessing=foveal.Preprocessing(size=(h, w), …)", "--preprocessing NAME|FILE"),
        ("preprocessing=foveal.Preprocessing.named('gray')", "--preprocessing gray"),
        ("clusters=3 is unknown", "clusters=3 is unknown"),
    ],
)
def test_sentences_speak_the_command_line(python: str, shell: str) -> None:
    assert as_options(python) == shell


def test_a_note_names_options_and_what_is_saved_names_keywords(bird: Path) -> None:
    """People at the command line read of options; whoever loads the result in Python, of keywords."""
    words = [
        "explain",
        "bird.png",
        "-m",
        "foveal.synthetic.network:DemoNet",
        "--preprocessing",
        "imagenet",
        "-o",
        "out",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert "pass --task " in done.stderr and "task=" not in done.stderr
    assert any("pass task=" in note for note in foveal.Explanation.load("out/bird/gradcam").notes)


def test_an_interrupted_process_ends_with_130(bird: Path) -> None:
    # Jobs in the background of a shell begin with interrupts ignored.
    code = (
        "import signal, torch; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from foveal.cli import main; print('ready', flush=True); main()"
    )
    words = ["explain", *["bird.png"] * 400, "-m", "demo", "--method", "smoothgrad", "-o", "out"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    for _ in range(600):
        if Path("out/bird/smoothgrad/manifest.json").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, said
    assert b"interrupted" in said and b"Traceback" not in said
