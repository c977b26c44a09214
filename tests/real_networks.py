"""Trained networks for tests marked `real`, one factory each: `--model tests/real_networks.py:resnet18`.

The folder they lie in is named by the environment variable FOVEAL_DATA, else it is ../shared/data beside the
repository. It is no part of the repository, and nothing here may be copied from it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from foveal import images
from foveal.models import Model

IMAGENET = ("resnet18", "resnet50", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1")


def resnet18() -> Model:
    """ImageNet ResNet-18."""
    return _load("resnet18_vq")


def resnet50() -> Model:
    """ImageNet ResNet-50."""
    return _load("resnet50_vq")


def mobilenet_v2() -> Model:
    """ImageNet MobileNet v2."""
    return _load("mobilenet_v2")


def squeezenet1_0() -> Model:
    """ImageNet SqueezeNet 1.0, fed BGR."""
    return _load("squeezenet1_0")


def squeezenet1_1() -> Model:
    """ImageNet SqueezeNet 1.1, fed BGR."""
    return _load("squeezenet1_1")


def birds() -> Model:
    """MobileNet v2 for 964 species of birds and "background"."""
    return _load("mobilenet_v2_inat_bird")


def cifar_resnet20() -> Model:
    """CIFAR-10 ResNet-20."""
    return _load("cifar10_resnet20")


def cifar_resnet56() -> Model:
    """CIFAR-10 ResNet-56."""
    return _load("cifar10_resnet56")


def osnet() -> Model:
    """OSNet x0.25: an embedding of persons, compared by the cosine."""
    return _task("osnet_x0_25_msmt17", lambda module: module)


def proto_mini() -> Model:
    """A prototypical network: 1600 numbers, compared by the squared distance."""
    return _task("proto_mini", lambda module: nn.Sequential(module.encoder, nn.Flatten()))


def dn4_mini() -> Model:
    """The encoder of DN4: a map (64, 21, 21) whose positions are compared."""
    return _task("dn4_mini_5shot", lambda module: module.encoder)


def ecg() -> Model:
    """The class of a heartbeat (n, 1, 187) in 0..1."""
    module, info = _comparing("ecg_mitbih")
    return Model(module, "ecg_mitbih", None, tuple(info["classes"]), {}, "classes")


def tissues() -> Model:
    """The tissue of every voxel of a head (n, 1, d, h, w), intensity / 255."""
    module, info = _comparing("meshnet5")
    return Model(module, "meshnet5", None, tuple(info["classes"]), {}, "regions")


def pneumonia() -> Model:
    """Chest x-rays: normal or pneumonia."""
    module, info = _comparing("pneumonia_cnn")
    return Model(module, "pneumonia_cnn", preprocessing(info["input"]), tuple(info["classes"]), {}, "classes")


def relation_omniglot() -> Any:
    """A relation network, as it is: `encode`, and a second network that scores pairs of maps."""
    return _comparing("relation_omniglot")[0]


def expected_folder() -> Path:
    """Where the data should be."""
    return Path(os.environ.get("FOVEAL_DATA") or Path(__file__).parents[2] / "shared" / "data")


def data_folder() -> Path | None:
    """Where the data is, or None."""
    folder = expected_folder()
    return folder if (folder / "models" / "plain" / "zoo.py").exists() else None


def preprocessing(given: dict[str, Any]) -> images.Preprocessing:
    """The "input" block of a network's description, whose means and deviations are in 0..255, as ours."""
    return images.Preprocessing(
        size=tuple(given["size"]),
        resize=given["resize"],
        resize_to=given.get("resize_to"),
        interpolation=given["interpolation"],
        channels=given["channels"],
        mean=tuple(value / 255 for value in given["mean"]),
        std=tuple(value / 255 for value in given["std"]),
    )


def _load(name: str) -> Model:
    folder = expected_folder() / "models"
    info = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    zoo = _zoo(folder / "plain")
    module = zoo.build(info)
    module.load_state_dict(zoo.expand(module, load_file(folder / f"{name}.safetensors")))
    card = {"source": info["source"], "license": info["licence"], "accuracy": info["measured"]}
    return Model(module.eval(), name, preprocessing(info["input"]), _labels(folder, info), card, "classes")


def _task(name: str, part: Callable[[Any], nn.Module]) -> Model:
    """A network without classes."""
    module, info = _comparing(name)
    card = {"source": info["source"], "license": info["licence"], "accuracy": info["measured"]}
    return Model(part(module).eval(), name, preprocessing(info["input"]), None, card)


def _comparing(name: str) -> tuple[Any, dict[str, Any]]:
    """A network of `zoo_tasks` in evaluation mode, and its description."""
    folder = expected_folder() / "models"
    info = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with _importable(folder / "plain"):
        import zoo_tasks

        module = zoo_tasks.build(info)
    stored = load_file(folder / f"{name}.safetensors")
    counters = {key: value for key, value in module.state_dict().items() if key.endswith("num_batches_tracked")}
    module.load_state_dict({**counters, **{key: value.float() for key, value in stored.items()}})
    return module.eval(), info


def _labels(folder: Path, info: dict[str, Any]) -> tuple[str, ...]:
    if "classes" in info:
        return tuple(info["classes"])
    listed = json.loads((folder / info["classes_file"]).read_text(encoding="utf-8"))
    return tuple(entry["label"] if isinstance(entry, dict) else entry for entry in listed)


def _zoo(plain: Path) -> Any:
    with _importable(plain):
        import zoo

        return zoo


@contextmanager
def _importable(plain: Path) -> Iterator[None]:
    """The plain modules can be imported, without leaving compiled files in a folder that is not ours."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(plain))
    try:
        yield
    finally:
        sys.path.remove(str(plain))
        sys.dont_write_bytecode = before
