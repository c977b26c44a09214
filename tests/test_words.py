"""Texts that users read have no phrases that a reader stumbles over; the glossary has the words to use instead."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

import foveal
from foveal.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCE = Path(foveal.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

PHRASES = {
    r"put(s|ting)? (the claim|it) to the network": "tests the map: runs the network without …",
    r"know(s|ing)? nothing": "baseline maps ignore the network",
    r"know(s)? the network\?": "depends on the weights",
    r"\babandon": "left-out neurons",
    r"at the level of operations": "for each operation",
    r"bit for bit as it was": "not changed at all",
    r"strides into dilations": "strides are replaced by dilations",
    r"talk to stderr": "messages go to stderr",
    r"kinds? of picture": "clusters of the images",
    r"connection goes round": "a skip connection bypasses it",
    r"asks? about copies": "runs the model on altered copies",
    r"beside the way": "not on the path to the score",
    r"\bthey tell of\b": "they list",
    r"seen through": "unwrapped",
    r"runs nothing of its own": "never runs code",
    r"(picture|image) the network never saw": "unlike the training data",
    r"starts it with": "that foveal uses",
    r"vote's share": "the share of votes",
    r"no method needs to know": "all methods work unchanged",
    r"no pair of (places|positions) holds": "the part of the similarity from bias terms",
    r"that which a map marks": "the areas that a map highlights",
    r"equals are ordered": "ties are broken at random",
    r"gamed by": "a mask of ones scores perfectly",
    r"removing dust": "removing single pixels",
    r"had no part in it": "other networks",
    r"when both go at once": "when both are removed together",
    r"whole story": "the Python traceback",
    r"^of (the solver|deletion and insertion)": "what the number is",
    r"usual if left out": "default: the usual set",
    r"led astray": "trained to use a shortcut",
    r"how true (each|a|the)\b": "faithfulness",
    r"cells that see": "receptive field",
    r"compared is what": "the model's output is compared",
    r"carried by about": "channels make up the similarity",
    r"score of cosine": "the cosine similarity",
    r"while layers forget|made to forget": "randomization of the weights",
    r"pictures? of patterns": "image patterns",
    r"stabili[sz]ers took": "went to biases and epsilon terms",
    r"pools in another way": "the network does not use these parts",
    r"which ends where": "the color scale ends at the 98th percentile",
    r"the tree holds": "shown features cover",
    r"first words of a row": "bold at left",
    r"made, not found": "synthetic images",
    r"made otherwise": "made with other settings",
    r"mend that one": "choose another folder",
    r"no part of a foveal": "not written by foveal",
    r"strides make up \(": "a resolution that divides the network's stride",
    r"tells? nothing of": "too few images per class",
    r"unforeseen": "unexpected error",
    r"\bone an? (image|class|output|method|query)\b(?! (is|and|the))": "one per image",
    r"asked about (altered )?(copies|pictures)": "measured on altered copies",
    r"on something else than": "looks like a transformer",
    r"without a word": "without a warning",
    r"which are whose": "cannot be assigned to images",
    r"\ban? (row|map|mask|picture|photo|file|column|vector|layer) an? (image|picture|photo|layer|verb|command)\b": (
        "one row per image"
    ),
}
"""What no text says (a pattern, in any case), and what it may say instead. Grows by one line a phrase."""

EXPLAINED = {r"\babandon": {"docs/glossary.md", "docs/flow.md", "foveal.Flow"}}
"""Files that explain a term of a paper once."""

SHORTEST = 3
"""Literals with fewer words than this are names."""


def pages() -> Iterator[tuple[str, str]]:
    """Paragraphs of the documentation, and comments in its examples; without code."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"```.*?```", lambda block: "\n".join(re.findall(r"# .*", block[0])), text, flags=re.DOTALL)
        text = re.sub(r"`[^`]*`", "`…`", text)
        yield from ((page.relative_to(ROOT).as_posix(), " ".join(part.split())) for part in text.split("\n\n"))


def helps(command: Any, name: str = "foveal") -> Iterator[tuple[str, str]]:
    """The help of a command and of those in it, and of every option."""
    yield name, command.help or ""
    for option in command.params:
        yield f"{name} {option.opts[0]}", getattr(option, "help", None) or ""
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner, f"{name} {inner.name}")


def docstrings() -> Iterator[tuple[str, str]]:
    """Of everything that `foveal` exports, and of the methods of its classes."""
    for name in foveal.__all__:
        exported = getattr(foveal, name)
        members = vars(exported) if inspect.isclass(exported) else {}
        for inner, value in {"": exported, **members}.items():
            documented = callable(value) or isinstance(value, property | classmethod | staticmethod)
            if documented and not inner.startswith("_") and (text := inspect.getdoc(value)):
                yield f"foveal.{name} {inner}".strip(), text


def literals() -> Iterator[tuple[str, str]]:
    """Strings of several words in the source: messages, notes, captions; not the strings that document code."""
    for file in SOURCE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        documenting = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) not in within | documenting and len((text := spoken(node)).split()) >= SHORTEST:
                yield f"{file.relative_to(SOURCE).as_posix()}:{node.lineno}", text  # type: ignore[attr-defined]


def spoken(node: ast.AST) -> str:
    """What a literal says, with … for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def templates() -> Iterator[tuple[str, str]]:
    for file in SOURCE.rglob("*.html"):
        yield file.relative_to(SOURCE).as_posix(), " ".join(file.read_text(encoding="utf-8").split())


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Everything that a user reads, and where it is."""
    return (*pages(), *helps(typer.main.get_command(app)), *docstrings(), *literals(), *templates())


def said(phrase: str) -> list[str]:
    """Where a phrase is, with what is around it."""
    found = []
    for where, text in texts():
        if where.partition(":")[0] not in EXPLAINED.get(phrase, ()):
            hits = re.finditer(phrase, text, re.IGNORECASE)
            found += [f"{where}: …{text[max(0, hit.start() - 40) : hit.end() + 40]}…" for hit in hits]
    return found


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: re.sub(r"\W+", " ", phrase).strip()[:50])
def test_no_text_says(phrase: str) -> None:
    assert not (places := said(phrase)), "\n".join([f"say rather: {PHRASES[phrase]}", *places])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_speak_of_images_and_forward_passes(page: Path) -> None:
    """One word for one thing: not "picture", not "forwards"."""
    words = [
        text[max(0, hit.start() - 30) : hit.end() + 30]
        for where, text in pages()
        if where == page.relative_to(ROOT).as_posix()
        for hit in re.finditer(r"\bpictures?\b|\bforwards\b", text, re.IGNORECASE)
    ]
    assert not words, words


@pytest.mark.parametrize(
    ("where", "phrase"),
    [
        ("README.md", "MIT license"),
        ("docs/glossary.md", "abandoned"),
        ("foveal methods", "costs"),
        ("foveal.explain", "Args:"),
        ("engine/select.py", "there is no stage …"),
        (".html", "<"),
    ],
)
def test_texts_of_every_kind_are_read(where: str, phrase: str) -> None:
    assert any(where in name and phrase in text for name, text in texts())
