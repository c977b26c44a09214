"""A run on the page, and where a row of it opens: in the view of its verb with the run's settings, or in any other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.api.match import WEIGHTS
from foveal.errors import FovealError, MethodError, ModelError, ResultError
from foveal.methods.reference import BASELINES
from foveal.runs.question import preprocessing_setting
from foveal.similarity import METRICS
from foveal.storage.fingerprint import fingerprint
from foveal.webapp.addressing import finer_fields, match_fields, model_in, page_address, photo_in, target_in
from foveal.webapp.atlas import Atlas, atlas_of
from foveal.webapp.flows import PHOTO, flow_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from foveal.results import Explanation
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run
    from foveal.webapp.studio import Studio

TRIED = 20  # rows of a run that are tried for a first photo
VIEWS = {"match": "match", "parts": "parts"}
"""Of a verb; that of all others is "decision"."""


def show_run(studio: Studio, shown: Run | Reasons) -> str:
    """Show the decisions of a run, in the place of those of another; the address of the atlas.

    Raises:
        ResultError: for a run without rows.
        ModelError: where no model of this studio made it.
    """
    studio.atlas = atlas_of(shown, studio.models)
    for row in range(0 if len(studio.photos) else min(TRIED, len(studio.atlas.run))):
        with suppress(FovealError):
            photo_in(studio, studio.atlas.run[row].photos[0])  # for the views that show one
            break
    return page_address("atlas")


def row_address(studio: Studio, shown: Atlas, row: int, view: str = "") -> str:
    """The address of the decision of a row; its photo is read from its file, and becomes one of the studio's.

    Args:
        view: "" is that of the run's verb, with all that the run asked. Another one shows the same photo, network and
            target, and the method of an explanation.

    Raises:
        FovealError: for a row with an error, for a photo that cannot be read, and for settings that the view has not.
    """
    (row,) = shown.checked([row])
    why = replace(shown.run[row], model=shown.model)
    settings = shown.run.record.settings
    verb = settings["verb"]
    own = view_of(shown.run)
    on = {"photo": photo_in(studio, why.photos[0]).hash, "model": model_in(studio, why.model)}
    if verb != "match":
        on["target"] = target_in(studio, why, 0)
    if view in ("", own):
        if notes := other_network(studio, shown):
            raise ModelError(*notes)
        on |= OPENED.get(verb, _explained)(studio, shown.run, row, why)
    elif verb in ("explain", "measure"):
        on["layer"] = why.layer
        with suppress(MethodError):
            on["method"] = _method(studio, shown.run)
    return page_address(view or own, **on)


def other_network(studio: Studio, shown: Atlas) -> tuple[str, ...]:
    """What the page does otherwise with the network of the run, whose weights it has: a sentence, or none."""
    settings, model = shown.run.record.settings, studio.model(shown.model)
    prepared = preprocessing_setting(model.preprocessing)
    known = prepared == preprocessing_setting(model.preprocessing)  # what cannot be read is not equal to itself
    apart = {
        "another preprocessing": known and prepared != settings["preprocessing"],
        "other labels": fingerprint(labels=model.labels) != settings["labels"],
        "another task": model.task != settings["task"],
    }
    if not any(apart.values()):
        return ()
    words = " and ".join(what for what, differs in apart.items() if differs)
    sentence = (
        f"the run was made with {words} than {shown.model} has here, so the page would show another map: open the "
        "studio with the same preprocessing, labels and task"
    )
    return (sentence,)


def view_of(run: Run) -> str:
    """Where a row opens as the run asked for it."""
    return VIEWS.get(run.record.settings["verb"], "decision")


def asked_of_run(studio: Studio, run: Run) -> dict[str, Any]:
    """What makes the maps of a run, as the page asks for it: method, layer, resolution and scales.

    Raises:
        ResultError: where the page has no such map of one photo's decision.
    """
    verb = run.record.settings["verb"]
    if view_of(run) != "decision":
        raise ResultError(
            f"the run has maps of {'parts' if verb == 'parts' else 'matches'}, and this view shows another kind: open "
            "a row of the run in the view Atlas, which compares rows"
        )
    layer = {"layer": run.layers[-1]}
    if verb == "flow":
        return {"method": _flow_method(studio, run), **layer}
    return {"method": _method(studio, run), **layer, **_finer(run)}


def _method(studio: Studio, run: Run) -> str:
    """The method of explanations. Raises MethodError for one that the page does not have."""
    name = str(run.record.settings["method"])
    try:
        studio.method(name)
    except FovealError as error:
        raise MethodError(
            f"the page does not have the method {name} that made the maps of the run: explain this photo with it in "
            "Python, or open this row in another view"
        ) from error
    return name


def _finer(run: Run) -> dict[str, Any]:
    settings = run.record.settings
    return {name: settings[name] for name in ("resolution", "scales") if name in settings}


def _explained(studio: Studio, run: Run, row: int, why: Explanation) -> dict[str, str]:
    return {"method": _method(studio, run), "layer": why.layer, **finer_fields(_finer(run))}


def _flow(studio: Studio, run: Run, row: int, why: Explanation) -> dict[str, str]:
    return {"method": _flow_method(studio, run), "layer": why.layer}


def _flow_method(studio: Studio, run: Run) -> str:
    settings: dict[str, Any] = {**run.record.settings}
    if settings["reference"] is not None:
        settings["reference"] = _reference(studio, run.record.asked)
    return flow_text(settings)


def _reference(studio: Studio, asked: Mapping[str, str]) -> str:
    """What a flow is compared with, as the page says it."""
    said = asked.get("reference", "")
    if said in BASELINES:
        return said
    return PHOTO + _file(studio, Path(said), "the image that the run compares with")


def _match(studio: Studio, run: Run, row: int, why: Explanation) -> dict[str, str]:
    settings, spec = run.record.settings, run.record.spec
    if settings["embedding"] is not None:
        raise ResultError(
            f"the run compares by the embedding {settings['embedding']}, and the page by the one that it finds: open "
            "this row in another view, or run foveal.match with this embedding"
        )
    if (weights := settings["channel_weights"]) not in WEIGHTS:
        raise ResultError(f"the page has no channel weights {weights!r}: it has {', '.join(WEIGHTS)}")
    metric = METRICS.get(spec["metric"])
    if metric is None or fingerprint(metric=metric) != settings["metric"]:
        raise ResultError(
            f"the run compares by {spec['metric']}, a metric of its own, and the page has {', '.join(METRICS)}: open "
            "this row in another view, or run foveal.match with this metric"
        )
    file = Path(run.record.asked.get("references", "")) / run["match"][row]
    fields = match_fields(_file(studio, file, "the reference of this row"), weights, spec["metric"])
    return fields | ({} if settings["layer"] is None else {"of": why.layer})


def _parts(studio: Studio, run: Run, row: int, why: Explanation) -> dict[str, str]:
    from foveal.webapp.asks.parts import FINER, MOST

    settings = run.record.settings
    count, resolution = len(run.layers), settings["resolution"]
    if count > MOST or resolution not in FINER:
        raise ResultError(
            f"the run has {count} parts at {resolution} times the resolution, and the page up to {MOST} at "
            f"{', '.join(map(str, FINER))} times: open this row in another view"
        )
    fields = {"count": "" if count == 3 else str(count), "resolution": "" if resolution == 1 else str(resolution)}
    return fields | ({"of": run.record.asked["layer"]} if "layer" in run.record.asked else {})


def _file(studio: Studio, path: Path, what: str) -> str:
    """The hash of a picture in a file, which becomes a photo of the studio."""
    if not path.is_file():
        raise ResultError(f"{what} is not at {str(path)!r} any more: put it back, or open this row in another view")
    return studio.add_photos([path])[0].hash


OPENED = {"flow": _flow, "match": _match, "parts": _parts}
"""What the address says more of a row, by the verb of its run; that of all others is of an explanation."""
