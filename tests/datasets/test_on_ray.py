"""A cluster on this machine makes the same parts, also when its actors are killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from foveal.datasets.deaths import KILLED
from foveal.datasets.on_ray import LOCAL, RayWorkers, begun, joined
from foveal.datasets.plan import Plan
from foveal.errors import FovealError
from tests.datasets.test_executors import Unloadable
from tests.datasets.work import Make, Means, done, drawn, parts, tasks, work

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.cluster,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two logical CPUs, whatever the machine has; nothing of it listens beyond the machine, and nobody is told."""
    module, _ = joined(LOCAL, 2)
    assert [node["NodeManagerAddress"] for node in module.nodes()] == ["127.0.0.1"]
    yield
    module.shutdown()


@pytest.mark.usefixtures("cluster")
def test_actors_make_the_same_parts_whatever_kills_them(tmp_path: Path) -> None:
    plan = Plan.of(drawn(tmp_path / "photos", 9), tmp_path / "photos", batch=2, shard=4)
    done(work(plan.root, tmp_path / "here"), tasks(plan))
    mine = work(plan.root, tmp_path / "there")
    (tmp_path / "once").write_text("")
    mine = replace(mine, make=Make(Means(once=str(tmp_path / "once"))))
    seen: list[int] = []
    each = RayWorkers(mine, 5, lambda step: seen.append(step.done), "local").each(tasks(plan))
    assert sorted(part.shard for part in each) == [0, 1, 2] and sorted(seen) == [1, 4, 4]
    assert parts(tmp_path / "there") == parts(tmp_path / "here") and not (tmp_path / "once").exists()
    with pytest.raises(FovealError, match="there is no such network"):
        list(RayWorkers(replace(mine, make=Unloadable()), 1, print, "local").each(tasks(plan)))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_the_picture_that_kills_its_actors_is_isolated(tmp_path: Path) -> None:
    plan = Plan.of(drawn(tmp_path / "photos", 4), tmp_path / "photos", batch=2, shard=2)
    mine = work(plan.root, tmp_path / "out", deadly="002")
    list(RayWorkers(mine, 1, lambda step: None, "local").each(tasks(plan)))
    rows = pq.read_table(sorted((tmp_path / "out").glob("part-*"))).to_pydict()
    assert rows["error"] == [None, None, KILLED, None]


def test_a_cluster_that_does_not_answer_is_not_waited_for() -> None:
    """As Ray does where the head ends while it is joined."""
    never = threading.Event()

    class Ray:
        def init(self, **settings: object) -> None:
            if settings.get("address") != "open":
                never.wait(60)
            if settings.get("broken"):
                raise ValueError("no such setting")

    with pytest.raises(ConnectionError, match="has not answered for 0 s"):
        begun(Ray(), 0.05, address="gone")
    begun(Ray(), 5, address="open")
    with pytest.raises(ValueError, match="no such setting"):
        begun(Ray(), 5, address="open", broken=True)
    never.set()
