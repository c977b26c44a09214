"""timm, torchvision and others, imported where they are used and in spite of a common fault of installations."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from foveal.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import torch

T = TypeVar("T")

# Dropping a library undoes its declarations, so this one lives as long as the process.
_declared: list[torch.library.Library] = []


def import_timm() -> ModuleType:
    """The `timm` package; MissingExtra if it is not installed."""
    import_torchvision(wanted_by="timm")
    return _import("timm", extra="timm")


def import_torchvision(*, wanted_by: str = "torchvision") -> ModuleType:
    """The `torchvision` package, its models included; MissingExtra if it is not installed.

    Its operators are those of `with_operators`.
    """
    with_operators(lambda: _import("torchvision.models", extra=wanted_by))
    return sys.modules["torchvision"]


def with_operators(run: Callable[[], T]) -> T:
    """What `run` gives, in which torchvision may be imported; where that fails for lack of operators, `run` once more.

    The registries' default torchvision is built for CUDA. Beside a CPU build of torch its compiled part does
    not load, and its Python part then fails on `operator torchvision::nms does not exist`. Only detection
    networks need it: it is declared, and what they run is supplied (`models.box_operators`).
    """
    try:
        return run()
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _declared:
            raise
    _declare_operators()
    _forget("torchvision")
    _forget("timm")
    _import("torchvision.models", extra="torchvision")
    _allow_operators()
    return run()


def import_transformers() -> ModuleType:
    """The `transformers` package, which imports torchvision by itself; MissingExtra if it is not installed."""
    import_torchvision(wanted_by="transformers")
    return _import("transformers", extra="transformers")


def import_onnx() -> tuple[ModuleType, ModuleType]:
    """The packages `onnx` and `onnxruntime`; MissingExtra if one is not installed."""
    return _import("onnx", extra="onnx"), _import("onnxruntime", extra="onnx")


def _import(name: str, *, extra: str) -> ModuleType:
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"Cannot import {package}: {error.name or package} is not installed; pip install 'foveal[{extra}]'."
        ) from error
    except (ImportError, OSError, AttributeError) as error:
        raise ModelError(
            f"Cannot import {package} ({' '.join(str(error).split())}): "
            f"install the release of {package} that was made for your torch."
        ) from error


def _declare_operators() -> None:
    """Declare the operators for which torchvision registers shapes even if it could not load them, and supply them."""
    import torch

    from foveal.models.box_operators import SCHEMAS, supply

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
    supply(library)
    _declared.append(library)


def _allow_operators() -> None:
    """Let the functions of torchvision that would refuse for lack of compiled code call the operators."""
    for name in ("boxes", "roi_align"):
        module: Any = importlib.import_module(f"torchvision.ops.{name}")
        module._assert_has_ops = lambda: None
        if hasattr(module, "_has_ops"):
            module._has_ops = lambda: True


def _forget(package: str) -> None:
    """Remove what a failed import left behind, so that the next one starts afresh."""
    for name in [name for name, module in sys.modules.items() if module and name.partition(".")[0] == package]:
        del sys.modules[name]
