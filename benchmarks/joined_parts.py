r"""Parts of a similarity: is the share that a part claims what the network loses without it?

    python -m benchmarks.joined_parts                                         # drawn individuals, network `embed`
    python -m benchmarks.joined_parts --model tests/real_networks.py:osnet --persons ../shared/data/images/persons
    python -m benchmarks.joined_parts --model tests/real_networks.py:proto_mini \
        --novel ../shared/data/images/imagenet_novel --metric squared

Each query with the image of the same individual (person) before the other camera, five parts. "one image": the share
of the similarity that is lost without the part on one image, the mean of both; "same lengths": the same, before the
cosine rescales what is left; "both": without the part on both images; "random": as much at random on one image.
Spearman's correlation with the claimed share within a pair (mean and 95 % interval over pairs), the slope of the effect
on the claim, and the mean distance of the two in points of per cent.

With --novel: few-shot queries, three of each of five classes with five examples, and the class decided; of a distance
without the part on both images, in place of one.

Is a part the same thing on both images? Of drawn individuals: the largest part peaks on a mark, on both. Of persons:
the height of a part on one photo against that on the other, and against that of the next part of the pair.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

import foveal
from foveal.metrics.statistics import spearman, summary
from foveal.results.joined_parts import JoinedPart
from foveal.results.match import Match
from foveal.synthetic.individuals import INDIVIDUALS
from foveal.synthetic.scene import LABELS
from foveal.synthetic.splits import Example, Split
from foveal.training.synthetic_individuals import KNOWN, cameras, numbers_of

EFFECTS = ("one image", "same lengths", "both", "random")


def main(
    model: Annotated[str, typer.Option(help="an embedding network, as --model takes it")] = "embed",
    persons: Annotated[Path | None, typer.Option(help="photos with index.csv: file, person, camera, direction")] = None,
    novel: Annotated[Path | None, typer.Option(help="photos named CLASS_NUMBER.jpg, for few-shot decisions")] = None,
    metric: Annotated[str, typer.Option(help="of few-shot decisions")] = "squared",
    count: Annotated[int, typer.Option(help="pairs")] = 38,
    parts: int = 5,
) -> None:
    torch.set_num_threads(1)
    network = foveal.load_model(model)
    if novel:
        _say(*_rows(_few_shot(network, novel, metric, parts)))
        return
    pairs = _persons(persons, count) if persons else _individuals(count)
    found = [foveal.match(network, query, reference, parts=parts, lines=0) for query, reference, _, _ in pairs]
    print(f"{len(found)} pairs, similarity {np.mean([float(one.similarity) for one in found]):.3f} on average")
    claims, measured = _rows([one.parts() for one in found])
    _say(claims, measured)
    rest = [float(one.joined[0].unplaced / one.similarity[:, 0]) for one in found]
    against = (np.concatenate(claims) < 0).mean()
    print(f"in no part {100 * np.mean(rest):.1f} % of the similarity; {100 * against:.0f} % of parts are against it")
    if persons:
        _say_heights(found)
    else:
        _say_marks(found, [(one, other) for _, _, one, other in pairs])


def _say(claims: Sequence[Any], measured: Sequence[Any]) -> None:
    """A row for each kind of effect that is measured."""
    print(f"{len(claims)} decisions\n| effect | Spearman | slope | distance, points |\n|---|---|---|---|")
    for column, name in enumerate(EFFECTS):
        if np.isnan(measured[0][column]).any():
            continue
        within = summary([spearman(claim, effect[column]) for claim, effect in zip(claims, measured, strict=True)])
        claim, effect = np.concatenate(claims), np.concatenate([row[column] for row in measured])
        slope, distance = np.polyfit(claim, effect, 1)[0], 100 * np.abs(claim - effect).mean()
        print(f"| {name} | {within.mean:.2f} ± {within.half:.2f} | {slope:.2f} | {distance:.1f} |")


def _rows(each: Sequence[Sequence[JoinedPart]]) -> tuple[list[Any], list[Any]]:
    """Claimed shares and measured effects (4, k), pair by pair."""
    names = ("same lengths", "both", "random")
    claims = [np.array([part.share for part in parts]) for parts in each]
    effects = [np.array([[part.lost for part in parts], *([part.effects[name] for part in parts] for name in names)])
               for parts in each]  # fmt: skip
    return claims, effects


def _few_shot(network: foveal.Model, folder: Path, metric: str, count: int) -> list[Sequence[JoinedPart]]:
    """Parts of the similarity of queries to the class decided."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.jpg")):
        files.setdefault(path.stem.partition("_")[0], []).append(path)
    classes = [*files][:5]
    support = [(path, name) for name in classes for path in files[name][:5]]
    queries = [files[name][k] for name in classes for k in (7, 9, 11)]
    rule: Any = "mean" if metric in ("squared", "cosine") else "average"
    found = foveal.episode(
        network, queries, [path for path, _ in support], [name for _, name in support], metric=metric, rule=rule,
        parts=count,
    )  # fmt: skip
    return [found.parts(i) for i in range(len(queries))]


