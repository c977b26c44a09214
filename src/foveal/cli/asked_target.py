"""The target that options of the command line name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foveal.targets import Target


def asked_target(
    labels: Sequence[str] | None,
    *,
    target: str | None,
    against: str | None,
    strength: float | None,
    like: Sequence[Path] | None,
    unlike: Sequence[Path] | None,
) -> Any:
    """The target that a verb takes, from the options of these names.

    Raises:
        BadParameter: for options that contradict each other.
    """
    from foveal.targets.parsing import parse_target

    if unlike and not like:
        raise typer.BadParameter("--unlike is taken off a similarity: give --like, too")
    if strength is not None and against is None:
        raise typer.BadParameter("--strength is that of rivals: give --against, too")
    if like:
        if target or against:
            raise typer.BadParameter(
                f"{'--target' if target else '--against'} explains a class, --like a similarity: give one of them"
            )
        return _similarity(like, unlike)
    asked = parse_target(target, labels)
    return asked if against is None else _rivals(asked, against, strength)


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
