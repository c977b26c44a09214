"""The trees of several photos as one, and what two sets of them differ in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.cli.console import error, info
from foveal.errors import ResultError
from foveal.storage.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.results.class_contrast import ClassContrast
    from foveal.results.class_tree import ClassTree
    from foveal.results.tree import Tree


def joined_pages(
    trees: Sequence[Tree], others: Sequence[Tree] | None, out: Path, *, right_and_wrong: bool
) -> list[dict[str, Any]]:
    """Draw together.png; contrast.png where there are others; right-and-wrong.png if asked for and there are both.

    Returns:
        What was found, for JSON.
    """
    from foveal.results.class_tree import ClassTree

    joined = ClassTree(tuple(trees))
    rows = [_page(joined, out / "together.png")]
    if others is not None:
        rows.append(_page(joined.contrast(ClassTree(tuple(others))), out / "contrast.png"))
    if right_and_wrong:
        try:
            rows.append(_page(joined.right_and_wrong(), out / "right-and-wrong.png"))
        except ResultError as reason:  # only now is known that the network decides all alike; the trees are of use
            error(str(reason))
    return rows


def _page(result: ClassTree | ClassContrast, file: Path) -> dict[str, Any]:
    with whole_file(file) as aside:
        result.figure().save(aside)
    info(str(result))
    return {"page": str(file), **result.to_dict()}
