"""A network that learns to tell classes apart by a few examples, and is examined on species it never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from foveal.models import Model
from foveal.models.save import save_model
from foveal.synthetic.dataset import LICENSE, PREPROCESSING, SplitDataset, normalized
from foveal.synthetic.network import BodyNet
from foveal.synthetic.splits import Split
from foveal.training.synthetic_recipe import SyntheticSettings, SyntheticStep

if TYPE_CHECKING:
    from jaxtyping import Float, Int

WAYS, SHOTS, QUERIES = 5, 1, 5  # of the episodes in the examination


def prototype_scores(v: Float[Tensor, "n d"], target: Int[Tensor, " n"], classes: int) -> Float[Tensor, "n classes"]:
    """Minus the squared distance of each embedding to the mean of each class's *others* (Snell et al., 2017).

    Each image in turn is the query and the rest of the batch the support: an episode an image. A class of
    which nothing is left has −∞.
    """
    own = functional.one_hot(target, classes).to(v)
    total, count = own.T @ v, own.sum(0)
    left = count[None] - own
    prototype = (total[None] - own[:, :, None] * v[:, None]) / left.clamp(min=1)[:, :, None]
    distance = (v[:, None] - prototype).square().sum(2)
    return -distance.masked_fill(left == 0, torch.inf)


class EpisodesRecipe:
    """Which class, by the mean of its examples? (ProtoNet; Snell et al., 2017.)"""

    name = "fewshot"
    usual = SyntheticSettings(images=7_200, epochs=7, tests=500)

    def network(self) -> nn.Module:
        return BodyNet()

    def scenes(self, settings: SyntheticSettings) -> Dataset[tuple[Tensor, Tensor]]:
        return SplitDataset(Split("classes", settings.images, train=True, seed=settings.seed))  # type: ignore[return-value]

    def loss(self, net: nn.Module, images: Float[Tensor, "n 3 h w"], targets: Tensor) -> Tensor:
        v = net(images).float()
        scores = prototype_scores(v, targets, 20)
        defined = scores.gather(1, targets[:, None])[:, 0].isfinite()  # its class has another image in the batch
        return functional.cross_entropy(scores[defined], targets[defined]) if bool(defined.any()) else v.sum() * 0

    def useful(self, net: nn.Module) -> nn.Module:
        return net

    def examined(
        self, net: nn.Module, settings: SyntheticSettings, device: torch.device, workers: int
    ) -> Iterator[SyntheticStep]:
        """Episodes of five unknown species with one example each."""
        tests = DataLoader(SplitDataset(Split("novel", settings.tests)), batch_size=50, num_workers=workers)
        embedded: list[tuple[Tensor, Tensor]] = []
        for image, target in tests:
            with torch.inference_mode():
                embedded.append((net(normalized(image.to(device))).cpu(), target))
            yield SyntheticStep("test", min(50 * len(embedded), settings.tests), settings.tests)
        v, classes = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        yield SyntheticStep(
            "test", settings.tests, settings.tests, accuracy=episodes_right(v, classes, seed=settings.seed)
        )

    def save(self, net: nn.Module, folder: Path, recipe: Mapping[str, object], accuracy: float) -> Path:
        """Write fewshot.safetensors (kernels in half precision) and fewshot.json to the folder."""
        card = {
            "data": "drawn world, split `classes`, train=True",
            "recipe": {"code": "foveal.training.synthetic_episodes:EpisodesRecipe", **recipe},
            "accuracy": {f"novel species, {WAYS} ways, {SHOTS} shot": round(accuracy, 4)},
            "license": LICENSE,
            "decides": "the nearest mean of a class's examples, by squared distance",
        }
        model = Model(net, self.name, PREPROCESSING, None, card, "embedding")
        path = folder / f"{self.name}.safetensors"
        return save_model(model, path, architecture="foveal.synthetic.network:BodyNet", half=True)


def episodes_right(
    v: Float[Tensor, "n d"], classes: Int[Tensor, " n"], *, shots: int = SHOTS, episodes: int = 600, seed: int = 0
) -> float:
    """The share of queries named rightly in random episodes of `WAYS` classes with `shots` examples each."""
    random = torch.Generator().manual_seed(seed)
    every = [(classes == c).nonzero()[:, 0] for c in classes.unique()]
    of_class = [pictures for pictures in every if len(pictures) >= shots + QUERIES]
    if len(of_class) < WAYS:
        raise ValueError(f"episodes need {WAYS} classes of {shots + QUERIES} images each; there are not enough")
    right = 0.0
    for _ in range(episodes):
        ways = torch.randperm(len(of_class), generator=random)[:WAYS].tolist()
        drawn = [of_class[c][torch.randperm(len(of_class[c]), generator=random)[: shots + QUERIES]] for c in ways]
        prototypes = torch.stack([v[pictures[:shots]].mean(0) for pictures in drawn])
        queries = torch.stack([v[pictures[shots:]] for pictures in drawn])
        nearest = (queries[:, :, None] - prototypes).square().sum(3).argmin(2)
        right += float((nearest == torch.arange(WAYS)[:, None]).float().mean())
    return right / episodes
