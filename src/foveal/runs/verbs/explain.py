"""`foveal.explain` of every picture, with a deletion test of each map where that is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.api.explain import explanations
from foveal.engine.select import LayerSpec
from foveal.errors import MethodError
from foveal.methods import Method, MethodLike, find_methods
from foveal.runs.verbs.contributions import ChannelContributions
from foveal.runs.verbs.verb import Ask, Columns, Decides, general_notes
from foveal.storage.fingerprint import fingerprint

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.models.model import Model
    from foveal.results import Explanation

DELETION = ("audit_area", "audit_effect", "audit_chance", "audit_spread", "audit_beats")


@dataclass(frozen=True, kw_only=True)
class ExplainEach:
    """A map of each layer.

    Attributes:
        method, layer, resolution, scales: as in `foveal.explain`.
        audit: whether each map has a deletion test.
        contributions: whether what each channel contributes to the score is kept.
    """

    name: ClassVar[str] = "explain"
    alone: ClassVar[bool] = False

    method: MethodLike = "gradcam"
    layer: LayerSpec = None
    resolution: int = 1
    scales: Sequence[float] = (1.0,)
    audit: bool = False
    contributions: bool = False
    chosen: NamedMethod = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chosen", NamedMethod.of(self.method))

    @property
    def decides(self) -> Decides:
        """A method of activations alone looks at a decision only where one is given."""
        blind = self.chosen.method.needs == "activations" and not self.contributions
        return "where given" if blind else "always"

    def made_by(self, model: Model) -> str:
        return self.chosen.name

    def settings(self) -> Mapping[str, Any]:
        return {
            "formula": fingerprint(method=self.chosen.method),
            "layer": layer_setting(self.layer),
            "resolution": self.resolution,
            "scales": [*self.scales],
            "audit": self.audit,
            "contributions": self.contributions,
        }

    def begin(self, model: Model) -> Ask:
        return self._columns

    def _columns(self, context: Context) -> Columns:
        (why,) = explanations(
            context, {self.chosen.name: self.chosen.method}, self.layer, resolution=self.resolution, scales=self.scales
        )
        return Columns(
            why,
            deletion_tests(context, why) if self.audit else {},
            notes=general_notes(why),
            contributions=ChannelContributions.of(context, why) if self.contributions else None,
        )


@dataclass(frozen=True)
class NamedMethod:
    """The one method of a run, and the name that it answers to."""

    name: str
    method: Method

    @classmethod
    def of(cls, given: MethodLike) -> NamedMethod:
        """Raises MethodError for a word that stands for several, or for none."""
        methods = find_methods([given])
        if len(methods) != 1:
            raise MethodError(f"a run has one method, and {given!r} are {len(methods)}: name one")
        return cls(*next(iter(methods.items())))


def layer_setting(layer: LayerSpec) -> str | None:
    """Which layers, as a fingerprint; None for the usual ones."""
    return None if layer is None else fingerprint(layer=layer)


def deletion_tests(context: Context, why: Explanation) -> dict[str, list[float | None]]:
    """A column for each number of a deletion test of the deepest layer's map."""
    from foveal.api.audit import audit

    tests = audit(context.subject, context.batch, context.target, explanations=why)
    each = [(test.area, test.effect, *test.chance, test.beats) for test in tests]
    return {name: [float(test[k]) for test in each] for k, name in enumerate(DELETION)}