def _individuals(count: int) -> list[tuple[Any, Any, Example, Example]]:
    """Unknown individuals before one camera, and each before the other."""
    scenes = 6 * count
    numbers = numbers_of(range(KNOWN, INDIVIDUALS), scenes)
    split = Split("individuals", max(numbers) + 1)
    examples = [split[number] for number in numbers]
    sides = [[one for one, at in zip(examples, cameras(scenes), strict=True) if at == camera] for camera in (0, 1)]
    same = [next(other for other in sides[1] if other.target == one.target) for one in sides[0][:count]]
    return [(one.image, other.image, one, other) for one, other in zip(sides[0], same, strict=False)]


def _persons(folder: Path, count: int) -> list[tuple[Any, Any, None, None]]:
    """The first photo of each person by either camera."""
    with (folder / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == "1"]
    files = {(row["person"], row["camera"]): folder / row["file"] for row in rows}
    people = sorted({person for person, _ in files}, key=int)[:count]
    return [
        (files[one, "1"], files[one, "2"], None, None) for one in people if {(one, "1"), (one, "2")} <= files.keys()
    ]


def _height(map: torch.Tensor) -> float:
    """The mean row of a map, 0 to 1."""
    rows = map.clamp(min=0).sum(1).double()
    return float((rows * torch.linspace(0, 1, len(rows), dtype=torch.float64)).sum() / rows.sum())


def _say_heights(found: Sequence[Match]) -> None:
    """Whether a part is as high on one photo as on the other."""
    each = [one.parts() for one in found]
    ours = [[_height(part.query_map) for part in parts] for parts in each]
    theirs = [[_height(part.reference_maps[0]) for part in parts] for parts in each]
    same, next_part = (spearman(np.concatenate(ours), np.concatenate([np.roll(row, shift) for row in theirs]))
                       for shift in (0, 1))  # fmt: skip
    count = sum(map(len, each))
    print(f"height on both photos, {count} parts: correlation {same:.2f}; with the pair's next part {next_part:.2f}")


def _say_marks(found: Sequence[Match], scenes: Sequence[tuple[Example, Example]]) -> None:
    """How often the largest part peaks on or beside a mark, on both images, and by chance."""
    near, area = [], []
    for one, pair in zip(found, scenes, strict=True):
        part = one.parts()[0]
        sides = zip((part.query_map, part.reference_maps[0]), (one.queries[0], one.references[0]), pair, strict=True)
        hits = []
        for map, photo, example in sides:
            marks = _near_marks(example)
            on_photo = np.nan_to_num(photo.geometry.map_to_photo(map.numpy()))
            hits.append(bool(marks[np.unravel_index(int(on_photo.argmax()), on_photo.shape)]))
            area.append(float(marks.mean()))
        near.append(all(hits))
    print(f"largest part on a mark, on both images: {sum(near)} of {len(near)}; by chance {np.mean(area) ** 2:.4f}")


def _near_marks(example: Example) -> Any:
    """Pixels of marks, and those less than a position of the map away."""
    from scipy import ndimage

    return ndimage.binary_dilation(example.labels == LABELS["mark"], iterations=8)


if __name__ == "__main__":
    typer.run(main)
