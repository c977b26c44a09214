"""What makes a function a command: groups of options spread out, and failures told."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from typing import TYPE_CHECKING, Any, get_type_hints

from foveal.cli.console import output_is_for_results
from foveal.cli.errors import exit_status, own_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def command(function: Callable[..., None]) -> Callable[..., None]:
    """The function as typer should see it.

    A parameter whose type is a frozen dataclass (`foveal.cli.options`) stands for an option per field; the function is
    called with the dataclass. Whatever goes wrong is a sentence and an exit status (`foveal.cli.errors`).
    """
    hints = get_type_hints(function, include_extras=True)
    plain = signature(function).parameters
    groups = {name: hints[name] for name in plain if is_dataclass(hints[name])}

    @wraps(function)
    def run(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        with exit_status(), own_warnings(), output_is_for_results():
            function(**given, **made)

    spread = [option for parameter in plain.values() for option in _spread(parameter, hints)]
    run.__signature__ = Signature(spread)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in spread}
    run.__doc__ = flowing(cleandoc(function.__doc__ or ""))
    return run


def flowing(text: str) -> str:
    """The text with a line a paragraph, as any width of terminal may break it; what begins with \\b stays."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(part if part.startswith("\b") else " ".join(part.split("\n")) for part in paragraphs)


def _spread(parameter: Parameter, hints: dict[str, Any]) -> Iterator[Parameter]:
    """The parameter itself, or one for each field of its group."""
    kind = hints[parameter.name]
    if not is_dataclass(kind):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=kind)
        return
    each = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=_default(field), annotation=each[field.name])


def _default(field: Field[Any]) -> Any:
    return Parameter.empty if field.default is MISSING else field.default
