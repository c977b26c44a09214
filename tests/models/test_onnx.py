"""ONNX files: a network of torch that gives what ONNX Runtime gives, with the maps of the network that was exported."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.errors import ModelError
from foveal.models import from_onnx
from foveal.models.black_box import BlackBox
from foveal.models.extras import import_onnx, import_torchvision
from foveal.models.onnx_operators import MAKERS
from tests.models.test_exported import X, network

onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")


def exported(folder: Path, module: nn.Module, x: torch.Tensor, *, dynamo: bool = False, fixed: bool = False) -> Path:
    file = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            pytest.importorskip("onnxscript")
            shapes = None if fixed else ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                module, (x,), file, dynamo=True, dynamic_shapes=shapes, verbose=False, external_data=False
            )
        else:
            axes = {} if fixed else {"x": {0: "batch"}}
            torch.onnx.export(module, (x,), str(file), dynamo=False, input_names=["x"], dynamic_axes=axes)
    return file


def by_runtime(file: Path, x: torch.Tensor) -> torch.Tensor:
    session = runtime.InferenceSession(str(file))
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x0_5"])
def test_networks_of_torchvision_have_their_own_maps(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    own = import_torchvision().models.get_model(name, weights=None, num_classes=7).eval()
    for part in own.modules():  # as drawn, the scores of some are all but zero
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.2)
    x = torch.randn(2, 3, 64, 64)
    file = exported(tmp_path, own, x)
    model = foveal.load_model(file)
    assert model.notes[0].startswith("converted from ONNX: for 3 probes its outputs are within")
    torch.testing.assert_close(model.module(x), by_runtime(file, x), rtol=1e-3, atol=1e-5)
    # torchvision's DenseNet takes its last ReLU in no module: the file names it, and it is the stage that is meant.
    layer = "features.norm5" if name == "densenet121" else None
    a, b = (foveal.explain(m, x, foveal.Class(3), layer=layer) for m in (own, model))
    assert a.map.shape == b.map.shape
    torch.testing.assert_close(a.map, b.map, rtol=1e-3, atol=1e-4 * float(a.map.abs().max()))


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "guidedbackprop", "lrp-epsilon", "scorecam"])
def test_methods_give_the_maps_of_the_network(tmp_path: Path, method: str, dynamo: bool) -> None:
    model = foveal.load_model(exported(tmp_path, network(), X, dynamo=dynamo))
    a, b = (foveal.explain(m, X, foveal.Class(3), method=method) for m in (network(), model))
    torch.testing.assert_close(a.map, b.map, rtol=1e-3, atol=2e-4 * float(a.map.abs().max()))


@pytest.mark.parametrize("dynamo", [False, True])
def test_layers_have_the_names_of_the_modules(tmp_path: Path, dynamo: bool) -> None:
    names = dict(foveal.load_model(exported(tmp_path, network(), X, dynamo=dynamo)).module.named_modules())
    convolution = "block.norm" if dynamo else "block.conv"  # the exporter folds batch norms, and names what it folds
    assert isinstance(names[convolution], nn.Conv2d)
    assert isinstance(names["fc"], nn.Linear)
    assert {"block.relu", "deep.relu", "pool"} <= names.keys()


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_fixed_batch_takes_any_number_of_images(tmp_path: Path, dynamo: bool) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3, 4), nn.Linear(256, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(x).relu().view(x.shape[0], -1))

    own = Flat().eval()
    model = foveal.load_model(exported(tmp_path, own, X[:1], dynamo=dynamo, fixed=True))
    assert "within" in model.notes[0]
    torch.testing.assert_close(model.module(X), own(X), rtol=1e-4, atol=1e-5)
    assert foveal.explain(model, X, foveal.Class(1)).map.shape == (2, 8, 8)


def made(folder: Path, nodes: list[Any], weights: dict[str, Any], shape: list[Any], **metadata: str) -> Path:
    """A file written operator by operator."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def convolution(*after: Any, pads: str = "SAME_UPPER") -> tuple[list[Any], dict[str, Any]]:
    draw, node = np.random.default_rng(0), onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], strides=[2, 2], auto_pad=pads), node("Relu", ["a"], ["r"]),
        node("GlobalAveragePool", ["r"], ["g"]), node("Flatten", ["g"], ["f"]), *after,
    ]  # fmt: skip
    w, b = draw.normal(size=(4, 3, 3, 3)), draw.normal(size=4)
    return nodes, {"w": w.astype(np.float32), "b": b.astype(np.float32)}


