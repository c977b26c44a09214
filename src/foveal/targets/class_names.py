"""From a class as a person names it to its index, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor

from foveal.engine.numerals import whole
from foveal.errors import TargetError, UnknownTarget, counted, shown

NEAREST = 3  # names suggested


def class_index(
    wanted: int | str, labels: Sequence[str] | None, classes: int, where: str = "the model", *, parts: bool = True
) -> int:
    """The index of the class `wanted` among `classes`.

    A label matches regardless of case; where a label lists synonyms separated by commas, each of them; and
    finally by any part of it that occurs in one label only, where `parts` of names may be given.

    Args:
        parts: False where a part of a name is not enough, as in files, where nobody sees what it was taken for.

    Raises:
        TargetError: out of range, unknown, ambiguous, or a label asked of a model that knows none.
    """
    wanted = _number(plain(wanted), labels)
    if isinstance(wanted, int):
        if not -classes <= wanted < classes:
            raise UnknownTarget(
                f"class {shown(wanted)} is out of range: {where} has {classes} classes, 0 to {classes - 1}"
            )
        return wanted % classes
    if not wanted.strip():
        raise UnknownTarget("a class without a name cannot be looked up: pass its index or label")
    if labels and len(labels) != classes:
        raise TargetError(
            f"cannot look up class {wanted!r}: {counted(len(labels), 'name')} for {classes} classes; give one per class"
        )
    if not labels:
        raise UnknownTarget(
            f"cannot look up class {wanted!r}: the names of the classes are not known; pass its index or labels=[…]"
        )
    matches = _matches(wanted.strip().casefold(), [label.casefold() for label in labels], parts=parts)
    if len(matches) == 1 and matches[0] < classes:
        return matches[0]
    if matches:
        raise UnknownTarget(f"class {wanted!r} is ambiguous: {_listing(labels, matches)}; name one exactly or by index")
    raise UnknownTarget(f"the model has no class {wanted!r}: {_suggestion(wanted, labels)}")


def plain(which: Any) -> Any:
    """Class indices of NumPy and torch as Python's own: None, a number, a name, or a list of these.

    Raises:
        TargetError: for whatever is none; a truth value is no class, though Python takes it for a number.
    """
    if isinstance(which, Tensor) and not which.is_floating_point() and not which.is_complex() and not which.is_meta:
        which = which.detach().cpu().numpy()
    if isinstance(which, np.ndarray) and which.dtype.kind in "iuU":
        return which.reshape(-1).tolist() if which.ndim else which.item()
    if isinstance(which, Integral) and not isinstance(which, bool):
        return int(which)
    if isinstance(which, list | tuple | range):
        return [_one(name, which) for name in which]
    if which is None or isinstance(which, str):
        return which
    raise no_class(which)


def no_class(target: object) -> TargetError:
    """What to say of a target that is none."""
    hint = f": {int(target)} is a class" if isinstance(target, bool | np.bool_) else ""
    return TargetError(
        f"cannot explain target {shown(target)}{hint}: pass a class (index or label), one class per image, "
        "foveal.Margin, foveal.Group, foveal.Against, foveal.Value, foveal.Labels, foveal.Neuron, foveal.Similar, "
        "foveal.Corpus, foveal.Prototypes, "
        "foveal.Neighbors, foveal.Region, foveal.Box, or a callable output -> (n,)"
    )


def _one(which: Any, whole: Any) -> int | str:
    """One of several classes."""
    name = None if isinstance(which, list | tuple | range) else plain(which)
    if not isinstance(name, int | str):
        raise no_class(whole)
    return name


def _number(wanted: int | str, labels: Sequence[str] | None) -> int | str:
    """A class written as a number, unless that is its name."""
    if not isinstance(wanted, str) or wanted in (labels or ()):
        return wanted
    number = whole(wanted)
    return wanted if number is None else number


def class_words(index: int, labels: Sequence[str] | None, *, kind: str = "class") -> str:
    """'jay (17)', or 'class 17' where no label is known; `kind` is what an output is called."""
    return f"{labels[index]} ({index})" if labels else f"{kind} {index}"


def _matches(wanted: str, labels: Sequence[str], *, parts: bool) -> list[int]:
    exact = [i for i, label in enumerate(labels) if label == wanted]
    synonym = [i for i, label in enumerate(labels) if wanted in synonyms(label)]
    return exact or synonym or [i for i, label in enumerate(labels) if parts and wanted in label]


def _suggestion(wanted: str, labels: Sequence[str]) -> str:
    """The names that are most like the one wanted, as a whole, in a synonym or in a word; else how the names begin."""
    name = wanted.strip().casefold()
    by_piece: dict[str, list[str]] = {}
    for label in labels:
        folded = label.casefold()
        for piece in {folded, *synonyms(folded), *re.findall(r"[^\W_]+", folded)}:
            by_piece.setdefault(piece, []).append(label)
    holding = [label for label in labels if name in label.casefold()]
    near = [label for piece in get_close_matches(name, by_piece, n=NEAREST, cutoff=0.6) for label in by_piece[piece]]
    likely = list(dict.fromkeys([*holding, *near]))[:NEAREST]
    if likely:
        return f"did you mean {' or '.join(map(repr, likely))}?"
    first = ", ".join(repr(label) for label in labels[:NEAREST])
    return f"the {len(labels)} names begin {first}, …" if len(labels) > NEAREST else f"the names are {first}"


def synonyms(label: str) -> list[str]:
    """The names in a label that lists several, separated by commas."""
    return [part.strip() for part in label.split(",")]


def _listing(labels: Sequence[str], matches: Sequence[int]) -> str:
    shown = ", ".join(f"{labels[i]!r} ({i})" for i in matches[:6])
    return shown + (f" and {len(matches) - 6} more" if len(matches) > 6 else "")
