"""`foveal.parts` of every picture: a map of each part, its share of the activity, and its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.api.parts import own_pooling, part_remarks, parts
from foveal.engine.select import LayerSpec
from foveal.results import Explanation
from foveal.runs.verbs.explain import layer_setting
from foveal.runs.verbs.verb import Ask, Columns, Decides, general_notes

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from foveal.attribution.context import Context
    from foveal.models.model import Model
    from foveal.results import Parts

USUAL = 3


@dataclass(frozen=True, kw_only=True)
class PartsOfEach:
    """Maps "part3", "part2", "part1" of the ranked parts, the most active one last, and the score divided among them.

    Attributes:
        count, resolution, layer: as in `foveal.parts`.
    """

    name: ClassVar[str] = "parts"
    decides: ClassVar[Decides] = "always"
    alone: ClassVar[bool] = False

    count: int | None = None
    resolution: int = 1
    layer: LayerSpec = None

    def made_by(self, model: Model) -> str:
        own = own_pooling(model.module)
        return f"parts:count={own[1].count if own else self.count or USUAL}"

    def settings(self) -> Mapping[str, Any]:
        return {"count": self.count, "resolution": self.resolution, "layer": layer_setting(self.layer)}

    def begin(self, model: Model) -> Ask:
        return self._columns

    def _columns(self, context: Context) -> Columns:
        ranked = parts(
            context.subject, context.batch, context.target,
            count=self.count, resolution=self.resolution, layer=self.layer,
        )  # fmt: skip
        numbers = {
            **{f"share_part{k + 1}": column for k, column in enumerate(activity_shares(ranked).T.tolist())},
            **{f"evidence_part{k + 1}": column for k, column in enumerate(ranked.evidence.T.tolist())},
            "remainder": ranked.remainder.tolist(),
            "offset": ranked.offset.tolist(),
            "coverage": [ranked.coverage(i) for i in range(len(ranked))],
        }
        together = {*part_remarks(ranked)}
        return Columns(
            _map_each(ranked),
            numbers,
            remarks=[part_remarks(ranked[i]) for i in range(len(ranked))],
            notes=tuple(note for note in general_notes(ranked) if note not in together),
            asked={} if self.layer is None else {"layer": ranked.layer},
        )


def activity_shares(ranked: Parts) -> Float[Tensor, "n k"]:
    """How much of the activity of each image is in each part, 0..1; what no part has is the rest to 1."""
    n, shares = ranked.groups.norm.flatten(1), ranked.groups.shares[:, :-1].flatten(2)
    return (shares * n[:, None]).sum(2) / n.sum(1, keepdim=True).clamp(min=1e-30)


def _map_each(ranked: Parts) -> Explanation:
    """The parts as the maps of an explanation, from the last to the first, which is drawn."""
    ranks = [*reversed(range(ranked.count))]
    place = ranked.where.get(ranked.layer)
    return Explanation(
        maps={f"part{k + 1}": ranked.groups.display[:, k].detach() for k in ranks},
        where={f"part{k + 1}": place for k in ranks} if place else {},
        photos=ranked.photos, score=ranked.score, probability=ranked.probability, target=ranked.target,
        target_spec=ranked.target_spec, method=ranked.method, parameters=ranked.parameters, model=ranked.model,
        versions=ranked.versions,
    )  # fmt: skip
