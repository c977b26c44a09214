"""Pictures inside of tars and tables: listed with their labels, and read in place as their files would be."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foveal.datasets.inside import picture_files
from foveal.datasets.listing import listed, source_of
from foveal.datasets.plan import Plan
from foveal.errors import ImageError
from tests.datasets.work import done, drawn, parts, tasks, work


def plan_of(pictures: object) -> Plan:
    source = source_of(pictures)  # type: ignore[arg-type]
    return Plan.of(listed(pictures, source), source.root, batch=2, shard=4)  # type: ignore[arg-type]


def contents(plan: Plan) -> list[bytes]:
    with picture_files(plan.root) as files:
        got = [files.get(item) for item in plan.everything]
        return [one.getvalue() for one in got if isinstance(one, io.BytesIO)]


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            file.addfile(about, io.BytesIO(content))
    return path


def files_in(folder: Path, count: int) -> list[bytes]:
    return [(folder / name).read_bytes() for name, _ in drawn(folder, count)]


def rows(files: list[bytes], labels: list[int]) -> pa.Table:
    """A table as `datasets` writes it."""
    image = pa.array([{"bytes": content, "path": f"{k}.png"} for k, content in enumerate(files)])
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    table = pa.table({"image": image, "label": pa.array(labels)})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_members_of_tars_are_read_in_place_with_the_labels_beside_them(tmp_path: Path) -> None:
    files = files_in(tmp_path / "photos", 7)
    tar(tmp_path / "b-001.tar", {"x/4.png": files[4], "x/4.json": b'{"caption": 1, "label": 3}', "5.JPG": files[5]})
    tar(tmp_path / "a-000.tar", {
        "0.cls": b"7\n", "0.png": files[0], "1.left.png": files[1], "1.right.png": files[2], "1.txt": "é".encode(),
        "3.png": files[3], "3.cls": b"", "3.json": b"\xff" * 0 + b"{}", "__init__.py": b"no picture", "._0.png": b"mac",
    })  # fmt: skip
    plan = plan_of(str(tmp_path / "?-*.tar"))
    assert [(item.uri, item.label) for item in plan.everything] == [
        ("a-000.tar/0.png", "7"), ("a-000.tar/1.left.png", "é"), ("a-000.tar/1.right.png", "é"),
        ("a-000.tar/3.png", None), ("b-001.tar/x/4.png", "3"), ("b-001.tar/5.JPG", None),
    ]  # fmt: skip
    assert contents(plan) == files[:6] and plan.root == tmp_path.resolve()
    given = [tmp_path / "b-001.tar", str(tmp_path / "a-000.tar")]
    for same in (given, str(tmp_path / "[ab]-*.tar")):
        assert plan_of(same).digest == plan.digest
    (tmp_path / "b-001.tar").rename(tmp_path / "a-001.tar")
    assert len(plan_of(str(tmp_path / "a-{000..001}.tar"))) == 6
    with pytest.raises(ImageError, match="no file is called so"):
        plan_of(str(tmp_path / "c-*.tar"))
    with pytest.raises(ImageError, match="No such file"):
        plan_of(str(tmp_path / "a-{000..002}.tar"))


def test_tars_that_cannot_be_read_are_refused_and_members_that_cannot_are_rows(tmp_path: Path) -> None:
    files = files_in(tmp_path / "photos", 3)
    path = tar(tmp_path / "a.tar", {f"{k}.png": content for k, content in enumerate(files)} | {"3.png": b"no picture"})
    plan, content = plan_of(path), path.read_bytes()
    (packed := tmp_path / "packed.tar").write_bytes(gzip.compress(content))
    (cut := tmp_path / "cut.tar").write_bytes(content[:700])
    (odd := tmp_path / "odd.tar").write_bytes(b"x" * 2000)
    (bad := tmp_path / "bad.tar").write_bytes(tar(tmp_path / "j.tar", {"0.png": b"", "0.json": b"{"}).read_bytes())
    for wrong, said in ((packed, "compressed"), (cut, "cut|end of data"), (odd, "odd.tar"), (bad, "bad.tar")):
        with pytest.raises(ImageError, match=f"Cannot read the tar .*{said}"):
            plan_of(wrong)
    path.write_bytes(content[: plan.everything[1].inside.start + 5])  # type: ignore[union-attr]
    sealed = done(work(plan.root, tmp_path / "out"), tasks(plan))
    errors = pq.read_table(tmp_path / "out" / "part-00000.parquet")["error"].to_pylist()
    assert (
        sealed[0].failed == 3
        and errors[0] is None
        and errors[1] == "Cannot read 'a.tar/1.png': 'a.tar' ends before it."
    )


@pytest.mark.parametrize("kind", ["parquet", "arrow", "folder"])
def test_tables_hold_pictures_with_the_names_of_their_classes(kind: str, tmp_path: Path) -> None:
    files = files_in(tmp_path / "photos", 5)
    table = rows(files, [0, 1, -1, 1, 0])
    if kind == "parquet":
        pq.write_table(table, given := tmp_path / "t.parquet", row_group_size=2)
        file = "t.parquet"
    else:
        given = tmp_path / "saved"
        given.mkdir()
        file = "data-00000-of-00001.arrow"
        with pa.OSFile(str(given / file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
        (given / "state.json").write_text(json.dumps({"_data_files": [{"filename": file}]}))
        given = given if kind == "folder" else given / file
    plan = plan_of(given)
    assert [(item.uri, item.label) for item in plan.everything] == [
        (f"{file}/{k}", name) for k, name in enumerate(["cat", "dog", None, "dog", "cat"])
    ]
    assert contents(plan) == files
    with picture_files(plan.root) as opened:
        backwards = [opened.get(item).getvalue() for item in reversed(plan.everything)]  # type: ignore[union-attr]
    assert backwards == files[::-1]


class DataSet:
    """What is used of a `datasets.Dataset`."""

    def __init__(self, files: list[Path], count: int, indices: Any = None) -> None:
        self.cache_files, self._count, self._indices = [{"filename": str(file)} for file in files], count, indices
        self.features = self.save_to_disk = None

    def __len__(self) -> int:
        return self._count


def test_a_data_set_of_hugging_face_is_read_from_its_files(tmp_path: Path) -> None:
    files = files_in(tmp_path / "photos", 3)
    table = rows(files, [0, 1, 1])
    with pa.OSFile(str(path := tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    assert contents(plan_of(DataSet([path], 3))) == files
    for other in (DataSet([], 3), DataSet([path], 2), DataSet([path], 3, table)):
        with pytest.raises(ImageError, match="save_to_disk"):
            plan_of(other)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(ImageError, match=r"several data sets; name one: .*train"):
        plan_of(tmp_path)


def test_tables_without_pictures_and_cells_without_bytes(tmp_path: Path) -> None:
    drawn(tmp_path, 2)
    paths = pa.table({"path": ["000.png", "001.png"], "map": [b"x", b"y"]})
    pq.write_table(paths, tmp_path / "paths.parquet")
    assert [item.inside for item in plan_of(tmp_path / "paths.parquet").everything] == [None, None]
    cells = pa.array([{"bytes": None, "path": "a.png"}, None, {"bytes": b"no picture", "path": None}])
    pq.write_table(pa.table({"photo": cells}), tmp_path / "t.parquet")
    plan = plan_of(tmp_path / "t.parquet")
    done(work(plan.root, tmp_path / "out"), tasks(plan))
    errors = pq.read_table(tmp_path / "out" / "part-00000.parquet")["error"].to_pylist()
    assert "only the path 'a.png'" in errors[0] and "is empty" in errors[1] and "image format" in errors[2]
    pq.write_table(pa.table({"a": cells, "b": cells}), tmp_path / "two.parquet")
    with pytest.raises(ImageError, match=r"several columns hold images \(a, b\)"):
        plan_of(tmp_path / "two.parquet")


@pytest.mark.slow
def test_the_same_bytes_from_workers_and_from_files(tmp_path: Path) -> None:
    files = files_in(tmp_path / "photos", 9)
    plan = plan_of(tar(tmp_path / "a.tar", {f"{k}.png": content for k, content in enumerate(files)}))
    assert done(work(plan.root, tmp_path / "here"), tasks(plan)) == done(
        work(plan.root, tmp_path / "there"), tasks(plan), 2
    )
    assert parts(tmp_path / "here") == parts(tmp_path / "there")
    plain = Plan.of(drawn(tmp_path / "photos", 9), tmp_path / "photos", batch=2, shard=4)
    done(work(plain.root, tmp_path / "plain"), tasks(plain))
    for name in parts(tmp_path / "plain"):
        tables = [pq.read_table(tmp_path / where / name) for where in ("here", "plain")]
        assert tables[0].select(["score", "map"]) == tables[1].select(["score", "map"])
