"""Addresses of the page, and what they are made of: the names and hashes that a studio has for parts of a result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from foveal.errors import ResultError
from foveal.images.load import NO_FILE
from foveal.methods import METHODS
from foveal.methods.reference import BASELINES
from foveal.report.answers.decision import spec_text
from foveal.results.tree import Tree
from foveal.webapp.flows import flow_text, is_flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foveal.images import Photo
    from foveal.results import Explanation
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio

ELSEWHERE = "ask for it in Python"


def page_address(view: str, **fields: str) -> str:
    """The address of a view; what is "" is left out."""
    kept = {name: value for name, value in sorted(fields.items()) if value}
    return f"#/{view}" + (f"?{urlencode(kept)}" if kept else "")


def check_number(i: int, count: int) -> None:
    """Raises ResultError for an image that a result has not."""
    if not 0 <= i < count:
        raise ResultError(f"this result has no image {i}: it has {count}, counted from 0")


def model_in(studio: Studio, name: str) -> str:
    """The studio's name of the model that a result is of."""
    if name in studio.models:
        return name
    called = [key for key, model in studio.models.items() if model.name == name]
    if not called:
        raise ResultError(f"this result is of the model {name}, and the studio has {', '.join(studio.models)}")
    return called[0]


def photo_in(studio: Studio, photo: Photo) -> StudioPhoto:
    """The photo of a result, added where it is not there."""
    known = studio.photos.find(photo.pixels)
    if known is not None:
        return known
    if photo.source == "tensor":
        raise ResultError("this result is about a tensor, which the studio does not have: add it first, s.add(tensor)")
    path = Path(photo.source)
    if photo.source not in NO_FILE and path.is_file():
        studio.add_photos([path])
        if (known := studio.photos.find(photo.pixels)) is not None:
            return known
    return studio.photos.add(photo.pixels, path.name, source=repr(photo.source))


def target_in(studio: Studio, result: Explanation | Tree, i: int) -> str:
    """The target as the page has it; "" where there is none. Raises ResultError for one that the page cannot ask."""
    spec: Any = result.target_spec
    if spec.get("kind") == "none":
        return ""
    said = result.target if isinstance(result, Tree) else result.target[i]
    if spec.get("of") == "probability":
        raise ResultError(f"this result explains the probability of {said}, and the page its score: {ELSEWHERE}")
    if spec.get("kind") == "callable":
        for name, target in studio.targets.items():
            if spec["name"] in (name, getattr(target, "__name__", type(target).__name__)):
                return f"own:{name}"
    try:
        text = spec_text(said, spec)
    except KeyError as error:  # a run of an earlier version kept less
        raise ResultError(f"the {error.args[0]} of {said} is not kept with this result: {ELSEWHERE}") from error
    if text.startswith("own:"):
        raise ResultError(
            f"this result explains {text[4:]}, which the page cannot ask for: name it when the studio is opened, "
            "foveal.studio(model, targets={…})"
        )
    return text


def method_text(why: Explanation) -> str:
    """The method with the options that are not its usual ones; those of a finer map are in `finer_fields`."""
    if is_flow(why.method):
        if (reference := why.parameters.get("reference", "blur")) not in BASELINES:
            raise ResultError(
                f"this flow compares with {reference}, and the page with {', '.join(BASELINES)} or a photo of a run"
            )
        return flow_text(why.parameters)
    name, _, options = why.method.partition(":")
    method = METHODS.get(name)
    if method is None:
        raise ResultError(f"the studio has no method {why.method}: it shows those that `foveal methods` lists")
    if options:
        return why.method
    changed = [f"{name}={value}" for name, value in why.parameters.items() if method.options.get(name, value) != value]
    return ":".join([why.method, ",".join(changed)]) if changed else why.method


def finer_fields(made: Mapping[str, Any]) -> dict[str, str]:
    """What the address says of a map that is finer than its layer; "" where it is not.

    Args:
        made: has `resolution` and `scales`, as `foveal.explain` takes them, unless these are 1.
    """
    resolution, scales = int(made.get("resolution", 1)), [float(scale) for scale in made.get("scales", (1.0,))]
    return {
        "finer": "" if resolution == 1 else str(resolution),
        "scales": "" if scales == [1.0] else ",".join(f"{scale:.9g}" for scale in scales),
    }


def finer_in(fields: Mapping[str, str]) -> tuple[int, tuple[float, ...]]:
    """Resolution and scales that the fields of an address ask for. Raises ResultError for what are no numbers."""
    finer, scales = fields.get("finer", "1"), fields.get("scales", "1")
    try:
        return int(finer), tuple(map(float, scales.split(",")))
    except ValueError as error:
        raise ResultError(f"the page asks for a map {finer} times finer at scales {scales}: give numbers") from error


def match_fields(other: str, weights: str, metric: str) -> dict[str, str]:
    """What the address of a match says beside photo and model: compared with which photo, and how."""
    by = "" if weights == "contribution" else f"fam:weights={weights}"
    return {"with": other, "by": by, "metric": "" if metric == "cosine" else metric}
