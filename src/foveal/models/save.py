"""A model as a file of weights with its sidecar, to be loaded back by `load_model`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError
from safetensors.torch import save

from foveal.engine.keywords import checked
from foveal.errors import ModelError
from foveal.models.pairing import replace_pair
from foveal.models.sidecar import Sidecar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from foveal.models.model import Model


@checked
def save_model(
    model: Model,
    path: str | Path,
    *,
    architecture: str | None = None,
    arguments: Mapping[str, object] | None = None,
    half: bool = False,
) -> Path:
    """Write `path` (.safetensors) and the sidecar beside it; returns the path.

    architecture    how to build the network again, "timm:NAME" or "package.module:factory"; None: its name.
    arguments       what it is built with, as JSON values.
    half            matrices and kernels in half precision, which halves the file; vectors, such as the tiny
                    variances of batch norm, stay in single precision.

    Whenever it is stopped, the earlier weights are there with their sidecar, or the new ones with theirs.

    Raises:
        ModelError: for a model that cannot be described or stored so, or where nothing can be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ModelError(f"Cannot save a model to {path}: the name must end in .safetensors.")
    state = {name: _stored(name, tensor, half=half) for name, tensor in model.module.state_dict().items()}
    sidecar = _sidecar(model, architecture or model.name, arguments or {})
    replace_pair(path, save(state), sidecar)
    return path


def _sidecar(model: Model, architecture: str, arguments: Mapping[str, object]) -> Sidecar:
    try:
        return Sidecar.model_validate(
            {
                "name": model.name,
                "architecture": architecture,
                "arguments": dict(arguments),
                "preprocessing": model.preprocessing,
                "labels": model.labels,
                "task": model.task,
                "card": dict(model.card),
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise ModelError(f"Cannot describe {model.name} in a sidecar: {where}: {problem['msg']}.") from error


def _stored(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    """A tensor of its own memory, as safetensors wants it."""
    if not (half and tensor.dim() > 1 and tensor.is_floating_point()):
        return tensor.detach().cpu().contiguous().clone()
    stored = tensor.detach().cpu().to(torch.float16).contiguous()
    if not torch.isfinite(stored).all():
        raise ModelError(f"Cannot save {name} in half precision: it has values beyond ±65504; save it with half=False.")
    return stored
