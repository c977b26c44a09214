"""Pictures in ordinary folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from foveal.errors import ImageError


def pictures_in(paths: Iterable[Path], *, but: Path | None = None) -> list[Path]:
    """Files as they are, folders as the pictures in them and below, by name; `but` is left out of folders.

    Raises:
        ImageError: for a folder without pictures, or nothing at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in sorted(path.rglob("*")) if file.is_file() and _reads(file)]
        inside = [file for file in inside if but is None or file.resolve() != but.resolve()]
        if not inside:
            raise ImageError(f"There are no pictures in the folder {str(path)!r}.")
        found += inside
    if not found:
        raise ImageError("There are no pictures: name files or folders.")
    return found


def labelled_pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a folder with one folder a class, and the class of each.

        support/jay/1.jpg  support/jay/2.jpg  support/crow/1.jpg    →  three paths, ["crow", "jay", "jay"] in that order

    Raises:
        ImageError: when there is no such folder, or no class with a picture in it.
    """
    if not folder.is_dir():
        raise ImageError(f"There is no folder {str(folder)!r}: name one that has a folder for each class.")
    classes = [inside for inside in sorted(folder.iterdir()) if inside.is_dir()]
    each = [(file, of.name) for of in classes for file in sorted(of.rglob("*")) if file.is_file() and _reads(file)]
    if not each:
        raise ImageError(
            f"There are no pictures in folders of {str(folder)!r}: put each class in a folder with its name."
        )
    return [file for file, _ in each], [name for _, name in each]


def _reads(file: Path) -> bool:
    return file.suffix.casefold() in Image.registered_extensions() and not file.name.startswith(".")
