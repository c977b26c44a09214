"""A client that asks a studio's server as a page does, and one that does what no page does."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from foveal.webapp.serve import StudioServer


NUMBERS = count()


@dataclass(frozen=True)
class Reply:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sentence(self) -> str:
        """What went wrong."""
        return str(self.json["sentence"])


@dataclass(frozen=True)
class Client:
    """Asks a server; it has the token unless it is told otherwise."""

    server: StudioServer
    page: str = "tests"

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """One request with exactly these headers (`_` for `-`); `host` is the server's unless named."""
        with closing(http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)) as connection:
            connection.putrequest(method, path, skip_host="host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str) -> Reply:
        """With the token."""
        return self.send("GET", path, **self.key)

    def ask(self, name: str, **query: Any) -> Reply:
        """Ask; the answer may be a job's ticket."""
        body = json.dumps(query).encode()
        headers = {"content_type": "application/json", "x_job": f"{self.page}.{next(NUMBERS)}", **self.key}
        return self.send("POST", f"/api/{name}", body, **headers)

    def answer(self, name: str, **query: Any) -> Any:
        """Ask, and wait for the answer however long it takes."""
        reply = self.ask(name, **query)
        if reply.status == 202:
            *_, last = self.events(reply.json["job"])
            self.cancel(reply.json["job"])
            assert last["kind"] == "answer", last
            return last["answer"]
        assert reply.status == 200, (reply.status, reply.body[:300])
        return reply.json

    def problem(self, name: str, **query: Any) -> str:
        """Ask what cannot be answered, and wait for the sentence."""
        reply = self.ask(name, **query)
        if reply.status == 202:
            *_, last = self.events(reply.json["job"])
            self.cancel(reply.json["job"])
            assert last["kind"] == "error", last
            return str(last["sentence"])
        assert reply.status in (400, 404, 422), (reply.status, reply.body[:300])
        return reply.sentence

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        """What happens to a job, up to its end."""
        with closing(http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)) as connection:
            connection.request("GET", f"/api/events/{self.page}", headers=self.key)
            for line in connection.getresponse():
                event = json.loads(line[6:]) if line.startswith(b"data: ") else {}
                if event.get("job") == job:
                    yield event
                    if event["kind"] != "progress":
                        return

    def cancel(self, job: str) -> Reply:
        """Give a ticket back."""
        return self.send("DELETE", f"/api/jobs/{job}", **self.key)

    def upload(self, data: bytes, name: str = "photo.png") -> Reply:
        """Add a photo."""
        return self.send("POST", "/api/photos", data, x_name=name, **self.key)

    @property
    def authorization(self) -> dict[str, str]:
        """What every request must have."""
        return {"Authorization": f"Bearer {self.server.token}"}

    @property
    def key(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.server.token}"}
