"""Damaged weights, sidecars, labels and preprocessing files: loaded right, or refused in one sentence."""

from __future__ import annotations

import io
import json
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from foveal.errors import FovealError
from foveal.images import Preprocessing
from foveal.images.preprocessing_file import read_preprocessing
from foveal.models import Model, load_model, read_labels, save_model
from foveal.models.weight_files import fill, read_state
from tests.fuzz.mutation import damaged_copy, draw, limit, mutated_bytes, mutated_json, mutated_zip, mutations

COUNT = mutations(500)


def said_well(error: FovealError) -> None:
    message = str(error)
    assert message.isprintable() and 10 < len(message) < 800, message


def network() -> nn.Sequential:
    conv, bn, head = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)
    return nn.Sequential(
        OrderedDict(conv=conv, bn=bn, relu=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), head=head)
    )


def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(network().state_dict())


def pickled(saved: Any, *, old: bool = False) -> bytes:
    content = io.BytesIO()
    torch.save(saved, content, _use_new_zipfile_serialization=not old)
    return content.getvalue()


WEIGHTS: dict[str, tuple[str, Any]] = {
    "safetensors": (".safetensors", lambda: save(state())),
    "pth": (".pth", lambda: pickled({"model": state(), "epoch": 3})),
    "old pth": (".pt", lambda: pickled(state(), old=True)),
}


def fill_fresh(path: Path) -> dict[str, torch.Tensor]:
    fresh = network()
    fill(fresh, read_state(path), path)
    return dict(fresh.state_dict())


@pytest.mark.timeout(limit(300))
@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights(kind: str, tmp_path: Path) -> None:
    """Tensors of the shapes and kinds of the network, or a sentence; their bytes no format protects."""
    suffix, made = WEIGHTS[kind]
    whole, path = made(), tmp_path / f"net{suffix}"
    for number in range(COUNT):
        zipped = suffix == ".pth" and draw(number, "zip?").random() < 0.4
        changed, what = mutated_zip(whole, number) if zipped else mutated_bytes(whole, number)
        path.write_bytes(changed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                filled = fill_fresh(path)
        except FovealError as error:
            said_well(error)
            continue
        for name, tensor in state().items():
            assert filled[name].shape == tensor.shape and filled[name].dtype == tensor.dtype, (number, what, name)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gray = Preprocessing(size=(12, 12), channels="L", mean=(0.5,), std=(0.5,))
    from tests.models.factories import Net

    model = Model(Net(), "shells", gray, ("cockle", "limpet", "whelk"), {"license": "CC0", "notes": ["of shells"]})
    folder = tmp_path_factory.mktemp("model")
    return save_model(
        model, folder / "m" / "shells.safetensors", architecture="tests.models.factories:Net", arguments={"width": 2}
    )


@pytest.mark.timeout(limit(300))
def test_sidecars(saved: Path) -> None:
    """A model loads as its sidecar says it, or not at all; the weights that are named stay what they are."""
    whole = saved.with_suffix(".json").read_text()
    x = torch.randn(1, 1, 12, 12)
    for number in range(COUNT):
        with damaged_copy(saved.parent, number) as (folder, _):
            weights, file = folder / "shells.safetensors", folder / "shells.json"
            if not weights.is_dir():
                weights.write_bytes(saved.read_bytes())
            if file.is_file() and file.read_text(errors="replace") == whole:
                file.write_text(mutated_json(whole, number)[0], "utf-8", errors="surrogatepass")
            try:
                model = load_model("tests.models.factories:Net", weights=weights)
            except FovealError as error:
                said_well(error)
                continue
            assert model.labels is None or all(isinstance(label, str) for label in model.labels)
            assert all(isinstance(note, str) for note in model.notes) and model.module(x).shape == (1, 3)
            assert model.preprocessing is None or model.preprocessing.size[0] > 0
            assert repr(model).replace("\n", "") == repr(model)


@pytest.mark.timeout(limit(300))
def test_bundled_sidecars(saved: Path) -> None:
    """The same where the sidecar also says what to build: nothing but networks of zoos and of foveal is run."""
    whole = json.loads(saved.with_suffix(".json").read_text()) | {"architecture": "foveal.synthetic.network:Small"}
    path = saved.parent.parent / "alone.safetensors"
    path.write_bytes(saved.read_bytes())
    for number in range(COUNT // 2):
        text, _ = mutated_json(json.dumps(whole), number)
        path.with_suffix(".json").write_text(text, "utf-8", errors="surrogatepass")
        with pytest.raises(FovealError) as caught:  # these weights are of another network
            load_model(path)
        said_well(caught.value)


LABELS = {
    "lines": "\n".join(["cockle", "limpet, patella", "", "Wellhornschnecke ä", "中文"]),
    "json": json.dumps(["cockle", "limpet", "whelk ä", "\u2028"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    for number in range(COUNT):
        if kind == "json" and number % 2:
            path.write_text(mutated_json(LABELS[kind], number)[0], "utf-8", errors="surrogatepass")
        else:
            path.write_bytes(mutated_bytes(LABELS[kind].encode(), number)[0])
        try:
            labels = read_labels(path)
        except FovealError as error:
            said_well(error)
            continue
        assert labels and all(isinstance(label, str) and label.encode("utf-8") is not None for label in labels)


def test_preprocessing(tmp_path: Path) -> None:
    path = tmp_path / "preprocessing.json"
    whole = json.dumps(Preprocessing((16, 24), "short", 32, "bicubic", "BGR").to_dict())
    for number in range(COUNT):
        if number % 4:
            path.write_text(mutated_json(whole, number)[0], "utf-8", errors="surrogatepass")
        else:
            path.write_bytes(mutated_bytes(whole.encode(), number)[0])
        try:
            found = read_preprocessing(str(path))
        except FovealError as error:
            said_well(error)
            continue
        assert found is not None
        if max(found.size) <= 64 and (found.resize_to or 0) <= 64:
            made = found.apply(Image.new("RGB", (30, 20), "teal"))
            assert made.shape[1:] == found.size and bool((made == made).all())
