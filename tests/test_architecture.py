"""The plan of the house: which package may know which, and what things are called."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import foveal

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(foveal.__file__).parent

FLOORS = (
    ("_version", "_lazy", "errors"),
    ("storage",),
    ("engine", "images", "similarity", "attention"),
    ("targets", "models", "metrics", "render"),
    ("results", "synthetic"),
    ("attribution", "featurevis", "training", "report", "datasets"),
    ("hierarchy",),
    ("methods",),
    ("api",),
    ("benchmark", "runs"),
    ("webapp",),
    ("demo",),
    ("cli",),
)
"""From below. A package may import from lower floors only, not from its neighbors."""

ROOT = {"__init__.py", "__main__.py", "_lazy.py", "_version.py", "errors.py"}

WORDS = {
    "Decision", "Verdict", "Outcome", "Compared", "Chosen", "Always", "Pinned", "Asked", "Evidence", "Course",
    "abandon", "Hiding", "Hidings", "hidings", "Explained", "Mapped", "Made", "several", "mapped", "referred",
    "portray", "Portraits", "Portrait", "Lens", "Album", "people", "sit", "brushes", "Wishes", "wishes",
    "pull", "fidelity", "pale", "take_up", "put_down", "leak", "judge", "release", "literal", "Dictionary",
    "shelves", "Assembly", "assemble", "enough", "decide_by", "Growth", "Reel", "Trial", "Sitting", "Session",
    "Passed", "run_through", "Probe", "probe_images", "Portion", "in_portions", "Inquiry", "inquire",
    "raised", "watched", "examine", "told", "Neighbours", "tape", "exchange", "segment", "fault", "clutter",
    "forms", "ledger",
}  # fmt: skip
"""What nothing is called: the field has other words for it."""

BRITISH = re.compile(
    r"colour|grey|neighbour|normalis|optimis|catalogue|visualis|labelled|localis|initialis|centre(?!d_|s_)|behaviour"
)


@cache
def modules() -> dict[str, ast.Module]:
    """Dotted name -> source."""
    found = {}
    for file in SOURCE.rglob("*.py"):
        parts = file.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(file.read_text(encoding="utf-8"))
    return found


@cache
def imports() -> dict[str, set[str]]:
    """Module -> modules that it imports anywhere, also for types or inside functions."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names if alias.name.split(".")[0] == "foveal"}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "foveal":
                assert node.module and not node.level
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found[name].add(inner if inner in modules() else node.module)
    return found


def package(module: str) -> str:
    """What is on the plan: a package, or a file at the root; the face of the whole and `python -m foveal` are not."""
    return module.split(".")[1] if module not in ("foveal", "foveal.__main__") else ""


def definitions(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Kind and name of what a module defines: classes, functions, parameters, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name
            for inner in node.body:
                if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                    yield "field", inner.target.id
        elif isinstance(node, ast.FunctionDef):
            yield "function", node.name
            arguments = node.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                yield "parameter", argument.arg


def test_only_these_files_are_at_the_root() -> None:
    assert {file.name for file in SOURCE.glob("*.py")} == ROOT
    packages = {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").exists()}
    assert packages | {"_version", "_lazy", "errors"} == {name for floor in FLOORS for name in floor}


def test_packages_know_lower_floors_only() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    upward = {
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others
        if package(module)
        and package(module) != package(other)
        and floor[package(module)] <= floor.get(package(other), len(FLOORS))
    }
    assert not upward, sorted(upward)


def test_no_file_knows_itself_by_a_detour() -> None:
    graph = {module: {other for other in others if other != module} for module, others in imports().items()}
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way[way.index(module) :], module))
        if module not in done:
            for other in sorted(graph.get(module, ())):
                walk(other, (*way, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


def test_a_class_name_stands_for_one_thing() -> None:
    homes: dict[str, set[str]] = defaultdict(set)
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(name)
    assert not {name: where for name, where in homes.items() if len(where) > 1}


@pytest.mark.parametrize("kind", ["class", "function", "parameter", "field", "module"])
def test_names_are_the_words_of_the_field(kind: str) -> None:
    named = {
        f"{module}: {name}"
        for module, tree in modules().items()
        for what, name in (*definitions(tree), ("module", module.rpartition(".")[2]))
        if what == kind and name in WORDS
    }
    assert not named, sorted(named)


def test_identifiers_are_in_american_spelling() -> None:
    """Those of libraries aside."""
    foreign = {"optim", "Optimiser"}
    named = {
        f"{module}: {name}"
        for module, tree in modules().items()
        for _, name in (*definitions(tree), ("module", module.rpartition(".")[2]))
        if BRITISH.search(name.lower()) and name not in foreign
    }
    assert not named, sorted(named)


@pytest.mark.parametrize("name", ["found", "one"])
def test_local_names_say_what_they_hold(name: str) -> None:
    """Few are called by a word that fits everything."""
    count = sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for tree in modules().values()
        for node in ast.walk(tree)
    )
    assert count < 50, count


def test_public_functions_say_what_they_do() -> None:
    silent = []
    for module, tree in modules().items():
        if package(module) == "cli":
            continue
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node) and not _overloaded(node):  # type: ignore[arg-type]
                silent.append(f"{module}.{node.name}")  # type: ignore[attr-defined]
    assert not silent, silent


def _overloaded(node: Any) -> bool:
    return any("overload" in ast.dump(decorator) for decorator in node.decorator_list)
