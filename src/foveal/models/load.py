"""From what a person writes to a network that is ready to be explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from foveal.engine.keywords import checked
from foveal.errors import ModelError, UnknownModel
from foveal.models import from_exported, from_factory, from_onnx, from_timm, from_torchvision, from_transformers
from foveal.models.kinds import soundness
from foveal.models.labels import checked_labels, read_labels
from foveal.models.own_task import SAID
from foveal.models.pairing import described
from foveal.models.sidecar import read_sidecar, sidecar_path
from foveal.models.untrained import untrained
from foveal.models.weight_files import PICKLED, check_file, fill, head_size, read_state
from foveal.storage.reading import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from foveal.engine.task import Task
    from foveal.images import Preprocessing
    from foveal.models.model import Model
    from foveal.models.sidecar import Sidecar

_WEIGHTS = Path(__file__).parent / "weights"
BUNDLED = {name: _WEIGHTS / f"{name}.safetensors" for name in ("demo", "embed", "parts")}
"""The networks that ship with foveal."""
RANDOM = "the weights are random, not trained: explanations show only the architecture"


@checked
def load_model(
    spec: str | Path,
    *,
    pretrained: bool = True,
    weights: str | Path | None = None,
    labels: Sequence[str] | str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    task: Task | None = None,
    device: str | torch.device | None = None,
) -> Model:
    """A network in evaluation mode, with its preprocessing and labels where they are known.

    spec is one of

        "demo"                      a small classifier that ships with foveal: drawn birds, twenty species
        "embed"                     a small embedding network that ships with it: drawn birds, individuals
        "parts"                     a small classifier that ships with it and decides by ranked parts: drawn birds
        "timm:resnet50"             a network of timm; "timm:resnet50.a1_in1k" picks its weights
        "torchvision:resnet50"      the same for torchvision; "torchvision:resnet50.IMAGENET1K_V1"
        "hf:microsoft/resnet-50"    an image classifier of transformers, on the Hugging Face hub or "hf:a/folder"
        "net.onnx"                  an ONNX file, made into a network of torch and compared with ONNX Runtime
        "net.pt2"                   a program of torch.export
        "shells.safetensors"        weights with a sidecar shells.json beside them (`foveal help models`)
        "package.module:factory"    what the factory returns when called: an nn.Module or a Model
        "path/to/net.py:factory"    the same, from a file; a function that takes images is explained itself

    weights         a local .safetensors or .pth file, instead of a download; a sidecar beside it is used.
    pretrained      False builds timm's and torchvision's networks with random weights, and notes it.
    labels          names of the classes, or a file with one a line; instead of those the model came with.
    preprocessing   instead of the one the model came with.
    task            what its output means, instead of what the model came with: "classes", "labels", "value",
                    "embedding", "regions" or "boxes" (`foveal help guide`).
    device          where to put the network; None leaves it on the CPU.

    Raises ModelError, or MissingExtra if a library is wanted that is not installed.

    >>> load_model("demo").labels[:2]                   # doctest: +SKIP
    ('Coral Spoonbill', 'Coral Ibis')
    """
    if isinstance(spec, nn.Module):
        raise ModelError(
            f"load_model takes the name of a network, and this is a {type(spec).__name__} itself: pass it to the verb, "
            "foveal.explain(network, …), or foveal.Model(network, 'name', preprocessing, labels=[…])"
        )
    asked, file = str(spec), Path(weights) if weights is not None else None
    if asked in BUNDLED:
        _check_bundled(asked)
        model = replace(_from_weights(BUNDLED[asked], file), name=asked)
    elif asked.endswith(".safetensors"):
        model = _from_weights(Path(asked), file)
    elif build := _whole(asked):
        model = _from_whole(asked, file, build, pretrained=pretrained)
    else:
        model = _from_architecture(asked, file, pretrained=pretrained)
    if labels is not None:
        model = replace(model, labels=_labels(labels))
    if preprocessing is not None:
        model = replace(model, preprocessing=preprocessing)
    if task is not None:
        model = model.with_task(task, SAID)
    _move(model, device)
    model.module.eval()
    doubts = untrained(model.module) if file is None and not _is_zoo(asked) else ()
    return model.noted(*soundness(model.module), *doubts)


def _from_weights(path: Path, weights: Path | None) -> Model:
    """A model from its weights and the sidecar that describes them."""
    if weights is not None:
        raise ModelError(
            f"{path.name} already holds weights: name an architecture to fill with {weights}, or drop one."
        )
    check_file(path)
    sidecar = described(path)
    if sidecar is None:
        read_sidecar(sidecar_path(path))  # says what is wrong with it, unless it is of weights that never arrived
        raise ModelError(f"The sidecar of {path} is of other weights: save both again by save_model.")
    from_factory.check_harmless(sidecar.architecture, path)
    return _filled(sidecar.architecture, sidecar, path)


def _whole(spec: str) -> Callable[[bool], Model] | None:
    """What makes a model that brings its own weights, given whether to use them; None for other names."""
    name = spec.removeprefix("hf:")
    if name != spec or from_transformers.is_folder(spec):
        return lambda pretrained: from_transformers.build(name, pretrained=pretrained)
    if spec.endswith(".onnx"):
        return lambda pretrained: from_onnx.build(Path(spec))
    if spec.endswith(".pt2"):
        return lambda pretrained: from_exported.build(Path(spec))
    return None


def _from_whole(spec: str, weights: Path | None, build: Callable[[bool], Model], *, pretrained: bool) -> Model:
    if weights is not None:
        raise ModelError(
            f"{spec} brings its own weights: leave out {weights}, or name an architecture to fill with it."
        )
    model = build(pretrained)
    return model if pretrained or spec.endswith((".onnx", ".pt2")) else model.noted(RANDOM)


def _from_architecture(spec: str, path: Path | None, *, pretrained: bool) -> Model:
    """A model by its architecture, with the weights of a file if one is given."""
    _check_spec(spec)
    if path is None:
        model = _build(spec, {}, pretrained=pretrained)
        return model if pretrained or not _is_zoo(spec) else model.noted(RANDOM)
    check_file(path)
    sidecar = described(path)
    if sidecar and sidecar.architecture != spec and (_is_zoo(spec) or _is_zoo(sidecar.architecture)):
        raise ModelError(f"The sidecar of {path} says its weights are of {sidecar.architecture}, not of {spec}.")
    return _filled(spec, sidecar, path)


def _filled(spec: str, sidecar: Sidecar | None, path: Path) -> Model:
    """The architecture with the weights of `path`, and what the sidecar knows of them."""
    arguments = sidecar.arguments if sidecar else {}
    model, state = _build(spec, arguments, pretrained=False), read_state(path)
    model = _fitted(model, spec, arguments, state, path)
    fill(model.module, state, path)
    model = replace(model, card={**model.card, "weights": str(path), **(sidecar.card if sidecar else {})})
    if sidecar is None:
        return model
    labels = sidecar.labels if sidecar.labels is not None else model.labels
    preprocessing = sidecar.preprocessing or model.preprocessing
    described = replace(model, name=sidecar.name, labels=labels, preprocessing=preprocessing)
    return described.with_task(sidecar.task, "the sidecar")


def _fitted(model: Model, spec: str, arguments: Mapping[str, object], state: Mapping[str, Tensor], path: Path) -> Model:
    """The model, built again for another number of classes if that is what the file holds."""
    count = head_size(model.module, state, path)
    if count is None or not _is_zoo(spec) or "num_classes" in arguments:
        return model
    return _build(spec, {**arguments, "num_classes": count}, pretrained=False)


def _build(spec: str, arguments: Mapping[str, object], *, pretrained: bool) -> Model:
    source, _, name = spec.partition(":")
    if source == "timm":
        return from_timm.build(name, pretrained=pretrained, arguments=arguments)
    if source == "torchvision":
        return from_torchvision.build(name, pretrained=pretrained, arguments=arguments)
    return from_factory.build(spec, arguments=arguments)


def _is_zoo(spec: str) -> bool:
    return spec.partition(":")[0] in ("timm", "torchvision")


def _check_spec(spec: str) -> None:
    """One sentence for what names no model."""
    before, colon, after = spec.rpartition(":")
    if spec.endswith(PICKLED):
        raise ModelError(
            f"{spec} holds weights but not the network they belong to: name it and pass the file as weights, "
            f"e.g. load_model('timm:resnet50', weights={spec!r}); for a network of your own code write "
            "'path/to/file.py:factory'."
        )
    if spec.endswith(".py"):
        name = next(iter(from_factory.own_makers(spec)), "NAME")
        raise UnknownModel(f"Which function of {spec} makes the network? Write '{spec}:{name}'.")
    if not colon or not before or not after:
        raise UnknownModel(
            f"No model is called {spec!r}: write 'demo', 'embed', 'parts', 'timm:{after or 'NAME'}', "
            f"'torchvision:{after or 'NAME'}', 'hf:ORG/NAME', 'file.onnx', 'file.pt2', 'file.safetensors', "
            "'package.module:factory' or 'path/to/file.py:factory'."
        )


def _check_bundled(name: str) -> None:
    path = BUNDLED[name]
    if not (path.exists() and sidecar_path(path).exists()):
        raise ModelError(f"The {name} network is missing from this installation ({path}): reinstall foveal.")


def _labels(labels: Sequence[str] | str | Path) -> tuple[str, ...] | None:
    return read_labels(labels) if isinstance(labels, (str, Path)) else checked_labels(labels)


def _move(model: Model, device: str | torch.device | None) -> None:
    if device is None:
        return
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise UnknownModel(f"Cannot put {model.name} on {str(device)!r}: torch knows no such device.") from error
    try:
        model.module.to(where)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"Cannot put {model.name} on {str(device)!r}: {reason(error)}.") from error
