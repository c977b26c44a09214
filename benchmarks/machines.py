"""A Ray cluster of several machines, all of them processes on this one: to be killed, stopped and added.

    with Machines(folder) as machines:
        foveal.run(…, ray=machines.address, workers=3)

The cluster lives in a process of its own, because Ray ends a process whose head of the cluster is gone. Nothing of it
listens beyond this machine.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

MARK = "FOVEAL_MACHINES"
"""The environment variable by which its processes know each other."""
STORE = 80 * 2**20
BEATS = {
    "health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3, "memory_monitor_refresh_ms": 0,
}  # fmt: skip
"""A machine that is gone is missed in seconds instead of half a minute."""


class Machines:
    """A head without CPUs, and machines with some logical ones."""

    def __init__(self, machines: int = 2, cpus: int = 2) -> None:
        self._name, self.raylets, self._cpus = secrets.token_hex(8), list[int](), cpus
        self._place = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        root = Path(__file__).resolve().parents[1]
        self.environment = {
            **os.environ, MARK: self._name, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "PYTHONPATH": os.pathsep.join([str(root), *sys.path]), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self._host = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.machines", self._place.name], env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.address, self.head = self._heard()
        for _ in range(machines):
            self.add()

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *error: object) -> None:
        self._host.kill()
        self._host.communicate()
        for pid in self.all():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._place.cleanup()

    def add(self) -> int:
        """One machine more; the process that is its raylet."""
        assert self._host.stdin
        print(self._cpus, file=self._host.stdin, flush=True)
        (pid,) = self._heard()
        self.raylets.append(pid)
        return pid

    def all(self) -> list[int]:
        """Its processes, whoever has started them."""
        return [pid for pid, environment in _environments() if f"{MARK}={self._name}".encode() in environment]

    def actors(self) -> list[int]:
        """The processes that explain."""
        return [pid for pid in self.all() if b"ray::Shards" in command_line(pid)]

    def stop(self, raylet: int) -> list[int]:
        """Let a machine do nothing, as one that hangs or that the network has lost; the processes that were stopped."""
        stopped = [pid for pid in self.all() if pid == raylet or _parent(pid) == raylet]
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.raylets.remove(raylet)
        return stopped

    def kill(self, pid: int) -> None:
        """End one of its processes as the kernel does when memory is short."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if pid in self.raylets:
            self.raylets.remove(pid)
        self.head = 0 if pid == self.head else self.head

    def _heard(self) -> Any:
        assert self._host.stdout
        line = self._host.stdout.readline()
        if not line:
            raise RuntimeError("the cluster did not start")
        return json.loads(line)


def command_line(pid: int) -> bytes:
    """What a process is called; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_until(true: Any, seconds: float = 60.0) -> bool:
    """Whether it came true in so much time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                yield int(path.name), (path / "environ").read_bytes().split(b"\0")


def host(place: str) -> None:
    """What the process of the cluster does: starts the head, and a machine for each line that comes."""
    from ray.cluster_utils import Cluster

    here: dict[str, Any] = {"node_ip_address": "127.0.0.1", "object_store_memory": STORE, "temp_dir": place}
    said = os.dup(1)
    os.dup2(2, 1)  # what Ray prints is no answer
    with os.fdopen(said, "w") as answers:
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": BEATS, **here},
        )
        head = [one.process.pid for one in cluster.head_node.all_processes["gcs_server"]]
        print(json.dumps([cluster.address, *head]), file=answers, flush=True)
        for line in sys.stdin:
            node = cluster.add_node(num_cpus=int(line), **here)
            print(json.dumps([one.process.pid for one in node.all_processes["raylet"]]), file=answers, flush=True)


if __name__ == "__main__":
    host(sys.argv[1])
