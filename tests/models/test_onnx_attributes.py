"""Operators of ONNX with unusual attributes: the same numbers as ONNX Runtime, or a black box, never others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import foveal
from foveal.errors import ModelError
from foveal.models.black_box import BlackBox

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

node = onnx.helper.make_node
X = torch.randn(2, 3, 15, 14, generator=torch.Generator().manual_seed(0))


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


TESTED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "Slice backwards": ([node("Slice", ["a", "s", "e", "ax", "st"], ["b"])],
                        {"s": ints(-1), "e": ints(-100), "ax": ints(-1), "st": ints(-2)}),
    "Slice beyond": ([node("Slice", ["a", "s", "e", "ax"], ["b"])],
                     {"s": ints(-3, 2), "e": ints(2**62, -1), "ax": ints(3, -2)}),
    "Gather negative": ([node("Gather", ["a", "i"], ["b"], axis=-1)], {"i": ints(-1, 0, -2)}),
    "Gather one": ([node("Gather", ["a", "i"], ["c"], axis=1), node("Unsqueeze", ["c", "u"], ["b"])],
                   {"i": np.array(-1, np.int64), "u": ints(-3)}),
    "Concat negative": ([node("Concat", ["a", "a"], ["b"], axis=-3)], {}),
    "Split negative": ([node("Split", ["a", "s"], ["b", "c"], axis=-1)], {"s": ints(5, 9)}),
    "Unsqueeze and squeeze": ([node("Unsqueeze", ["a", "u"], ["c"]), node("Squeeze", ["c", "u"], ["b"])],
                              {"u": ints(-1, 0)}),
    "MaxPool up": ([node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}),
    "MaxPool up, padded": ([node("MaxPool", ["a"], ["b"], kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 0, 1],
                                 ceil_mode=1)], {}),
    "MaxPool dilated": ([node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], dilations=[2, 2])], {}),
    "MaxPool same": ([node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER")], {}),
    "AveragePool up": ([node("AveragePool", ["a"], ["b"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
                             pads=[1, 1, 1, 1])], {}),
    "AveragePool counted": ([node("AveragePool", ["a"], ["b"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
                                  pads=[1, 1, 1, 1], count_include_pad=1)], {}),
    "AveragePool same": ([node("AveragePool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2],
                               auto_pad="SAME_UPPER")], {}),
    "Conv uneven": ([node("Conv", ["a", "w"], ["b"], pads=[0, 1, 2, 0], dilations=[2, 1])],
                    {"w": np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32)}),
    "Conv same": ([node("Conv", ["a", "w"], ["b"], auto_pad="SAME_LOWER", strides=[2, 3])],
                           {"w": np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype(np.float32)}),
    "Conv of groups": ([node("Conv", ["a", "w"], ["b"], group=3)],
                       {"w": np.random.default_rng(0).normal(size=(6, 1, 3, 3)).astype(np.float32)}),
    "Resize twice": ([node("Resize", ["a", "", "s"], ["b"], mode="nearest", nearest_mode="floor",
                           coordinate_transformation_mode="asymmetric")], {"s": floats(1, 1, 2, 2)}),
    "Resize odd": ([node("Resize", ["a", "", "s"], ["b"], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")], {"s": floats(1, 1, 1.5, 2.3)}),
    "Resize smaller": ([node("Resize", ["a", "", "s"], ["b"], mode="linear")], {"s": floats(1, 1, 0.6, 0.7)}),
    "Resize corners": ([node("Resize", ["a", "", "", "z"], ["b"], mode="linear",
                             coordinate_transformation_mode="align_corners")], {"z": ints(1, 3, 20, 31)}),
    "Resize cubic": ([node("Resize", ["a", "", "s"], ["b"], mode="cubic")], {"s": floats(1, 1, 2, 2)}),
    "Resize cubic, half": ([node("Resize", ["a", "", "s"], ["b"], mode="cubic", cubic_coeff_a=-0.5)],
                           {"s": floats(1, 1, 2, 2)}),
    "Resize channels": ([node("Resize", ["a", "", "s"], ["b"], mode="nearest", nearest_mode="floor",
                              coordinate_transformation_mode="asymmetric")], {"s": floats(1, 2, 1, 1)}),
    "Resize antialiased": ([node("Resize", ["a", "", "s"], ["b"], mode="linear", antialias=1)],
                           {"s": floats(1, 1, 0.5, 0.5)}),
    "Pad negative": ([node("Pad", ["a", "p"], ["b"])], {"p": ints(0, 0, -1, 2, 0, 0, 1, -2)}),
    "Pad mirrored": ([node("Pad", ["a", "p"], ["b"], mode="reflect")], {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "Pad edges": ([node("Pad", ["a", "p"], ["b"], mode="edge")], {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}),
    "Pad channels": ([node("Pad", ["a", "p", "v"], ["b"])],
                     {"p": ints(0, 1, 0, 0, 0, 2, 0, 0), "v": np.array(0.5, np.float32)}),
    "Softmax of channels": ([node("Softmax", ["a"], ["b"], axis=1)], {}),
    "Softmax last": ([node("Softmax", ["a"], ["b"])], {}),
    "ReduceMean negative": ([node("ReduceMean", ["a"], ["b"], axes=[-1, 2], keepdims=1)], {}),
    "Clip open": ([node("Clip", ["a", "", "h"], ["b"])], {"h": np.array(0.2, np.float32)}),
    "PRelu of channels": ([node("PRelu", ["a", "k"], ["b"])], {"k": floats(0.1, -0.2, 0.3).reshape(3, 1, 1)}),
    "PRelu of cells": ([node("PRelu", ["a", "k"], ["b"])],
                       {"k": np.random.default_rng(0).normal(size=(3, 15, 14)).astype(np.float32)}),
    "LRN odd": ([node("LRN", ["a"], ["b"], size=3, alpha=0.1)], {}),
    "Flatten later": ([node("Flatten", ["a"], ["c"], axis=2), node("Reshape", ["c", "z"], ["b"])],
                      {"z": ints(-1, 3, 15, 14)}),
    "Transpose": ([node("Transpose", ["a"], ["c"]), node("Transpose", ["c"], ["b"], perm=[3, 2, 0, 1])], {}),
    "ConvTranspose padded": ([node("ConvTranspose", ["a", "w"], ["b"], strides=[2, 2], pads=[1, 1, 1, 1],
                                   output_padding=[1, 1])],
                             {"w": np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)}),
    "ConvTranspose uneven": ([node("ConvTranspose", ["a", "w"], ["b"], strides=[2, 2], pads=[0, 1, 1, 0])],
                             {"w": np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)}),
    "Pow and Div": ([node("Pow", ["a", "p"], ["c"]), node("Div", ["c", "d"], ["b"])],
                    {"p": np.array(2, np.float32), "d": np.array(-3, np.float32)}),
    "Where": ([node("Greater", ["a", "d"], ["g"]), node("Where", ["g", "a", "d"], ["b"])],
              {"d": np.array(0.1, np.float32)}),
}  # fmt: skip
OUTSIDE = {
    "Resize cubic, half", "Resize antialiased", "Resize channels", "AveragePool same", "ConvTranspose uneven",
    "Flatten later", "Where", "PRelu of cells",
}  # fmt: skip
"""What may run as a black box; all others must be looked into."""


@pytest.mark.parametrize("opset", [13, 17, 18])
@pytest.mark.parametrize("what", TESTED)
def test_unusual_attributes_give_the_numbers_of_the_runtime(what: str, opset: int, tmp_path: Path) -> None:
    """Also for images that were not compared when the file was read: large, small, and all of one value."""
    nodes, weights = TESTED[what]
    if (opset < 18 and "antialias" in what) or (opset > 17 and "ReduceMean" in what):
        pytest.skip("of another version")
    # The operator, between others, ends in scores that hear every cell.
    whole = [
        node("Mul", ["x", "one"], ["a"]), *nodes, node("GlobalMaxPool", ["b"], ["most"]),
        node("GlobalAveragePool", ["b"], ["mean"]), node("Add", ["most", "mean"], ["sum"]),
        node("Flatten", ["sum"], ["y"]),
    ]  # fmt: skip
    tensors = {"one": np.array(1, np.float32), **weights}
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        whole, "made", [onnx.helper.make_tensor_value_info("x", kind, ["n", 3, 15, 14])],
        [onnx.helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )  # fmt: skip
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(made, tmp_path / "net.onnx")
    model = foveal.load_model(tmp_path / "net.onnx")
    assert what in OUTSIDE or not isinstance(model.module, BlackBox), model.notes
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    for x in (X[:1], 100 * X[1:], 0 * X[:1] - 5, -X[:1].abs()):
        (expected,) = session.run(None, {"x": x.numpy()})
        with torch.no_grad():
            found = model.module(x)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3 * float(np.abs(expected).max()) + 1e-6)


def test_what_the_runtime_itself_cannot_run_is_one_sentence(tmp_path: Path) -> None:
    """It loads such a file, and fails on every image."""
    kind = onnx.TensorProto.FLOAT
    weights = np.zeros((2, 3, 2, 2), np.float32)
    nodes = [node("Conv", ["x", "w"], ["a"], auto_pad="SAME_LOWER", dilations=[2, 2]),
             node("GlobalAveragePool", ["a"], ["g"]), node("Flatten", ["g"], ["y"])]  # fmt: skip
    graph = onnx.helper.make_graph(
        nodes, "made", [onnx.helper.make_tensor_value_info("x", kind, ["n", 3, 15, 14])],
        [onnx.helper.make_tensor_value_info("y", kind, None)], [onnx.numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run .*net.onnx on inputs of \(3, 15, 14\): "):
        foveal.load_model(tmp_path / "net.onnx")
