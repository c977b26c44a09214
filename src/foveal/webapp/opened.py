"""Where on the page a result is: its view, photo, model, target and method, as an address."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

import numpy as np
from PIL import Image
from torch import Tensor

from foveal.errors import FovealError, ResultError, shown
from foveal.images.load import NO_FILE
from foveal.methods import METHODS
from foveal.report.answers.decision import spec_text
from foveal.results import Explanation, Match, Parts
from foveal.results.feature_images import FeatureImages
from foveal.results.retrieval import Retrieval
from foveal.results.tree import Tree
from foveal.runs.reasons import Reasons
from foveal.runs.result import Run
from foveal.webapp.atlas import Atlas, atlas_of
from foveal.webapp.trees import NAMED

if TYPE_CHECKING:
    from foveal.images import Photo
    from foveal.images.load import OneImage
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio

TRIED = 20  # rows of a run that are tried for a first photo
Openable: TypeAlias = "Explanation | Tree | Match | Retrieval | Parts | FeatureImages | Run | Reasons | OneImage"


def address_of(studio: Studio, result: Openable, i: int = 0) -> str:
    """The address; photos that are not there are added.

    Raises:
        ResultError: for what has no view, or is not of this studio.
    """
    match result:
        case Parts():  # which is an Explanation, too
            return _parts(studio, result, i)
        case Explanation():
            return _explanation(studio, result, i)
        case Match():
            return _match(studio, result, i)
        case Retrieval():
            return _contrast(studio, result, i)
        case Tree():
            return _tree(studio, result)
        case FeatureImages():
            return _channel(studio, result, i)
        case Run() | Reasons():
            return show_run(studio, result)
        case _:
            pass
    if not isinstance(result, str | PathLike | Image.Image | np.ndarray | Tensor):
        raise ResultError(
            f"the studio has no view of {shown(result)}: open an Explanation, Tree, Match, Retrieval, Parts, "
            "FeatureImages, Run or Reasons, or an image"
        )
    return _address("decision", photo=studio.add_photos(result)[i].hash)


def show_run(studio: Studio, shown: Run | Reasons) -> str:
    """Show the decisions of a run, in the place of those of another; the address of the atlas.

    Raises:
        ResultError: for a run without rows.
        ModelError: where no model of this studio made it.
    """
    studio.atlas = atlas_of(shown, studio.models)
    for row in range(0 if len(studio.photos) else min(TRIED, len(studio.atlas.run))):
        with suppress(FovealError):
            row_address(studio, studio.atlas, row)  # a photo for the views that show one
            break
    return _address("atlas")


def row_address(studio: Studio, shown: Atlas, row: int) -> str:
    """The address of the decision of a row; its photo is read from its file, and becomes one of the studio's.

    Of flows, parts and matches the page shows the decision as it shows any: it has no such map for one photo alone.

    Raises:
        FovealError: for a row with an error, and for a photo that cannot be read.
    """
    (row,) = shown.checked([row])
    why, verb = replace(shown.run[row], model=shown.model), shown.run.record.settings["verb"]
    if verb in ("explain", "measure"):
        return _explanation(studio, why, 0)
    photo, target = _photo(studio, why.photos[0]), "" if verb == "match" else _target(studio, why, 0)
    return _address("decision", photo=photo.hash, model=_model(studio, why.model), target=target)


def _explanation(studio: Studio, why: Explanation, i: int) -> str:
    _check(i, len(why.photos))
    model = _model(studio, why.model)
    layer = why.layer if len(why.layers) == 1 else ""
    return _address(
        "decision",
        photo=_photo(studio, why.photos[i]).hash,
        model=model,
        target=_target(studio, why, i),
        method=_method(why),
        layer=layer,
    )


def _match(studio: Studio, pair: Match, i: int) -> str:
    _check(i, len(pair.queries))
    model, first = _model(studio, pair.model), pair.references[pair.ranking(i)[0]]
    query = _photo(studio, pair.queries[i])
    for reference in pair.references:
        _photo(studio, reference)
    weights = "" if pair.weights == "contribution" else f"fam:weights={pair.weights}"
    metric = "" if pair.metric == "cosine" else pair.metric
    fields = {"with": _photo(studio, first).hash, "by": weights, "metric": metric}
    return _address("match", photo=query.hash, model=model, **fields)


def _contrast(studio: Studio, found: Retrieval, i: int) -> str:
    if not found.contrasts:
        raise ResultError("this retrieval has no query with maps: foveal.retrieve(…, show=20) makes them")
    _check(i, len(found.contrasts))
    model, one = _model(studio, found.model), found.contrasts[i]
    photos = [_photo(studio, photo).hash for photo in (one.query_photo, one.wrong_photo, one.right_photo)]
    fields = {"with": photos[1], "than": photos[2], "show": "apart"}
    metric = "" if found.metric == "cosine" else found.metric
    return _address("match", photo=photos[0], model=model, metric=metric, **fields)


def _tree(studio: Studio, tree: Tree) -> str:
    """The way it is grown is in the address; the page grows it anew."""
    model, how = _model(studio, tree.model), tree.parameters
    nodes, reference = str(how["nodes"]), str(how.get("reference", ""))
    if nodes == "parts" and reference not in NAMED:
        raise ResultError(
            f"this tree compares with {reference or 'nothing'}, and the page with {', '.join(NAMED)}: grow it with one "
            "of these to open it"
        )
    grown = {"reference": reference} if nodes == "parts" else {"rule": str(how["rule"])}
    return _address(
        "tree",
        photo=_photo(studio, tree.photo).hash,
        model=model,
        target=_target(studio, tree, 0),
        nodes=nodes,
        branching=str(how["branching"]),
        **grown,
    )


def _parts(studio: Studio, parts: Parts, i: int) -> str:
    _check(i, len(parts.photos))
    return _address("parts", model=_model(studio, parts.model), photo=_photo(studio, parts.photos[i]).hash)


def _channel(studio: Studio, images: FeatureImages, i: int) -> str:
    _check(i, len(images.images))
    image = images.images[i]
    if image.channels.numel() != 1:
        raise ResultError(f"{image.name} is an image of several channels: the studio has a page for each single one")
    path = f"channel/{quote(image.layer, safe='')}/{int(image.channels[0])}"
    return _address(path, model=_model(studio, images.model))


def _address(view: str, **fields: str) -> str:
    kept = {name: value for name, value in sorted(fields.items()) if value}
    return f"#/{view}" + (f"?{urlencode(kept)}" if kept else "")


def _check(i: int, count: int) -> None:
    if not 0 <= i < count:
        raise ResultError(f"this result has no image {i}: it has {count}, counted from 0")


def _model(studio: Studio, name: str) -> str:
    """The studio's name of the model that a result is of."""
    if name in studio.models:
        return name
    called = [key for key, model in studio.models.items() if model.name == name]
    if not called:
        raise ResultError(f"this result is of the model {name}, and the studio has {', '.join(studio.models)}")
    return called[0]


def _photo(studio: Studio, photo: Photo) -> StudioPhoto:
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


def _target(studio: Studio, result: Explanation | Tree, i: int) -> str:
    spec: Any = result.target_spec
    if spec.get("kind") == "none":
        return ""
    if spec.get("kind") == "callable":
        for name, target in studio.targets.items():
            if spec["name"] in (name, getattr(target, "__name__", type(target).__name__)):
                return f"own:{name}"
    text = spec_text(result.target if isinstance(result, Tree) else result.target[i], spec)
    if text.startswith("own:"):
        raise ResultError(
            f"this result explains {text[4:]}, which the page cannot ask for: name it when the studio is opened, "
            "foveal.studio(model, targets={…})"
        )
    return text


def _method(why: Explanation) -> str:
    """The method with the options that are not its usual ones."""
    method = METHODS.get(why.method)
    if method is None:
        raise ResultError(f"the studio has no method {why.method}: it shows those that `foveal methods` lists")
    changed = [f"{name}={value}" for name, value in why.parameters.items() if method.options.get(name, value) != value]
    return ":".join([why.method, ",".join(changed)]) if changed else why.method
