"""Signals and volumes from files of arrays, in Python and on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.errors import FovealError, ImageError
from tests.space.networks import Net, images

if TYPE_CHECKING:
    from pathlib import Path

NET = """
from tests.space.networks import Net

def signals():
    return Net(1)

def volumes():
    return Net(3, channels=1)
"""


def test_files_are_the_input_as_they_are(tmp_path: Path) -> None:
    net, x = Net(1), images(1, 1)
    right = foveal.explain(net, x, 1, method="hirescam").map
    np.save(tmp_path / "a.npy", x[0].numpy())
    np.savez(tmp_path / "b.npz", signal=x[0].double().numpy())
    rows = [",".join(map(repr, sample)) for sample in x[0].T.tolist()]
    (tmp_path / "c.csv").write_text("left,right\n" + "\n".join(rows))
    files = [tmp_path / name for name in ("a.npy", "b.npz", "c.csv")]
    for file in files:
        why = foveal.explain(net, file, 1, method="hirescam")
        torch.testing.assert_close(why.map, right, atol=1e-6, rtol=1e-5)
        assert why.photos[0].source == str(file)
    assert foveal.explain(net, files, 1).map.shape == (3, 10)


def test_one_channel_needs_no_axis(tmp_path: Path) -> None:
    net, x = Net(3, channels=1), images(3, 1, 1)
    np.save(tmp_path / "volume.npy", x[0, 0].numpy())
    torch.testing.assert_close(foveal.explain(net, tmp_path / "volume.npy", 1).map, foveal.explain(net, x, 1).map)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.npy", b"\x93NUMPY nonsense", "Cannot read"),
        ("a.csv", b"1,2\nthree,4\n", "could not convert string to float"),
        ("a.csv", b"1,2\n3\n", "Cannot read"),
        ("a.npz", b"PK", "Cannot read"),
        ("a.csv", b"", "this network takes numbers"),
    ],
)
def test_damaged_files_say_so(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=why):
        foveal.explain(Net(1), tmp_path / name, 1)


def test_several_arrays_and_other_shapes_say_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros(9), b=np.zeros(9))
    with pytest.raises(ImageError, match=r"it holds 2 arrays \(a, b\)"):
        foveal.explain(Net(1), tmp_path / "two.npz", 1)
    np.save(tmp_path / "picture.npy", np.zeros((2, 9, 9)))
    with pytest.raises(ImageError, match=r"\(2, 9, 9\), and this network takes numbers \(length,\) or"):
        foveal.explain(Net(1), tmp_path / "picture.npy", 1)


@pytest.mark.parametrize(("axes", "factory"), [(1, "signals"), (3, "volumes")])
def test_command_line(axes: int, factory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text(NET)
    x = images(axes, 1, 2 if axes == 1 else 1)
    np.save(tmp_path / "one.npy", x[0].numpy())
    asked = ["explain", str(tmp_path / "one.npy"), "-m", f"{tmp_path}/net.py:{factory}", "--target", "1"]
    told = CliRunner().invoke(
        app, [*asked, "--task", "classes", "--method", "hirescam", "--out", str(tmp_path / "out")]
    )
    assert told.exit_code == 0, told.output
    why = foveal.Explanation.load(tmp_path / "out" / "one" / "hirescam")
    net = Net(1) if axes == 1 else Net(3, channels=1)
    torch.testing.assert_close(why.map, foveal.explain(net, x, 1, method="hirescam").map)
    assert ("samples" if axes == 1 else "voxels") in told.output


@pytest.mark.parametrize("axes", [1, 3])
def test_arrays_are_the_input_as_they_are(axes: int) -> None:
    net, x = Net(axes), images(axes)
    right = foveal.explain(net, x, 1).map
    array = x.double().numpy()
    torch.testing.assert_close(foveal.explain(net, array, 1).map, right, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(foveal.explain(net, list(array), 1).map, right, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(foveal.explain(net, array[1], 1).map, right[1:], atol=1e-6, rtol=1e-4)
    whole = (100 * x).round()
    numbers = foveal.explain(net, whole.int(), 1).map
    torch.testing.assert_close(numbers, foveal.explain(net, whole, 1).map)
    with pytest.raises(ImageError, match="Cannot take an array"):
        foveal.explain(net, np.zeros((2,) * (axes + 3)), 1)


def test_a_nifti_file_is_a_volume(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    net, x = Net(3, channels=1), images(3, 1, 1)
    nibabel.Nifti1Image(x[0, 0].numpy(), np.diag([2.0, 1, 1, 1])).to_filename(tmp_path / "head.nii.gz")
    why = foveal.explain(net, tmp_path / "head.nii.gz", 1)
    torch.testing.assert_close(why.map, foveal.explain(net, x, 1).map)
    again = foveal.images.read_volume(why.save_map(tmp_path / "map.nii.gz"))
    assert again.affine[0, 0] != 0 and again.values.ndim == 4


@pytest.mark.parametrize(("axes", "position"), [(1, (4,)), (3, (1, 2, 3))])
def test_a_neuron_at_a_position(axes: int, position: tuple[int, ...]) -> None:
    net, x = Net(axes), images(axes)
    why = foveal.explain(net, x, foveal.Neuron("mid", 3, position), method="gradient")
    torch.testing.assert_close(why.score, net.mid(net.stem(x))[(slice(None), 3, *position)].detach())
    with pytest.raises(FovealError, match="it has no position"):
        foveal.explain(net, x, foveal.Neuron("mid", 3, (*position, 0)), method="gradient")
