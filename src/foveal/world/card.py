"""The demo network's file and its card: what it was trained on, how well it does, what to beware of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from foveal.images import Preprocessing
from foveal.models import Model
from foveal.models.save import save_model
from foveal.world.dataset import MEAN, STD
from foveal.world.network import DemoNet
from foveal.world.species import SPECIES


def save_demo(net: DemoNet, folder: Path, *, recipe: Mapping[str, object], accuracy: float) -> Path:
    """Write demo.safetensors (kernels in half precision) and demo.json to the folder."""
    model = Model(
        net.cpu(),
        "demo",
        Preprocessing((160, 160), resize="short", mean=MEAN, std=STD),
        SPECIES,
        {
            "data": "drawn world, split `species`, train=True; parts are missing or borrowed in 60 % of the scenes",
            "recipe": {"code": "foveal.world.recipe:train_demo", **recipe},
            "accuracy": {"species": round(accuracy, 4)},
            "licence": "MIT, as foveal; trained on drawn pictures only",
            "decides": (
                "2k and 2k + 1 are siblings that differ in one part; without it they are meant to be equally likely, "
                "because training said so"
            ),
            "known shortcuts": "none planted: backgrounds, clutter and light are drawn independently of the species",
        },
    )
    return save_model(model, folder / "demo.safetensors", architecture="foveal.world.network:DemoNet", half=True)
