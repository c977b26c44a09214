"""The methods against what is known: how often they point at the part that decides, over fresh drawn scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from foveal.api.explain import compare, explain
from foveal.methods import FAST, METHODS
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.models import Model
from foveal.results import Explanation
from foveal.synthetic import CLASS_NAMES, Split, effects_of_each, sibling
from foveal.synthetic.agreement import hit, rank_correlation, share
from foveal.synthetic.dataset import normalized
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.targets import Class, Target

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.synthetic.splits import Example

BATCH = 20
UNTOLD = ("random", "center", "edges")  # maps that know nothing of the network
Key = tuple[str, str]  # method, layer ("" for baseline maps, which have none)


@dataclass
class TruthMeasurements:
    """What was measured, per method and layer, one entry a scene.

    hits            margin to the sibling: is the part the map points at the part that decides?
    shares          margin: share of the positive evidence on that part, 0 to 1.
    correlations    predicted class: rank correlation of part evidence with true effects, −1 to 1.
    correct         the network names the species.
    largest         margin: the part with the largest true effect is the part that decides.
    """

    hits: dict[Key, list[bool]] = field(default_factory=dict)
    shares: dict[Key, list[float]] = field(default_factory=dict)
    correlations: dict[Key, list[float]] = field(default_factory=dict)
    correct: list[bool] = field(default_factory=list)
    largest: list[bool] = field(default_factory=list)


def measure(model: Model, evidence: TruthMeasurements, *, scenes: int, intervened: int, seed: int) -> Iterator[int]:
    """Add fresh scenes to the evidence, the first `intervened` with true effects; yields how many are done."""
    visible = (example for example in Split("classes", 4 * scenes, seed=seed) if decides_visibly(example))
    done = 0
    while done < scenes and (examples := [e for _, e in zip(range(min(BATCH, scenes - done)), visible, strict=False)]):
        _margins(model, examples, evidence)
        if done < intervened:
            _interventions(model, examples[: intervened - done], evidence)
        done += len(examples)
        yield done


def logits_of(model: Model, pictures: UInt8[NDArray[np.uint8], "n h w 3"]) -> Float[Tensor, "n classes"]:
    """Logits of drawn pictures, 0..255, without gradients."""
    with torch.inference_mode():
        logits: Tensor = model.module(normalized(torch.from_numpy(pictures).permute(0, 3, 1, 2)))
        return logits


def explain_everywhere(model: Model, pictures: Sequence[NDArray[np.uint8]], target: Target) -> dict[str, Explanation]:
    """Every fast method where it looks: at all stages, at the last one only, or at the input."""
    at_stages = [name for name in FAST if METHODS[name].place == "last stage" and name != "cam"]
    at_input = [name for name in FAST if METHODS[name].place == "input"]
    explanations = [
        explain(model, list(pictures), target, method="cam"),
        *compare(model, list(pictures), target, methods=at_stages, layer="all"),
        *compare(model, list(pictures), target, methods=at_input),
    ]
    by_name = {why.method: why for why in explanations}
    return {name: by_name[name] for name in FAST if name in by_name}


def on_photo(why: Explanation, layer: str, i: int) -> NDArray[np.floating]:
    """Picture i's map at this layer, resized to the picture's own pixels (h, w); NaN where the network did not look."""
    return why.on_photo(i, layer=layer)


def _margins(model: Model, examples: Sequence[Example], evidence: TruthMeasurements) -> None:
    class_names = [CLASS_NAMES[example.target] for example in examples]
    pictures = [example.image for example in examples]
    predicted = logits_of(model, np.stack(pictures)).argmax(1).tolist()
    evidence.correct += [p == example.target for p, example in zip(predicted, examples, strict=True)]
    for name, why in explain_everywhere(model, pictures, sibling_margin(class_names)).items():
        for layer in why.layers:
            for i, example in enumerate(examples):
                _score(evidence, (name, layer), on_photo(why, layer, i), example, deciding_part(class_names[i]))
    for name in UNTOLD:
        for i, example in enumerate(examples):
            _score(
                evidence, (name, ""), baseline_map_of_photo(name, example.image), example, deciding_part(class_names[i])
            )


def _score(evidence: TruthMeasurements, key: Key, map: NDArray[np.floating], example: Example, part: str) -> None:
    evidence.hits.setdefault(key, []).append(hit(map, example.labels, part))
    evidence.shares.setdefault(key, []).append(share(map, example.labels, [part]))


def _interventions(model: Model, examples: Sequence[Example], evidence: TruthMeasurements) -> None:
    class_names = [CLASS_NAMES[example.target] for example in examples]
    explained = explain_everywhere(model, [e.image for e in examples], Class([e.target for e in examples]))
    for i, example in enumerate(examples):
        truth, margin = true_effects(model, example)
        evidence.largest.append(largest_part(margin) == deciding_part(class_names[i]))
        maps: dict[Key, NDArray[np.floating]] = {
            (name, layer): on_photo(why, layer, i) for name, why in explained.items() for layer in why.layers
        }
        maps |= {(name, ""): baseline_map_of_photo(name, example.image) for name in UNTOLD}
        for key, map in maps.items():
            evidence.correlations.setdefault(key, []).append(rank_correlation(map, example.labels, truth))


def true_effects(model: Model, example: Example) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """What each part, and the background, does to the class's logit, and to its margin over the sibling."""
    own, other = example.target, CLASS_NAMES.index(sibling(CLASS_NAMES[example.target]))

    def scores(pictures: UInt8[NDArray[np.uint8], "n h w 3"]) -> NDArray[np.floating]:
        logits = logits_of(model, pictures)
        return torch.stack([logits[:, own], logits[:, own] - logits[:, other]], 1).numpy()

    logit, margin = effects_of_each([example.scene], scores)
    return logit.row(0), margin.row(0)


def largest_part(truth: Mapping[str, float]) -> str:
    """The part, other than the background, with the largest absolute effect."""
    return max((part for part in truth if part != "background"), key=lambda part: abs(truth[part]))
