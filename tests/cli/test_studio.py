"""`foveal studio`, as a person starts and ends it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from typer.testing import CliRunner

import foveal
from foveal.cli.app import app
from foveal.synthetic import Split
from tests.cli.test_interrupts import CODE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = ["-m", "demo", "--no-open", "--port", "0"]


@contextmanager
def started(*words: str, at: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A studio in a process of its own, and its address; it ends with Ctrl-C, if it has not ended before."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "studio", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=at,
    )
    with process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def asked(address: str, name: str, **query: Any) -> tuple[int, Any]:
    """What a studio at this address says."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=30)
    token = parse_qs(where.query)["token"][0]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection.request("POST", f"/api/{name}", json.dumps(query), headers)
    reply = connection.getresponse()
    said = reply.status, json.loads(reply.read())
    connection.close()
    return said


def test_it_says_its_address_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Also while a network works for minutes: nothing but sentences, and status 0."""
    with started(*LONG, at=tmp_path) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        _, library = asked(address, "library")
        assert [model["name"] for model in library["models"]] == ["demo"]
        assert library["photos"] and all(photo["drawn"] for photo in library["photos"])
        status, _ = asked(
            address, "decision", photo=library["photos"][0]["hash"], model="demo", method="rise:count=1000000"
        )
        assert status == 202
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert out == ""
    assert said.splitlines() == ["The studio is at this address. Ctrl-C ends it.", "The studio has ended."]


def test_photos_folders_and_models(tmp_path: Path) -> None:
    """What cannot be read is named; the rest is shown, and explained."""
    (tmp_path / "birds").mkdir()
    for number in range(2):
        Image.fromarray(Split("classes", 9)[number].image).save(tmp_path / "birds" / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with started("broken.png", "birds", "-m", "demo", "-m", "embed", *LONG[2:], at=tmp_path) as (process, address):
        _, library = asked(address, "library")
        assert [photo["name"] for photo in library["photos"]] == ["0.png", "1.png"]
        assert [model["name"] for model in library["models"]] == ["demo", "embed"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "broken.png" in said and "Traceback" not in said


def test_a_run_is_shown_with_the_network_that_made_it(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    for number in range(2):
        Image.fromarray(Split("classes", 9)[number].image).save(tmp_path / "birds" / f"{number}.png")
    foveal.run("demo", tmp_path / "birds", out=tmp_path / "run", method="hirescam")
    with started("--run", "run", *LONG[2:], at=tmp_path) as (process, address):
        _, library = asked(address, "library")
        assert [photo["name"] for photo in library["photos"]] == ["0.png"] and library["atlas"]
        assert [model["name"] for model in library["models"]] == ["demo"]
        assert asked(address, "atlas_rows", run=library["atlas"], rows=[1])[0] in (200, 202)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    other = run("--run", str(tmp_path / "run"), "-m", "embed", *LONG[2:])
    assert other.exit_code == 1 and "open the studio with the network that made the run" in other.stderr
    none = run("--run", str(tmp_path / "birds"), *LONG[2:])
    assert none.exit_code == 1 and "manifest" in none.stderr and "Traceback" not in none.stderr


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["studio", *words])


def test_without_photos_that_can_be_read_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run(str(tmp_path / "broken.png"), *LONG)
    assert done.exit_code == 1 and "none of the photos" in done.stderr


def test_other_machines_need_a_key_that_the_person_chose() -> None:
    done = run("--host", "0.0.0.0", "--no-open")
    assert done.exit_code == 1
    assert "other machines reach the studio" in done.stderr and "--token" in done.stderr
    short = run("--host", "0.0.0.0", "--token", "short")
    assert short.exit_code == 1 and "16 to 200" in short.stderr


def test_a_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--port", str(taken.getsockname()[1]), "--no-open")
    assert done.exit_code == 1 and "cannot listen" in done.stderr and "another --port" in done.stderr


def test_weights_are_those_of_one_network() -> None:
    done = run("-m", "demo,embed", "--weights", "a.pth", "--no-open")
    assert done.exit_code == 2 and "one network" in done.stderr


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith(("foveal.webapp", "fastapi", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("--no-open")
    assert done.exit_code == 1
    assert "pip install 'foveal[studio]'" in done.stderr and "Traceback" not in done.stderr
