"""Fonts for names in any script: a person's own, the one that Pillow brings, one bundled here, and the system's.

`FOVEAL_FONT` names font files of one's own, with the system's path separator between them.
"""

from __future__ import annotations

import os
import sys
import unicodedata
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont, features

from foveal.errors import FovealWarning, printable

ENDINGS = {".ttf", ".otf", ".ttc", ".otc"}
MOST = 500  # font files of a system that are looked at
STYLED = ("bold", "italic", "oblique", "light", "thin", "black", "heavy", "condensed", "mono", "serif", "math")
FAMILIES = ("dejavusans", "notosans", "liberationsans", "arialunicode", "segoeui", "arial", "freesans", "droidsans")
UNFIT = ("lastresort", "emoji", "symbol")  # boxes for every letter; pictures of one size


@dataclass(frozen=True)
class Face:
    """A font at any size; without a path the one that Pillow brings, which knows ASCII and little more."""

    path: Path | None = None

    def at(self, size: float) -> ImageFont.FreeTypeFont:
        """The font at a size in pixels. Raises OSError for a file that is none."""
        return _sized(self.path, size)

    def has(self, char: str) -> bool:
        """Whether it has a glyph for a character; those that nobody sees need none."""
        return char.isspace() or is_unseen(char) or _has_glyph(self.path, char)

    def covers(self, text: str) -> bool:
        """Whether it has a glyph for each."""
        return all(map(self.has, text))


BUILT_IN = Face()
BUNDLED = Face(Path(__file__).with_name("typefaces") / "DejaVuSans.ttf")
"""European scripts, Hebrew, Arabic and signs: see typefaces/README.md."""


def own_faces() -> tuple[Face, ...]:
    """The fonts that `FOVEAL_FONT` names."""
    return _read(os.environ.get("FOVEAL_FONT", ""))


def face_with(char: str) -> Face | None:
    """The bundled font or one of this system that has a character, the plainest first; None where there is none."""
    for face in (BUNDLED, *_found):
        if face.has(char):
            return face
    if _block(char) in _absent:
        return None
    for path in _candidates():
        face = Face(path)
        if _opens(face) and face.has(char):
            _found.append(face)
            return face
    _absent.add(_block(char))
    return None


def is_unseen(char: str) -> bool:
    """Joiners and variation selectors, which change how letters look."""
    return char in "\u200c\u200d" or "\ufe00" <= char <= "\ufe0f"


def is_shaped() -> bool:
    """Whether letters are joined, and written to the left where they must be."""
    return bool(features.check("raqm"))


def script(char: str) -> str:
    """What a character is, in words: Cyrillic letters, CJK letters, emoji, symbols."""
    if "\U0001f1e6" <= char <= "\U0001faff":
        return "emoji"
    if unicodedata.category(char).startswith("S"):
        return "symbols"
    word = unicodedata.name(char, "unknown").split()[0].split("-")[0]
    return f"{word if word == 'CJK' else word.capitalize()} letters"


def _block(char: str) -> tuple[str, int]:
    return script(char), ord(char) >> 8


_found: list[Face] = []
_absent: set[tuple[str, int]] = set()


@cache
def _read(named: str) -> tuple[Face, ...]:
    faces = [Face(Path(path)) for path in named.split(os.pathsep) if path.strip()]
    for face in faces:
        if not _opens(face):
            warnings.warn(
                f"FOVEAL_FONT names {printable(str(face.path))}, which is not a readable font",
                FovealWarning,
                stacklevel=2,
            )
    return tuple(face for face in faces if _opens(face))


@cache
def _sized(path: Path | None, size: float) -> ImageFont.FreeTypeFont:
    if path is not None:
        return ImageFont.truetype(str(path), size)
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return built_in


@cache
def _has_glyph(path: Path | None, char: str) -> bool:
    if path is None and unicodedata.combining(char):
        return False
    # Without shaping, which draws a circle under a mark that stands alone.
    font = _sized(None, 16) if path is None else ImageFont.truetype(str(path), 16, layout_engine=ImageFont.Layout.BASIC)
    drawn, missing = (bytes(font.getmask(c)) for c in (char, "\uffff"))
    return drawn != missing


def _opens(face: Face) -> bool:
    try:
        return face.path is not None and face.path.is_file() and bool(ImageFont.truetype(str(face.path), 16))
    except (OSError, ValueError):
        return False


@cache
def _candidates() -> tuple[Path, ...]:
    """Font files of this system, the plainest styles of the best known families first."""
    files: list[Path] = []
    for folder in _folders():
        for place, _, names in os.walk(folder):
            files += [Path(place, name) for name in names if Path(name).suffix.casefold() in ENDINGS]
    return tuple(sorted(files, key=_rank)[:MOST])


def _rank(path: Path) -> tuple[bool, bool, int, str]:
    name = path.stem.casefold().replace("-", "").replace(" ", "")
    family = next((k for k, known in enumerate(FAMILIES) if name.startswith(known)), len(FAMILIES))
    return any(word in name for word in UNFIT), any(word in name for word in STYLED), family, name


def _folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home)) / "Microsoft" / "Windows" / "Fonts"
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local]
    shared = os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    return [*(Path(place) / "fonts" for place in shared), home / ".local" / "share" / "fonts", home / ".fonts"]