def test_what_has_no_counterpart_runs_as_a_black_box(tmp_path: Path) -> None:
    nodes, weights = convolution(onnx.helper.make_node("Celu", ["f"], ["y"]))
    file = made(tmp_path, nodes, weights, ["n", 3, 32, 32])
    model = foveal.load_model(file)
    assert isinstance(model.module, BlackBox)
    assert "cannot look into the operator Celu" in model.notes[0]
    why = foveal.explain(model, X, foveal.Class(1), method="occlusion")
    assert model.notes[0] in why.notes
    torch.testing.assert_close(why.score, by_runtime(file, X)[:, 1])
    with pytest.raises(foveal.FovealError, match="scores alone"):
        foveal.explain(model, X, foveal.Class(1), method="gradcam")
    session = runtime.InferenceSession(str(file))
    torch.testing.assert_close(foveal.explain(session, X, foveal.Class(1), method="occlusion").map, why.map)


def test_a_wrong_conversion_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, weights = convolution(onnx.helper.make_node("Identity", ["f"], ["y"]))
    file = made(tmp_path, nodes, weights, ["n", 3, 32, 32])
    assert not isinstance(foveal.load_model(file).module, BlackBox)
    monkeypatch.setitem(MAKERS, "Relu", lambda node: (nn.LeakyReLU(0.1), None))
    model = foveal.load_model(file)
    assert isinstance(model.module, BlackBox)
    assert "converted it with other results" in model.notes[0]


@pytest.mark.parametrize("pads", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("last", [False, True])
def test_padding_and_layout_of_tensorflow(tmp_path: Path, pads: str, last: bool) -> None:
    nodes, weights = convolution(onnx.helper.make_node("Softmax", ["f"], ["y"]), pads=pads)
    shape: list[Any] = [1, 3, 32, 31]
    if last:
        nodes = [onnx.helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), *nodes]
        nodes[1].input[0], shape = "t", [1, 32, 31, 3]
    file = made(tmp_path, nodes, weights, shape)
    model, x = foveal.load_model(file), X[:, :, :, :31]
    assert not isinstance(model.module, BlackBox)
    wanted = torch.cat([by_runtime(file, (i.permute(0, 2, 3, 1) if last else i).contiguous()) for i in x.split(1)])
    torch.testing.assert_close(model.module(x), wanted)
    why = foveal.explain(model, x, method="hirescam")
    assert why.probability is not None
    torch.testing.assert_close(why.probability, wanted.amax(1))  # the file ends in a softmax, which is read off


@pytest.mark.parametrize(
    "names", ["{0: 'ant', 1: 'bee', 2: 'cat', 3: 'dog'}", '["ant", "bee", "cat", "dog"]', "ant,bee,cat,dog"]
)
def test_labels_task_and_preprocessing_are_read_from_the_metadata(tmp_path: Path, names: str) -> None:
    nodes, weights = convolution(onnx.helper.make_node("Identity", ["f"], ["y"]))
    own = foveal.Preprocessing.named("imagenet", 32)
    told = {"names": names, "task": "classify", "preprocessing": json.dumps(own.to_dict())}
    model = foveal.load_model(made(tmp_path, nodes, weights, ["n", 3, 32, 32], **told))
    assert (model.labels, model.task, model.preprocessing) == (("ant", "bee", "cat", "dog"), "classes", own)


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match="Cannot read the network in"):
        foveal.load_model(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="No such file"):
        foveal.load_model(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="brings its own weights"):
        foveal.load_model(tmp_path / "text.onnx", weights="w.safetensors")
    assert from_onnx.TOLERANCE <= 1e-3
    assert import_onnx()[0] is onnx
