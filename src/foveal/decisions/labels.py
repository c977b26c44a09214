"""From a class as a person names it to its index, and back."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor

from foveal.errors import TargetError


def class_index(wanted: int | str, labels: Sequence[str] | None, classes: int, where: str = "the model") -> int:
    """The index of the class `wanted` among `classes`.

    A label matches regardless of case; where a label lists synonyms separated by commas, each of them; and
    finally by any part of it that occurs in one label only.

    Raises:
        TargetError: out of range, unknown, ambiguous, or a label asked of a model that knows none.
    """
    if isinstance(wanted, str) and wanted.lstrip("-").isdigit() and wanted not in (labels or ()):
        wanted = int(wanted)
    if isinstance(wanted, int):
        if not -classes <= wanted < classes:
            raise TargetError(f"class {wanted} is out of range: {where} has {classes} classes, 0 to {classes - 1}")
        return wanted % classes
    if labels and len(labels) != classes:
        raise TargetError(
            f"cannot look up class {wanted!r}: there are {len(labels)} labels for {classes} classes; pass one a class"
        )
    if not labels:
        raise TargetError(
            f"cannot look up class {wanted!r}: this model carries no labels; pass its index or labels=[…]"
        )
    found = _matches(wanted.strip().casefold(), [label.casefold() for label in labels])
    if len(found) == 1 and found[0] < classes:
        return found[0]
    if found:
        raise TargetError(f"class {wanted!r} is ambiguous: {_listing(labels, found)}; name one exactly or by index")
    near = get_close_matches(wanted, labels, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"the {len(labels)} labels begin {', '.join(labels[:5])}, …"
    )
    raise TargetError(f"the model has no class {wanted!r}: {hint}")


def plain(which: Any) -> Any:
    """Class indices of NumPy and torch as Python's own; whatever else it is comes back as it is."""
    if isinstance(which, Tensor) and not which.is_floating_point() and not which.is_complex():
        which = which.detach().cpu().numpy()
    if isinstance(which, np.ndarray) and which.dtype.kind in "iuU":
        return which.reshape(-1).tolist() if which.ndim else which.item()
    if isinstance(which, Integral) and not isinstance(which, int):
        return int(which)
    if isinstance(which, list | tuple | range):
        return [plain(one) for one in which]
    return which


def class_words(index: int, labels: Sequence[str] | None, *, kind: str = "class") -> str:
    """'jay (17)', or 'class 17' where no label is known; `kind` is what an output is called."""
    return f"{labels[index]} ({index})" if labels else f"{kind} {index}"


def _matches(wanted: str, labels: Sequence[str]) -> list[int]:
    exact = [i for i, label in enumerate(labels) if label == wanted]
    synonym = [i for i, label in enumerate(labels) if wanted in (part.strip() for part in label.split(","))]
    return exact or synonym or [i for i, label in enumerate(labels) if wanted in label]


def _listing(labels: Sequence[str], found: Sequence[int]) -> str:
    shown = ", ".join(f"{labels[i]} ({i})" for i in found[:6])
    return shown + (f" and {len(found) - 6} more" if len(found) > 6 else "")
