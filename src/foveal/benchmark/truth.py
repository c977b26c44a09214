"""Every method against true importance: drawn birds, whose parts are taken out of the scene one at a time.

    class        why this species                         `demo`
    margin       … and not its sibling, which differs in one part
    similar      why like another image of the same individual, seen by another camera         `embed`
    prototypes   why this of five species it never learned, by three examples each                `embed`

True importance of a part is what the decision loses when the scene is drawn without it (body and head: with others).

    hit          the part the map points at is the part that loses most; of a margin, the one in which siblings differ
    share        of the positive evidence, how much lies on that part
    rank         Spearman's correlation of the parts' evidence with what they lose
    distraction  share of parts that lose nothing and are left alone
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal._version import __version__
from foveal.api.explain import explanations
from foveal.api.map_sources import EVERY, NamedMaps, collect_baseline_maps
from foveal.api.measure import default_setting
from foveal.attribution.context import Context
from foveal.attribution.perturbed_score import PerturbedScore, perturbed_scores
from foveal.attribution.prepare import prepare, read
from foveal.benchmark.csv_log import CsvLog
from foveal.errors import FovealError
from foveal.images import Batch, load_images
from foveal.methods import find_methods, own_sources
from foveal.metrics.asking import Answers
from foveal.metrics.evaluation import Evaluation, EvaluationSettings
from foveal.metrics.metric import find_metrics
from foveal.models import Model, load_model
from foveal.storage.fingerprint import fingerprint
from foveal.synthetic import CLASS_NAMES, NOVEL, Split, class_scene, effects, individual_scene, render
from foveal.synthetic.agreement import SMALLEST, hit, part_importance, rank_correlation, share
from foveal.synthetic.funnybirds_protocol import distractibility
from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin
from foveal.synthetic.scene import LABELS
from foveal.targets import Class, Prototypes, Similar, Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from foveal.synthetic.splits import Example

TRUTH = ("hit", "share", "rank", "distraction")
NETWORK = ("deletion", "insertion", "drop", "drop_in_deletion", "road")
DECISIONS = ("class", "margin", "similar", "prototypes")
USUAL = (
    "fast", "hirescam@stem.relu1", "layercam@stem.relu1", "gradcam@stem.relu1", "ablationcam", "scorecam", "occlusion",
    "integratedgradients", "deeplift",
)  # fmt: skip
"""All methods that take a forward and a backward, and some that take more; "name@layer" for another layer."""


@dataclass(frozen=True, eq=False)
class Case:
    """One image and one decision about it; `part` is known to decide, or None where interventions tell."""

    name: str
    decision: str
    model: Model
    example: Example
    target: Target
    part: str | None = None


def cases(decision: str, count: int, seed: int) -> Iterator[Case]:
    """`count` images to decide about, the same for the same seed."""
    if decision == "similar":
        model = load_model("embed")
        for i, example in enumerate(Split("individuals", count, seed=seed)):
            other = render(individual_scene(example.target, seed + 7919 * (i + 1), camera=1 - i // 90 % 2))[0]
            yield Case(f"individual {i}", decision, model, example, Similar(other))
    elif decision == "prototypes":
        model = load_model("embed")
        for i, example in enumerate(Split("novel", count, seed=seed)):
            ways = [NOVEL[(example.target + k) % len(NOVEL)] for k in range(5)]
            scenes = [class_scene(way, seed + 104729 * (i + 1) + shot) for way in ways for shot in range(3)]
            labels = [way for way in ways for _ in range(3)]
            support = [render(scene)[0] for scene in scenes]
            yield Case(f"novel {i}", decision, model, example, Prototypes(support, labels, which=ways[0]))
    else:
        model = load_model("demo")
        visible = filter(decides_visibly, Split("classes", 4 * count, seed=seed))
        for i, example in enumerate(islice(visible, count)):
            class_name = CLASS_NAMES[example.target]
            by_class = decision == "class"
            target: Target = Class(example.target) if by_class else sibling_margin([class_name])
            yield Case(
                f"species {i}", decision, model, example, target, None if by_class else deciding_part(class_name)
            )


def made_with(seed: int, methods: Sequence[str] = ()) -> dict[str, Any]:
    """The setting of a table: what decides the numbers, but for the images and methods."""
    weights = {name: fingerprint(weights=load_model(name).module) for name in ("demo", "embed")}
    own = own_sources(m for spec in methods for m in find_methods(spec.partition("@")[0]).values())
    return {
        "what": "drawn world", "seed": seed, "weights": weights, "foveal": __version__,
        **({"own methods": own} if own else {}),
    }  # fmt: skip


def measure_synthetic(
    log: CsvLog,
    *,
    decisions: Sequence[str],
    methods: Sequence[str],
    count: int,
    seed: int,
    setting: EvaluationSettings | None,
) -> Iterator[tuple[str, int, int]]:
    """Measure what the table lacks; yields (decision, done, total) after each image."""
    wanted = [*_spelled(methods), *(f"({name})" for name in EVERY)]
    for decision in decisions:
        done = {(row["decision"], row["picture"], row["method"]) for row in log.rows()}
        if all((decision, name, method) in done for name in _names(decision, count) for method in wanted):
            continue
        for number, case in enumerate(cases(decision, count, seed), 1):
            of = fingerprint(image=case.example.image, labels=case.example.labels, decision=decision)
            if missing := log.missing(decision, case.name, wanted, of):
                log.add(rows(case, missing, log.metrics, setting), of)
            yield decision, number, count


def _spelled(methods: Sequence[str]) -> list[str]:
    """Each method that a spec stands for, with its layer: "fast" is many."""
    names = []
    for spec in methods:
        method, at, layer = spec.partition("@")
        names += [name + at + layer for name in find_methods(method)]
    return list(dict.fromkeys(names))


def rows(
    case: Case, methods: Sequence[str], metrics: Sequence[str], setting: EvaluationSettings | None = None
) -> list[dict[str, Any]]:
    """A row a method for one image, without numbers where a method does not apply to the decision.

    Args:
        methods: as `_spelled` gives them; baseline maps in parentheses.
    """
    batch = load_images(case.example.image, case.model.preprocessing)
    context = prepare(case.model, batch, case.target)
    baselines = [name for name in methods if name.startswith("(")]
    maps = _explained(context, [name for name in methods if name not in baselines])
    if baselines:
        maps |= collect_baseline_maps(context, {}, True)
    asked = find_metrics([metric for metric in metrics if metric not in TRUTH]) if set(metrics) - set(TRUTH) else {}
    setting = setting or default_setting(batch.tensor, steps=14, tolerance=None)
    with perturbed_scores(context, "score") as (score,):
        truth = _true_effects(case, score)
    lines: list[dict[str, Any]] = []
    with perturbed_scores(context) as (question,):
        answers = Answers(question, batch.tensor, whole=question.whole, chunk=setting.chunk)
        for name in methods:
            lines.append({"decision": case.decision, "picture": case.name, "method": name})
            if name not in maps:
                continue
            entry = maps[name]
            evaluation = Evaluation(batch.tensor, entry.maps[0], answers, setting=setting, place=entry.place)
            lines[-1] |= {metric: kind(evaluation) for metric, kind in asked.items()}
            lines[-1] |= _agreement(case, batch, entry, truth)
    return lines


def _names(decision: str, count: int) -> list[str]:
    kind = {"similar": "individual", "prototypes": "novel"}.get(decision, "classes")
    return [f"{kind} {i}" for i in range(count)]


def _explained(context: Context, methods: Sequence[str]) -> dict[str, NamedMaps]:
    """Maps of those methods that apply to this decision; those without a layer share their passes."""
    plain = [spec for spec in methods if "@" not in spec]
    groups = [plain, *([spec] for spec in methods if "@" in spec)]
    return {name: entry for group in groups if group for name, entry in _together(context, group).items()}


def _together(context: Context, specs: Sequence[str]) -> dict[str, NamedMaps]:
    _, at, layer = specs[0].partition("@")
    try:
        chosen = find_methods([spec.partition("@")[0] for spec in specs])
        whys = explanations(context, chosen, layer or None, leave_out=tuple(chosen))
    except FovealError:  # of one of several, or as none applies
        each = specs if len(specs) > 1 else ()
        return {name: entry for spec in each for name, entry in _together(context, [spec]).items()}
    return {why.method + at + layer: NamedMaps(why.map, None, why.layer, why.where.get(why.layer)) for why in whys}


def _true_effects(case: Case, question: PerturbedScore) -> dict[str, float]:
    """What each part, and the background, does to the score."""

    def scores(pictures: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.asarray(question(read(case.model, list(pictures)).tensor).cpu())

    return effects([case.example.scene], scores).row(0)


def _agreement(case: Case, batch: Batch, entry: NamedMaps, truth: dict[str, float]) -> dict[str, float]:
    """How the map agrees with it."""
    labels = case.example.labels
    map = np.nan_to_num(batch.photos[0].geometry.map_to_photo(entry.maps[0], place=entry.place))
    visible = {part for part, code in LABELS.items() if (labels == code).sum() >= SMALLEST}
    parts = {part: effect for part, effect in truth.items() if part in visible and part != "background"}
    part = case.part or max(parts, key=lambda name: parts[name])
    importance = part_importance(map, labels)
    return {
        "hit": float(hit(map, labels, part)),
        "share": share(map, labels, [part]) if (map > 0).any() else float("nan"),
        "rank": rank_correlation(map, labels, truth),
        "distraction": distractibility(importance, truth),
    }
