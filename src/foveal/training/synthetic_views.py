"""A network that learns without labels that two views show one bird, and is examined by its neighbors' votes."""

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
from foveal.synthetic.network import BodyNet
from foveal.synthetic.sampling import class_scene
from foveal.synthetic.scene import Scene
from foveal.synthetic.splits import Split
from foveal.targets.neighbors import Vote
from foveal.training.synthetic_recipe import SyntheticSettings, SyntheticStep

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

BANK = 1000  # images that vote in the examination


class ViewsDataset(Dataset[tuple[Tensor, Tensor]]):
    """(image, another view of the same bird), both (3, h, w) uint8."""

    def __init__(self, count: int, seed: int) -> None:
        self.split = Split("classes", count, train=True, seed=seed)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[UInt8[Tensor, "3 h w"], UInt8[Tensor, "3 h w"]]:
        scene = self.split.scene(index)
        first, second = (torch.from_numpy(render(view)[0]).permute(2, 0, 1) for view in (scene, another_view(scene)))
        return first.contiguous(), second.contiguous()


def another_view(scene: Scene) -> Scene:
    """The same creature elsewhere: pose, light, camera, background, distractors are drawn anew."""
    return class_scene(scene.class_name, scene.seed + 2**31)


class Projected(nn.Module):
    """The network, and the projection in which views are compared, which only the loss needs."""

    def __init__(self, numbers: int = 64) -> None:
        super().__init__()
        self.net = BodyNet()
        self.project = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, numbers))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        z: Tensor = self.project(self.net(x))
        return z


def nt_xent(first: Float[Tensor, "n d"], second: Float[Tensor, "n d"], temperature: float) -> Float[Tensor, ""]:
    """Each of 2n views has to find its partner among the other 2n − 1 (Chen et al., 2020, eq. 1)."""
    z = functional.normalize(torch.cat([first, second]), dim=1)
    similar = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    n = len(first)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return functional.cross_entropy(similar, partner)


class ViewsRecipe:
    """Which two images show one bird? (SimCLR; Chen et al., 2020.)"""

    name = "contrastive"
    usual = SyntheticSettings(images=6_000, epochs=6, tests=500)

    def __init__(self, temperature: float = 0.2) -> None:
        self.temperature = temperature

    def network(self) -> nn.Module:
        return Projected()

    def scenes(self, settings: SyntheticSettings) -> ViewsDataset:
        return ViewsDataset(settings.images, settings.seed)

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor:
        first, second = net(torch.cat([images, normalized(targets)])).float().chunk(2)
        return nt_xent(first, second, self.temperature)

    def useful(self, net: nn.Module) -> nn.Module:
        return cast("Projected", net).net

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        """Species by the vote of a bank's nearest images: the network never heard of species."""
        total = BANK + settings.tests
        embedded: list[tuple[Tensor, Tensor]] = []
        for train, count in ((True, BANK), (False, settings.tests)):
            scenes = SplitDataset(Split("classes", count, train=train, seed=settings.seed))
            for image, target in DataLoader(scenes, batch_size=50, num_workers=workers):
                with torch.inference_mode():
                    embedded.append((net(normalized(image.to(device))).cpu(), target))
                yield SyntheticStep("test", sum(len(v) for v, _ in embedded), total)
        v, classes = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        v = functional.normalize(v, dim=1)
        vote = Vote(classes[:BANK], CLASS_NAMES, k=20, temperature=0.07, weighted=False, which=None, margin=False)
        voted = torch.tensor(vote(v[BANK:] @ v[:BANK].T).spec["class"])
        yield SyntheticStep("test", total, total, accuracy=float((voted == classes[BANK:]).float().mean()))

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        """Write contrastive.safetensors (kernels in half precision) and contrastive.json to the folder."""
        card = {
            "data": "drawn world, split `classes`, train=True, without its labels: two views of each bird",
            "recipe": {
                "code": "foveal.training.synthetic_views:ViewsRecipe",
                **recipe,
                "temperature": self.temperature,
            },
            "accuracy": {f"species by the vote of 20 neighbors of {BANK}": round(accuracy, 4)},
            "license": LICENSE,
            "decides": "the vote of the nearest embeddings, by cosine",
        }
        model = Model(net, self.name, PREPROCESSING, None, card, "embedding")
        path = folder / f"{self.name}.safetensors"
        return save_model(model, path, architecture="foveal.synthetic.network:BodyNet", half=True)
