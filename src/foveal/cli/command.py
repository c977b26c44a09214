"""What makes a function a command: groups of options spread out, and failures told."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import typer

from foveal.cli.console import output_is_for_results
from foveal.cli.errors import exit_status, own_warnings
from foveal.cli.options import COMMAND_FOLDER, OutputOptions
from foveal.cli.output_folder import OutputFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ARGUMENTS = "foveal.arguments"
"""Where the context keeps the words of the command line."""
NO_SETTINGS = ("photos", "again", "out", "open", "json", "latex")
"""Options that decide no number: what is explained is fingerprinted image by image."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """The function as typer should see it.

    A parameter whose type is a frozen dataclass (`foveal.cli.options`) stands for an option per field; the function is
    called with the dataclass. Whatever goes wrong is a sentence and an exit status (`foveal.cli.errors`).

    A command with `OutputOptions` writes to a folder: out/COMMAND unless --out says otherwise. The folder is checked
    first, and its page index.html shows afterwards what is there. A parameter of the type `OutputFolder` gets it, and
    one of the type `typer.Context` what typer knows of the command line.
    """
    hints = get_type_hints(function, include_extras=True)
    plain = signature(function).parameters
    groups = {name: hints[name] for name in plain if is_dataclass(hints[name])}
    output = next((name for name, group in groups.items() if issubclass(group, OutputOptions)), None)
    work = next((name for name in plain if hints[name] is OutputFolder), None)
    asks = next((name for name in plain if hints[name] is typer.Context), None)

    @wraps(function)
    def run(context: typer.Context, **given: Any) -> None:
        settings = _settings(given)
        if asks:
            given[asks] = context
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        if output is None:
            with exit_status(), own_warnings(), output_is_for_results():
                function(**given, **made)
            return
        options: OutputOptions = made[output]
        folder = OutputFolder(options.out, " ".join(_path(function)), _line(context), settings)
        try:
            with exit_status(folder.interrupted), own_warnings(), output_is_for_results():
                folder.check()
                with folder.filled():
                    function(**given, **made, **({work: folder} if work else {}))
        finally:
            folder.show(open=options.open)

    spread = [
        _in_folder(option, function)
        for name, parameter in plain.items()
        if name not in (work, asks)
        for option in _spread(parameter, hints)
    ]
    spread.insert(0, Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context))
    run.__signature__ = Signature(spread)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in spread}
    run.__doc__ = flowing(cleandoc(function.__doc__ or ""))
    return run


def _path(function: Callable[..., None]) -> tuple[str, ...]:
    """The words of a command: explain; benchmark, folder."""
    module, name = function.__module__.rpartition(".")[2], function.__name__
    return (name,) if module == name else (module, name)


def _in_folder(option: Parameter, function: Callable[..., None]) -> Parameter:
    """The option; where it is --out, with the command's own folder as its default."""
    return option.replace(default=Path("out", *_path(function))) if option.default is COMMAND_FOLDER else option


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide results; files that they name as paths, whose content counts."""
    kept = {name: value for name, value in given.items() if name not in NO_SETTINGS}
    return {name: [kept[name], list(_files(kept[name]))] for name in sorted(kept)}


def _files(value: Any) -> Iterator[Path]:
    """Files that a value names: "net.py" and "net.py:make"."""
    for text in value if isinstance(value, list | tuple) else [value]:
        for name in dict.fromkeys((text, text.partition(":")[0])) if isinstance(text, str) else ():
            with suppress(OSError, ValueError):  # no system takes it for a path
                if Path(name).is_file():
                    yield Path(name)


def _line(context: typer.Context) -> str:
    """The command line as it was typed."""
    return shlex.join(["foveal", *context.meta.get(ARGUMENTS, ())])


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
