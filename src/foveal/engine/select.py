"""From what a person wrote for `layer` to the addresses to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeAlias

from torch import nn

from foveal.engine.address import INPUT, Address, expand, is_input, named_modules, unwrapped
from foveal.engine.numerals import whole
from foveal.engine.stages import Structure
from foveal.errors import LayerError, UnknownLayer, shown

LayerSpec: TypeAlias = "str | int | nn.Module | Sequence[str | int | nn.Module] | None"
LayerName: TypeAlias = "str | nn.Module"


def select_layers(model: nn.Module, wanted: LayerSpec, structure: Callable[[], Structure]) -> list[str]:
    """Addresses for `wanted`, each once.

    Args:
        wanted: None for the last stage, "all" for every stage, a stage number (from 1; negative from the end),
            "input" for the network's input, a module of the model, its name or address, a wildcard ("layer*",
            "features.**"), or a sequence of these.
        structure: gives the traced structure; called only where it is needed.

    Raises:
        LayerError: for a name that does not exist, a number out of range, a wildcard without a feature map.
    """
    layers = [layer for spec in _each(named_layers(model, wanted)) for layer in _select_one(model, spec, structure)]
    return list(dict.fromkeys(layers))


def named_layers(model: Any, wanted: Any) -> Any:
    """`wanted` with each module replaced by its name in the model; everything else as it is.

    Args:
        model: a module, in whatever wrapper, or what holds one as `module`.
        wanted: a layer as a verb takes it, or several.

    Raises:
        LayerError: for a module that is not part of the model.
    """
    network = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    if not isinstance(network, nn.Module):
        return wanted  # whoever needs a model says what is wrong with it
    if isinstance(wanted, nn.Module):
        return _name_of(network, wanted)
    if isinstance(wanted, list | tuple) and any(isinstance(layer, nn.Module) for layer in wanted):
        return [_name_of(network, layer) if isinstance(layer, nn.Module) else layer for layer in wanted]
    return wanted


def _name_of(model: nn.Module, layer: nn.Module) -> str:
    modules = named_modules(model)
    names = {id(module): name for name, module in reversed(modules.items())}
    kind, network = type(layer).__name__, type(modules.get("", model)).__name__
    name = names.get(id(unwrapped(layer)))
    if name:
        return name
    if name == "":
        raise UnknownLayer(f"the whole {network} was given as a layer: give one of the modules in it, or its name")
    parts = [names[id(part)] for part in map(unwrapped, layer.children()) if id(part) in names]
    raise UnknownLayer(
        f"the {kind} given as a layer is a new module made of layers of this {network}, and the model never runs it: "
        f"give the last of them, {parts[-1]!r}"
        if parts
        else f"the {kind} given as a layer is not part of this {network}: give a module of the same model object, not "
        "of a copy or of another model, or the name of the layer"
    )


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
                f"{shown(layer)} is no layer: give a name, a module of the model, a stage number, 'all', a wildcard, "
                "or a list of these"
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
