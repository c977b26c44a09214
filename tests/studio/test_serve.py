"""How the server ends."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import uvicorn

from foveal.models import load_model
from foveal.webapp.serve import LOOPBACK, serving
from foveal.webapp.studio import Studio


def ends(connection: socket.socket) -> bool:
    """Whether the server ended this connection, after whatever it sent."""
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_a_connection_ends_with_the_server() -> None:
    with serving(Studio({"demo": load_model("demo")}), port=0) as server:
        connection = socket.create_connection((LOOPBACK, server.port), timeout=10)
    with connection:
        assert ends(connection)


def test_a_connection_that_came_while_the_server_stopped_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def overlook(server: uvicorn.Server, sockets: Any = None) -> None:
        for listening in server.servers:
            listening.close()
        await server.lifespan.shutdown()

    monkeypatch.setattr(uvicorn.Server, "shutdown", overlook)
    with serving(Studio({"demo": load_model("demo")}), port=0) as server:
        connection = socket.create_connection((LOOPBACK, server.port), timeout=10)
        host, path = server.address.removeprefix("http://").split("/", 1)
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert connection.recv(1)  # accepted
    with connection:
        assert ends(connection)
