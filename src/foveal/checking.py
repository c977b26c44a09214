"""Sanity: an explanation must change when the network forgets, when another class is asked, and not when nothing does.

    randomisation   layers are made random again, from the last to the first; at each step, how alike the map still is.
                    An explanation of the network becomes as different as those of two random networks are (the null);
                    one that stays alike shows the picture, not the network (Adebayo et al., arXiv:1810.03292)
    classes         how alike the maps of two classes are: 1 says the method does not know which was asked
    stability       the largest relative change of the map among neighbours of the picture, by radius

Specification: metrics, sections 9 and 10.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from foveal.api import compare
from foveal.decisions import Class, Target, Verdict
from foveal.decisions.decision import class_scores, two_sided
from foveal.decisions.pinned import Pinned
from foveal.engine.address import INPUT
from foveal.engine.guard import untouched, unwrap
from foveal.errors import FovealError, MethodError, TargetError
from foveal.inquiry import Inquiry, inquire
from foveal.keywords import checked
from foveal.measuring import Made, explained
from foveal.metrics.likeness import LIKENESS
from foveal.metrics.sensitivity import sensitivity
from foveal.models.model import Model
from foveal.passes import run_through
from foveal.probe import Progress
from foveal.results.sanity import Checked, Sanity

if TYPE_CHECKING:
    from jaxtyping import Float

    from foveal.images import Batch, ImageLike

RADII = (0.02, 0.05, 0.1, 0.2, 0.4)
NEIGHBOURS = 4


@checked
def sanity(
    model: nn.Module | Model,
    images: ImageLike | Batch,
    target: Target = None,
    *,
    methods: Sequence[str] = ("gradcam",),
    layer: str | None = None,
    steps: int = 10,
    cascading: bool = True,
    radii: Sequence[float] = RADII,
    seed: int = 0,
    progress: Progress | None = None,
    **about: Any,
) -> Sanity:
    """Curves of how far explanations change, and a verdict for each method.

        found = foveal.sanity(model, "bird.jpg", methods=["gradcam", "guidedbackprop"])
        print(found); found.picture().save("sanity.png")

    Args:
        target: the decision; it is the same class throughout, also when a random network would choose another.
        methods: names, as in `compare`.
        steps: how many points the curve has at most; layers are made random in as many portions.
        cascading: each portion on top of those before; else one portion at a time, alone.
        radii: of stability, in the network's units, in which a picture's colours span about 4.
        seed: of the random weights; each layer has its own.
        about: `preprocessing`, `labels`, as in `explain`.

    The model itself is not touched: a copy forgets. Raises FovealError as `compare` does.
    """
    started = time.perf_counter()
    if steps < 1:
        raise MethodError(f"a curve of {steps} steps shows nothing: ask for one at least")
    inquiry = inquire(model, images, target, **about)
    verdict = run_through(inquiry.scene, [INPUT], gradient=False, backward=False).verdict
    assert verdict is not None
    pinned = Pinned(verdict)
    if not verdict.each:
        raise TargetError("this target cannot be asked of another network: pass a class, a margin or a similarity")

    def explain(subject: Model) -> dict[str, Tensor]:
        return {why.method: why.map.detach().float().cpu()
                for why in compare(subject, inquiry.batch, pinned, methods=methods, layer=layer)}  # fmt: skip

    before = explain(inquiry.subject)
    n = len(inquiry.batch.photos)
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in before}
    names, total = [], min(steps, len(_parts(inquiry)))
    for number, (name, random) in enumerate(_forgetting(inquiry, steps, seed, cascading), 1):
        after = explain(random)
        for method, maps in before.items():
            curves[method].append(_likeness(maps, after[method]))
        names.append(name)
        if progress:
            progress("forgetting", number, total)
    one, other = (_last(_forgetting(inquiry, 1, seed + k, True)) for k in (1, 2))
    null = [explain(subject) for subject in (one, other)]
    again = explained(inquiry.subject, inquiry.batch, pinned, methods, layer)
    checked = {}
    for method, maps in before.items():
        stable = tuple(_moved(again[method], inquiry, verdict, maps, radius, seed) for radius in radii)
        other_class = _of_other_class(inquiry, method, maps, layer)
        like_chance = _likeness(null[0][method], null[1][method])
        checked[method] = Checked(tuple(curves[method]), like_chance, other_class, stable)
    seconds = time.perf_counter() - started
    return Sanity(checked, tuple(names), tuple(radii), inquiry.subject.name, n, cascading, seconds)


def _moved(
    one: Made, inquiry: Inquiry, verdict: Verdict, maps: Float[Tensor, "n h w"], radius: float, seed: int
) -> float:
    """The mean over pictures of how far the map moves within this radius."""
    found = []
    for i, decision in enumerate(verdict.each):
        x = inquiry.batch.tensor[i : i + 1]
        again = partial(one.again, decision)
        found.append(sensitivity(again, x, radius=radius, samples=NEIGHBOURS, seed=seed, map=maps[i]))
    return float(np.nanmean(found))


def reinitialised(module: nn.Module, names: Sequence[str], seed: int) -> None:
    """Make these modules' own weights and statistics random again, each from a seed of its own.

    As the layer itself would begin; what belongs to a layer that does not say how it begins is drawn from a normal
    distribution with the mean and the deviation it has.
    """
    of = dict(module.named_modules())
    with torch.random.fork_rng(), torch.no_grad():
        for name in names:
            torch.manual_seed(seed * 1_000_003 + sum(ord(c) * (k + 1) for k, c in enumerate(name)))
            begin = getattr(of[name], "reset_parameters", None)
            if callable(begin):
                begin()
                continue
            own = [*of[name].parameters(recurse=False), *of[name].buffers(recurse=False)]
            for tensor in own:
                if tensor.is_floating_point():
                    deviation = float(tensor.std()) if tensor.numel() > 1 else float(tensor.abs().mean())
                    tensor.normal_(float(tensor.mean()), max(deviation, 1e-3))


def _parts(inquiry: Inquiry) -> list[str]:
    """Modules with weights of their own, the last to run first."""
    module = unwrap(inquiry.subject.module)
    with_weights = [
        name for name, one in module.named_modules()
        if any(True for _ in one.parameters(recurse=False))
    ]  # fmt: skip
    ran = {name: k for k, name in enumerate(inquiry.scene.tracing().shapes)}
    registered = {name: k for k, name in enumerate(with_weights)}
    if not with_weights:
        raise MethodError("this network has no weights that could be made random")
    return sorted(with_weights, key=lambda name: (ran.get(name, -1), registered[name]), reverse=True)


def _forgetting(inquiry: Inquiry, steps: int, seed: int, cascading: bool) -> Iterator[tuple[str, Model]]:
    """(the last module that was made random, the network) after each portion."""
    parts = _parts(inquiry)
    portions = [list(part) for part in np.array_split(np.array(parts), min(steps, len(parts)))]
    module = copy.deepcopy(unwrap(inquiry.subject.module)).eval()
    for portion in portions:
        if not cascading:
            module = copy.deepcopy(unwrap(inquiry.subject.module)).eval()
        reinitialised(module, portion, seed)
        yield str(portion[-1]), replace(inquiry.subject, module=module)


def _last(steps: Iterator[tuple[str, Model]]) -> Model:
    *_, (_, model) = steps
    return model


def _likeness(one: Float[Tensor, "n h w"], other: Float[Tensor, "n h w"]) -> dict[str, float]:
    """The mean over pictures; maps that are not finite have no likeness, those that vanished are like nothing."""
    found = {}
    for name, measure in LIKENESS.items():
        values = [
            measure(a, b) if bool(torch.isfinite(b).all()) else float("nan") for a, b in zip(one, other, strict=True)
        ]
        known = [value for value in values if value == value]
        found[name] = float(np.mean(known)) if known else 0.0
    return found


def _of_other_class(inquiry: Inquiry, method: str, maps: Float[Tensor, "n h w"], layer: str | None) -> float | None:
    """How alike the maps of the explained class and of the least likely are; None where no class was asked."""
    try:
        with untouched(inquiry.subject.module), torch.no_grad():
            scores = two_sided(class_scores(inquiry.subject.module(inquiry.batch.tensor)))
        if not isinstance(inquiry.decision, Class) or scores.shape[1] < 2:
            return None
        least = scores.argmin(1).tolist()
        other = compare(inquiry.subject, inquiry.batch, Class(least), methods=[method], layer=layer)[0].map
    except FovealError:
        return None
    return _likeness(maps, other.detach().float().cpu())["spearman"]
