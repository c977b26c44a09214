"""Programs of torch.export: networks whose parts have their names, computed by the operations that were recorded."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from foveal.errors import ModelError
from foveal.models.model import Model
from foveal.models.weight_files import check_file
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch.export import ExportedProgram

TRAINING = {"batch_norm": 5, "dropout": 2, "feature_dropout": 2, "instance_norm": 5}
"""Operations that do otherwise in training, and which of their arguments says so."""


def build(path: Path) -> Model:
    """`torch.export.load(path)` as a Model, its modules called as they were in the network that was exported.

    Pickles in the file are read as tensors only. The program itself is code: it is for files of people you trust.

    Raises:
        ModelError: for a damaged file, one that holds other objects, and a program exported in training mode.
    """
    check_file(path)
    _check_pickles(path)
    try:
        with _quiet():
            program = torch.export.load(path)
        inputs, training = _inputs(program), _in_training(program)
    except DAMAGE as error:
        raise ModelError(f"Cannot read the program in {path}: {reason(error)}.") from error
    if training:
        raise ModelError(
            f"The program in {path} was exported in training mode ({training}) and would decide otherwise each time: "
            "export it again after model.eval()."
        )
    try:
        with _quiet():
            module = torch.export.unflatten(program).eval()
            _translate(module)
            same = _same(program, module)
    except DAMAGE as error:
        raise ModelError(f"Cannot look into the program in {path}: {reason(error)}.") from error
    if not same:
        raise ModelError(f"Cannot look into the program in {path}: its parts do not give what the whole gives.")
    return Model(module, str(path), card={"source": str(path), "notes": _notes(inputs)})


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's own code calls what torch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _check_pickles(path: Path) -> None:
    """ModelError where the file holds more than tensors, which torch would run while it loads."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickled = {name for name in names if name.endswith(".pt")}
            for config in (name for name in names if name.endswith("_config.json")):
                entries = json.loads(archive.read(config)).get("config", {})
                folder = config.rpartition("/")[0]
                for entry in entries.values():
                    if entry.get("use_pickle"):
                        pickled.add(f"{folder}/{entry['path_name']}")
            if any("aotinductor" in name for name in names):
                raise ModelError(f"Cannot load {path}: it holds compiled code; save the program by torch.export.save.")
            for name in sorted(pickled):
                if blob := archive.read(name):
                    torch.load(io.BytesIO(blob), weights_only=True)
    except ModelError:
        raise
    except DAMAGE as error:
        raise ModelError(f"Cannot load {path}: it is no program of torch.export with tensors alone.") from error


def _inputs(program: ExportedProgram) -> list[tuple[Any, ...]]:
    """The shapes of what the program takes."""
    wanted = set(program.graph_signature.user_inputs)
    return [tuple(n.meta["val"].shape) for n in program.graph.nodes if n.op == "placeholder" and n.name in wanted]


def _notes(inputs: list[tuple[Any, ...]]) -> list[str]:
    """What the program was fixed to when it was exported."""
    if not inputs:
        return []
    batch, *rest = inputs[0]
    notes = []
    if isinstance(batch, int):
        notes.append(f"the program takes {batch} image{'s' * (batch != 1)} at a time, as it was exported")
    if len(rest) == 3 and all(isinstance(side, int) for side in rest[1:]):
        notes.append(f"the program takes images of {rest[1]}×{rest[2]} pixels, as it was exported")
    return notes


def _in_training(program: ExportedProgram) -> str:
    """The first operation that was recorded in training mode; "" for none."""
    for node in program.graph.nodes:
        name = _plain_name(node.target)
        place = TRAINING.get(name)
        if place is not None and len(node.args) > place and node.args[place] is True:
            return name
    return ""


def _translate(module: nn.Module) -> None:
    """Operations by the names that a network's own forward uses: methods with backward rules know those."""
    for part in module.modules():
        graph = getattr(part, "graph", None)
        for node in graph.nodes if isinstance(graph, torch.fx.Graph) else ():
            if isinstance(node.target, torch._ops.OpOverload):
                node.target = _known(node.target)


def _known(operation: torch._ops.OpOverload) -> Any:
    """The function of torch that a recorded operation came from; itself where there is none of that name."""
    name = operation._schema.name.rpartition("::")[2]
    homes = (torch, functional, Tensor) if operation.namespace == "aten" else ()
    return next((known for home in homes if callable(known := getattr(home, name, None))), operation)


def _same(program: ExportedProgram, module: nn.Module) -> bool:
    """Whether the parts give what the program gives for the example that it was exported with."""
    if program.example_inputs is None:
        return True
    arguments, keywords = program.example_inputs
    with torch.no_grad():
        whole = tree_leaves(program.module()(*arguments, **keywords))
        parts = tree_leaves(module(*arguments, **keywords))
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(whole, parts, strict=True))


def _plain_name(target: Any) -> str:
    """ "relu" of aten.relu_.default."""
    name = str(target._schema.name).rpartition("::")[2] if isinstance(target, torch._ops.OpOverload) else ""
    return name.removesuffix("_")
