"""--preprocessing, --input-size, --mean and --std, and what is said of networks that take other channels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import foveal
from foveal.cli.app import app
from tests.images.made_files import bands_tiff, dicom, nifti

NETWORKS = """
import numpy as np
import torch
from torch import nn

def network(channels):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def gray():
    return network(1)

def color():
    return network(3)

def five():
    return network(5)

def learned():
    import foveal

    def transform(image):
        return torch.from_numpy(np.asarray(image.convert("L").resize((24, 24)), np.float32))[None] / 255

    return foveal.Model(network(1), "learned", preprocessing=foveal.Preprocessing.of(transform))

def told():
    made = network(1)
    made.img_size = (48, 40)
    return made
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETWORKS)
    Image.effect_noise((40, 40), 90).convert("RGB").save("photo.png")


def run(words: str) -> Result:
    return CliRunner().invoke(app, words.split())


@pytest.mark.parametrize(
    ("words", "channels", "size"),
    [
        ("nets.py:gray --input-size 32 --mean .5 --std .25", "L", [32, 32]),
        ("nets.py:color --input-size 32x24", "RGB", [32, 24]),
        ("nets.py:gray --preprocessing grey --input-size 32", "L", [32, 32]),
        ("nets.py:color --preprocessing imagenet --mean .5", "RGB", [224, 224]),
        ("demo --input-size 96", "RGB", [96, 96]),
        ("nets.py:gray --input-size 32 --range -160,240 --no-clip --frame 2 --axis 1", "L", [32, 32]),
        ("nets.py:gray --input-size 32 --bands 5 --composite 5", "bands", [32, 32]),
        ("nets.py:color --input-size 32 --bands 3,2,1 --composite 1,2,3 --range 0,9", "bands", [32, 32]),
        ("nets.py:five --input-size 32 --bands 4,3,2,1,0 --mean .5 --std .25", "bands", [32, 32]),
    ],
)
def test_settings_are_shown_and_can_be_saved(words: str, channels: str, size: list[int]) -> None:
    done = run(f"stages {words} --show-preprocessing")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["channels"] == channels and said["size"] == size
    Path("said.json").write_text(done.stdout)
    again = run(f"stages {words.split()[0]} --preprocessing said.json --show-preprocessing")
    assert json.loads(again.stdout) == said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("nets.py:gray", "takes 1 channel and does not say .* --preprocessing gray --input-size 224"),
        ("nets.py:told", "takes 1 channel and does not say .* --preprocessing gray --input-size 48x40"),
        ("nets.py:color", "takes 3 channels and does not say .* --preprocessing imagenet"),
        ("nets.py:five --input-size 32", "takes 5 channels .* add --bands 0,1,2,3,… --input-size 224 --mean"),
        ("nets.py:gray --preprocessing imagenet", "convolution, 0, takes 1 channel, .* has 3; .* --preprocessing gray"),
        (
            "nets.py:color --preprocessing gray",
            "takes 3 channels, .* has 1; .*--preprocessing imagenet",
        ),
        ("nets.py:gray --preprocessing gra", r"did you mean gray\?"),
        ("nets.py:gray --input-size big", "write 128, or 128x96"),
        ("nets.py:gray --mean a", "write numbers with commas"),
        ("nets.py:gray --input-size 9 --mean 1,2", "mean must be 1"),
        ("nets.py:gray --input-size 9 --range 5", "range must be two different numbers"),
        ("nets.py:gray --input-size 9 --range 0-5", "cannot read --range '0-5': write numbers with commas, 0,4095"),
        ("nets.py:gray --input-size 9 --bands 1.5", "cannot read --bands '1.5'"),
        ("nets.py:gray --input-size 9 --bands 1,2", "mean must be 2 numbers"),
        ("nets.py:five --input-size 9 --bands 0,1,2,3,4", "takes 5 channels"),
        ("nets.py:color --preprocessing imagenet --frame 3", "it has 1 frame, counted from 0, and no frame 3"),
        ("nets.py:color --preprocessing imagenet --bands 0,1,3", "it has 3 bands, counted from 0, and no band 3"),
        ("nets.py:learned --input-size 9", "it is a transform; change that"),
    ],
)
def test_what_does_not_fit_says_what_would(words: str, problem: str) -> None:
    done = run(f"explain photo.png -m {words}")
    assert done.exit_code != 0 and done.stdout == ""
    assert re.search(problem, " ".join(done.stderr.replace("│", " ").split())), done.stderr


