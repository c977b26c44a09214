"""What was found, as the report's plain data."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from foveal._version import __version__
from foveal.api.decompose import decompose
from foveal.api.explain import explain
from foveal.api.flow import flow
from foveal.api.match import match
from foveal.api.parts import parts
from foveal.api.visualize import visualize
from foveal.demo.measured import true_panel
from foveal.demo.references import REFERENCES
from foveal.demo.truth import TruthMeasurements, explain_fully, logits_of, on_photo, true_effects
from foveal.featurevis import Octave, Schedule
from foveal.featurevis.transfer import answers
from foveal.methods import METHODS
from foveal.models import Model, load_model
from foveal.render.charts import Column, Score
from foveal.render.feature_images import as_picture, mosaic
from foveal.render.figures import grid
from foveal.render.tree_page import fragment
from foveal.report.report import Panel, Report, Row, Section, Table, Tile
from foveal.report.tiles import SIDE, effect_bars, known_tile, layer_tiles, map_tile, photo_tile, probability_bars
from foveal.results import Explanation
from foveal.synthetic import SPECIES, render, sibling
from foveal.synthetic.agreement import rank_correlation, top_part
from foveal.synthetic.ground_truth import deciding_part, sibling_margin
from foveal.synthetic.sampling import species_scene
from foveal.synthetic.scene import LABELS
from foveal.targets import Class, Prototypes

if TYPE_CHECKING:
    from foveal.synthetic.splits import Example

TITLES = {name: method.title for name, method in METHODS.items()}
BRIEFLY = Schedule((Octave(1.0, 90),), rate=1.5)  # two seconds each
PORTRAYED = ("Fan-crested Jay", "Lyre-tailed Pheasant")
SITTERS = 5000  # seed of the scenes that are portrayed
ANOTHER = 1000  # seed of the scenes that pictures are matched with
ABOUT_REFERENCE = {
    "random": "noise: what chance gives",
    "centre": "a blob in the middle of every picture",
    "edges": "edges of the picture, no network involved",
}


def picture_section(model: Model, example: Example) -> Section:
    """Everything about one picture: what the network says, why, why not its sibling, and stage by stage."""
    species = SPECIES[example.target]
    other = sibling(species)
    part = deciding_part(species)
    class_truth, margin_truth = true_effects(model, example)
    by_class = explain_fully(model, example.image, Class(species))
    by_margin = explain_fully(model, example.image, sibling_margin([species]))
    photo = by_class["gradcam"].photos[0]
    known_class = known_tile(photo, example.labels, LABELS, class_truth, title="known", detail="effect on the score")
    known_margin = known_tile(photo, example.labels, LABELS, margin_truth, title="known", detail="effect on the margin")
    chances = _chances(model, example)
    return Section(
        heading=species,
        photo=photo_tile(photo, species, alt=f"A drawn {species} before {example.scene.backdrop.kind}."),
        text=f"Its sibling, the {other}, differs in the {part} alone.",
        charts=(
            probability_bars(chances, title="the network says"),
            effect_bars(
                margin_truth,
                title=f"true effect on “{species}, not {other}”",
                caption="Logits lost when the part is taken away (body, head: replaced). The deciding part is marked.",
                decisive=(part,),
            ),
        ),
        panels=(
            Panel(
                f"Why not {other}?",
                (known_margin, *(_margin_tile(why, example, part) for why in by_margin.values())),
                f"The margin between the two logits. Only the {part} tells them apart, so a true map points there.",
            ),
            Panel(
                f"Why {species}?",
                (known_class, *(_class_tile(why, example, class_truth) for why in by_class.values())),
                "The logit of the class. Many parts speak for it; the rank correlation compares their order in the "
                "map with that of their true effects.",
            ),
            Panel(
                "Stage by stage",
                (known_margin, *layer_tiles(by_margin["hirescam"])),
                "The margin again, by HiResCAM at every stage, from the first next to the picture to the last.",
            ),
            _flow_panel(model, example, species),
            _tree_panel(model, example, species),
            _parts_panel(example, species, part),
            _match_panel(model, example, species, other, part),
            true_panel(model, example, species),
        ),
    )


def portrait_section(model: Model) -> Section:
    """What the last stage responds to in pictures of a kind, as images made for it."""
    rows, words, photo = [], [], None
    for species in PORTRAYED:
        pictures = [render(species_scene(species, seed))[0] for seed in range(SITTERS, SITTERS + 10)]
        faces = visualize(model, pictures, facets=1, plan=BRIEFLY)
        photo = photo or faces.photos[0]
        one, answer = faces[0], answers(faces, model, 1)[0][0]
        rows.append([mosaic(faces.photos, SIDE), as_picture(one.snapshots[0][1]), as_picture(one.image)])
        words.append(
            f"{species}\n{one.caption()}\nthe classifier says {answer.label}, {100 * answer.probability:.0f} %"
        )
    sheet = grid(rows, columns=("four of ten pictures", "mean of all ten", "portrait"), rows=words, side=SIDE)
    assert photo is not None
    return Section(
        heading="What does the last stage see?",
        photo=photo_tile(photo, PORTRAYED[0], alt=f"A drawn {PORTRAYED[0]}, one of ten pictures."),
        text="Portraits are made, not found: no class was asked for, and the classifier took no part.",
        panels=(
            Panel(
                "Portraits of two species",
                (Tile("pictures, their mean, portrait", sheet, "Two rows: pictures of a species, and its portrait."),),
                "An image is changed, from the mean of ten pictures on, until its features at the last stage, averaged "
                "over places, are those of the pictures, the strongest ones stronger. Gain: how much stronger; fit: "
                "cosine of all features; recall: share of the pictures' strongest channels that are the portrait's.",
            ),
        ),
    )


def report(
    model: Model, sections: Sequence[Section], evidence: TruthMeasurements, *, seconds: float, seed: int, command: str
) -> Report:
    layers = [layer for name, layer in evidence.hits if name == "gradcam"]
    best = max(evidence.hits, key=lambda key: np.mean(evidence.hits[key]))
    return Report(
        title="Why did the network look there?",
        intro=(
            "Eight drawn birds, a small network that tells twenty species apart, and foveal's methods, except those "
            "that would ask the network a thousand times or need another library. "
            "Because the birds are drawn, the truth is known: each species has a sibling that differs in one part, and "
            "the effect of every part was measured by drawing the same scene again without it."
        ),
        highlights=(
            (_percent(evidence.correct), f"of {len(evidence.correct)} freshly drawn birds named correctly"),
            (
                _percent(evidence.largest),
                f"of {len(evidence.largest)} scenes: taking away the part in which siblings differ matters most",
            ),
            (
                _percent(evidence.hits[best]),
                f"of {len(evidence.hits[best])} margins: the best of all ({_named(best)}) points at that part",
            ),
        ),
        sections=tuple(sections),
        tables=(_hits_table(evidence, layers), _agreement_table(evidence, layers[-1])),
        caveats=(
            "A map shows what the decision is sensitive to at one layer, not what the network has understood.",
            "Colours are scaled for each picture: compare places within a map, not brightness between maps.",
            "A map from a coarse layer is blurred by its cells; what lies within one cell cannot be told apart.",
            "Eigen-CAM looks at no decision: it shows what the layer responds to most, whichever class is asked about.",
            "Scores here hold for this network and these drawings. On another network another method may do best.",
        ),
        terms=(
            ("margin", "the logit of one class minus the logit of another: why this and not that"),
            ("true effect", "how much the score falls when a part is taken out of the scene and nothing else changes"),
            ("hit", "the part with the highest mean positive evidence is the part in which the siblings differ"),
            ("stage", "the last layer at one resolution that the whole decision passes through"),
        ),
        provenance=(
            ("command", command),
            ("model", f"{model.name}, {sum(p.numel() for p in model.module.parameters()):,} weights"),
            ("seed", str(seed)),
            (
                "made with",
                f"foveal {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
            ),
            ("time", f"{seconds:.0f} seconds"),
        ),
    )


def _flow_panel(model: Model, example: Example, species: str) -> Panel:
    """The margin again, with the neurons that take part, put to the network."""
    found = flow(model, example.image, sibling_margin([species]))
    bird = (example.labels > 0) & (example.labels < LABELS["occluder"])
    strip = found.figure("strip", audit=found.audit(), inside=bird, side=SIDE)
    last = found.layers[-1]
    words = f"At {last}, {100 * found.number(last, 'kept'):.0f} % of the neurons take part."
    return Panel(
        "How does attention form?",
        (
            Tile(
                f"{found.layers[0]} to {last}",
                strip,
                f"Maps of the margin at every stage, the neurons that take part. {words}",
            ),
        ),
        "Attention flow: neurons that take no part in the decision are abandoned, at every stage at once. The curves "
        "tell how many are left, how much of the margin a stage accounts for (the rest is biases), what the network "
        "says when the abandoned ones are switched off, and how much of the evidence lies on the bird.",
    )


def _tree_panel(model: Model, example: Example, species: str) -> Panel:
    """The margin, taken apart down to the first stage."""
    tree = decompose(model, example.image, sibling_margin([species]), branch=3, against=2).grow().look().audit()
    names = ", ".join(str(node.feature.channel) for node in tree.root.children)
    words = f"Channels {names} of {tree.stages[-1].name} support the margin most; below them what supports each."
    return Panel(
        "Which parts, made of which smaller parts?",
        (Tile(f"{tree.stages[-1].name} to {tree.stages[0].name}", tree.figure(most=6), words),),
        "Gradient-based activation propagation: the strongest channels of the last stage, each at its strongest place, "
        "then the channels that support that neuron, and so on. Press a card to take it apart. Below it all on one "
        "page: lines are as thick as what flows along them; red where switching a channel off does not lower what it "
        "was found to support. The grey pictures show what drives each neuron (guided backpropagation: no evidence).",
        tree=fragment(tree),
    )


def _parts_panel(example: Example, species: str, part: str) -> Panel:
    """The margin by a network that decides by ranked parts."""
    found = parts(_by_parts(), example.image, sibling_margin([species]))
    where = found.where.get(found.layer)
    pointed = top_part(found.photos[0].geometry.map_to_photo(found.places[0], place=where), example.labels)
    shares = ", ".join(f"part {k + 1} {float(value):.1f}" for k, value in enumerate(found.evidence[0]))
    return Panel(
        "Which parts, ranked and sharp?",
        (
            Tile(
                "ranks, parts, evidence",
                found.figure(side=SIDE),
                f"Three ranked parts of the {species} and their evidence for the margin: {shares}.",
                verdict=pointed == part,
                finding=f"the evidence points at the {pointed}",
            ),
        ),
        "BR-NPA, another small network: the most active place of its last map and all that resembles it is the first "
        "part, and so on. It decides by the three parts' vectors alone, so their evidence and the bias make up the "
        "margin to the last digit. Parts do not depend on what is asked; their evidence does.",
    )


@cache
def _by_parts() -> Model:
    return load_model("parts")


def _match_panel(model: Model, example: Example, species: str, other: str, part: str) -> Panel:
    """The picture beside another of its kind and beside its sibling, by the network's embedding."""
    shelf = [render(species_scene(name, seed))[0] for seed, name in enumerate((species, other), ANOTHER)]
    pair = match(model, example.image, shelf)
    alone = Prototypes(shelf, [species, other], which=species, margin=True)
    why = explain(model, example.image, alone, method="fam:weights=margin")
    pointed = top_part(on_photo(why, why.layer, 0), example.labels)
    return Panel(
        "Which is it like?",
        (
            *(
                Tile(
                    f"{pair.caption(0, j)} to a {name}",
                    pair.figure("pair", j=j, side=SIDE),
                    f"The {species} and a {name}, evidence for their similarity on both, lines between places.",
                )
                for j, name in enumerate((species, other))
            ),
            map_tile(why, title="the difference", verdict=pointed == part, finding=f"points at the {pointed}"),
        ),
        "No class is asked for: embeddings are compared. FAM weighs channels by what they add to the cosine; lines "
        "join the places that add most. Both birds are like it nearly everywhere. The difference of the two "
        f"similarities should be the {part}.",
    )


