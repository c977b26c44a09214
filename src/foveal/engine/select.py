"""From what a person wrote for `layer` to the addresses to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeAlias

from torch import nn

from foveal.engine.address import INPUT, Address, expand, is_input
from foveal.engine.numerals import whole
from foveal.engine.stages import Structure
from foveal.errors import LayerError, UnknownLayer, shown

LayerSpec: TypeAlias = "str | int | Sequence[str | int] | None"


def select_layers(model: nn.Module, wanted: LayerSpec, structure: Callable[[], Structure]) -> list[str]:
    """Addresses for `wanted`, each once.

    Args:
        wanted: None for the last stage, "all" for every stage, a stage number (from 1; negative from the end),
            "input" for the network's input, a module's name or address, a wildcard ("layer*", "features.**"), or
            a sequence of these.
        structure: gives the traced structure; called only where it is needed.

    Raises:
        LayerError: for a name that does not exist, a number out of range, a wildcard without a feature map.
    """
    layers = [layer for spec in _each(wanted) for layer in _select_one(model, spec, structure)]
    return list(dict.fromkeys(layers))


def _each(wanted: Any) -> list[str | int | None]:
    """What was asked for, one by one.

    Raises:
        LayerError: for what names no layer, such as 1.5 or True, which Python takes for a number.
    """
    each = list(wanted) if isinstance(wanted, list | tuple | range) else [wanted]
    if not each:
        raise UnknownLayer("no layer was given: omit layer to use the last stage, or name a layer")
    for layer in each:
        if isinstance(layer, bool) or not isinstance(layer, str | Integral | None):
            raise UnknownLayer(
                f"{shown(layer)} is no layer: give a name, a stage number, 'all', a wildcard, or a list of these"
            )
        if layer == "":
            raise UnknownLayer("the layer name is empty: omit layer to use the last stage, or name a layer")
    return [int(layer) if isinstance(layer, Integral) else layer for layer in each]


def _select_one(model: nn.Module, wanted: str | int | None, structure: Callable[[], Structure]) -> list[str]:
    if wanted is None:
        return [structure().usual.name]
    if isinstance(wanted, str) and (number := whole(wanted)) is not None and not hasattr(model, wanted):
        wanted = number
    if isinstance(wanted, int):
        return [_by_number(wanted, structure())]
    if wanted == "all":
        return [stage.name for stage in structure().stages]
    if "*" in wanted or "?" in wanted:
        return _by_wildcard(model, wanted, structure())
    if is_input(model, wanted):
        return [INPUT]
    Address.resolve(model, wanted)
    return [wanted]


def _by_number(number: int, structure: Structure) -> str:
    count = len(structure.stages)
    if number == 0 or abs(number) > count:
        names = ", ".join(f"{i} ({stage.name})" for i, stage in enumerate(structure.stages, 1))
        raise UnknownLayer(f"there is no stage {shown(number)}: the stages are {names}")
    return structure.stages[number - 1 if number > 0 else number].name


def _by_wildcard(model: nn.Module, pattern: str, structure: Structure) -> list[str]:
    names = [name for name in expand(model, pattern) if structure.spatial(name)]
    if not names:
        raise UnknownLayer(
            f"no layer with a feature map matches {pattern!r}: `*` stays within one level, `**` goes below"
        )
    # In the order the network runs them.
    return sorted(names, key=list(structure.shapes).index)


def last_stage_before(layer: str, structure: Structure, *, itself: bool = False) -> str:
    """The last stage that ran before `layer`, or up to it.

    Raises:
        LayerError: when there is none.
    """
    return stages_before(layer, structure, itself=itself)[-1]


def stages_before(layer: str, structure: Structure, *, itself: bool = False) -> tuple[str, ...]:
    """The same, all of them in forward order."""
    unit = layer.split("[")[0].split("#")[0].removesuffix(".input")
    order = list(structure.shapes)
    before = order[: order.index(unit) + itself] if unit in order else order
    earlier = [
        stage.name
        for stage in structure.stages
        if stage.name.split("#")[0] in before and (not unit or not stage.name.startswith(unit + "."))
    ]
    if not earlier:
        raise LayerError(f"there is no stage before {layer!r}: name the layer at which to explain it")
    return tuple(earlier)
