"""Where on the page a result is: its view, photo, model, target and method, as an address."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

import numpy as np
from PIL import Image
from torch import Tensor

from foveal.errors import ResultError, shown
from foveal.results import Explanation, Match, Parts
from foveal.results.feature_images import FeatureImages
from foveal.results.retrieval import Retrieval
from foveal.results.tree import Tree
from foveal.runs.reasons import Reasons
from foveal.runs.result import Run
from foveal.webapp.addressing import (
    check_number,
    finer_fields,
    match_fields,
    method_text,
    model_in,
    page_address,
    photo_in,
    target_in,
)
from foveal.webapp.opened_run import show_run
from foveal.webapp.trees import NAMED

if TYPE_CHECKING:
    from foveal.images.load import OneImage
    from foveal.webapp.studio import Studio

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
    return page_address("decision", photo=studio.add_photos(result)[i].hash)


def _explanation(studio: Studio, why: Explanation, i: int) -> str:
    check_number(i, len(why.photos))
    model = model_in(studio, why.model)
    return page_address(
        "decision",
        photo=photo_in(studio, why.photos[i]).hash,
        model=model,
        target=target_in(studio, why, i),
        method=method_text(why),
        layer=why.layer,
        **finer_fields(why.parameters),
    )


def _match(studio: Studio, pair: Match, i: int) -> str:
    check_number(i, len(pair.queries))
    model, first = model_in(studio, pair.model), pair.references[pair.ranking(i)[0]]
    query = photo_in(studio, pair.queries[i])
    for reference in pair.references:
        photo_in(studio, reference)
    fields = match_fields(photo_in(studio, first).hash, pair.weights, pair.metric)
    return page_address("match", photo=query.hash, model=model, **fields)


def _contrast(studio: Studio, found: Retrieval, i: int) -> str:
    if not found.contrasts:
        raise ResultError("this retrieval has no query with maps: foveal.retrieve(…, show=20) makes them")
    check_number(i, len(found.contrasts))
    model, one = model_in(studio, found.model), found.contrasts[i]
    photos = [photo_in(studio, photo).hash for photo in (one.query_photo, one.wrong_photo, one.right_photo)]
    fields = {"with": photos[1], "than": photos[2], "show": "apart"}
    metric = "" if found.metric == "cosine" else found.metric
    return page_address("match", photo=photos[0], model=model, metric=metric, **fields)


def _tree(studio: Studio, tree: Tree) -> str:
    """The way it is grown is in the address; the page grows it anew."""
    model, how = model_in(studio, tree.model), tree.parameters
    nodes, reference = str(how["nodes"]), str(how.get("reference", ""))
    if nodes == "parts" and reference not in NAMED:
        raise ResultError(
            f"this tree compares with {reference or 'nothing'}, and the page with {', '.join(NAMED)}: grow it with one "
            "of these to open it"
        )
    grown = {"reference": reference} if nodes == "parts" else {"rule": str(how["rule"])}
    return page_address(
        "tree",
        photo=photo_in(studio, tree.photo).hash,
        model=model,
        target=target_in(studio, tree, 0),
        nodes=nodes,
        branching=str(how["branching"]),
        **grown,
    )


def _parts(studio: Studio, parts: Parts, i: int) -> str:
    check_number(i, len(parts.photos))
    return page_address("parts", model=model_in(studio, parts.model), photo=photo_in(studio, parts.photos[i]).hash)


def _channel(studio: Studio, images: FeatureImages, i: int) -> str:
    check_number(i, len(images.images))
    image = images.images[i]
    if image.channels.numel() != 1:
        raise ResultError(f"{image.name} is an image of several channels: the studio has a page for each single one")
    path = f"channel/{quote(image.layer, safe='')}/{int(image.channels[0])}"
    return page_address(path, model=model_in(studio, images.model))
