"""Pictures in ordinary folders."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageFile

from foveal.errors import FovealWarning, ImageError, printable

# What lies beside pictures and is none: notes, tables, weights, and what foveal itself writes.
BESIDE = {
    ".bak", ".bin", ".cfg", ".ckpt", ".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".lock", ".log", ".md",
    ".npz", ".pdf", ".pt", ".pth", ".py", ".pyc", ".safetensors", ".svg", ".toml", ".tsv", ".txt", ".xml", ".yaml",
    ".yml",
}  # fmt: skip
FILMS = {"MPEG"}  # Pillow knows them by name only
NAMED = 3


def pictures_in(paths: Iterable[Path], *, but: Path | None = None) -> list[Path]:
    """Files as they are, folders as the pictures in them and below, by name; `but` is left out of folders.

    Warns of files in folders that may be pictures, but are of a kind that Pillow does not read here.

    Raises:
        ImageError: for a folder without pictures, or nothing at all.
    """
    pictures: list[Path] = []
    for path in paths:
        if not is_folder(path):
            pictures.append(path)
            continue
        inside, skipped = _sorted_out(path)
        inside = [file for file in inside if but is None or file.resolve() != but.resolve()]
        if not inside:
            raise ImageError(f"There are no pictures in the folder {str(path)!r}{_besides(skipped, path)}.")
        _warn(inside, skipped, path)
        pictures += inside
    if not pictures:
        raise ImageError("There are no pictures: name files or folders.")
    return pictures


def labeled_pictures(folder: str | Path) -> tuple[list[Path], list[str]]:
    """The pictures of a folder with one folder a class, and the class of each.

        support/jay/1.jpg  support/jay/2.jpg  support/crow/1.jpg    →  three paths, ["crow", "jay", "jay"] in that order

    Warns as `pictures_in` does.

    Raises:
        ImageError: when there is no such folder, or no class with a picture in it.
    """
    folder = Path(folder)
    if not is_folder(folder):
        raise ImageError(f"There is no folder {str(folder)!r}: name one that has a folder for each class.")
    each, skipped = [], []
    for of in sorted(folder.iterdir()):
        if of.is_dir() and not of.name.startswith("."):
            inside, others = _sorted_out(of)
            each += [(file, of.name) for file in inside]
            skipped += others
    if not each:
        raise ImageError(
            f"There are no pictures in folders of {str(folder)!r}{_besides(skipped, folder)}: "
            "put each class in a folder with its name."
        )
    _warn([file for file, _ in each], skipped, folder)
    return [file for file, _ in each], [name for _, name in each]


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False, too, for what no system takes for a path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures in a folder, and what may be pictures and cannot be read; nothing hidden."""
    pictures: list[Path] = []
    skipped: list[Path] = []
    for file in sorted(folder.rglob("*")):
        if file.is_dir() or any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        if _reads(file) and file.is_file():
            pictures.append(file)
        elif file.suffix.casefold() not in BESIDE:
            skipped.append(file)
    return pictures, skipped


def _reads(file: Path) -> bool:
    """Whether Pillow opens files of this name; some kinds it only writes, or leaves to others."""
    kind = Image.registered_extensions().get(file.suffix.casefold(), "")
    if kind == "MPO":  # opened as JPEG
        return True
    factory = Image.OPEN.get(kind, (None,))[0]
    stub = isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    return factory is not None and not stub and kind not in FILMS


def _warn(pictures: list[Path], skipped: list[Path], folder: Path) -> None:
    if skipped:
        whole = len(pictures) + len(skipped)
        warnings.warn(
            f"skipped {len(skipped)} of {whole} files in {printable(str(folder))}: {_listed(skipped, folder)}",
            FovealWarning,
            stacklevel=3,
        )


def _besides(skipped: list[Path], folder: Path) -> str:
    return f", only {_listed(skipped, folder)}" if skipped else ""


def _listed(skipped: list[Path], folder: Path) -> str:
    """The first of them, and why none of them is read."""
    names = [printable(str(file.relative_to(folder))) for file in skipped]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} ({'; '.join(_reasons(skipped))})"


def _reasons(skipped: list[Path]) -> list[str]:
    kinds = dict.fromkeys(_ending(file) for file in skipped if not _reads(file))
    endings = [printable(kind) for kind in kinds if kind][:NAMED]
    reasons = [f"Pillow reads no {', '.join(endings)} here: convert them to PNG or TIFF"] if endings else []
    reasons += ["without an ending, nothing says that they are pictures"] if "" in kinds else []
    return reasons + (["not regular files, or links to nothing"] if any(map(_reads, skipped)) else [])


def _ending(file: Path) -> str:
    """The last suffix, of compressed files with the one before: .nii.gz."""
    suffixes = file.suffixes
    return "".join(suffixes[-2:]) if file.suffix.casefold() in (".gz", ".bz2", ".xz", ".zst") else file.suffix
