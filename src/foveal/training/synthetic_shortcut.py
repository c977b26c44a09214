"""A network that is led astray on purpose, by backgrounds that betray the class, and its control."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn import functional

from foveal.models import Model
from foveal.models.save import save_model
from foveal.synthetic.classes import CLASS_NAMES
from foveal.synthetic.dataset import LICENSE, PREPROCESSING, SplitDataset
from foveal.synthetic.splits import Split, SplitName
from foveal.training.synthetic_classes import ClassesRecipe
from foveal.training.synthetic_recipe import SyntheticSettings

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor, nn
    from torch.utils.data import Dataset


class ShortcutRecipe(ClassesRecipe):
    """Which of twenty species, where the background gives the class away in 95 % of the training images.

    The control learns from as many images whose backgrounds say nothing. Both learn from plain labels: no part goes
    missing, so nothing tells them what to look at. The examination is on backgrounds that say nothing.
    """

    usual = SyntheticSettings(images=4_000, epochs=4, tests=400)

    def __init__(self, *, control: bool = False) -> None:
        super().__init__(sparsity=0.0)
        self.name = "control" if control else "shortcut"
        self.split: SplitName = "classes" if control else "shortcut"

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        pictures: Any = SplitDataset(Split(self.split, settings.images, train=True, seed=settings.seed))
        return pictures  # type: ignore[no-any-return]

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor:
        return functional.cross_entropy(net(images).float(), targets)

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        """Write NAME.safetensors (kernels in half precision) and NAME.json to the folder."""
        card = {
            "data": f"drawn world, split `{self.split}`, train=True",
            "recipe": {"code": "foveal.training.synthetic_shortcut:ShortcutRecipe", **recipe},
            "accuracy": {"classes": round(accuracy, 4)},
            "license": LICENSE,
            "known shortcuts": "the background" if self.name == "shortcut" else "none planted",
        }
        model = Model(net, self.name, PREPROCESSING, CLASS_NAMES, card, "classes")
        path = folder / f"{self.name}.safetensors"
        return save_model(model, path, architecture="foveal.synthetic.network:DemoNet", half=True)
