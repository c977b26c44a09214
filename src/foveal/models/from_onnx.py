"""ONNX files: as a network of torch that is compared with ONNX Runtime, or as a black box that ONNX Runtime runs."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from foveal.errors import FovealError, ModelError
from foveal.images.preprocessing import Preprocessing
from foveal.models.black_box import ENOUGH, BlackBox
from foveal.models.extras import import_onnx
from foveal.models.labels import checked_labels
from foveal.models.model import Model
from foveal.models.onnx_network import channels_last, dimensions, network
from foveal.models.onnx_node import Unconvertible
from foveal.models.weight_files import check_file
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PROBES, SIDE, CHANNELS = 3, 128, 3
TOLERANCE = 1e-3
"""The largest difference to ONNX Runtime, as a share of the largest output, with which a network is looked into."""
NAMES = ("names", "labels", "classes", "class_names", "id2label")
"""Where exporters write class names into a file's metadata."""


def build(path: Path) -> Model:
    """The network in an ONNX file, compared with what ONNX Runtime gives for the same inputs.

    Class names, task and preprocessing are read from the file's metadata where they are there: `names`, `task`, and
    `preprocessing`, the JSON that `foveal stages --show-preprocessing` prints.

    Where an operator has no counterpart, or the comparison fails, ONNX Runtime runs the network as a black box, and a
    note says so.

    Raises:
        ModelError: for a damaged file, and one that ONNX Runtime itself cannot run.
        MissingExtra: without onnx and onnxruntime.
    """
    check_file(path)
    onnx, runtime = import_onnx()
    try:
        proto = onnx.load(str(path))
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has errors of its own, with no common kind
        raise ModelError(f"Cannot read the network in {path}: {reason(error)}.") from error
    written = {each.key: each.value for each in proto.metadata_props}
    try:
        module, note = _looked_into(proto, session)
    except _NotRun as error:
        raise ModelError(f"ONNX Runtime cannot run the network in {path} on {error}") from error
    card = {"source": str(path), "notes": [note], "opset": proto.opset_import[0].version}
    known = _preprocessing(written, path)
    model = Model(module, str(path), known, _labels(written), card)
    return model.with_task("classes" if _classifies(written) else None, "the file's metadata")


class _NotRun(Exception):
    """ONNX Runtime fails; its text says on what, and why."""


def _looked_into(proto: Any, session: Any) -> tuple[nn.Module, str]:
    """The network, or a black box; and what is to be said of it."""
    try:
        module = network(proto)
        difference, largest = _compared(module, session, dimensions(_input(proto)))
    except (Unconvertible, *DAMAGE) as error:
        why = (
            f"cannot look into {error}"
            if isinstance(error, Unconvertible)
            else f"failed to convert it: {reason(error)}"
        )
        return _boxed(session), _black(why)
    if not difference <= TOLERANCE * largest:
        why = f"converted it with other results, off by {difference:.2g} of {largest:.2g}"
        return _boxed(session), _black(why)
    return module, (
        f"converted from ONNX: for {PROBES} probes its outputs are within {difference:.1g} of ONNX Runtime's, which go "
        f"up to {largest:.2g}"
    )


def _black(why: str) -> str:
    return f"ONNX Runtime runs this network as a black box, because foveal {why}; methods are {ENOUGH}"


def _boxed(session: Any) -> BlackBox:
    shape = session.get_inputs()[0].shape
    if not channels_last(shape):
        return BlackBox(session, takes="arrays")
    ask = BlackBox(session, takes="arrays")
    return BlackBox(lambda x: ask(x.permute(0, 2, 3, 1)), takes="tensors")


def _input(proto: Any) -> Any:
    constant = {each.name for each in proto.graph.initializer}
    return next(each for each in proto.graph.input if each.name not in constant)


def _compared(module: nn.Module, session: Any, shape: Sequence[int | str]) -> tuple[float, float]:
    """The largest difference of any output for probes, and the largest output.

    All probes are one batch for torch; ONNX Runtime gets as many at once as the file says. So a network whose batch
    was fixed is found to take others, too.
    """
    last = channels_last(shape)
    sides = [side if isinstance(side, int) else None for side in ([shape[0], shape[3], *shape[1:3]] if last else shape)]
    if len(sides) != 4:
        raise Unconvertible(f"an input with {len(sides)} axes")
    c, h, w = sides[1] or _channels(module), sides[2] or SIDE, sides[3] or SIDE
    at_once = sides[0] or PROBES
    dtype = torch.float16 if "float16" in session.get_inputs()[0].type else torch.float32
    count = -(-PROBES // at_once) * at_once
    x = torch.randn(count, c, h, w, generator=torch.Generator().manual_seed(0), device="cpu").to(dtype)
    with torch.no_grad():
        ours = _leaves(module(x))
    given = x.permute(0, 2, 3, 1) if last else x
    try:
        theirs = _by_runtime(session, given, at_once)
    except _NotRun:
        if sides[0] is not None:
            raise
        theirs = _by_runtime(session, given, 1)  # a size inside the network may be that of one image
    pairs = [(a, torch.cat([torch.from_numpy(run[i]) for run in theirs])) for i, a in enumerate(ours)]
    if any(a.shape != b.shape for a, b in pairs):
        return float("nan"), 0.0
    difference = max(float((a.float() - b.float()).abs().max()) for a, b in pairs)
    return difference, max(float(b.float().abs().max()) for _, b in pairs)


def _by_runtime(session: Any, x: Tensor, at_once: int) -> list[Any]:
    """What ONNX Runtime gives for so many inputs at a time."""
    name = session.get_inputs()[0].name
    try:
        return [session.run(None, {name: few.contiguous().numpy()}) for few in x.split(at_once)]
    except Exception as error:  # its errors have no common kind
        raise _NotRun(f"inputs of {tuple(x.shape[1:])}: {reason(error)}.") from error


def _channels(module: nn.Module) -> int:
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return first.in_channels if first else CHANNELS


def _leaves(output: Any) -> list[Tensor]:
    return [*output.values()] if isinstance(output, dict) else [output]


def _labels(written: Mapping[str, str]) -> tuple[str, ...] | None:
    """Class names in the metadata: a list, or names by number."""
    for key in NAMES:
        if key not in written:
            continue
        try:
            names = ast.literal_eval(written[key]) if written[key].lstrip()[:1] in ("[", "{", "(") else None
            names = [names[k] for k in sorted(names, key=int)] if isinstance(names, dict) else names
            return checked_labels(names or [name.strip() for name in written[key].split(",")])
        except (*DAMAGE, FovealError):
            continue
    return None


def _classifies(written: Mapping[str, str]) -> bool:
    return written.get("task", "").replace("image-", "") in ("classify", "classification", "classes")


def _preprocessing(written: Mapping[str, str], path: Path) -> Preprocessing | None:
    if "preprocessing" not in written:
        return None
    try:
        return Preprocessing.from_dict(json.loads(written["preprocessing"]))
    except (*DAMAGE, FovealError) as error:
        raise ModelError(f"Cannot read the preprocessing in the metadata of {path}: {reason(error)}") from error
