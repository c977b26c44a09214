"""Decisions that compare images: does the evidence lie on the object, and does hiding it change the decision?

"on object": share of the positive evidence on it; "hit": the highest position lies on it; "stays": positions are hidden
in the order of the map, 12 steps, and this is the area under the curve of whether the decision stays: lower is better.
"less random": the same less that of a random map, decision by decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import foveal
from benchmarks.verdicts import cell, compared
from foveal.images.place import laid
from foveal.metrics import deletion
from foveal.metrics.baseline_maps import random_map
from foveal.metrics.placement import energy, pointing
from foveal.metrics.retrieval import wilson

STEPS = 12
Maps = dict[str, Tensor]


@dataclass(frozen=True)
class Decision:
    """One right decision about one image.

    Attributes:
        x: (1, c, h, w).
        stays: altered copies (k, c, h, w) -> (k,), 1 where the decision is the same.
        maps: method -> (h, w) on the input.
        inside: (h, w), where the object is, if known.
        fill: what hidden positions become.
    """

    x: Tensor
    stays: Callable[[Tensor], Tensor]
    maps: Maps
    inside: Tensor | None = None
    fill: Any = "blur"


def report(decisions: Sequence[Decision]) -> None:
    """A line for each method, with 95 % intervals over the decisions."""
    if not decisions:
        return
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for number, decision in enumerate(decisions):
        for name, map in {**decision.maps, "random": random_map(decision.x, seed=number)[0]}.items():
            on = hit = float("nan")
            whole = laid(map.float(), decision.x.shape[2:], None)
            if decision.inside is not None:
                on, hit = energy(whole, decision.inside), pointing(whole, decision.inside)
            with torch.inference_mode():
                area = deletion(decision.stays, decision.x, map.float(), steps=STEPS, fill=decision.fill).area
            rows.setdefault(name, []).append((on, hit, area))
    areas = [float(d.inside.double().mean()) for d in decisions if d.inside is not None]
    known = f", the object covers {100 * float(np.mean(areas)):.0f} %" if areas else ""
    print(f"\n{len(decisions)} decisions{known}\n")
    print("| map | on object % | hit % | stays | less random |\n|---|---|---|---|---|")
    chance = [row[2] for row in rows["random"]]
    for name, found in rows.items():
        on_object, hits, stay = zip(*found, strict=True)
        beside = "" if name == "random" else compared(stay, chance, lower=True)
        print(f"| {name} | {cell(on_object, percent=True)} | {cell(hits, percent=True)} | {cell(stay)} | {beside} |")


def maps_of(model: foveal.Model, x: Tensor, target: foveal.Target | None, methods: Sequence[str]) -> Maps:
    """On the input; the parts' evidence and the activation beside the methods."""
    found = {}
    for method in methods:
        why = foveal.explain(model, x, target, method=method)
        found[method] = laid(why.map[0].float(), x.shape[2:], why.where.get(why.layer))
    parts = foveal.parts(model, x, target)
    place = parts.where.get(parts.layer)
    best = int(parts.evidence[0].argmax())
    for name, map in (
        ("parts, strongest", parts.groups.display[0, best]), ("activation map", parts.groups.norm[0]),
    ):  # fmt: skip
        found[name] = laid(map.detach().float(), x.shape[2:], place)
    return found


def said(name: str, right: Sequence[bool]) -> None:
    low, high = wilson(sum(right), len(right))
    print(f"{name}: {100 * np.mean(right):.1f} % [{100 * low:.1f}, {100 * high:.1f}], n = {len(right)}", flush=True)


def network(name: str) -> foveal.Model:
    from tests import real_networks

    return foveal.load_model(f"{real_networks.__file__}:{name}")


def embedded(network: foveal.Model, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network.module(few) for few in x.split(16)]).clone()
