"""A flow as a page asks for it: `naflow` in the place of a method, with its options after a colon.

naflow                                                   as `foveal.flow` without options
naflow:mode=project,iterations=5                         its options, numbers as they are written
naflow:coefficients=difference,reference=photo-HASH      compared with a photo of the studio
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from foveal.api.flow import flow
from foveal.errors import UnknownMethod
from foveal.methods.reference import BASELINES

if TYPE_CHECKING:
    from foveal.engine.select import LayerSpec
    from foveal.models import Model
    from foveal.results.flow import Flow
    from foveal.webapp.ask import Progress
    from foveal.webapp.studio import Studio

NAME, TITLE = "naflow", "NAFlow"
PHOTO = "photo-"
USUAL: Mapping[str, Any] = {
    "mode": "exact", "mass": 1.0, "zero": 0.0, "coefficients": "contribution", "reference": None, "iterations": 30,
    "tolerance": 1e-5, "damping": 1.0,
}  # fmt: skip


def is_flow(method: str) -> bool:
    """Whether a page means a flow by this method."""
    return method.partition(":")[0] == NAME


def flow_text(options: Mapping[str, Any]) -> str:
    """The method that asks for a flow with these options; those at their usual values are left out."""
    changed = [f"{name}={options[name]}" for name, usual in USUAL.items() if name in options and options[name] != usual]
    return ":".join([NAME, ",".join(changed)]) if changed else NAME


def asked_flow(
    studio: Studio, method: str, model: Model, images: Any, target: Any, layer: LayerSpec, progress: Progress
) -> Flow:
    """The flow that a page means.

    Raises:
        UnknownMethod: for options that a flow has not.
        UnknownPhoto: for a reference that is no photo of the studio.
        FovealError: as `foveal.flow` does.
    """
    options = dict(_option(text) for text in method.partition(":")[2].split(",") if text)
    reference = options.get("reference")
    if reference is not None and reference not in BASELINES:  # never a path, whatever a page asks for
        options["reference"] = studio.photo(str(reference).removeprefix(PHOTO)).image
    return flow(model, images, target, layer=layer, progress=progress, **options)


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in USUAL:
        raise UnknownMethod(f"a flow has no option {name!r}: it has {', '.join(USUAL)}")
    usual = USUAL[name]
    try:
        return name, value if isinstance(usual, str | None) else type(usual)(value)
    except ValueError as error:
        raise UnknownMethod(f"a flow cannot take {text!r}: {name} is a number such as {usual}") from error
