"""Who is on which image: labels of queries and gallery, from a CSV or from the folders they lie in."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from foveal.errors import ImageError
from foveal.storage.reading import damage, read_bytes

LARGEST = 2**28
NAMED = 3
Sides = tuple[list[str], list[str]]


def labels_of(
    queries: Sequence[Path], gallery: Sequence[Path], folders: Sequence[Path], table: Path | None
) -> tuple[Sides | None, str | None]:
    """The labels of both sides, and a note where only a part of the images has one.

    Without a table, an image has the name of the folder below `folders` that it lies in.

    Raises:
        ImageError: for a table that cannot be read, or has no label for an image.
    """
    if table is not None:
        known = _table(table, folders)
        return (_looked_up(queries, known, table, "queries"), _looked_up(gallery, known, table, "references")), None
    sides = [_below(queries, folders), _below(gallery, folders)]
    ours, theirs = ([label for label in side if label is not None] for side in sides)
    if len(ours) == len(queries) and len(theirs) == len(gallery):
        return (ours, theirs), None
    if not ours and (not theirs or not folders[0].is_dir()):
        return None, None
    lacking = len(queries) - len(ours), len(gallery) - len(theirs)
    return None, (
        f"no labels are used: {lacking[0]} of {len(queries)} queries and {lacking[1]} of {len(gallery)} references lie "
        "in no sub-folder. Give each label a sub-folder on both sides, or pass --labels FILE.csv"
    )


def query_labels(queries: Sequence[Path], folder: Path, table: Path | None) -> list[str] | None:
    """The label of each query: of a table, or the sub-folder it lies in; None where one lies in none.

    Raises:
        ImageError: for a table that cannot be read, or has no label for a query.
    """
    if table is not None:
        return _looked_up(queries, _table(table, [folder]), table, "queries")
    labels = [label for label in _below(queries, [folder]) if label is not None]
    return labels if len(labels) == len(queries) else None


def _below(files: Sequence[Path], folders: Sequence[Path]) -> list[str | None]:
    """For each file the first folder on the way to it; None where it lies in none."""
    labels: list[str | None] = []
    for file in files:
        root = next((folder for folder in folders if folder.is_dir() and file.is_relative_to(folder)), None)
        parts = file.relative_to(root).parts if root else ()
        labels.append(parts[0] if len(parts) > 1 else None)
    return labels


def _table(table: Path, folders: Sequence[Path]) -> dict[str, str]:
    """Real path -> label. Files are looked for beside the table, in the folders, and from the working folder."""
    with damage(f"Cannot read {str(table)!r}", ImageError):
        text = read_bytes(table, most=LARGEST).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = [name.strip() for name in rows.fieldnames or []]
    if "file" not in columns or "label" not in columns:
        raise ImageError(
            f"{str(table)!r} has the columns {', '.join(columns)[:200] or 'of an empty file'}: "
            "it must have the columns file and label."
        )
    rows.fieldnames = columns
    roots = [table.parent, *(folder for folder in folders if folder.is_dir()), Path()]
    known: dict[str, str] = {}
    for row in rows:
        file, label = (row["file"] or "").strip(), (row["label"] or "").strip()
        if not file and not label:
            continue
        if not file or not label:
            raise ImageError(
                f"Line {rows.line_num} of {str(table)!r} has no {'label' if file else 'file'}: fill it in."
            )
        paths = {os.path.realpath(root / file) for root in roots if (root / file).is_file()}
        if len(paths) > 1:
            raise ImageError(
                f"Line {rows.line_num} of {str(table)!r} names {file!r}, which could be {' or '.join(sorted(paths))}: "
                "write the path from the working folder, or the whole path."
            )
        for path in paths:
            if known.setdefault(path, label) != label:
                raise ImageError(
                    f"Line {rows.line_num} of {str(table)!r} gives {file!r} the label {label!r}, but an earlier line "
                    f"gives {known[path]!r}: keep one of them."
                )
    return known


def _looked_up(files: Sequence[Path], known: dict[str, str], table: Path, what: str) -> list[str]:
    found = [known.get(os.path.realpath(file)) for file in files]
    lacking = [str(file) for file, label in zip(files, found, strict=True) if label is None]
    if lacking:
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        raise ImageError(
            f"{str(table)!r} has no label for {len(lacking)} of {len(files)} {what}: "
            f"{', '.join(lacking[:NAMED])}{more}. Add a line file,label for each."
        )
    return [label for label in found if label is not None]
