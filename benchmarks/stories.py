"""Three decisions of drawn birds, told by trees of parts: a right one, a wrong one, and a shortcut.

    python -m benchmarks.stories                       # the first two
    foveal train shortcut -o nets/ && foveal train shortcut --control -o nets/
    python -m benchmarks.stories --shortcut nets/shortcut.safetensors --control nets/control.safetensors

Every part with its share of the decision, what the decision loses without it, and where its evidence lies, pixel by
pixel: the drawn parts that hold most of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image

import foveal
from benchmarks.part_trees import image as jay_image
from foveal.results.feature_graph import Feature
from foveal.results.tree import Tree
from foveal.synthetic import CLASS_NAMES, LABELS, Example, Split, demo_scenes, render
from foveal.synthetic.agreement import share
from foveal.synthetic.ground_truth import sibling_margin

Pixels = NDArray[np.uint8]

JAY, COCKATOO = "Crown-crested Jay", "Saffron Cockatoo"
FAR = 8  # times smaller than it was drawn
MOST = 4  # parts of a stage that a drawn tree shows
SEEN = 0.1  # of a part's evidence, that a drawn part must hold to be named
SHOWN = 3  # of the images of the third story


def right() -> tuple[Tree, Pixels]:
    """The bundled jay: its margin to its sibling, from which only its crest differs."""
    scene = next(scene for scene in demo_scenes() if scene.class_name == "Fan-crested Jay")
    tree = foveal.decompose(foveal.load_model("demo"), jay_image(), sibling_margin([scene.class_name]), nodes="parts")
    return tree.grow().audit(), render(scene)[1]


def wrong() -> tuple[Tree, Pixels]:
    """A jay seen from far, taken for a cockatoo: its margin to what it is."""
    example = list(Split("classes", 186, seed=11))[-1]
    assert CLASS_NAMES[example.target] == JAY
    margin = foveal.Margin([CLASS_NAMES.index(COCKATOO)], [example.target])
    tree = foveal.decompose(foveal.load_model("demo"), from_far(example.image), margin, nodes="parts")
    return tree.grow().audit(), example.labels


def from_far(image: Pixels) -> Pixels:
    """With an eighth of its pixels along each side, drawn in its size again."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((width // FAR, height // FAR), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def shortcut(network: foveal.Model, example: Example) -> Tree:
    """The margin to the sibling, which differs in one part of the bird only, compared with a uniform image."""
    margin = sibling_margin([CLASS_NAMES[example.target]])
    return foveal.decompose(network, example.image, margin, nodes="parts", reference="mean")


def on_background(tree: Tree, labels: Pixels) -> float:
    """The share of the decision's evidence that lies off the bird, over the parts that speak for it, by their value."""
    speaking = [edge.child for edge in tree.decision.edges or () if edge.child.value > 0]
    values = [child.value for child in speaking]
    shares = [share(on_image(tree, child), labels, ["background"]) for child in speaking]
    return float(np.average(shares, weights=values)) if values else float("nan")


def on_image(tree: Tree, part: Feature) -> NDArray[np.floating[Any]]:
    """What is for the decision in a part that speaks for it, else what is against it; on the image's pixels."""
    assert tree.expander is not None
    if part.pattern is None:
        tree.expander.look([part], "")
    assert part.pattern is not None
    pixels = np.asarray(part.pattern.values.sum(0)) * np.sign(part.value)
    on_photo: NDArray[np.floating[Any]] = np.nan_to_num(tree.photo.geometry.map_to_photo(np.maximum(pixels, 0)))
    return on_photo


def places(map: NDArray[np.floating[Any]], labels: Pixels) -> Mapping[str, float]:
    """The drawn parts, and the background, that hold most of a map."""
    held = {name: share(map, labels, [name]) for name in LABELS}
    return {name: held[name] for name in sorted(held, key=lambda name: -held[name]) if held[name] >= SEEN}


def rows(tree: Tree, labels: Pixels) -> Iterable[str]:
    """A row of the table for each part of the last stage, and for those of which the first of them is made."""
    edges = list(tree.decision.edges or ())
    for edge in [*edges, *(edges[0].child.edges or ())[:3]]:
        held = places(on_image(tree, edge.child), labels).items()
        numbers = [f"{100 * (value or 0):.0f}" for value in (edge.share, edge.effect, edge.average, edge.random)]
        where = ", ".join(f"{name} {100 * part:.0f} %" for name, part in held)
        yield f"| {edge.child.name} | {' | '.join(numbers)} | {where} |"


def tell(title: str, tree: Tree, labels: Pixels, picture: Path | None) -> None:
    decision = tree.decision
    if picture:
        tree.figure(most=MOST).convert("RGB").save(picture, quality=86)
    print(f"\n{title}\n{tree.target}: score {decision.value:.2f}, reference {decision.offset:.2f}")
    print("| part | share | without it | on average | at random | where its evidence lies |\n|---|---|---|---|---|---|")
    print("\n".join(rows(tree, labels)))


def main(
    shortcut_weights: Annotated[Path | None, typer.Option("--shortcut", help="a network trained on `shortcut`")] = None,
    control_weights: Annotated[Path | None, typer.Option("--control", help="its control")] = None,
    count: Annotated[int, typer.Option(help="images of the third story")] = 40,
    pictures: Annotated[Path | None, typer.Option(help="a folder for the drawn trees")] = None,
    threads: int = 2,
) -> None:
    torch.set_num_threads(threads)
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    tell("A right decision", *right(), pictures and pictures / "story-right.jpg")
    tell("A wrong decision", *wrong(), pictures and pictures / "story-wrong.jpg")
    for name, weights in (("shortcut", shortcut_weights), ("control", control_weights), ("demo", Path("demo"))):
        if weights is None or shortcut_weights is None:
            continue
        network, found = foveal.load_model(str(weights)), []
        for number, example in enumerate(Split("shortcut", count, train=True, seed=9)):
            tree = shortcut(network, example)
            found.append(on_background(tree.grow(1), example.labels))
            if number == SHOWN:
                picture = pictures and pictures / f"story-{name}.jpg"
                tell(f"The same image, {name}", shortcut(network, example).grow(2).audit(), example.labels, picture)
        found = [value for value in found if value == value]
        low, middle, high = (f"{100 * np.quantile(found, q):.0f} %" for q in (0.1, 0.5, 0.9))
        print(
            f"{name}: evidence on the background, {len(found)} of {count} images with a part for the species: "
            f"median {middle}, 80 % of images {low} to {high}"
        )


if __name__ == "__main__":
    typer.run(main)