def _margin_tile(why: Explanation, example: Example, part: str) -> Tile:
    pointed = top_part(on_photo(why, why.layer, 0), example.labels)
    return map_tile(why, title=TITLES[why.method], verdict=pointed == part, finding=f"points at the {pointed}")


def _class_tile(why: Explanation, example: Example, truth: Mapping[str, float]) -> Tile:
    agreement = rank_correlation(on_photo(why, why.layer, 0), example.labels, truth)
    return map_tile(why, title=TITLES[why.method], detail=f"rank correlation {agreement:.2f}".replace("-", "−"))


def _chances(model: Model, example: Example) -> dict[str, float]:
    chances = logits_of(model, example.image[None]).softmax(1)[0]
    return dict(zip(SPECIES, chances.tolist(), strict=True))


def _hits_table(evidence: TruthMeasurements, layers: Sequence[str]) -> Table:
    # A map that points at one of the eight parts blindly.
    chance = float(np.mean(evidence.hits["random", ""]))
    places = (*layers, "input")
    columns = tuple(Column(place, percent=True, reference=chance, reference_name="random map") for place in places)
    rows = [
        Row(TITLES[name], tuple(_share_of(evidence.hits.get((name, place))) for place in places), method.about)
        for name, method in METHODS.items()
        if _judged_at(name, evidence, layers[-1]) is not None
    ]
    rows += [
        Row(name, (*[None] * len(layers), _share_of(evidence.hits[name, ""])), ABOUT_REFERENCE[name])
        for name in REFERENCES
    ]
    count = len(evidence.correct)
    return Table(
        "Does the map of a sibling margin point at the part that decides?",
        columns,
        tuple(rows),
        f"Share of {count} freshly drawn scenes whose top part is the deciding part, at each stage, with 95 % "
        "intervals; at the input for methods that look there. Scenes in which that part is hidden are left out. The "
        "last three rows know nothing of the network.",
    )


