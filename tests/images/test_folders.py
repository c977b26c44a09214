"""Pictures in ordinary folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from foveal.errors import FovealWarning, ImageError
from foveal.images import folders, labeled_pictures, pictures_in


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in ("jay/2.png", "jay/1.JPG", "crow/a.webp", "crow/.hidden.png", "crow/notes.txt", "loose.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no picture")
        else:
            Image.new("RGB", (4, 4)).save(path)
    return tmp_path


def test_folders_stand_for_what_is_in_them(shelf: Path) -> None:
    names = [str(path.relative_to(shelf)) for path in pictures_in([shelf / "loose.png", shelf / "jay", shelf / "crow"])]
    assert names == ["loose.png", "jay/1.JPG", "jay/2.png", "crow/a.webp"]
    assert shelf / "loose.png" not in pictures_in([shelf], but=shelf / "jay" / ".." / "loose.png")
    assert pictures_in([Path("named/as/it/is.xyz")]) == [Path("named/as/it/is.xyz")]


def test_a_folder_a_class(shelf: Path) -> None:
    paths, labels = labeled_pictures(shelf)
    assert [path.name for path in paths] == ["a.webp", "1.JPG", "2.png"]
    assert labels == ["crow", "jay", "jay"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for look, words in (
        (lambda: pictures_in([tmp_path]), "no images in the folder"),
        (lambda: pictures_in([]), "name files or folders"),
        (lambda: labeled_pictures(tmp_path), "put each class in a folder"),
        (lambda: labeled_pictures(tmp_path / "nowhere"), "There is no folder"),
    ):
        with pytest.raises(ImageError, match=words):
            look()


def test_what_may_be_pictures_and_is_not_read_is_said(shelf: Path) -> None:
    for name in ("jay/3.xcf", "scan.raw", "brain.nii.bz2", "crow/IM0001", "film.mpg", "array.npy", "data.h5"):
        (shelf / name).write_bytes(b"something")
    for name in ("out.json", "index.csv", "notes.txt", "maps.npz", ".hidden.heic", "tree.pdf", "w.safetensors"):
        (shelf / name).write_bytes(b"something")
    (shelf / ".git").mkdir()
    (shelf / ".git" / "objects").write_bytes(b"something")
    (shelf / "gone.png").symlink_to(shelf / "nowhere.png")
    with pytest.warns(FovealWarning) as said:
        assert len(pictures_in([shelf])) == 4
    (words,) = [str(one.message) for one in said]
    assert words.startswith(f"skipped 8 of 12 files in {shelf}: array.npy, brain.nii.bz2, crow/IM0001 and 5 more (")
    assert "6: nothing here reads .npy, .nii.bz2, .h5 and others" in words
    assert "1 without an ending" in words and "1: not regular files, or links to nothing" in words
    with pytest.warns(FovealWarning, match=r"skipped 2 of 5 files .*crow/IM0001, jay/3\.xcf \("):
        labeled_pictures(shelf)
    for path in [*shelf.rglob("*.[pjw]*g"), *shelf.rglob("*.JPG"), *shelf.rglob("*.webp")]:
        path.unlink()
    with pytest.raises(ImageError, match=r"no images in the folder .*, only .*brain\.nii\.bz2"):
        pictures_in([shelf])


def test_names_that_are_no_paths() -> None:
    for name in ("a\0b", "x" * 5000):
        assert pictures_in([Path(name)]) == [Path(name)]
        with pytest.raises(ImageError, match="There is no folder"):
            labeled_pictures(Path(name))


def test_pictures_of_scanners_and_phones_are_pictures_where_their_libraries_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.dcm", "b.nii.gz", "c.HEIC", "c2.heic", "plain.nii"):
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_bytes(b"notes")
    Image.new("RGB", (4, 4)).save(tmp_path / "d.tif")
    with pytest.warns(FovealWarning, match=r"skipped 1 of 8 files .*README \(1 without an ending"):
        assert len(pictures_in([tmp_path])) == 7
    monkeypatch.setattr(folders.Reader, "installed", property(lambda reader: False))
    with pytest.warns(FovealWarning) as said:
        assert [path.name for path in pictures_in([tmp_path])] == ["d.tif"]
    words = str(said[0].message)
    assert "2 DICOM: pip install 'foveal[dicom]'" in words and "2 HEIC: pip install 'foveal[heic]'" in words
    assert "2 NIfTI: pip install 'foveal[nifti]'" in words and "1 without an ending" in words
