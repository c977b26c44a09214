"""Which models can be loaded here."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import TYPE_CHECKING

from foveal.errors import FovealError
from foveal.models import from_timm, from_torchvision
from foveal.models.load import BUNDLED
from foveal.models.sidecar import sidecar_path

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Source:
    """A place that models come from.

    spec        what `load_model` is given, with NAME for one of `names`.
    names       what can be put for NAME; empty for sources that have no list.
    missing     why nothing can be loaded from it here, and what to do; None if all is well.
    """

    spec: str
    summary: str
    names: tuple[str, ...] = ()
    missing: str | None = None


def list_models(pattern: str | None = None) -> tuple[Source, ...]:
    """Every source of models, with the names in it that contain `pattern` or match it as a wildcard."""
    return (
        Source("demo", "a small classifier that ships with foveal", missing=_absent("demo")),
        Source("embed", "a small embedding network that ships with foveal", missing=_absent("embed")),
        Source("parts", "a small classifier by ranked parts that ships with foveal", missing=_absent("parts")),
        _listed("timm:NAME", "timm's image models", from_timm.names, pattern),
        _listed("torchvision:NAME", "torchvision's image classifiers", from_torchvision.names, pattern),
        Source(
            "hf:ORG/NAME",
            "image classifiers of transformers, from the hub or a folder",
            missing=_lacking("transformers"),
        ),
        Source("FILE.onnx", "ONNX files, compared with ONNX Runtime", missing=_lacking("onnx", "onnxruntime")),
        Source("FILE.pt2", "programs of torch.export"),
        Source("FILE.safetensors", "weights of your own, with FILE.json beside them"),
        Source("package.module:factory", "a function of yours that returns the network"),
        Source("path/to/file.py:factory", "the same, in a file; or a function that gives scores for images"),
    )


def _absent(name: str) -> str | None:
    path = BUNDLED[name]
    here = path.exists() and sidecar_path(path).exists()
    return None if here else f"not in this installation: `foveal train {name}`"


def _lacking(*packages: str) -> str | None:
    """What to install; nothing is imported for it."""
    lacking = [name for name in packages if find_spec(name) is None]
    return f"{lacking[0]} is not installed; pip install 'foveal[{packages[0]}]'" if lacking else None


def _listed(spec: str, summary: str, names: Callable[[], tuple[str, ...]], pattern: str | None) -> Source:
    try:
        listed = names()
    except FovealError as error:
        return Source(spec, summary, missing=str(error))
    return Source(spec, summary, tuple(name for name in listed if _matches(name, pattern)))


def _matches(name: str, pattern: str | None) -> bool:
    return pattern is None or pattern in name or fnmatchcase(name, pattern)
