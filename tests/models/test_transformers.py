"""Image classifiers of transformers: the same input, the same scores, the same names as its own pipeline."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.errors import ModelError
from foveal.models.extras import import_transformers
from foveal.models.processor import as_preprocessing
from tests import forked

T: Any = pytest.importorskip("transformers") and import_transformers()

NAMES = {0: "cat", 1: "dog", 2: "bird"}
KNOWN = {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}}
SIZES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
NETWORKS: dict[str, tuple[Any, Any, str]] = {
    "ResNet": (
        T.ResNetConfig(embedding_size=8, layer_type="basic", **SIZES, **KNOWN),
        T.ConvNextImageProcessor(size={"shortest_edge": 64}), "resnet.encoder.stages.3",
    ),
    "ConvNext": (
        T.ConvNextConfig(**SIZES, **KNOWN), T.ConvNextImageProcessor(size={"shortest_edge": 96}, crop_pct=0.9),
        "convnext.encoder.stages.3",
    ),
    "RegNet": (
        T.RegNetConfig(embedding_size=8, groups_width=8, **SIZES, **KNOWN),
        T.ConvNextImageProcessor(size={"shortest_edge": 384}), "regnet.encoder.stages.3",
    ),
    "MobileNetV2": (
        T.MobileNetV2Config(depth_multiplier=0.35, **KNOWN),
        T.MobileNetV2ImageProcessor(size={"shortest_edge": 80}, crop_size={"height": 64, "width": 72}),
        "mobilenet_v2.conv_1x1",
    ),
    "EfficientNet": (
        T.EfficientNetConfig(width_coefficient=0.5, depth_coefficient=0.3, hidden_dim=640, image_size=64, **KNOWN),
        T.EfficientNetImageProcessor(size={"height": 64, "width": 64}, rescale_offset=True),
        "efficientnet.encoder.top_activation",
    ),
}  # fmt: skip


def saved(folder: Path, config: Any, processor: Any = None) -> Path:
    torch.manual_seed(0)
    T.utils.logging.disable_progress_bar()
    module = T.AutoModelForImageClassification.from_config(config)
    for part in module.modules():  # as drawn, the scores hardly depend on the photo
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.normal_(part.weight, std=0.3)
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_var, 0.02, 0.1)  # type: ignore[arg-type]
    module.save_pretrained(folder)
    if processor:
        processor.save_pretrained(folder)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    y, x = np.mgrid[0:180, 0:240] / 180
    pixels = np.stack([255 * x / 1.4, 255 * (0.5 + 0.5 * np.sin(20 * x * y)), 255 * y], 2).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("family", NETWORKS)
def test_input_scores_names_and_stages_are_those_of_transformers(tmp_path: Path, photo: Path, family: str) -> None:
    config, processor, last = NETWORKS[family]
    folder = saved(tmp_path / "net", config, processor)
    model = foveal.load_model(f"hf:{folder}")
    assert model.labels == ("cat", "dog", "bird")
    assert model.task == "classes"
    assert model.notes == ()
    theirs = T.AutoModelForImageClassification.from_pretrained(folder).eval()
    assert model.preprocessing is not None
    image = Image.open(photo)
    wanted = processor(images=image, return_tensors="pt")["pixel_values"]
    ours = torch.from_numpy(model.preprocessing.apply(image))[None]
    assert ours.shape == wanted.shape
    # The processor rounds resized pixels as torchvision does, and Pillow otherwise: by one of 255 at most.
    scale = torch.tensor(model.preprocessing.std)[:, None, None]
    assert ((ours - wanted).abs() * scale).max() <= 1.01 / 255
    with torch.no_grad():
        assert torch.equal(model.module(ours).logits, theirs(ours).logits)
        near, exact = model.module(ours).logits, theirs(wanted).logits
    assert (near - exact).abs().max() <= 0.02 * exact.abs().max() + 1e-6
    why = foveal.explain(model, photo, method="gradcam")
    pipeline = T.pipeline("image-classification", model=theirs, image_processor=processor)
    first = pipeline(str(photo))[0]
    assert why.target[0].startswith(first["label"])
    assert float(why.probability[0]) == pytest.approx(first["score"], abs=0.01)
    assert why.layers == (last,)
    assert [stage.name for stage in foveal.stages(model)][-1] == last


def test_a_folder_needs_no_prefix_and_random_weights_are_said(tmp_path: Path) -> None:
    folder = saved(tmp_path / "net", *NETWORKS["ResNet"][:2])
    assert foveal.load_model(folder).labels == ("cat", "dog", "bird")
    drawn = foveal.load_model(folder, pretrained=False)
    assert "random" in drawn.notes[0]
    with pytest.raises(ModelError, match="brings its own weights"):
        foveal.load_model(folder, weights="other.safetensors")


@pytest.mark.parametrize(
    ("said", "outputs", "task"),
    [
        ("multi_label_classification", 3, "labels"),
        ("regression", 3, "value"),
        (None, 1, "value"),
        (None, 3, "classes"),
        ("single_label_classification", 3, "classes"),
    ],
)
def test_the_problem_type_is_the_task(tmp_path: Path, said: str | None, outputs: int, task: str) -> None:
    config = T.ResNetConfig(embedding_size=8, layer_type="basic", num_labels=outputs, problem_type=said, **SIZES)
    model = foveal.load_model(saved(tmp_path / "net", config))
    assert (model.task, model.labels, model.preprocessing) == (task, None, None)
    assert "no image processor" in model.notes[0]


def test_a_processor_that_does_more_gives_no_preprocessing() -> None:
    class Solarizing(T.ConvNextImageProcessor):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            made = super().__call__(*args, **kwargs)
            made["pixel_values"] = -made["pixel_values"]
            return made

    assert as_preprocessing(T.ConvNextImageProcessor(size={"shortest_edge": 64}))[1] == []
    ours, notes = as_preprocessing(Solarizing(size={"shortest_edge": 64}))
    assert ours is None
    assert "foveal cannot repeat" in notes[0]


def test_a_transformer_is_said_to_be_one(tmp_path: Path) -> None:
    config = T.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    processor = T.ViTImageProcessor(size={"height": 32, "width": 32})
    model = foveal.load_model(saved(tmp_path / "net", config, processor))
    why = foveal.explain(model, torch.randn(1, 3, 32, 32))
    assert any("looks like a transformer" in note for note in why.notes)


def test_weights_that_lack_the_classifier_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "net", *NETWORKS["ResNet"][:2])
    T.ResNetModel.from_pretrained(folder).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(ModelError, match="lack classifier"):
        foveal.load_model(folder)
    (folder / "config.json").write_text(
        json.dumps({**config, "model_type": "nothing", "auto_map": {"AutoConfig": "a.B"}})
    )
    with pytest.raises(ModelError):
        foveal.load_model(folder)


def test_without_a_network_the_hub_is_one_sentence_and_its_cache_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    from huggingface_hub import constants

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(
        ModelError, match=r"Cannot get hf:org/name from the Hugging Face hub, and it is not in the cache"
    ):
        foveal.load_model("hf:org/name")
    with pytest.raises(ModelError, match=r"no config\.json"):
        foveal.load_model(f"hf:{tmp_path}")


def by_the_hub(home: Path, *words: str) -> forked.Done:
    """The command line on a machine without a network, with this cache of the hub."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "HF_" not in name}
    alone = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": "https://hub.invalid"}
    return forked.foveal(*words, env=alone)


def test_the_cache_of_the_hub_is_enough(tmp_path: Path) -> None:
    """A folder as the hub's client leaves it: refs name the commit, and snapshots hold its files."""
    config, processor, stage = NETWORKS["ResNet"]
    commit, cache = "0" * 40, tmp_path / "hub" / "models--tiny--net"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    shutil.copytree(saved(tmp_path / "made", config, processor), cache / "snapshots" / commit)
    shown = by_the_hub(tmp_path, "stages", "hf:tiny/net", "--json")
    assert shown.returncode == 0, shown.stderr
    assert stage in shown.stdout
    told = by_the_hub(tmp_path, "stages", "hf:tiny/net", "--show-preprocessing")
    folder = foveal.load_model(f"hf:{cache / 'snapshots' / commit}")
    assert folder.preprocessing and json.loads(told.stdout) == folder.preprocessing.to_dict()
    absent = by_the_hub(tmp_path, "stages", "hf:tiny/other")
    assert absent.returncode == 1 and "Traceback" not in absent.stderr
    (line,) = absent.stderr.strip().splitlines()
    assert "hf:tiny/other" in line
