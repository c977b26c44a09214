"""A gray network of one's own, one logit, and a figure of several X-rays by several methods for a paper."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from tests import forked

NET = """
import torch
from torch import nn

class XrayNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

def make():
    return XrayNet()
"""
SETTINGS = ("--preprocessing", "gray", "--input-size", "16", "--mean", ".5", "--std", ".25")
MODEL = ("--model", "net.py:make", "--weights", "net.pth", *SETTINGS, "--labels", "pneumonia")


def network() -> nn.Module:
    """The network of the file, after a little training."""
    space: dict[str, type[nn.Module]] = {}
    exec(NET, space)
    torch.manual_seed(3)
    net = space["XrayNet"]()
    net(torch.randn(16, 1, 16, 16))
    return net.eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    torch.save(network().state_dict(), tmp_path / "net.pth")
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = draw.integers(0, 255, (40, 60), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def run(folder: Path, *words: str) -> forked.Done:
    return forked.foveal(*words, cwd=folder)


def texts(svg: Path) -> str:
    return " ".join(e.text or "" for e in ET.parse(svg).iter() if e.tag.endswith("}text"))


@pytest.mark.parametrize("task", [(), ("--task", "classes")], ids=["unknown", "classes"])
def test_a_figure_on_the_command_line(task: tuple[str, ...], folder: Path) -> None:
    """The score is what the network says of the squeezed image; the figure names photos and methods."""
    done = run(
        folder, "explain", "a.png", "b.png", *MODEL, "--resize", "exact", "--methods", "gradcam,lrp-gamma", "--figure",
        "fig.svg", "--title", "Evidence for pneumonia", "--contour", "--target", "pneumonia", "--json", *task,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    for row in rows:
        photo = Image.open(folder / row["photo"]).resize((16, 16), Image.Resampling.BILINEAR)
        x = (torch.from_numpy(np.asarray(photo, np.float32)) / 255 - 0.5) / 0.25
        with torch.no_grad():
            logit = network()(x[None, None])
        assert row["score"] == pytest.approx(float(logit), abs=1e-4)
        assert row["probability"] == (pytest.approx(float(logit.sigmoid()), abs=1e-4) if task else None)
    assert (
        "note: preprocessing: images are scaled to 16×16 pixels, whatever their proportions, gray; mean 0.5; std 0.25"
        in done.stderr
    )
    unknown = "as a logit, pneumonia where it is above 0 and not pneumonia below"
    assert done.stderr.count(unknown) == (0 if task else 1)  # not for each photo and method
    assert "layer      input (lrp-gamma): the network's input" in done.stderr
    said = texts(folder / "fig.svg")
    assert said.startswith("Evidence for pneumonia photo gradcam") and "net.py:make" not in said
    assert all(word in said for word in ("a.png", "b.png", "lrp-gamma", "pneumonia (1)", "25, 50 and 75 %"))
    assert "(lrp-gamma, a.png; with other numbers for 1 more)" in said and "task=" not in said
    assert "Hatched" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "net.py"), "Write 'net.py:make'"),
        (("--model", "net.pth"), "for a network of your own code write 'path/to/file.py:factory'"),
        (("--model", "net.py:make", "--weights", "net.pth"), "--preprocessing gray --input-size 224"),
        ((*MODEL[:4], "--input-size", "16", "--mean", "127.5", "--std", "127.5"), "divide mean and std by 255"),
        ((*MODEL, "--labels", "names.txt"), "Write a text file with one name a line"),
        ((*MODEL, "--title", "x"), "give --figure FILE"),
    ],
)
def test_mistakes_end_with_the_remedy(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = run(folder, "explain", "a.png", *words)
    assert done.returncode in (1, 2) and said in " ".join(done.stderr.replace("│", " ").split())
    assert not done.stdout and "Traceback" not in done.stderr


def test_forgotten_weights_are_noted(folder: Path) -> None:
    done = run(folder, "explain", "a.png", "--model", "net.py:make", "--input-size", "16")
    assert done.returncode == 0 and done.stderr.count("it seems that nothing was learned") == 1


def test_the_same_figure_in_python(folder: Path) -> None:
    """As in the README; Grad-CAM before a linear head is Σ w A, divided by the number of positions."""
    gray = foveal.Preprocessing.named("gray", 16, mean=0.5, std=0.25)
    net = network()
    model = foveal.Model(net, "X-ray network", gray, labels=["pneumonia"], task="classes")  # type: ignore[arg-type]
    photos = [folder / "a.png", folder / "b.png"]
    whys = foveal.compare(model, photos, "pneumonia", methods=["gradcam", "lrp-gamma"])
    x = torch.stack([torch.from_numpy(gray.apply(Image.open(photo))) for photo in photos])
    with torch.no_grad():
        A = net.body(x)  # type: ignore[operator]
        expected = torch.einsum("nchw,c->nhw", A, net.head.weight[0]) / A[0, 0].numel()  # type: ignore[index,union-attr]
    assert torch.allclose(whys["gradcam"].map, expected, atol=1e-6)
    figure = whys.save_figure(folder / "fig.svg", contour=True, colors=None, title="")
    assert "X-ray network" not in texts(figure) and "Hatched areas" in texts(figure)
    assert "X-ray network" in texts(whys.save_figure(folder / "named.svg"))
    with pytest.raises(foveal.errors.FovealError, match=r"foveal.Preprocessing.named\('gray', 128\)"):
        foveal.explain(net, photos[0], preprocessing="gray")  # type: ignore[arg-type]
    with pytest.raises(foveal.errors.FovealError, match=r"foveal.Model\(network"):
        foveal.load_model(net)  # type: ignore[arg-type]


def test_a_pdf_has_a_title_and_its_text(folder: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("reportlab")
    gray = foveal.Preprocessing.named("gray", 16)
    model = foveal.Model(network(), "X-ray network", gray, labels=["pneumonia"], task="classes")  # type: ignore[arg-type]
    file = foveal.explain(model, folder / "a.png").save_figure(folder / "fig.pdf")
    read = pypdf.PdfReader(file)
    assert read.metadata.title == "X-ray network" and "pneumonia" in read.pages[0].extract_text()
