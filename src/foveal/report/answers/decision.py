"""An explanation as a page shows it: the map at each of its layers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch

from foveal.images.planes import planar, plane_note
from foveal.report.answers.wire import MapAnswer, Wire, map_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from foveal.render.drawable import Maps


class DecisionAnswer(Wire):
    """The maps of one method for one photo and target, first layer next to the input.

    Attributes:
        target: what is explained, in words: "jay (17)".
        kind: of target: "class", "margin", "value" (an output that is no class), "neuron", "callable" (a person's own
            function), …; "none" where the method looks at no target.
        asked: names of the classes, labels or values that the target is about: one, two of a margin, none of others.
        score: the explained score; None where the method looks at no target, or it is not a number.
        probability: in 0..1, where the score has one.
        layers: names, in the order of the maps.
        notes: what a reader must know before believing the maps.
        seconds: what it took.
    """

    target: str
    kind: str
    asked: list[str]
    score: float | None
    probability: float | None
    method: str
    title: str
    layers: list[str]
    maps: list[MapAnswer]
    notes: list[str]
    seconds: float


def decision_answer(why: Maps, i: int = 0, *, title: str = "") -> DecisionAnswer:
    """Image i of an explanation.

    Args:
        why: any explanation; of signals and volumes what is drawn of them.
        i: which of its images.
        title: the method's name in print.
    """
    photo = why.photos[i]
    planes = {
        layer: planar(map[i].detach().cpu().float().numpy(), why.where.get(layer), photo.space)
        for layer, map in why.maps.items()
    }
    cut = plane_note(photo.space) if photo.values is not None else ()
    return DecisionAnswer(
        target=why.target[i],
        kind=str(why.target_spec.get("kind", "")),
        asked=asked_classes(why.target[i], why.target_spec),
        score=_finite(why.score, i),
        probability=_finite(why.probability, i),
        method=why.method,
        title=title or why.method,
        layers=list(why.layers),
        maps=[map_answer(torch.from_numpy(cells), photo.geometry, place) for cells, place in planes.values()],
        notes=[*why.notes, *cut],
        seconds=why.seconds,
    )


def _finite(values: Tensor | None, i: int) -> float | None:
    value = math.nan if values is None else float(values[i])
    return value if math.isfinite(value) else None


def spec_text(target: str, spec: Mapping[str, Any]) -> str:
    """What is explained as --target has it; "own:" and its words where the command line has none for it.

    Args:
        target, spec: as of `asked_classes`.
    """
    if spec.get("kind") == "neuron":
        place = spec["position"]
        return f"neuron:{spec['layer']}:{spec['channel']}" + (f":{','.join(map(str, place))}" if place else "")
    if spec.get("kind") == "group":
        name = f"{spec['name']}=" if spec["name"] else ""
        return f"group:{name}{_ranges(spec['classes'])}"
    if spec.get("kind") == "against" and (rivals := _rivals_text(spec)):
        own = target.split(" \N{MINUS SIGN} ")[0]
        (number,) = re.findall(r"(\d+)\)?$", own)
        return f"{number} - rivals:{rivals}:{float(spec['strength'])}"
    return " - ".join(asked_classes(target, spec)) or f"own:{target}"


def _ranges(numbers: Sequence[int]) -> str:
    """ "151-268,3": runs of numbers as --target has them."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _rivals_text(spec: Mapping[str, Any]) -> str:
    """How many rivals, or which where they were named and are the same for all images; else ""."""
    if spec["k"] is not None:
        return str(spec["k"])
    same = all(rivals == spec["rivals"][0] for rivals in spec["rivals"])
    return "".join(f"{rival}," for rival in spec["rivals"][0]) if same else ""


def asked_classes(target: str, spec: Mapping[str, Any]) -> list[str]:
    """The names of the classes that a target is about, out of its words.

    Args:
        target: "jay (17)", or "jay (17) \N{MINUS SIGN} crow (3)" of a margin.
        spec: the same for machines.
    """
    if spec.get("kind") not in ("class", "margin", "value"):
        return []
    sides = target.split(" \N{MINUS SIGN} ") if spec["kind"] == "margin" else [target]
    return [re.sub(r"^(class|label|value|output) (?=\d+$)| \(\d+\)$", "", side) for side in sides]