def _agreement_table(evidence: TruthMeasurements, layer: str) -> Table:
    columns = (
        Column("evidence on the deciding part", "share of positive evidence, margin", percent=True),
        Column("rank correlation with true effects", "parts of the class decision", limits=(-1.0, 1.0), reference=0.0),
    )
    keys = [(name, at) for name in METHODS if (at := _judged_at(name, evidence, layer)) is not None]
    keys += [(name, "") for name in REFERENCES]
    rows = tuple(
        Row(
            TITLES.get(key[0], key[0]),
            (_mean_of(evidence.shares[key]), _mean_of(evidence.correlations[key])),
            ABOUT_REFERENCE.get(key[0], ""),
        )
        for key in keys
    )
    return Table(
        f"How much of the evidence is in the right place, at {layer} or at the input?",
        columns,
        rows,
        f"Left: margins of {len(evidence.correct)} scenes; the deciding part covers a few per cent of the picture. "
        f"Right: class decisions of {len(evidence.largest)} scenes, each taken apart by intervention. Means with 95 % "
        "intervals.",
    )


def _judged_at(name: str, evidence: TruthMeasurements, last: str) -> str | None:
    """The last stage, the input for methods that look there, None where there is nothing."""
    return next((place for place in (last, "input") if (name, place) in evidence.hits), None)


def _share_of(hits: Sequence[bool] | None) -> Score | None:
    """A proportion with Wilson's 95 % interval."""
    if not hits:
        return None
    n, p, z = len(hits), float(np.mean(hits)), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return Score(p, max(0.0, centre - half), min(1.0, centre + half))


def _mean_of(values: Sequence[float]) -> Score | None:
    """A mean with its normal 95 % interval, undefined values left out."""
    defined = np.array([value for value in values if np.isfinite(value)])
    if len(defined) < 2:
        return None
    mean, half = float(defined.mean()), 1.96 * float(defined.std(ddof=1) / np.sqrt(len(defined)))
    return Score(mean, mean - half, mean + half)


def _named(key: tuple[str, str]) -> str:
    name, layer = key
    return f"{TITLES.get(name, name)} at {layer}" if layer else name


def _percent(hits: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(hits)):.1f} %"
