"""Tables of results as pandas has them, where it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from foveal.errors import MissingExtra


def data_frame(rows: Iterable[Any] | Mapping[str, Any], columns: list[str] | None = None, *, instead: str = "") -> Any:
    """A `pandas.DataFrame` of these rows, or of columns by name.

    Raises:
        MissingExtra: where pandas is not installed; `instead` says what works without.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra(
            f"to_pandas() needs pandas, which is not installed: pip install 'foveal[pandas]'{instead}"
        ) from error
    return pandas.DataFrame(rows if isinstance(rows, Mapping) else list(rows), columns=columns)
