"""What is checked in is what its sources make: the schema, the page's types, and the page."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foveal.webapp.schema import schema

WEB = Path(__file__).parents[2] / "web"
STATIC = Path(__file__).parents[2] / "src" / "foveal" / "render" / "static"
MOST = 100_000  # bytes of script and style, compressed


def npm(*words: str, at: Path) -> None:
    """Run npm in a folder."""
    ran = subprocess.run([sys.executable, WEB / "npm.py", *words], cwd=at, capture_output=True, text=True)
    assert ran.returncode == 0, f"npm {' '.join(words)} failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"


def test_the_schema_is_that_of_the_server() -> None:
    same = (WEB / "src" / "wire" / "openapi.json").read_text(encoding="utf-8") == schema()
    assert same, "run `make types`: the server's schema has changed"


@pytest.mark.slow
def test_types_and_page_are_made_of_their_sources(tmp_path: Path) -> None:
    """Installed and built anew from the lock file, in a copy: the same bytes."""
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "src" / "wire" / "schema.d.ts").unlink()
    npm("ci", "--no-audit", "--no-fund", at=copy)
    npm("run", "types", at=copy)
    npm("run", "check", at=copy)
    npm("run", "build", at=copy)
    types = copy / "src" / "wire" / "schema.d.ts"
    assert types.read_bytes() == (WEB / "src" / "wire" / "schema.d.ts").read_bytes(), "run `make types`"
    built = {file.name: file.read_bytes() for file in (tmp_path / "src" / "foveal" / "render" / "static").iterdir()}
    assert built.keys() == {file.name for file in STATIC.iterdir()}
    changed = [name for name, content in built.items() if content != (STATIC / name).read_bytes()]
    assert not changed, f"run `make web`: {changed} are not what web/ makes"


def test_the_page_is_small() -> None:
    sizes = {file.name: len(gzip.compress(file.read_bytes())) for file in STATIC.iterdir()}
    assert sum(sizes.values()) < MOST, sizes


def test_the_lock_file_names_no_registry() -> None:
    """Whoever builds takes the packages from where they take theirs; the lock holds their hashes."""
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    packages = len(re.findall(r'^    "node_modules/', lock, re.MULTILINE))
    assert lock.count('"integrity": "sha512-') == packages > 20


def test_the_page_loads_nothing_from_elsewhere() -> None:
    """Neither scripts nor styles nor fonts; what a page asks at run time is watched by every test that opens one."""
    for file in STATIC.iterdir():
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w/.-]*", file.read_text(encoding="utf-8")))
        assert {address for address in addresses if "www.w3.org/" not in address} == set(), file.name
