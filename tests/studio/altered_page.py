"""What tests of the altered photo share: shapes as the address has them, and the lead of the drawn jay."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import torch

import foveal
from foveal.images import load_images
from foveal.webapp.shapes import Shape, rasterized

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from foveal.images import Batch
    from foveal.models import Model
    from foveal.webapp.studio import Studio

JAY, OTHER = "Fan-crested Jay", "Crown-crested Jay"


@cache
def own_model() -> Model:
    """The network once more: the studio's own has hooks while it answers."""
    return foveal.load_model("demo")


def photo_named(studio: Studio, class_name: str) -> str:
    """The hash of the drawn photo of a class."""
    return next(photo.hash for photo in studio.photos if photo.scene and photo.scene.class_name == class_name)


def input_of(studio: Studio, photo: str, model: Model) -> Batch:
    """What the network gets of a photo."""
    return load_images([studio.photos[photo].image], model.preprocessing)


def lead(model: Model, x: torch.Tensor, first: str = JAY, second: str = OTHER) -> torch.Tensor:
    """Why the one and not the other, whatever the network says now."""
    assert model.labels is not None
    with torch.no_grad():
        z = model.module.eval()(x)
    return z[:, model.labels.index(first)] - z[:, model.labels.index(second)]


def mask(shape: dict[str, Any], batch: Batch) -> torch.Tensor:
    """The pixels of a shape."""
    return rasterized(Shape.model_validate(shape), batch.photos[0].geometry)


def field_of(page: Page, name: str) -> str:
    """A field of the page's address."""
    return parse_qs(urlsplit(urlsplit(page.url).fragment).query).get(name, [""])[0]


def shape_of(page: Page) -> dict[str, Any]:
    """The shape in the address, read as the address is documented: base 36, thousandths of the photo."""
    shape: dict[str, Any] = {"strokes": []}
    for part in filter(None, field_of(page, "shape").split("_")):
        kind, text = part[0], part[1:]
        if kind == "t":
            ox, oy, dx, dy, *runs = (int(number, 36) for number in text.split("."))
            triples = [runs[k : k + 3] for k in range(0, len(runs), 3)]
            shape["tiles"] = {"offset": [ox / 1e6, oy / 1e6], "step": [dx / 1e6, dy / 1e6], "runs": triples}
        else:
            radius, *rest = (int(text[k : k + 2], 36) for k in range(0, len(text), 2))
            points = [[(rest[k] - 147) / 1000, (rest[k + 1] - 147) / 1000] for k in range(0, len(rest), 2)]
            shape["strokes"].append({"radius": radius / 1000, "points": points, "erase": kind == "x"})
    return shape


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(re.sub(r"[^\d.−-]", "", text).replace("−", "-"))


def numbers(text: str) -> list[float]:
    """All numbers with a point, or followed by a percent sign."""
    return [float(found.replace("−", "-")) for found in re.findall(r"−?\d+\.\d+|−?\d+(?=\s?%)", text)]
