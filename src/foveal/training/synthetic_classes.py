"""The demo network learns to tell twenty species apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from foveal.models import Model
from foveal.models.save import save_model
from foveal.synthetic.classes import CLASS_NAMES
from foveal.synthetic.dataset import LICENSE, PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.drawing import render
from foveal.synthetic.network import DemoNet
from foveal.synthetic.splits import Split
from foveal.training.interventions import beliefs, tampered
from foveal.training.synthetic_recipe import SyntheticSettings, SyntheticStep

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8


class TrainingScenes(Dataset[tuple[Tensor, Tensor]]):
    """(image (3, h, w) uint8, fair probabilities of the species): see `foveal.training.interventions`.

    Parts go missing or are borrowed in training, so that a network knows what to make of an intervention.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.split = Split("classes", count, train=True, seed=seed)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 h w"], Float[Tensor, " classes"]]:
        scene = self.split.scene(index)
        scene = tampered(scene, scene.seed)
        image, _ = render(scene)
        return torch.from_numpy(image).permute(2, 0, 1).contiguous(), torch.from_numpy(beliefs(scene))


def surprise(logits: Float[Tensor, "n classes"], fair: Float[Tensor, "n classes"]) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence from the fair probabilities: 0 where nothing better could be said."""
    return functional.kl_div(logits.log_softmax(1), fair, reduction="batchmean")


class ClassesRecipe:
    """Which of twenty species, as sure as the image allows."""

    name = "demo"
    usual = SyntheticSettings()

    def __init__(self, sparsity: float = 1e-4) -> None:
        self.sparsity = sparsity  # weight of the head's absolute values in the loss

    def network(self) -> nn.Module:
        return DemoNet()

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        return TrainingScenes(settings.images, settings.seed)

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor:
        head = cast("DemoNet", net).head.weight
        return surprise(net(images).float(), targets) + self.sparsity * head.abs().sum()

    def useful(self, net: nn.Module) -> nn.Module:
        return net

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        right = 0
        tests = DataLoader(SplitDataset(Split("classes", settings.tests)), batch_size=50, num_workers=workers)
        for seen, (image, target) in enumerate(tests, 1):
            with torch.inference_mode():
                right += int((net(normalized(image.to(device))).argmax(1).cpu() == target).sum())
            done = min(50 * seen, settings.tests)
            yield SyntheticStep("test", done, settings.tests, accuracy=right / done)

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        """Write demo.safetensors (kernels in half precision) and demo.json to the folder."""
        model = Model(
            net,
            "demo",
            PREPROCESSING,
            CLASS_NAMES,
            {
                "data": "drawn world, split `classes`, train=True; parts are missing or borrowed in 60 % of the scenes",
                "recipe": {
                    "code": "foveal.training.synthetic_classes:ClassesRecipe",
                    **recipe,
                    "sparsity": self.sparsity,
                },
                "accuracy": {"classes": round(accuracy, 4)},
                "license": LICENSE,
                "decides": (
                    "2k and 2k + 1 are siblings that differ in one part; without it they are meant to be equally "
                    "likely, because training said so"
                ),
                "known shortcuts": "none planted: backgrounds, clutter, light are drawn independently of the species",
            },
            "classes",
        )
        return save_model(
            model, folder / "demo.safetensors", architecture="foveal.synthetic.network:DemoNet", half=True
        )
