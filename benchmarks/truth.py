"""Every method against what is known: drawn birds whose deciding part, and the effect of every part, are known.

    python -m benchmarks.truth --markdown
    python -m benchmarks.truth -m gradcam@stage1 -m scorecam:scaling=before

Each scene is explained twice: why this species and not its sibling, which differs in one part ("hit": the map points at
that part; "share": of the positive evidence, how much lies on it); and why this species ("rank": Spearman's correlation
of the parts' evidence with their effects, measured by drawing the scene again without each).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

import foveal
from foveal.demo.truth import UNTOLD, on_photo, true_effects
from foveal.methods import METHODS, find_method
from foveal.metrics.baseline_maps import baseline_map_of_photo
from foveal.synthetic import CLASS_NAMES, Split
from foveal.synthetic.agreement import hit, rank_correlation, share
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.synthetic.splits import Example

BATCH = 20


@dataclass
class Row:
    """What one method at one place got."""

    method: str
    place: str
    hits: list[bool] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    ranks: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        p, n = float(np.mean(self.hits)), len(self.hits)
        half = 1.96 / (1 + 3.84 / n) * float(np.sqrt(p * (1 - p) / n + 0.96 / n**2))  # half of Wilson's interval
        return (
            self.method,
            self.place,
            f"{100 * p:.0f} ± {100 * half:.0f}",
            f"{100 * float(np.nanmean(self.shares)):.0f}",
            f"{np.nanmean(self.ranks):.2f}" if self.ranks else "",
        )


HEAD = ("method", "layer", "hit %", "share %", "rank")


def everything(stages: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Methods at each stage, or where they look."""
    for name, method in METHODS.items():
        if method.place == "input" or name == "cam":
            yield name, "input" if method.place == "input" else stages[-1]
        else:
            yield from ((name, stage) for stage in reversed(stages))


def judge(model: foveal.Model, row: Row, examples: Sequence[Example], effects: Sequence[dict[str, float]]) -> None:
    """Margins of all examples, classes of those whose effects are known."""
    class_names = [CLASS_NAMES[example.target] for example in examples]
    for maps, examples_of in (
        (_maps(model, row, examples, sibling_margin(class_names)), examples),
        (_maps(model, row, known := examples[: len(effects)], foveal.Class([e.target for e in known])), known),
    ):
        for i, (map, example) in enumerate(zip(maps, examples_of, strict=True)):
            if examples_of is examples:
                row.hits.append(hit(map, example.labels, deciding_part(class_names[i])))
                row.shares.append(share(map, example.labels, [deciding_part(class_names[i])]))
            else:
                row.ranks.append(rank_correlation(map, example.labels, effects[i]))


def _maps(model: foveal.Model, row: Row, examples: Sequence[Example], target: foveal.Target) -> list[np.ndarray]:
    why = foveal.explain(model, [e.image for e in examples], target, method=row.method, layer=row.place)
    return [on_photo(why, why.layer, i) for i in range(len(examples))]


def main(
    method: Annotated[list[str] | None, typer.Option("--method", "-m", help="name, name:options or name@layer")] = None,
    scenes: Annotated[int, typer.Option(help="margins to explain")] = 200,
    known: Annotated[int, typer.Option(help="classes to explain, each taken apart by intervention")] = 60,
    seed: int = 77,
    threads: int = 2,
    markdown: Annotated[bool, typer.Option(help="a table for the docs")] = False,
) -> None:
    torch.set_num_threads(threads)
    model = foveal.load_model("demo")
    stages = [stage.name for stage in foveal.stages(model)]
    examples = [
        e for e, _ in zip(filter(decides_visibly, Split("classes", 4 * scenes, seed=seed)), range(scenes), strict=False)
    ]
    effects = [dict(true_effects(model, example)[0]) for example in examples[:known]]
    chosen = [_at(one, stages) for one in method] if method else list(everything(stages))
    rows = [Row(name, place) for name, place in chosen]
    console = Console(stderr=True)
    for row in rows:
        judge(model, row, examples, effects)
        console.print(*row.cells())
    rows += [_reference(name, examples, effects) for name in UNTOLD]
    _show(rows, markdown=markdown)


def _at(text: str, stages: Sequence[str]) -> tuple[str, str]:
    name, _, layer = text.partition("@")
    return name, layer or ("input" if find_method(name).place == "input" else stages[-1])


def _reference(name: str, examples: Sequence[Example], effects: Sequence[dict[str, float]]) -> Row:
    row = Row(f"({name})", "")
    maps = [baseline_map_of_photo(name, example.image) for example in examples]
    for map, example in zip(maps, examples, strict=True):
        part = deciding_part(CLASS_NAMES[example.target])
        row.hits.append(hit(map, example.labels, part))
        row.shares.append(share(map, example.labels, [part]))
    row.ranks = [
        rank_correlation(map, example.labels, known)
        for map, example, known in zip(maps, examples, effects, strict=False)
    ]
    return row


def _show(rows: Sequence[Row], *, markdown: bool) -> None:
    if markdown:
        print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
        for row in rows:
            print("| " + " | ".join(row.cells()) + " |")
        return
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*row.cells())
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
