"""State dicts from files, read without running anything that the file asks for, and poured into a network."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from foveal.errors import ModelError, shown
from foveal.models.kinds import check_kinds
from foveal.storage.reading import DAMAGE, opened, reason

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar")
# Where training programs put the weights among epoch numbers and optimizers.
NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
DEEPEST = 8
"""No trainer puts a state dict into more boxes; a file that holds itself has no end of them."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights in a .safetensors file, or in a .pt/.pth file read as plain data only (`weights_only`)."""
    check_file(path)
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except DAMAGE as error:
            raise ModelError(f"Cannot read {path} as safetensors ({reason(error)}): get the file again.") from error
    if path.suffix not in PICKLED:
        raise ModelError(f"Cannot tell how to read {path}: weights end in .safetensors, {', '.join(PICKLED)}.")
    return _unnest(_unpickle(path), path)


def fill(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load `state` into `module`, all of it; ModelError naming the first parameters that do not fit."""
    fitting = _without_prefix(state, module.state_dict(), path)
    check_kinds(fitting, module.state_dict(), path)
    try:
        module.load_state_dict(fitting, strict=True)
    except DAMAGE as error:
        raise ModelError(f"The weights in {path} do not fit this network: {_misfit(fitting, module)}.") from error


def head_size(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> int | None:
    """Number of classes of the file when that is all in which it differs from `module`, else None."""
    own = module.state_dict()
    fitting = _without_prefix(state, own, path)
    differing = [
        (own[k].shape, fitting[k].shape) for k in own.keys() & fitting.keys() if own[k].shape != fitting[k].shape
    ]
    sizes = {(a[0], b[0]) for a, b in differing if len(a) == len(b) > 0 and a[1:] == b[1:]}
    alike = all(len(a) == len(b) > 0 and a[1:] == b[1:] for a, b in differing)
    return next(iter(sizes))[1] if alike and len(sizes) == 1 else None


def check_file(path: Path) -> None:
    """One sentence for what is no file of weights at all."""
    try:
        with opened(path) as file:
            start = file.read(512)
    except IsADirectoryError as error:
        raise ModelError(f"Cannot read weights from {path}: it is a folder; give the file.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"Cannot read weights from {path}: {reason(error)}.") from error
    if not start:
        raise ModelError(f"Cannot read weights from {path}: the file is empty; get it again.")
    if start.lstrip()[:1] == b"<":
        raise ModelError(f"Cannot read weights from {path}: it is a saved web page; get the file behind the link.")
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(f"Cannot read weights from {path}: it is a Git LFS pointer; run `git lfs pull`.")


def _unpickle(path: Path) -> object:
    try:
        # Training programs like to keep their command line; a Namespace is a bag of values and runs nothing.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(_refusal(path, str(error))) from error
    except DAMAGE as error:
        if "TorchScript" in str(error):
            raise ModelError(
                f"Cannot read {path}: it is a TorchScript program; save its state dict instead."
            ) from error
        raise ModelError(
            f"Cannot read {path} ({reason(error)}): it is damaged or no torch file; get it again."
        ) from error


def _refusal(path: Path, message: str) -> str:
    called = re.search(r"GLOBAL ([\w.]+)", message)
    if not called:
        return f"Cannot read {path}: it is damaged, or not a file of torch weights; get it again."
    return (
        f"Refused to read {path}: it contains more than weights and asks to build {called[1]!r} while loading, "
        "which could run any code; if it is your file, save model.state_dict() alone, as .safetensors or .pth."
    )


def _unnest(saved: object, path: Path, depth: int = 0) -> dict[str, Tensor]:
    """The state dict inside a checkpoint."""
    if not isinstance(saved, Mapping):
        raise ModelError(f"Cannot use {path}: it holds a {type(saved).__name__}, not a state dict.")
    if depth == DEEPEST:
        raise ModelError(f"Cannot use {path}: it holds checkpoints in checkpoints at every level; save the state dict.")
    for nest in NESTS:
        if isinstance(saved.get(nest), Mapping):
            return _unnest(saved[nest], path, depth + 1)
    state = {k: v for k, v in saved.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if not state:
        raise ModelError(
            f"Cannot use {path}: there are no weights in it, only {', '.join(map(shown, list(saved)[:4]))}."
        )
    return state


def _without_prefix(state: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """`state` under the network's own names: trainers and wrappers put "module." and the like before them."""
    if not own or any(name in state for name in own):
        return dict(state)
    names = [name for name in own if not name.endswith("num_batches_tracked")]
    prefixes = sorted({key.removesuffix(names[0]) for key in state if key.endswith("." + names[0])})
    whole = [prefix for prefix in prefixes if all(prefix + name in state for name in names)]
    if len(whole) > 1:
        raise ModelError(f"{path} holds this network {len(whole)} times, as {', '.join(whole)}: save the one you mean.")
    if not prefixes:
        return dict(state)
    prefix = (whole or prefixes)[0]
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _misfit(state: Mapping[str, Tensor], module: nn.Module) -> str:
    own = module.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    shapes = [
        f"{name} is {tuple(state[name].shape)} in the file and {tuple(own[name].shape)} in the network"
        for name in own
        if name in state and own[name].shape != state[name].shape
    ]
    problems = [f"{_first(missing)} missing from the file"] if missing else []
    problems += [f"{_first(unexpected)} unknown to the network"] if unexpected else []
    problems += [_first(shapes)] if shapes else []
    return "; ".join(problems)


def _first(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
