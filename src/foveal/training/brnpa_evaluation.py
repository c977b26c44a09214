"""How good the network is: classes named rightly, or images of new classes compared by their parts."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from foveal.models.brnpa import PartsNet
from foveal.results.part_similarity import order_free, similarities
from foveal.training.brnpa_data import InOrder, PictureDataset
from foveal.training.datasets import Datasets
from foveal.training.settings import Settings
from foveal.training.tasks import few_shot_accuracy, retrieval
from foveal.training.train_step import Phase, TrainStep

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def evaluate(
    net: nn.Module, pictures: PictureDataset, settings: Settings, fabric: Fabric, workers: int, phase: Phase
) -> Generator[TrainStep, None, float]:
    """The share of images named rightly, in evaluation mode; all processes together.

    The network itself is asked, not its wrapper: shares may differ by a batch, and nobody waits for anybody.
    """
    keys = InOrder(len(pictures), settings.batch, rank=fabric.global_rank, world_size=fabric.world_size)
    right, seen = torch.zeros(2, device=fabric.device), 0
    training = net.training
    net.eval()
    for images, truth in DataLoader(pictures, batch_sampler=keys, num_workers=workers):
        with torch.inference_mode(), fabric.autocast():
            logits = net(fabric.to_device(images))
        right += torch.tensor([(logits.argmax(1).cpu() == truth).sum(), len(truth)]).to(right)
        seen += len(truth)
        yield TrainStep(phase, seen * fabric.world_size, len(pictures))
    net.train(training)
    total = fabric.all_reduce(right, reduce_op="sum")
    assert isinstance(total, Tensor)
    accuracy = float(total[0] / total[1])
    yield TrainStep(phase, len(pictures), len(pictures), accuracy=accuracy)
    return accuracy


def compare_parts(
    net: PartsNet, datasets: Datasets, settings: Settings, fabric: Fabric, workers: int
) -> Generator[TrainStep, None, dict[str, float]]:
    """Images of classes that were not learned, compared by their parts, rank by rank and in the best order."""
    pictures, vectors = datasets.test, []
    net.eval()
    for images, _ in DataLoader(pictures, batch_sampler=InOrder(len(pictures), settings.batch), num_workers=workers):
        with torch.inference_mode(), fabric.autocast():
            vectors.append(net.vectors(fabric.to_device(images)).float().cpu())
        yield TrainStep("test", min(settings.batch * len(vectors), len(pictures)), len(pictures))
    v, who = torch.cat(vectors), pictures.targets
    if datasets.exam == "few shots":
        shots, queries = 1, min(15, int(who.bincount()[who.unique()].min()) - 1)
        ways = min(5, len(who.unique()))
        share, _ = few_shot_accuracy(v, who, ways=ways, shots=shots, queries=queries, seed=settings.seed)
        yield TrainStep("test", len(pictures), len(pictures), accuracy=share)
        return {f"{ways} ways, {shots} shot": share}
    n, camera = datasets.queries, torch.tensor(datasets.cameras)
    ways_to_compare = {"": similarities(v[:n], v[n:]).sum(2), ", in any order": order_free(v[:n], v[n:])}
    results = {
        how: retrieval(table, (who[:n], who[n:]), (camera[:n], camera[n:])) for how, table in ways_to_compare.items()
    }
    yield TrainStep("test", len(pictures), len(pictures), accuracy=float(results[""].cmc[0]))
    return {
        f"{name}{how}": value
        for how, result in results.items()
        for name, value in (("rank 1", float(result.cmc[0])), ("mAP", result.map))
    }
