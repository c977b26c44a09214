"""Where channels are strongest, against a slow search; kept and found again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import LayerError
from foveal.images import load_images
from foveal.world import Split

if TYPE_CHECKING:
    from tests.conftest import NoTrace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("birds")
    for i, example in enumerate(Split("species", 11)):
        Image.fromarray(example.image).save(folder / f"{i:02d}.png")
    return folder


def test_channels_are_found_where_they_are_strongest(folder: Path, no_trace: NoTrace) -> None:
    model = foveal.load_model("demo")
    with no_trace(model.module):
        words = foveal.dictionary(model, folder, layer=["stage1", "stage3"], most=3, cache=False)
    kept: dict[str, torch.Tensor] = {}
    modules = dict(model.module.named_modules())
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, out, at=layer: kept.update({at: out}))
        for layer in ("stage1", "stage3")
    ]
    with torch.no_grad():
        model.module(load_images(sorted(folder.iterdir()), model.preprocessing).tensor)
    for handle in handles:
        handle.remove()
    for layer, A in kept.items():
        for channel in range(0, A.shape[1], 7):
            top = A[:, channel].flatten(1).max(1).values
            found = words.entries(layer, channel)
            wanted = [i for i in top.argsort(descending=True, stable=True).tolist()[:3] if top[i] > 0]
            assert [int(entry.file.stem) for entry in found] == wanted
            for entry, i in zip(found, wanted, strict=True):
                assert entry.value == pytest.approx(float(top[i]), rel=1e-5)
                assert float(A[i, channel, *entry.place]) == pytest.approx(entry.value, rel=1e-5)
    assert all(crop.size == (48, 48) for crop in words.crops("stage3", 0, side=48))


def test_what_was_found_is_kept_for_the_same_question_only(folder: Path, tmp_path: Path) -> None:
    model, asked = foveal.load_model("demo"), []

    def found(**options: object) -> foveal.Dictionary:
        return foveal.dictionary(
            model, folder, cache=tmp_path, progress=lambda *step: asked.append(step), **{"layer": "stage3", **options}
        )  # type: ignore[arg-type]

    first = found()
    times = len(asked)
    assert times > 0
    again = found()
    assert len(asked) == times and torch.equal(first.values["stage3"], again.values["stage3"])
    found(most=2)
    assert len(asked) == 2 * times
    with torch.no_grad():
        model.module.get_parameter(next(name for name, _ in model.module.named_parameters())).mul_(1.5)
    changed = found()
    assert len(asked) == 3 * times and not torch.equal(first.values["stage3"], changed.values["stage3"])
    for file in (tmp_path / "dictionaries").iterdir():
        file.write_bytes(b"half of it")
    assert torch.equal(found().values["stage3"], changed.values["stage3"])


def test_a_tree_shows_what_its_channels_mean(folder: Path) -> None:
    from foveal.render.tree_page import page

    model = foveal.load_model("demo")
    tree = foveal.decompose(model, sorted(folder.iterdir())[0], branch=2).grow(1)
    assert '"shelves":{}' in page(tree)
    tree.dictionary = foveal.dictionary(model, folder, cache=None)
    (first, *_) = tree.root.children
    assert f'"{first.feature.stage}/{first.feature.channel}":["data:image/jpeg' in page(tree)


def test_bad_wishes_get_one_sentence(folder: Path, tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    words = foveal.dictionary(model, folder, layer="stage3", cache=False)
    for layer, channel in (("stage1", 0), ("stage3", 10_000), ("stage3", -1)):
        with pytest.raises(LayerError, match="the dictionary has no channel"):
            words.entries(layer, channel)
    with pytest.raises(foveal.FovealError, match="no pictures"):
        foveal.dictionary(model, tmp_path)
