"""The target that options of the command line name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foveal.cli.options import TargetOptions
    from foveal.targets import Target


def asked_target(given: TargetOptions, labels: Sequence[str] | None) -> Any:
    """The target that a verb takes.

    Raises:
        BadParameter: for options that contradict each other.
    """
    from foveal.targets.parsing import parse_target

    if given.unlike and not given.like:
        raise typer.BadParameter("--unlike is taken off a similarity: give --like, too")
    if given.strength is not None and given.against is None:
        raise typer.BadParameter("--strength is that of rivals: give --against, too")
    if given.like:
        if given.target or given.against:
            other = "--target" if given.target else "--against"
            raise typer.BadParameter(f"{other} explains a class, --like a similarity: give one of them")
        return _similarity(given.like, given.unlike)
    target = parse_target(given.target, labels)
    return target if given.against is None else _rivals(target, given.against, given.strength)


def _similarity(like: Sequence[Path], unlike: Sequence[Path] | None) -> Any:
    from foveal.images import is_folder
    from foveal.targets import Corpus, Similar

    if len(like) == 1 and not unlike and not is_folder(like[0]):
        return Similar(like[0])
    return Corpus(_alone(like), _alone(unlike))


def _alone(pictures: Sequence[Path] | None) -> Any:
    """A single one by itself, so that a folder is named."""
    return pictures[0] if pictures and len(pictures) == 1 else pictures or None


def _rivals(target: Target | None, who: str, strength: float | None) -> Any:
    from foveal.targets import Class
    from foveal.targets.parsing import against

    if target is not None and not isinstance(target, Class):
        raise typer.BadParameter("--against tells one class from its rivals: give a class as --target, or leave it out")
    return against(target.which if target else None, who, strength)
