"""Numbers as people write them in names: on command lines, as folders, in tables."""

from __future__ import annotations

import re

# Eighteen digits fit 64 bits. `str.isdigit` would also take "²" and "１２", and `int` "1_000" and "+3".
_WHOLE = re.compile(r"-?[0-9]{1,18}")


def whole(text: str) -> int | None:
    """The whole number that a text is, spaces around it left out; None where it is anything else."""
    plain = text.strip()
    return int(plain) if _WHOLE.fullmatch(plain) else None
