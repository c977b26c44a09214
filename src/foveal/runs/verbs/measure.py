"""`foveal.measure` of every picture: the map of one method, and a number for each metric of faithfulness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from foveal.api.map_sources import RepeatableMap, repeatable
from foveal.api.measure import STEPS, default_setting, measure
from foveal.attribution.perturbation import UNMOVED
from foveal.engine.chunks import WHOLE, fitting
from foveal.engine.precision import Precision
from foveal.engine.select import LayerSpec
from foveal.errors import MethodError
from foveal.methods import MethodLike
from foveal.metrics.metric import find_metrics
from foveal.runs.verbs.contributions import ChannelContributions
from foveal.runs.verbs.explain import NamedMethod, deletion_tests, layer_setting
from foveal.runs.verbs.verb import Ask, Columns, Decides, general_notes, known
from foveal.storage.fingerprint import fingerprint

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.models.model import Model

SETS = ("usual", "all")
ROUNDED = " scored in "
"""In what is said of the precision of copies, with numbers of one picture."""


@dataclass(frozen=True, kw_only=True)
class MeasureEach:
    """A map, and how faithful it is by each metric: columns "measure_deletion", "measure_road", …

    Attributes:
        method, layer: as in `foveal.explain`, of one layer.
        metrics, baseline_maps: as in `foveal.measure`; numbers of baseline maps are "measure_deletion_random".
        steps: of deletion and insertion, at most.
        precision: "float32", or "bfloat16" for the altered copies; not "auto", which depends on the machine.
        audit, contributions: whether each map has a deletion test, too, and what each channel contributes is kept.
    """

    name: ClassVar[str] = "measure"
    decides: ClassVar[Decides] = "always"
    alone: ClassVar[bool] = True

    method: MethodLike = "gradcam"
    layer: LayerSpec = None
    metrics: str | Sequence[str] = "usual"
    baseline_maps: Sequence[str] | bool = False
    steps: int = STEPS
    precision: Precision = "float32"
    audit: bool = False
    contributions: bool = False
    chosen: NamedMethod = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chosen", NamedMethod.of(self.method))
        metrics = find_metrics(self.metrics)
        outside = [name for name, metric in metrics.items() if metric.needs in ("object", "boxes")]
        if outside and self.metrics not in SETS:
            raise MethodError(
                f"{', '.join(outside)} need{'s' * (len(outside) == 1)} the place of the object, which a run does not "
                "know: leave out such metrics, or use `foveal benchmark folder`"
            )
        if self.precision == "auto":
            raise MethodError(
                "precision='auto' depends on the machine, and a run has the same numbers on each: give float32 or "
                "bfloat16"
            )

    def made_by(self, model: Model) -> str:
        return self.chosen.name

    def settings(self) -> Mapping[str, Any]:
        maps = self.baseline_maps
        return {
            "formula": fingerprint(method=self.chosen.method),
            "layer": layer_setting(self.layer),
            "metrics": [*find_metrics(self.metrics)],
            "baseline_maps": maps if isinstance(maps, bool) else [*maps],
            "steps": self.steps,
            "precision": self.precision,
            "audit": self.audit,
            "contributions": self.contributions,
        }

    def begin(self, model: Model) -> Ask:
        return self._columns

    def _columns(self, context: Context) -> Columns:
        source = self._source(context)
        # Chunks of one size, whatever memory there is: they decide the last digits.
        setting = replace(default_setting(context.x, steps=self.steps), chunk=fitting(context.x[:1], WHOLE))
        scores = measure(
            context.subject, context.batch, context.target, explanations={self.chosen.name: source},
            metrics=self.metrics, baseline_maps=self.baseline_maps, setting=setting, precision=self.precision,
        )  # fmt: skip
        numbers = {
            f"measure_{metric}{name and '_'}{name.strip('()')}": [known(value) for value in values]
            for of, by_metric in scores.values.items()
            for name in ["" if of == self.chosen.name else of]
            for metric, values in by_metric.items()
        }
        why, notes = source.why, (*source.why.notes, *scores.notes)
        if self.audit:
            numbers |= deletion_tests(context, why)
        own = {*why.notes} - {*general_notes(why)}
        remarks = [note for note in scores.notes if ROUNDED in note or note == UNMOVED]
        own |= {*remarks}
        return Columns(
            why,
            numbers,
            remarks=[remarks],
            notes=tuple(dict.fromkeys(note for note in notes if note not in own)),
            contributions=ChannelContributions.of(context, why) if self.contributions else None,
        )

    def _source(self, context: Context) -> RepeatableMap:
        (source,) = repeatable(context, [self.chosen.method], self.layer).values()
        if len(source.why.layers) > 1:
            raise MethodError(f"a run measures the map of one layer, and these are {', '.join(source.why.layers)}")
        return source
