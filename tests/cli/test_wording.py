"""What the library says in Python's words is said on the command line in its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import foveal
from foveal.cli.wording import COMMANDS, OPTIONS, as_options
from foveal.errors import counted

SOURCE = Path(foveal.__file__).parent
PYTHON = re.compile(
    r"foveal\.[A-Za-z]|load_model\(|\blambda\b|(?<![\w\":.-])(?:"
    + "|".join(OPTIONS)
    + r")=|\w=(?:True|False|None|\[|foveal)"
)
# Files whose sentences no command shows: code for programs only, and what is no sentence.
PROGRAMS = ("cli/", "render/", "synthetic/", "training/", "demo/", "benchmark/")
# Sentences about objects that only a program can hand over.
UNREACHABLE = (
    "call effects(..., pairs=True)",
    "use_reentrant=",
    "half=False",
    "cannot explain a ",
    "cannot describe ",
    "layer={…}, finest={…}",
    "a callable must be wrapped",
    "black depends on",
    "it must return an nn.Module or",
    "Cannot use {…} as labels",
    "cannot explain target {…}",
    "is no method: give a name",
    "cannot register ",
    "name a function f(A, G)",
    "register this one by another name",
    "a name, a foveal.Method",
    "a foveal.Preprocessing, such as",
    "give an nn.Module",
    "load_model takes the name of a network",
    "this retrieval has no query with maps",
)


def sentences() -> dict[str, str]:
    """Every text of the source that is no docstring, by where it stands; {…} for what is filled in."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        where = path.relative_to(SOURCE).as_posix()
        if where.startswith(PROGRAMS):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for text in ast.walk(tree) if isinstance(text, ast.JoinedStr) for part in ast.walk(text)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                parts.add(id(node.value))
        for node in ast.walk(tree):
            text = _text(node, parts)
            if " " in text.strip():
                found[f"{where}:{getattr(node, 'lineno', 0)}"] = text
    return found


def _shown(text: str) -> str:
    """On the command line, without what stands in quotes."""
    return re.sub(r"'[^']*'", "''", as_options(text.replace("{…}", "'x'")))


def _text(node: ast.AST, parts: set[int]) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{…}" for part in node.values)
    return (
        node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts else ""
    )


def test_every_sentence_of_the_library_loses_its_python() -> None:
    left = {
        where: text
        for where, text in sentences().items()
        if not any(known in text for known in UNREACHABLE) and PYTHON.search(_shown(text))
    }
    assert not left


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verb_is_a_command(command: str) -> None:
    assert as_options(f"compare with foveal.{command}, or not") == f"compare with `foveal {command}`, or not"
    assert as_options(f"foveal.{command}(model, f(x))") == f"`foveal {command}`"
    assert as_options(f"foveal.{command}.x and 'foveal.{command}'") == f"foveal.{command}.x and 'foveal.{command}'"


@pytest.mark.parametrize(
    ("python", "options"),
    [
        ("range=(0, 4095)", "--range 0,4095"), ("range=(-160.5, 240)", "--range -160.5,240"),
        ("bands=(0, 1, …)", "--bands 0,1,…"), ("bands=(7,)", "--bands 7"), ("resize='pad'", "--resize pad"),
    ],
)  # fmt: skip
def test_a_setting_of_the_preprocessing_is_an_option(python: str, options: str) -> None:
    assert as_options(f"declare {python} in the preprocessing.") == f"declare {options}."


@pytest.mark.parametrize(("name", "option"), OPTIONS.items())
def test_a_parameter_is_an_option(name: str, option: str) -> None:
    assert as_options(f"pass {name}=x.") == f"pass {option} x."
    assert as_options(f"pass {name}='a b'") == f"pass {option} 'a b'"
    assert as_options(f"pass {name}= or not") == f"pass {option} or not"


@given(st.text(alphabet="abc =.,()-'_7", max_size=60))
def test_sentences_without_python_stay(text: str) -> None:
    assert as_options(text) == text


@given(st.integers(0, 10**6), st.sampled_from(["image", "name"]))
def test_one_is_singular(number: int, thing: str) -> None:
    assert counted(number, thing) == f"{number} {thing}" + ("" if number == 1 else "s")
    assert counted(number, "class", "classes").endswith("class" if number == 1 else "classes")