def test_options_of_files_reach_the_network() -> None:
    """The same input, so the same map, as the preprocessing that Python declares."""
    (bits := np.random.default_rng(0).integers(0, 4096, (40, 40, 5)).astype(np.uint16))[0, 0] = 0
    Path("scene.tif").write_bytes(bands_tiff(bits))
    words = "--bands 4,3,2,1,0 --mean .5,.4,.3,.2,.1 --std .25 --range 0,4095 --input-size 40 --composite 2,1,0"
    done = run(f"explain scene.tif -m nets.py:five {words}")
    assert done.exit_code == 0, done.output
    assert "note: preprocessing: " in done.stderr and "range 0, 4095" in done.stderr
    assert "bands 2, 1, 0 are shown as red, green and blue" in done.stderr
    declared = foveal.Preprocessing(
        (40, 40), bands=(4, 3, 2, 1, 0), mean=(0.5, 0.4, 0.3, 0.2, 0.1), std=0.25, range=(0, 4095), composite=(2, 1, 0)
    )
    expected = foveal.explain(foveal.load_model("nets.py:five"), "scene.tif", preprocessing=declared)
    torch.testing.assert_close(foveal.Explanation.load("out/explain/scene/gradcam").map, expected.map)


def test_a_range_is_asked_for_in_the_words_of_the_command_line() -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 40)).astype(np.uint16)
    Image.fromarray(pixels).save("xray.png")
    done = run("explain xray.png -m nets.py:gray --preprocessing gray --input-size 32")
    assert done.exit_code == 1
    assert "declare --range 0,4095 if 4095 is white, or --range 0,65535 if the image is so dark" in done.stderr
    done = run("explain xray.png -m nets.py:gray --preprocessing gray --input-size 32 --range 0,4095")
    assert done.exit_code == 0, done.stderr


def test_a_model_with_its_own_transform_needs_no_options() -> None:
    done = run("explain photo.png -m nets.py:learned")
    assert done.exit_code == 0, done.stderr
    done = run("explain photo.png -m nets.py:learned --range 0,128")
    assert done.exit_code == 0 and "by the model's own transform, range 0, 128" in done.stderr


@pytest.mark.parametrize(("name", "ending"), [("a.dcm", ".dcm"), ("a.nii.gz", ".nii.gz"), ("a.tif", ".tif")])
@pytest.mark.parametrize("flat", ["", " --flat"])
def test_maps_are_written_as_the_files_of_their_images(name: str, ending: str, flat: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 40)).astype(np.uint16)
    if name == "a.nii.gz":
        nifti(pixels.astype(np.int16)[..., None]).to_filename(name)
    else:
        Path(name).write_bytes(dicom(pixels) if name == "a.dcm" else bands_tiff(pixels))
    done = run(
        f"explain {name} -m nets.py:gray --preprocessing gray --input-size 40 --range 0,4095 --save-map{flat} --json"
    )
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    overlay, map_file = row["files"]
    assert overlay.endswith(".png") and map_file.endswith(f"1{ending}")
    expected = foveal.explain(
        foveal.load_model("nets.py:gray"), name,
        preprocessing=foveal.Preprocessing.named("gray", 40).changed(range=(0, 4095)),
    ).on_photo()  # fmt: skip
    if name == "a.dcm":
        found = pytest.importorskip("pydicom").dcmread(map_file).pixel_array
    elif name == "a.tif":
        found = np.asarray(Image.open(map_file))
    else:
        found = np.asarray(pytest.importorskip("nibabel").load(map_file).dataobj)[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
