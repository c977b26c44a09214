"""What a person looks at on the page, for Python."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from foveal.api.explain import explain
from foveal.api.match import match
from foveal.errors import ResultError
from foveal.webapp.addressing import finer_in
from foveal.webapp.flows import asked_flow, is_flow

if TYPE_CHECKING:
    from foveal.models import Model
    from foveal.results import Explanation, Match
    from foveal.targets import Target
    from foveal.webapp.openings import Viewed
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio


@dataclass(frozen=True)
class Selected:
    """What the person looks at.

    Attributes:
        view: "decision", "tree", "match", …
        photo: its name; `image` is what a verb takes.
        model: its name on the page.
        target: what is explained, as on the command line; "" is the predicted class.
        method: with its options.
        layer: None where none was chosen.
        other: the name of the photo that it is compared with; None in other views.
        channel: (layer, number) of the channel whose page is open.
        node: the chosen node of the tree, as the page names it.
        position: (row, column) of the photo's map whose counterpart is shown in the view Match.
        address: of the page.
    """

    view: str
    photo: str
    model: str
    target: str
    method: str
    layer: str | None
    other: str | None = None
    channel: tuple[str, int] | None = None
    node: str | None = None
    position: tuple[int, int] | None = None
    address: str = ""
    _studio: Studio | None = field(default=None, repr=False, compare=False)
    _hashes: tuple[str, str] = field(default=("", ""), repr=False, compare=False)

    @property
    def image(self) -> object:
        """The photo as a verb takes it."""
        return self._photo(0).image

    def explanation(self) -> Explanation:
        """The same as `foveal.explain(model, image, target, method=…, layer=…)`, finer where the page is; or a flow."""
        studio, model, target = self._asked()
        if is_flow(self.method):
            images, layer = [self._photo(0).image], "all" if self.layer is None else self.layer
            return asked_flow(studio, self.method, model, images, target, layer, lambda what, done, total: None)
        method = studio.method(self.method)
        resolution, scales = finer_in(_fields(self.address))
        return explain(
            model, [self._photo(0).image], target, method=method, layer=self.layer, resolution=resolution, scales=scales
        )

    def match(self) -> Match:
        """The two photos that are compared, as `foveal.match(model, image, other)`.

        Raises:
            ResultError: where no two photos are compared.
        """
        if self.other is None:
            raise ResultError("no second photo is selected: open the view Match on the page")
        _, model, _ = self._asked()
        images = [self._photo(0).image], [self._photo(1).image]
        fields = _fields(self.address)
        metric = fields.get("metric", "cosine")
        weights = fields.get("by", "").partition("weights=")[2] or "contribution"
        return match(model, *images, metric=metric, weights=weights, layer=fields.get("of"))

    def _asked(self) -> tuple[Studio, Model, Target | None]:
        assert self._studio is not None
        model = self._studio.model(self.model)
        return self._studio, model, self._studio.target(self.target, model)

    def _photo(self, which: int) -> StudioPhoto:
        assert self._studio is not None
        return self._studio.photo(self._hashes[which])


def selected_in(studio: Studio) -> Selected | None:
    """What the page told last; None where it told nothing, or its photo is gone."""
    viewed: Viewed | None = studio.openings.viewed if studio.openings else None
    if viewed is None or not studio.photos.has(viewed.photo):
        return None
    path = viewed.address.removeprefix("#/").partition("?")[0].split("/")
    fields = _fields(viewed.address)
    other = fields.get("with", "") if path[0] == "match" else ""
    channel = path if path[0] == "channel" and len(path) == 3 and path[2].isdecimal() else None
    at = re.fullmatch(r"query:(\d{1,5}),(\d{1,5})", fields.get("at", "")) if path[0] == "match" else None
    return Selected(
        view=path[0],
        photo=studio.photo(viewed.photo).name,
        model=viewed.model,
        target=viewed.target,
        method=viewed.method,
        layer=viewed.layer or None,
        other=studio.photo(other).name if studio.photos.has(other) else None,
        channel=(unquote(channel[1]), int(channel[2])) if channel else None,
        node=(fields.get("node") or fields.get("open")) if path[0] == "tree" else None,
        position=(int(at[1]), int(at[2])) if at else None,
        address=viewed.address,
        _studio=studio,
        _hashes=(viewed.photo, other),
    )


def _fields(address: str) -> dict[str, str]:
    return dict(parse_qsl(address.partition("?")[2]))
