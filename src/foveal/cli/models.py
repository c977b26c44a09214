"""`foveal models`"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.command import command
from foveal.cli.console import busy, info, print_json, print_lines, print_table
from foveal.cli.options import Json

if TYPE_CHECKING:
    from foveal.models import Source


@command
def models(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", show_default=False, help="List the model names that contain or match this."),
    ] = None,
    json: Json = False,
) -> None:
    """List the models for --model.

    \b
      foveal models                  where models come from
      foveal models "resnet*"        models of that name in timm and torchvision

    For your own weights and code see `foveal help models`.
    """
    with busy("looking for models"):
        from foveal.models import list_models

        sources = list_models(pattern)
    if json:
        print_json([asdict(source) for source in sources])
    elif pattern is None:
        print_table([(source.spec, _state(source)) for source in sources], head=("model", ""))
        info("", "Names: foveal models PATTERN. Your own weights: --weights FILE, see foveal help models.")
    else:
        _print_names(sources, pattern)


def _state(source: Source) -> str:
    if source.missing:
        return f"{source.summary}: {source.missing}"
    return source.summary + (f": {len(source.names)} architectures" if source.names else "")


def _print_names(sources: tuple[Source, ...], pattern: str) -> None:
    names = [source.spec.replace("NAME", name) for source in sources for name in source.names]
    print_lines(*names)
    info(*(f"note: {source.missing}" for source in sources if source.missing and "NAME" in source.spec))
    if not names:
        info(f"No model's name contains or matches {pattern!r}.")
