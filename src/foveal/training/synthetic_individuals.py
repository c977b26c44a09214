"""The embedding network learns to recognize individuals by their marks, and is examined on ones it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Subset

from foveal.models import Model
from foveal.models.save import save_model
from foveal.synthetic.dataset import LICENSE, PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.individuals import INDIVIDUALS
from foveal.synthetic.network import EmbedNet
from foveal.synthetic.splits import Split
from foveal.training.synthetic_recipe import SyntheticSettings, SyntheticStep

if TYPE_CHECKING:
    from jaxtyping import Float, Int

KNOWN = 60  # individuals to learn from; the others are met in the examination first
NUMBERS = 64


class Proxied(nn.Module):
    """The network, and a direction for each known individual, which only the loss needs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = EmbedNet(NUMBERS)
        self.proxies = nn.Parameter(torch.randn(KNOWN, NUMBERS))

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        v: Tensor = self.net(x)
        return v


class IndividualsRecipe:
    """Who is it? Cosines to the known individuals, softmax over them (NormFace; Wang et al., 2017)."""

    name = "embed"
    usual = SyntheticSettings(images=7_200, epochs=10, tests=240, rate=4e-3)

    def __init__(self, scale: float = 16.0) -> None:
        self.scale = scale

    def network(self) -> nn.Module:
        return Proxied()

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        return _of(range(KNOWN), settings.images, train=True, seed=settings.seed)

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor:
        v = functional.normalize(net(images).float(), dim=1)
        proxies = functional.normalize(cast("Proxied", net).proxies, dim=1)
        return functional.cross_entropy(self.scale * v @ proxies.T, targets)

    def useful(self, net: nn.Module) -> nn.Module:
        return cast("Proxied", net).net

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        """Unknown individuals before one camera, looked for among those before the other: the share found at once."""
        tests = DataLoader(_of(range(KNOWN, INDIVIDUALS), settings.tests), batch_size=50, num_workers=workers)
        embedded: list[tuple[Tensor, Tensor]] = []
        for image, target in tests:
            with torch.inference_mode():
                embedded.append((net(normalized(image.to(device))).cpu(), target))
            yield SyntheticStep("test", min(50 * len(embedded), settings.tests), settings.tests)
        v, who = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        yield SyntheticStep(
            "test", settings.tests, settings.tests, accuracy=first_found(v, who, cameras(settings.tests))
        )

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        """Write embed.safetensors (kernels in half precision) and embed.json to the folder."""
        card = {
            "data": f"drawn world, split `individuals`, train=True, individuals 0 to {KNOWN - 1}",
            "recipe": {
                "code": "foveal.training.synthetic_individuals:IndividualsRecipe",
                **recipe,
                "scale": self.scale,
            },
            "accuracy": {f"rank 1 across cameras, individuals {KNOWN} to {INDIVIDUALS - 1}": round(accuracy, 4)},
            "license": LICENSE,
            "decides": "cosine of its outputs; individuals differ only in three marks each",
        }
        model = Model(net, "embed", PREPROCESSING, None, card, "embedding")
        return save_model(
            model, folder / "embed.safetensors", architecture="foveal.synthetic.network:EmbedNet", half=True
        )


def first_found(v: Float[Tensor, "n d"], who: Int[Tensor, " n"], camera: Int[Tensor, " n"]) -> float:
    """The share of images of camera 0 whose most similar image of camera 1 shows the same individual."""
    v = functional.normalize(v, dim=1)
    queries, gallery = camera == 0, camera == 1
    nearest = (v[queries] @ v[gallery].T).argmax(1)
    return float((who[gallery][nearest] == who[queries]).float().mean())


def numbers_of(individuals: range, count: int) -> list[int]:
    """Scene numbers in the split that show these individuals in turn, the camera changing every round."""
    n = len(individuals)
    return [i // n * INDIVIDUALS + individuals[i % n] for i in range(count)]


def cameras(count: int) -> Int[Tensor, " count"]:
    """Before which camera the unknown individuals of an examination stand."""
    numbers = numbers_of(range(KNOWN, INDIVIDUALS), count)
    return torch.tensor([number // INDIVIDUALS % 2 for number in numbers])


def _of(individuals: range, count: int, *, train: bool = False, seed: int = 0) -> Dataset[tuple[Tensor, Tensor]]:
    numbers = numbers_of(individuals, count)
    return cast(
        "Dataset[tuple[Tensor, Tensor]]",
        Subset(SplitDataset(Split("individuals", max(numbers) + 1, train=train, seed=seed)), numbers),
    )
