"""Photos by their content, and answers within their bounds."""

from __future__ import annotations

import io
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import ImageError
from foveal.images import load_images
from foveal.images.load import photo_of
from foveal.synthetic import demo_scenes
from foveal.synthetic.drawing import render
from foveal.webapp import photos as photos_module
from foveal.webapp.cache import AnswerCache
from foveal.webapp.photos import SHOWN, Photos, UnknownPhoto
from foveal.webapp.studio import Studio

if TYPE_CHECKING:
    from pathlib import Path


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def file_of(picture: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def test_a_photo_is_its_pixels(tmp_path: Path) -> None:
    """Whatever file or object they come in; the first name stays."""
    picture = noise(30, 40)
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.bmp")
    photos = Photos()
    first = photos.add(tmp_path / "a.png", "a.png")
    assert photos.add(tmp_path / "b.bmp", "b.bmp") is photos.add(np.asarray(picture), "array") is first
    assert photos.add(noise(30, 40, 1), "other") is not first
    assert [photo.name for photo in photos] == ["a.png", "other"]
    assert photos[first.hash] is first and first.size == (30, 40)


def test_a_scene_is_itself() -> None:
    """Two scenes that look the same are two photos, for their truth differs."""
    scene = demo_scenes()[0]
    photos, pixels = Photos(), render(scene)[0]
    drawn, plain = photos.add(pixels, "scene", scene=scene), photos.add(pixels, "photo")
    assert drawn.hash != plain.hash and drawn.scene == scene and plain.scene is None


def test_what_a_page_is_given(tmp_path: Path) -> None:
    """Upright, at most so large; the scene drawn as large as it is shown; the verbs get the photo itself."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    (tmp_path / "turned.jpg").write_bytes(file_of(noise(100, 2 * SHOWN), "JPEG", exif=exif))
    photos = Photos()
    turned = photos.add(tmp_path / "turned.jpg", "turned.jpg")
    assert turned.size == (2 * SHOWN, 100)
    assert Image.open(io.BytesIO(turned.encoded())).size == (50, SHOWN)
    assert turned.image == tmp_path / "turned.jpg"
    scene = demo_scenes()[0]
    drawn = photos.add(render(scene)[0], "scene", scene=scene)
    assert Image.open(io.BytesIO(drawn.encoded())).size == (4 * scene.size, 4 * scene.size)


def test_an_upload_is_kept_as_its_file() -> None:
    picture = noise(20, 30)
    data = file_of(picture)
    photo = Photos().add(picture, "upload.png", data=data)
    assert photo.origin is data
    assert isinstance(photo.image, io.BytesIO) and np.array_equal(photo_of(photo.image).pixels, np.asarray(picture))


def test_the_oldest_uploads_go_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = Photos()
    named = photos.add(noise(9, 9, 99), "named")
    size = len(file_of(noise(9, 9)))
    monkeypatch.setattr(photos_module, "MOST_UPLOADED", 3 * size + 20)
    added = [photos.add(noise(9, 9, k), f"{k}", data=file_of(noise(9, 9, k))) for k in range(10)]
    assert [photo.name for photo in photos] == ["named", "7", "8", "9"]
    assert photos[named.hash] is named
    with pytest.raises(UnknownPhoto, match="add it again"):
        photos[added[0].hash]


def test_the_frame_that_is_explained_is_shown(tmp_path: Path) -> None:
    frames = [noise(20, 30, seed) for seed in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    second = foveal.Model(module, "net", preprocessing=foveal.Preprocessing((20, 30), "exact", frame=1))
    (photo,) = Studio({"net": second}).add_photos([tmp_path / "a.tif"])
    explained = load_images(photo.image, second.preprocessing).photos[0]
    assert np.array_equal(explained.pixels, np.asarray(frames[1]))
    assert np.array_equal(np.asarray(photo.shown()), explained.pixels)


def test_what_cannot_be_read_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    photos = Photos()
    for image in (tmp_path / "bad.png", tmp_path / "none.png"):
        with pytest.raises(ImageError):
            photos.add(image, "bad")
    assert len(photos) == 0


def test_a_file_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    noise(9, 9).save(tmp_path / "a.png")
    photo = Photos().add(tmp_path / "a.png", "a.png")
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match="no such file"):
        photo.encoded()


def test_answers_used_last_are_kept_within_their_bound() -> None:
    cache = AnswerCache(most=100)
    for key in "abcd":
        cache.put(key, b"x" * 24)
    assert len(cache) == 4
    assert cache.get("a") == b"x" * 24
    cache.put("e", b"y" * 24)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]
    cache.put("a", b"")
    cache.put("f", b"z" * 48)
    assert [key for key in "acdef" if cache.get(key) is not None] == ["a", "d", "e", "f"]


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    cache = AnswerCache(most=100)
    cache.put("a", b"x" * 50)
    cache.put("b", b"x" * 100)
    assert cache.get("b") is None and cache.get("a")
    cache.put("a", b"x" * 100)
    assert cache.get("a") is None and len(cache) == 0
    cache.put("k" * 101, b"")
    assert len(cache) == 0, "what was asked counts, too"


def test_the_bound_holds_whoever_asks() -> None:
    cache = AnswerCache(most=1000)

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for key, size in zip(random.integers(0, 30, 2000), random.integers(0, 200, 2000), strict=True):
            cache.put(str(key), b"x" * size)
            cache.get(str(key + 1))

    threads = [Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [(key, cache.get(key)) for key in map(str, range(30))]
    total = sum(len(key) + len(answer) for key, answer in kept if answer is not None)
    assert total == cache._size <= 1000
