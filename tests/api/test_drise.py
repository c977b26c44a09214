"""A function that returns boxes is explained by masked copies of the image alone: D-RISE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import foveal
from foveal.errors import FovealError, ModelError
from foveal.models.black_box import BlackBox

SPOTS = ((8, 8), (24, 40))  # row, column of the middles of two bright squares of 8 pixels
X = torch.full((1, 3, 32, 48), 0.1)
for row, column in SPOTS:
    X[:, :, row - 4 : row + 4, column - 4 : column + 4] = 1.0


def detect(x: Any) -> list[dict[str, Any]]:
    """Each square as far as it is bright: the first is of class 1, the second of class 2."""
    found = []
    for image in np.asarray(x):
        each = [float(image[:, r - 4 : r + 4, c - 4 : c + 4].mean()) for r, c in SPOTS]
        kept = [k for k, score in enumerate(each) if score > 0.2]
        found.append({
            "boxes": [[SPOTS[k][1] - 4, SPOTS[k][0] - 4, SPOTS[k][1] + 4, SPOTS[k][0] + 4] for k in kept],
            "labels": [k + 1 for k in kept], "scores": [each[k] for k in kept],
        })  # fmt: skip
    return found


def uncertain(x: Any) -> list[dict[str, Any]]:
    """The same, with probabilities; the class of both is the same, and the boxes shrink with brightness."""
    records = detect(x)
    for record in records:
        record["probabilities"] = [[0.1, s, 0.9 - 0.5 * s] for s in record["scores"]]
        record["boxes"] = [[x0, y0, x0 + 8 * s, y1] for (x0, y0, _, y1), s in
                           zip(record["boxes"], record["scores"], strict=True)]  # fmt: skip
        record["labels"] = [1 + (s < 0.6) for s in record["scores"]]
    return records


def slowly(box: list[float], label: int, record: dict[str, Any], own: list[float] | None = None) -> float:
    """D-RISE's similarity, pixel areas and cosines by hand."""
    best = 0.0
    for k, other in enumerate(record["boxes"]):
        width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
        union = sum(areas) - width * height
        alike = float(record["labels"][k] == label)
        if own is not None:
            p, q = np.array(own), np.array(record["probabilities"][k])
            alike = float(p @ q / np.linalg.norm(p) / np.linalg.norm(q))
        best = max(best, width * height / union * alike * record["scores"][k])
    return best


@pytest.mark.parametrize("function", [detect, uncertain])
@pytest.mark.parametrize("k", [0, 1])
def test_the_score_of_a_copy_is_the_best_similarity(function: Any, k: int) -> None:
    copies = torch.rand(6, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.2, 1, 6).view(
        6, 1, 1, 1
    )
    record = function(X.numpy())[0]
    own = record["probabilities"][k] if "probabilities" in record else None
    expected = [slowly(record["boxes"][k], record["labels"][k], copy, own) for copy in function(copies.numpy())]
    box = BlackBox(function)
    (followed,) = foveal.Box(k).decide(foveal.targets.ModelOutput(box(X))).per_image
    scores = followed.decide(foveal.targets.ModelOutput(box(copies))).score
    assert scores.tolist() == pytest.approx(expected, abs=1e-5)
    assert max(expected) > 0


@pytest.mark.parametrize("method", ["rise:count=600", "occlusion:window=8,stride=4"])
@pytest.mark.parametrize("k", [0, 1])
def test_the_map_lies_on_the_square_asked_about(method: str, k: int) -> None:
    why = foveal.explain(detect, X, foveal.Box(k), method=method)
    assert why.target == (f"box {k}: class {k + 1}",) and float(why.score) == pytest.approx(1)
    at = [why.map[0, r - 4 : r + 4, c - 4 : c + 4].mean() for r, c in SPOTS]
    assert at[k] > at[1 - k] and at[k] > why.map.mean() + 2 * why.map.std()
    assert why.target_spec["box"][0] == [SPOTS[k][1] - 4, SPOTS[k][0] - 4, SPOTS[k][1] + 4, SPOTS[k][0] + 4]


def test_rise_is_the_mean_of_masks_weighed_by_similarity() -> None:
    """Masked copies as the function was given them, and their similarity by hand."""
    asked: list[np.ndarray[Any, Any]] = []

    def heard(x: Any) -> Any:
        asked.append(np.array(x))
        return detect(x)

    why = foveal.explain(heard, X, foveal.Box(1), method="rise:count=150")
    every = np.concatenate(asked).astype(np.float64)
    masks = [copy[0] / X[0, 0].double().numpy() for copy in every if not np.array_equal(copy, X[0].numpy())]
    masks = masks[-150:]  # the first copy is asked twice: does a batch give what it gives alone?
    scores = [slowly([36, 20, 44, 28], 2, record) for record in detect(X.numpy() * np.array(masks)[:, None])]
    mean = sum(scores) / 150
    map = sum((score - mean) * (mask - 0.5) for score, mask in zip(scores, masks, strict=True)) / (0.5 * 150)
    np.testing.assert_allclose(why.map[0], map, atol=1e-5)


def test_one_record_lists_tensors_and_nothing_found() -> None:
    alone = foveal.explain(lambda x: detect(x)[0], X, foveal.Box(0), method="occlusion:window=8,stride=8")
    assert torch.equal(alone.map, foveal.explain(detect, X, foveal.Box(0), method="occlusion:window=8,stride=8").map)
    assert any("one image at a time" in note for note in alone.notes)

    def tensors(x: Tensor) -> list[dict[str, Tensor]]:
        return [{key: torch.tensor(value).float() for key, value in record.items()} for record in detect(x.numpy())]

    why = foveal.explain(BlackBox(tensors, takes="tensors"), X, foveal.Box(0), method="occlusion:window=8,stride=8")
    assert torch.equal(why.map, alone.map)
    with pytest.raises(FovealError, match="finds no box in image 0"):
        foveal.explain(detect, torch.zeros(1, 3, 32, 48), method="occlusion")
    with pytest.raises(ModelError, match="one record of boxes came back for 2 images"):
        BlackBox(lambda x: detect(x)[0])(X.repeat(2, 1, 1, 1))


def test_the_best_box_is_explained_measured_and_audited() -> None:
    why = foveal.explain(detect, X, method="occlusion:window=8,stride=4", labels=["none", "left", "right"])
    assert why.target == ("box 0: left (1)",)
    table = foveal.measure(detect, X, foveal.Box(1), explanations=["occlusion:window=8,stride=4"],
                           metrics=["deletion"], baseline_maps=["random"])  # fmt: skip
    own, random = (values["deletion"][0] for values in table.values.values())
    assert own is not None and random is not None and own < random
    (test,) = foveal.audit(detect, X, foveal.Box(1), explanations="occlusion:window=8,stride=4", area=0.05, draws=4)
    assert test.marked is not None and test.marked < 0.7 * test.whole
    with pytest.raises(FovealError, match="scores alone"):
        foveal.explain(detect, X, foveal.Box(0), method="gradcam")
