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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from foveal._version import __version__
from foveal.api.explain import explanations
from foveal.api.map_sources import NamedMaps, collect_baseline_maps
from foveal.api.measure import default_setting
from foveal.attribution.context import Context
from foveal.attribution.perturbed_score import PerturbedScore, perturbed_scores
from foveal.attribution.prepare import prepare, read
from foveal.benchmark.measurements import BASELINE_MAPS, Measure, Measurements, Numbers, Subject
from foveal.datasets.shard import EndOfWorkError
from foveal.errors import FovealError, ResultError
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

    from foveal.synthetic.splits import Example, SplitName

TRUTH = ("hit", "share", "rank", "distraction")
NETWORK = ("deletion", "insertion", "drop", "drop_in_deletion", "road")
NETWORKS = {"class": "demo", "margin": "demo", "similar": "embed", "prototypes": "embed"}
DECISIONS = tuple(NETWORKS)
SPLITS: Mapping[str, SplitName] = {"similar": "individuals", "prototypes": "novel"}
"""Of the other decisions it is the classes."""
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
    model = load_model(NETWORKS[decision])
    for place, number in enumerate(scenes(decision, count, seed)):
        yield case_of(decision, place, number, seed, model)


def scenes(decision: str, count: int, seed: int) -> Iterator[int]:
    """The numbers of `count` scenes; of classes and margins those in which the deciding part is visible."""
    if decision in ("similar", "prototypes"):
        return iter(range(count))
    split = Split("classes", 4 * count, seed=seed)
    return islice((number for number in range(len(split)) if decides_visibly(split[number])), count)


def case_of(decision: str, place: int, number: int, seed: int, model: Model) -> Case:
    """The case of a scene, which is called by its place."""
    name = name_of(decision, place)
    split: SplitName = SPLITS.get(decision, "classes")
    example = Split(split, number + 1, seed=seed)[number]
    if decision == "similar":
        other = render(individual_scene(example.target, seed + 7919 * (number + 1), camera=1 - number // 90 % 2))[0]
        return Case(name, decision, model, example, Similar(other))
    if decision == "prototypes":
        ways = [NOVEL[(example.target + k) % len(NOVEL)] for k in range(5)]
        shots = [class_scene(way, seed + 104729 * (number + 1) + shot) for way in ways for shot in range(3)]
        labels = [way for way in ways for _ in range(3)]
        support = [render(scene)[0] for scene in shots]
        return Case(name, decision, model, example, Prototypes(support, labels, which=ways[0]))
    if decision == "class":
        return Case(name, decision, model, example, Class(example.target))
    class_name = CLASS_NAMES[example.target]
    return Case(name, decision, model, example, sibling_margin([class_name]), deciding_part(class_name))


def name_of(decision: str, place: int) -> str:
    """ "species 3"."""
    return f"{ {'similar': 'individual', 'prototypes': 'novel'}.get(decision, 'species') } {place}"


def in_order(subjects: Iterable[Subject]) -> dict[str, list[Subject]]:
    """Images by decision, as they are numbered."""
    each = sorted(subjects, key=lambda subject: int(subject.picture.split()[-1]))
    own = {decision: [subject for subject in each if subject.decision == decision] for decision in DECISIONS}
    return {decision: images for decision, images in own.items() if images}


def made_with(seed: int, methods: Sequence[str] = ()) -> dict[str, Any]:
    """The setting of a table: what decides the numbers, but for how many images, and the methods."""
    weights = {name: fingerprint(weights=load_model(name).module) for name in ("demo", "embed")}
    own = own_sources(m for spec in methods for m in find_methods(spec.partition("@")[0]).values())
    return {
        "what": "drawn world", "seed": seed, "drawn": fingerprint(image=Split("classes", 1, seed=seed)[0].image),
        "weights": weights, "foveal": __version__,
        **({"own methods": own} if own else {}),
    }  # fmt: skip


def measure_synthetic(
    log: Measurements, *, decisions: Sequence[str], methods: Sequence[str], count: int, seed: int,
    setting: EvaluationSettings | None, moved: Callable[[int], None] | None = None, workers: int = 0,
) -> Iterator[int]:  # fmt: skip
    """Measure what the table lacks; yields how many images of all decisions are done, after each part that is kept.

    Args:
        moved: hears how many images were looked at.
        workers: processes that measure at once; 0 is this one alone.
    """
    wanted = [*spelled(methods), *BASELINE_MAPS]
    images: list[BirdImage] = []
    for decision in decisions:
        names = [name_of(decision, place) for place in range(count)]
        missing = [log.missing(Subject(decision, name), wanted) for name in names]
        if any(missing):
            each = enumerate(zip(scenes(decision, count, seed), missing, strict=False))
            images += (BirdImage(decision, place, number, tuple(new)) for place, (number, new) in each if new)
    ready = len(decisions) * count - len(images)
    yield (done := ready)
    ask = BirdQuestion(tuple(images), tuple(log.metrics), seed, setting)
    subjects = [Subject(image.decision, name_of(image.decision, image.place)) for image in images]
    parts = log.measure(ask, subjects, lambda count: moved(ready + count) if moved else None, workers=workers)
    with closing(parts):
        for new, errors in parts:
            for place, why in errors.items():
                raise ResultError(f"Cannot measure {subjects[place].picture} ({subjects[place].decision}): {why}")
            yield (done := done + new)


class BirdImage(NamedTuple):
    """An image by its scene, and the methods that were not measured on it."""

    decision: str
    place: int
    number: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class BirdQuestion:
    """What is measured of drawn birds, in a form that travels to other processes."""

    images: Sequence[BirdImage]
    metrics: Sequence[str]
    seed: int
    setting: EvaluationSettings | None

    def __call__(self) -> Measure:
        """What gives the numbers of the image at a place; what fails fails with all, as no image is a stranger's."""
        model = cache(load_model)

        def measured(place: int) -> Numbers:
            decision, at, scene, missing = self.images[place]
            try:
                case = case_of(decision, at, scene, self.seed, model(NETWORKS[decision]))
                return numbers(case, missing, self.metrics, self.setting)
            except FovealError as error:
                raise EndOfWorkError(error) from error

        return measured


def spelled(methods: Sequence[str]) -> list[str]:
    """Each method that a spec stands for, with its layer: "fast" is many."""
    names = []
    for spec in methods:
        method, at, layer = spec.partition("@")
        names += [name + at + layer for name in find_methods(method)]
    return list(dict.fromkeys(names))


def numbers(
    case: Case, methods: Sequence[str], metrics: Sequence[str], setting: EvaluationSettings | None = None
) -> Numbers:
    """Of one image by method and metric; nothing of a method that does not apply to the decision.

    Args:
        methods: as `spelled` gives them; baseline maps in parentheses.
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
    found: dict[str, dict[str, float | None]] = {name: {} for name in methods}
    with perturbed_scores(context) as (question,):
        answers = Answers(question, batch.tensor, whole=question.whole, chunk=setting.chunk)
        for name in methods:
            if name not in maps:
                continue
            entry = maps[name]
            evaluation = Evaluation(batch.tensor, entry.maps[0], answers, setting=setting, place=entry.place)
            own = {metric: kind(evaluation) for metric, kind in asked.items()} | _agreement(case, batch, entry, truth)
            found[name] = {metric: value for metric, value in own.items() if metric in metrics}
    return found


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
