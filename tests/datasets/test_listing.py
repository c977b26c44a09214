"""Folders, lists and tables of pictures: what is listed, in which order, under which label."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foveal.datasets.listing import listed, source_of
from foveal.datasets.plan import PLAN, Item, Plan
from foveal.errors import FovealError, ImageError, ResultError
from tests.datasets.work import drawn


def listing(pictures: object) -> list[tuple[str, str | None]]:
    return listed(pictures, source_of(pictures))  # type: ignore[arg-type]


def test_folders_are_classes_where_every_picture_lies_in_one(tmp_path: Path) -> None:
    drawn(tmp_path / "b" / "deep", 1)
    drawn(tmp_path / "a", 2)
    assert listing(tmp_path) == [("a/000.png", "a"), ("a/001.png", "a"), ("b/deep/000.png", "b")]
    drawn(tmp_path, 1)
    assert [label for _, label in listing(tmp_path)] == [None] * 4
    assert source_of(tmp_path).root == tmp_path.resolve()


def test_a_list_is_sorted_and_names_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    assert listing(["002.png", "000.png", Path("002.png")]) == [("000.png", None), ("002.png", None)]
    assert listing("001.png") == [("001.png", None)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_have_paths_and_labels(ending: str, tmp_path: Path) -> None:
    table = tmp_path / f"table.{ending}"
    if ending == "csv":
        table.write_text('file,other,label\nb.png,1,"a, b"\na.png,2,\n')
    else:
        pq.write_table(pa.table({"file": ["b.png", "a.png"], "other": [1, 2], "label": ["a, b", None]}), table)
    assert listing(table) == [("a.png", None), ("b.png", "a, b")]
    assert source_of(table).root == tmp_path.resolve()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\nx,y\n", "none of its columns is called uri, path"),
        ("file\nx,y\n", "has 2 cells"),
        ("file,label\n,y\n", "row 1 has no path"),
        ('file\n"x', "line 2"),
    ],
)
def test_bad_tables_are_refused_in_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ImageError, match=said) as caught:
        listing(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)
    for odd in (7, [7], {"a.png"}, None):
        with pytest.raises(ImageError, match="as a data set"):
            source_of(odd)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="Cannot read the table"):
        source_of(tmp_path / "missing.csv")


def test_a_plan_comes_back_and_its_shards_are_multiples_of_a_batch(tmp_path: Path) -> None:
    rows = [(f"{i:04d}.png", None if i % 2 else "c") for i in range(1000)]
    plan = Plan.of(rows, tmp_path, batch=8)
    assert plan.size == 16 and plan.shards == 63 and len(plan.items(62)) == 8
    assert [item for shard in range(plan.shards) for item in plan.items(shard)] == [
        Item(i, *row) for i, row in enumerate(rows)
    ]
    plan.save(tmp_path)
    again = Plan.load(tmp_path, Path("elsewhere"), plan.size)
    assert again.everything == plan.everything and again.digest == plan.digest
    assert Plan.of(rows[1:], tmp_path, batch=8).digest != plan.digest
    assert Plan.of(rows, tmp_path, batch=8, shard=24).digest != plan.digest
    assert Plan.of([("x", None)] * 100_000, tmp_path, batch=8).size == 512
    (tmp_path / PLAN).write_bytes(b"PAR1")
    with pytest.raises(ResultError, match="Cannot read the plan"):
        Plan.load(tmp_path, tmp_path, 16)
    with pytest.raises(ImageError, match="no images"):
        Plan.of([], tmp_path)


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_parts_of_a_plan_are_all_of_it_once(count: int, tmp_path: Path) -> None:
    plan = Plan.of([(f"{i}", None) for i in range(50)], tmp_path, batch=3)
    each = [plan.slice(number, count) for number in range(1, count + 1)]
    assert sorted(shard for part in each for shard in part) == list(range(plan.shards))
    assert max(map(len, each)) - min(map(len, each)) <= 1
    for number in (0, count + 1):
        with pytest.raises(FovealError, match="There is no part"):
            plan.slice(number, count)
