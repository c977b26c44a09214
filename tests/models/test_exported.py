"""Programs of torch.export are looked into: their maps are those of the network that was exported."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable


class Residual(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.conv(x))
        out += x
        return self.relu(out)


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.block, self.pool = Residual(8), nn.MaxPool2d(2)
        self.deep, self.drop, self.fc = Residual(8), nn.Dropout(0.3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.deep(self.pool(self.block(self.stem(x))))
        return self.fc(self.drop(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)))


def network() -> Small:
    torch.manual_seed(0)
    small = Small()
    for part in small.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
    return small.eval()


X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def exported(folder: Path, module: nn.Module, *, dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, (X,), dynamic_shapes=shapes)
        torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2"


METHODS = ("gradcam", "hirescam", "lrp-gamma", "lrp-epsilon", "guidedbackprop", "scorecam", "ablationcam", "occlusion")


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_are_those_of_the_network(tmp_path: Path, method: str) -> None:
    own, model = network(), foveal.load_model(exported(tmp_path, network()))
    a, b = (foveal.explain(m, X, foveal.Class(3), method=method) for m in (own, model))
    assert a.layers == b.layers
    torch.testing.assert_close(a.map, b.map)
    assert a.map.abs().sum() > 0


def test_stages_are_those_of_the_network(tmp_path: Path) -> None:
    model = foveal.load_model(exported(tmp_path, network()))
    assert [s.name for s in foveal.stages(model, X)] == [s.name for s in foveal.stages(network(), X)]


def test_a_fixed_batch_is_said_and_kept(tmp_path: Path) -> None:
    model = foveal.load_model(exported(tmp_path, network(), dynamic=False))
    assert "the program takes 2 images at a time, as it was exported" in model.notes
    assert "the program takes images of 32×32 pixels, as it was exported" in model.notes
    assert foveal.explain(model, X, foveal.Class(1)).map.shape == (2, 16 // 2, 16 // 2)
    with pytest.raises(ModelError, match=r"batch|size|shape|equal"):
        foveal.explain(model, X[:1], foveal.Class(1))


def test_a_program_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"exported in training mode \(batch_norm\).*model.eval"):
        foveal.load_model(exported(tmp_path, network().train()))


class Trap:
    def __reduce__(self) -> tuple[Callable[[str], Path], tuple[str]]:
        return Path, ("sprung",)


def test_other_objects_than_tensors_are_refused(tmp_path: Path) -> None:
    file, other = exported(tmp_path, network()), tmp_path / "trap.pt2"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            blob = old.read(name)
            if name.endswith("sample_inputs/model.pt"):
                buffer = io.BytesIO()
                torch.save(Trap(), buffer, pickle_module=pickle)
                blob = buffer.getvalue()
            new.writestr(name, blob)
    with pytest.raises(ModelError, match=r"no program of torch.export with tensors alone"):
        foveal.load_model(other)


def test_what_is_no_program_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("not a zip file")
    for name, words in (("text", "no program of torch.export"), ("none", "No such file")):
        with pytest.raises(ModelError, match=words):
            foveal.load_model(tmp_path / f"{name}.pt2")
