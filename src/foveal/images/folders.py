"""Pictures in ordinary folders."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageFile

from foveal.errors import FovealWarning, ImageError, printable
from foveal.images.formats import DICOM, READERS, TIFF, Reader, is_dicom
from foveal.storage.reading import opened
from foveal.storage.run_record import own_files

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

    What foveal wrote is left out of folders: results are not explained again. Warns of that, and of files that may be
    pictures, but are not read here: how many for which reason, and the names of the first.

    Raises:
        ImageError: for a folder without pictures, or nothing at all.
    """
    pictures: list[Path] = []
    written: list[Path] = []
    for path in paths:
        if not is_folder(path):
            pictures.append(path)
            continue
        inside, skipped, results = _sorted_out(path)
        written += results
        inside = [file for file in inside if but is None or file.resolve() != but.resolve()]
        if not inside:
            raise ImageError(f"There are no images in the folder {str(path)!r}{_besides(skipped, results, path)}.")
        _warn(inside, skipped, path)
        pictures += inside
    _warn_of_results(written)
    if not pictures:
        raise ImageError("There are no images: name files or folders.")
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
    each, skipped, written = [], [], []
    for of in sorted(folder.iterdir()):
        if of.is_dir() and not of.name.startswith("."):
            if own_files(of) is not None:
                written.append(of)
                continue
            inside, others, results = _sorted_out(of)
            each += [(file, of.name) for file in inside]
            skipped += others
            written += results
    if not each:
        raise ImageError(
            f"There are no images in folders of {str(folder)!r}{_besides(skipped, written, folder)}: "
            "put each class in a folder with its name."
        )
    _warn_of_results(written)
    _warn([file for file, _ in each], skipped, folder)
    return [file for file, _ in each], [name for _, name in each]


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False, too, for what no system takes for a path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _sorted_out(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """The pictures in a folder, what may be pictures and cannot be read, and what foveal wrote; nothing hidden."""
    pictures: list[Path] = []
    skipped: list[Path] = []
    results: list[Path] = []
    own, written = own_files(folder) or frozenset(), set[Path]()
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or not written.isdisjoint(file.parents):
            continue
        if file.is_dir():
            if own_files(file) is not None:
                written.add(file)
                results.append(file)
        elif _reads(file) and file.is_file():
            (results if inside.as_posix() in own else pictures).append(file)
        elif file.suffix.casefold() not in BESIDE:
            skipped.append(file)
    return pictures, skipped, results


def is_picture_name(name: str) -> bool:
    """Whether what is called so is a picture that is read here, by the ending of its name."""
    file = Path(name)
    return bool(file.suffix) and _reads(file)


def _reads(file: Path) -> bool:
    """Whether files of this name, or that start so, are read by what is installed."""
    reader = _reader(file)
    if reader is not None and (reader.installed or reader is not TIFF):
        return reader.installed
    return _pillow_reads(file)


def _reader(file: Path) -> Reader | None:
    """What reads a file that Pillow does not: by its name, or where it has no ending, as in scanners' folders, by its
    first bytes."""
    ending = _ending(file).casefold()
    if ending:
        return next((reader for reader in READERS if ending in reader.endings), None)
    try:
        with opened(file) as content:
            return DICOM if is_dicom(content.read(132)) else None
    except OSError:
        return None


def _pillow_reads(file: Path) -> bool:
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


def _warn_of_results(results: list[Path]) -> None:
    if results:
        warnings.warn(f"skipped {_counted(results)} that foveal wrote", FovealWarning, stacklevel=3)


def _counted(results: list[Path]) -> str:
    """ "1 folder", "2 folders and 1 image"."""
    folders = sum(path.is_dir() for path in results)
    counts = {"folder": folders, "image": len(results) - folders}
    return " and ".join(f"{n} {what}{'s' * (n > 1)}" for what, n in counts.items() if n)


def _besides(skipped: list[Path], results: list[Path], folder: Path) -> str:
    there = [_listed(skipped, folder)] if skipped else []
    there += [f"{_counted(results)} that foveal wrote"] if results else []
    return f", only {' and '.join(there)}" if there else ""


def _listed(skipped: list[Path], folder: Path) -> str:
    """The first of them, and why none of them is read."""
    names = [printable(str(file.relative_to(folder))) for file in skipped]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more} ({'; '.join(_reasons(skipped))})"


def _reasons(skipped: list[Path]) -> list[str]:
    """Why they are skipped, each reason with the number of files that it is about."""
    readable = [_reads(file) for file in skipped]
    missing = [None if reads else _reader(file) for file, reads in zip(skipped, readable, strict=True)]
    reasons = [
        f"{missing.count(reader)} {reader.kind}: pip install 'foveal[{reader.extra}]'"
        for reader in dict.fromkeys(missing)
        if reader
    ]
    others = [
        _ending(file) for file, reads, reader in zip(skipped, readable, missing, strict=True) if not (reads or reader)
    ]
    kinds = [kind for kind in dict.fromkeys(others) if kind]
    if kinds:
        named = ", ".join(printable(kind) for kind in kinds[:NAMED]) + (" and others" if len(kinds) > NAMED else "")
        count = len(others) - others.count("")
        reasons.append(f"{count}: nothing here reads {named}: convert them to PNG or TIFF")
    if "" in others:
        reasons.append(f"{others.count('')} without an ending: not known to be images")
    if any(readable):
        reasons.append(f"{sum(readable)}: not regular files, or links to nothing")
    return reasons


def _ending(file: Path) -> str:
    """The last suffix, of compressed files with the one before: .nii.gz."""
    suffixes = file.suffixes
    return "".join(suffixes[-2:]) if file.suffix.casefold() in (".gz", ".bz2", ".xz", ".zst") else file.suffix
