"""The page of a folder of results: what a command wrote there, with images, links and the facts of each manifest.

    index.html ─┬─ command line, messages
                └─ Group (a photo, a query) ── Listing (a folder: facts, images, links)

Everything on it is beside it: images are shown from their files, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from foveal.errors import printable
from foveal.render.pages import environment as new_environment
from foveal.storage.atomic import write_text
from foveal.storage.folder import MANIFEST
from foveal.storage.reading import DAMAGE, read_json, read_text

if TYPE_CHECKING:
    from foveal.storage.run_record import RunRecord

INDEX = "index.html"
GENERATOR = '<meta name="generator" content="foveal">'
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg"}
PAGES = {".html"}
TABLES = {".csv", ".md", ".tex", ".pdf"}
SHOWN = 4
"""Copies of photos beside the drawings of a folder; more of them are folded away."""
FEW = 3


@dataclass(frozen=True)
class Link:
    """A file of the folder: where it is, and what it is called on the page."""

    href: str
    text: str


@dataclass(frozen=True)
class Listing:
    """What one folder holds: the drawings first, then copies of photos, pages, tables and everything else."""

    title: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    drawings: tuple[Link, ...]
    photos: tuple[Link, ...]
    pages: tuple[Link, ...]
    tables: tuple[Link, ...]
    others: tuple[Link, ...]

    @property
    def folded(self) -> bool:
        """Whether there are too many photos to be shown at once."""
        return len(self.photos) > SHOWN


def write_index(folder: Path, record: RunRecord) -> Path:
    """The file index.html in a folder, whole or not at all, for the files that its record lists."""
    path = folder / INDEX
    write_text(path, index_page(folder, record))
    return path


def index_page(folder: Path, record: RunRecord) -> str:
    """The page for what a record lists, as HTML that refers to files beside it and to nothing else."""
    listings = [_listing(folder, place, names) for place, names in _by_folder(record.files, folder)]
    new = {_group(name) for name in set(record.files) - set(record.earlier)}
    sections = [(title, list(pairs)) for title, pairs in groupby(listings, key=lambda pair: pair[0])]
    sections.sort(key=lambda section: bool(section[0]) and section[0] not in new)  # other runs' at the end
    groups = [
        {
            "title": printable(title), "id": f"g{number}", "listings": [listing for _, listing in inside],
            "earlier": bool(title) and title not in new,
        }
        for number, (title, inside) in enumerate(sections)
    ]  # fmt: skip
    return new_environment("foveal.report").get_template("index.html").render(
        record=record, groups=groups, several=sum(bool(group["title"]) for group in groups) > FEW,
        images=any(listing.drawings for _, listing in listings),
    )  # fmt: skip


def is_index(path: Path) -> bool:
    """Whether a file is such a page, which may be replaced."""
    try:
        return GENERATOR in read_text(path)[:1000]
    except DAMAGE:
        return False


def _by_folder(names: Iterable[str], folder: Path) -> list[tuple[PurePosixPath, list[str]]]:
    """The names that are there, without hidden ones and the page itself, folder by folder; the outermost first."""
    paths = [PurePosixPath(name) for name in names]
    inside = [
        path for path in paths
        if not path.is_absolute() and not any(part.startswith(".") for part in path.parts)
        and path != PurePosixPath(INDEX) and (folder / path).is_file()
    ]  # fmt: skip
    inside.sort(key=lambda path: (path.parent.parts, path.name))
    return [(place, [path.name for path in each]) for place, each in groupby(inside, key=lambda path: path.parent)]


def _listing(folder: Path, place: PurePosixPath, names: Sequence[str]) -> tuple[str, Listing]:
    """The group a folder belongs to, and what it holds."""
    manifest = _manifest(folder / place) if MANIFEST in names else {}
    captions, photos = _captions(manifest), _photos(manifest)
    kinds: dict[str, list[Link]] = {kind: [] for kind in ("drawings", "photos", "pages", "tables", "others")}
    order = {name: number for number, name in enumerate(captions)}
    for name in sorted(names, key=lambda name: order.get(name, -1)):
        kind = _kind(name, photos)
        kinds[kind].append(Link(_href(place / name), printable(captions.get(name, name))))
    title, *rest = place.parts or ("",)
    return title, Listing(
        printable(" / ".join(rest)), _facts(manifest), tuple(map(printable, _texts(manifest.get("notes")))),
        **{kind: tuple(links) for kind, links in kinds.items()},
    )  # fmt: skip


def _group(name: str) -> str:
    """The first folder on the way to a file; "" where it is in none."""
    return PurePosixPath(name).parts[0] if len(PurePosixPath(name).parts) > 1 else ""


def _kind(name: str, photos: Mapping[str, str]) -> str:
    ending = PurePosixPath(name).suffix.casefold()
    if name in photos:
        return "photos"
    kinds = {"drawings": IMAGES, "pages": PAGES, "tables": TABLES}
    return next((kind for kind, endings in kinds.items() if ending in endings), "others")


def _href(path: PurePosixPath) -> str:
    """A relative address of a file, also of one whose name is no text."""
    return quote(os.fsencode(str(path)))


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        content = read_json(folder / MANIFEST)
    except DAMAGE:
        return {}
    return content if isinstance(content, dict) else {}


def _photos(manifest: Mapping[str, Any], *keys: str) -> dict[str, str]:
    """Files that are copies of photos, and where these came from."""
    listed = [entry for key in keys or ("photos", "queries", "references") for entry in _list(manifest.get(key))]
    return {
        str(entry["file"]): str(entry.get("source", ""))
        for entry in listed
        if isinstance(entry, dict) and "file" in entry
    }


def _captions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What files are: an overlay by its layer, a copy by its photo."""
    overlays = {
        str(entry.get("file")): f"layer {entry['layer']}"
        for entry in _list(manifest.get("overlays"))
        if isinstance(entry, dict) and "layer" in entry
    }
    return overlays | {name: f"photo {source}" for name, source in _photos(manifest).items()}


def _facts(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Target, score and so on, as far as a manifest says them."""
    facts = {
        "photo": _some([source for source in _photos(manifest, "photos").values() if source]),
        "target": _some(_texts(manifest.get("target"))),
        "score": _some([f"{value:.4g}" for value in _numbers(manifest.get("score"))]),
        "probability": _some([f"{100 * value:.3g} %" for value in _numbers(manifest.get("probability"))]),
        "method": _some(_texts(manifest.get("method"))),
        "metric": _some(_texts(manifest.get("metric"))),
        "model": _some(_texts(manifest.get("model"))),
    }
    return tuple((name, printable(text)) for name, text in facts.items() if text)


def _some(texts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - FEW} more" if len(texts) > FEW else ""
    return ", ".join(text.replace("-", "−", 1) if text[:1] == "-" else text for text in texts[:FEW]) + more


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in _list(value)]


def _numbers(value: Any) -> list[float]:
    """Numbers that a manifest holds, as they are or as described (`results.storage.describe_numbers`)."""
    values = value.get("values") if isinstance(value, dict) else [value]
    return [float(x) for x in _list(values) if isinstance(x, int | float) and math.isfinite(x)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
