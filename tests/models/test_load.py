"""Everything `load_model` accepts, and its one sentence for what it does not."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from foveal.cli.wording import as_options
from foveal.errors import ModelError
from foveal.images import Preprocessing
from foveal.models import Model, list_models, load_model, read_labels, save_model
from foveal.models.extras import import_timm, import_torchvision
from foveal.models.untrained import untrained
from tests.models.factories import Net, described

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTORIES = str(Path(__file__).with_name("factories.py"))


def refusal(spec: str | Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(spec, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No host has an address, and nothing was downloaded before."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    import_timm()
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


# --- timm and torchvision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["timm:resnet18", "torchvision:resnet18"])
def test_weights_that_cannot_be_fetched(offline: None, spec: str) -> None:
    message = as_options(refusal(spec))
    assert spec in message and "--weights FILE" in message and "--no-pretrained" in message


@pytest.mark.parametrize("source", ["timm", "torchvision"])
def test_unknown_names_suggest_near_ones(source: str) -> None:
    assert "did you mean resnet18" in refusal(f"{source}:resnet-18")
    assert "foveal models" in refusal(f"{source}:qqqqqqqq")
    assert "the choices are" in refusal(f"{source}:resnet18.nosuch")


@pytest.mark.parametrize("spec", ["timm:resnet18", "torchvision:resnet18"])
def test_random_weights_are_said_and_repeatable(spec: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load_model(spec, pretrained=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert "random" in first.notes[0] and "random" in repr(first)
    assert not first.module.training
    torch.manual_seed(6)
    assert same(first.module, load_model(spec, pretrained=False).module)


def test_timm_preprocessing_is_timm_s_own_evaluation() -> None:
    timm = import_timm()
    for name in ("resnet18", "vit_tiny_patch16_224", "beit_base_patch16_224", "tf_efficientnetv2_b0"):
        model = load_model(f"timm:{name}", pretrained=False)
        config = timm.data.resolve_model_data_config(model.module)
        ours = _assert_preprocessing(model)
        assert (3, *ours.size) == config["input_size"]
        assert (ours.mean, ours.std) == (config["mean"], config["std"])
        assert ours.interpolation == config["interpolation"]


@pytest.mark.parametrize(("name", "labels"), [("resnet18", 1000), ("vit_tiny_patch16_224.augreg_in21k", 21843)])
def test_timm_labels(name: str, labels: int) -> None:
    found = load_model(f"timm:{name}", pretrained=False).labels
    assert found is not None and len(found) == labels


def test_the_same_picture_gives_the_library_s_own_input() -> None:
    from PIL import Image

    timm, torchvision = import_timm(), import_torchvision()
    noise = torch.randint(0, 256, (300, 411, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    photo = Image.fromarray(noise.numpy())
    of_timm = load_model("timm:resnet18", pretrained=False)
    config = timm.data.resolve_model_data_config(of_timm.module)
    theirs = timm.data.create_transform(**config)(photo)
    assert torch.allclose(torch.from_numpy(_assert_preprocessing(of_timm).apply(photo)), theirs, atol=1e-5)
    for name in ("resnet50", "resnet50.IMAGENET1K_V1"):
        model = load_model(f"torchvision:{name}", pretrained=False)
        weights = torchvision.models.ResNet50_Weights[name.partition(".")[2] or "DEFAULT"]
        ours = torch.from_numpy(_assert_preprocessing(model).apply(photo))
        assert torch.allclose(ours, weights.transforms()(photo), atol=1e-5)


@pytest.mark.parametrize("spec", ["timm:resnet18", "torchvision:resnet18"])
def test_a_fine_tuned_head_sets_the_number_of_classes(tmp_path: Path, spec: str) -> None:
    source, name = spec.split(":")
    library = import_timm() if source == "timm" else import_torchvision().models
    build = library.create_model if source == "timm" else library.get_model
    trained = build(name, num_classes=7)
    torch.save({"model": {f"module.{k}": v for k, v in trained.state_dict().items()}}, tmp_path / "mine.pth")
    model = load_model(spec, weights=tmp_path / "mine.pth")
    assert same(model.module, trained)
    assert model.labels is None, "ImageNet's names would be wrong for seven classes"
    assert model.preprocessing is not None and not model.notes
    other = "resnet34"
    assert "unknown to the network" in refusal(f"{source}:resnet18", weights=_save(tmp_path, build(other)))


# --- factories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["tests.models.factories", FACTORIES])
def test_factories(where: str) -> None:
    model = load_model(f"{where}:described")
    assert (model.name, model.labels) == ("shells", ("cockle", "limpet", "whelk"))
    assert not model.module.training
    plain = load_model(f"{where}:Net", labels=["a", "b", "c"])
    assert type(plain.module).__name__ == "Net" and plain.labels == ("a", "b", "c")
    assert plain.preprocessing is None
    assert type(load_model(f"{where}:ready").module).__name__ == "Net"


def test_a_file_finds_its_neighbors_and_leaves_no_path_behind(tmp_path: Path) -> None:
    (tmp_path / "shell_parts_of_this_test.py").write_text("width = 5\n")
    (tmp_path / "net.py").write_text(
        "from torch import nn\nfrom shell_parts_of_this_test import width\ndef make(): return nn.Conv2d(1, width, 1)\n"
    )
    before = list(sys.path)
    assert load_model(f"{tmp_path / 'net.py'}:make").module.out_channels == 5
    assert sys.path == before


def test_mistakes_in_factories(tmp_path: Path) -> None:
    assert "did you mean described" in refusal(f"{FACTORIES}:describe")
    assert "returned a int" in refusal(f"{FACTORIES}:number")
    assert "is a int" in refusal(f"{FACTORIES}:CLASSES")
    assert "KeyError" in refusal(f"{FACTORIES}:broken")
    assert "no such file" in refusal(f"{tmp_path / 'none.py'}:net")
    assert "no module 'nosuchpackage'" in refusal("nosuchpackage.net:make")
    (tmp_path / "wrong.py").write_text("def make(:\n")
    assert "SyntaxError" in refusal(f"{tmp_path / 'wrong.py'}:make")
    (tmp_path / "needy.py").write_text("import nosuchpackage\n")
    assert "nosuchpackage" in refusal(f"{tmp_path / 'needy.py'}:make")
    assert "a.py:NAME" in refusal("a.py")


@pytest.mark.parametrize("spec", ["resnet18", "", ":", "timm:", "net.pth"])
def test_what_names_no_model(spec: str) -> None:
    refusal(spec)


def test_devices() -> None:
    assert "nowhere" in refusal(f"{FACTORIES}:Net", device="nowhere")
    assert load_model(f"{FACTORIES}:Net", device="meta").module.conv.weight.is_meta


# --- sidecars -----------------------------------------------------------------------------------------------


def test_saved_and_loaded_back(tmp_path: Path) -> None:
    model = described()
    path = save_model(model, tmp_path / "new" / "shells.safetensors", architecture="tests.models.factories:Net")
    again = load_model("tests.models.factories:Net", weights=path)
    assert same(again.module, model.module)
    assert (again.name, again.preprocessing, again.labels) == ("shells", model.preprocessing, model.labels)
    assert sorted(p.name for p in path.parent.iterdir()) == ["shells.json", "shells.safetensors"]


def test_arguments_of_the_sidecar_build_the_network(tmp_path: Path) -> None:
    model = Model(Net(width=9), "wide")
    path = tmp_path / "wide.safetensors"
    save_model(model, path, architecture="tests.models.factories:Net", arguments={"width": 9})
    assert same(load_model("tests.models.factories:Net", weights=path).module, model.module)


def test_half_precision_keeps_vectors(tmp_path: Path) -> None:
    model = Model(import_torchvision().models.resnet18(num_classes=4), "torchvision:resnet18")
    full = save_model(model, tmp_path / "full.safetensors", arguments={"num_classes": 4})
    half = save_model(model, tmp_path / "half.safetensors", arguments={"num_classes": 4}, half=True)
    assert half.stat().st_size < 0.52 * full.stat().st_size
    again = load_model(half).module.state_dict()
    for name, value in model.module.state_dict().items():
        expected = value.half().float() if value.dim() > 1 else value
        assert torch.equal(again[name], expected) and again[name].dtype == value.dtype
    with torch.no_grad():
        model.module.fc.weight[0, 0] = 1e6
    with pytest.raises(ModelError, match="half=False"):
        save_model(model, half, half=True)


def test_a_sidecar_may_not_run_code_by_itself(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(tmp_path)!r}, 'witness').touch()\n")
    for architecture in ("evil:make", f"{tmp_path}/evil.py:make", "os:system", "foveal.models:load_model"):
        path = _sidecar(tmp_path, architecture=architecture, arguments={"command": f"touch {tmp_path}/witness"})
        assert "may not do by itself" in refusal(path)
    assert not (tmp_path / "witness").exists()


def test_a_sidecar_may_not_make_the_library_fetch(tmp_path: Path) -> None:
    for name in ("pretrained", "checkpoint_path", "weights"):
        path = _sidecar(tmp_path, architecture="timm:resnet18", arguments={name: "x"})
        assert f"argument '{name}'" in refusal(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "foveal-model/9"}, "format: "),
        ({"architecture": "resnet18"}, "timm:NAME"),
        ({"architecture": None}, "architecture"),
        ({"labels": "cockle"}, "labels: "),
        ({"labels": []}, "labels: "),
        ({"color": "red"}, "color: there is no such field"),
        ({"preprocessing": {"resize": "short"}}, "no field 'size'"),
        ({"preprocessing": {"size": [8, 8], "channels": "HSV"}}, "channels"),
        ({"arguments": {"no_such_argument": 1}}, "no_such_argument"),
    ],
)
def test_faults_of_sidecars(tmp_path: Path, change: Mapping[str, Any], said: str) -> None:
    assert said in refusal(_sidecar(tmp_path, **{"architecture": "torchvision:resnet18", **change}))


def test_sidecars_that_are_not_there_or_not_json(tmp_path: Path) -> None:
    path = _sidecar(tmp_path, architecture="timm:resnet18")
    for text in ("", "{", "[1]", '"x"', "[" * 100_000):
        path.with_suffix(".json").write_text(text)
        assert "sidecar" in refusal(path)
    path.with_suffix(".json").unlink()
    assert "foveal help models" in refusal(path)
    assert "No such file" in refusal(tmp_path / "nothing.safetensors")


def test_weights_of_another_network_than_the_one_named(tmp_path: Path) -> None:
    path = _sidecar(tmp_path, architecture="torchvision:resnet34")
    assert "of torchvision:resnet34, not of torchvision:resnet18" in refusal("torchvision:resnet18", weights=path)
    path.with_suffix(".json").write_text('{"learning_rate": 0.1}')
    assert "missing from the file" in refusal("torchvision:resnet18", weights=path), "not our JSON: left alone"


# --- labels and the list ------------------------------------------------------------------------------------


def test_labels_from_files(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("cockle\nlimpet, patella\n\nwhelk\n\n", encoding="utf-8-sig")
    assert read_labels(path) == ("cockle", "limpet, patella", "", "whelk")
    path.write_text('["a", "b"]')
    assert load_model(f"{FACTORIES}:Net", labels=path).labels == ("a", "b")
    for text in ("", "\n\n", "[1, 2]", '["a"'):
        path.write_text(text)
        with pytest.raises(ModelError):
            read_labels(path)
    with pytest.raises(ModelError):
        read_labels(tmp_path)


def test_the_list_counts_and_filters() -> None:
    sources = {source.spec: source for source in list_models("resnet1*")}
    assert sources["torchvision:NAME"].names == ("resnet101", "resnet152", "resnet18")
    assert "resnet18" in sources["timm:NAME"].names
    everything = {source.spec: source for source in list_models()}
    assert len(everything["timm:NAME"].names) > 500


def test_preprocessing_of_the_caller_wins() -> None:
    mine = Preprocessing(size=(9, 9), channels="L", mean=(0.0,), std=(1.0,))
    assert load_model(f"{FACTORIES}:described", preprocessing=mine).preprocessing == mine


def _sidecar(folder: Path, **fields: Any) -> Path:
    path = folder / "net.safetensors"
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    path.with_suffix(".json").write_text(json.dumps({"format": "foveal-model/1", "name": "net", **fields}))
    return path


def _save(folder: Path, module: torch.nn.Module) -> Path:
    torch.save(module.state_dict(), folder / "other.pth")
    return folder / "other.pth"


def _assert_preprocessing(model: Model) -> Preprocessing:
    assert model.preprocessing is not None
    return model.preprocessing


def test_the_documented_sidecar_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    fields = json.loads(page.partition("```json")[2].partition("```")[0])
    network = import_timm().create_model("resnet18", **fields["arguments"])
    path = save_model(Model(network, "x"), tmp_path / "shells.safetensors", architecture="timm:resnet18")
    path.with_suffix(".json").write_text(json.dumps(fields))
    model = load_model(path)
    assert (model.name, len(model.labels or ())) == ("shells", 3)
    assert model.notes == ("trained on washed shells only",)
    assert model.module(torch.zeros(1, 1, 128, 128)).shape == (1, 3)


def test_the_demo_network_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.models import load
    from foveal.synthetic.network import DemoNet

    network = DemoNet().eval()
    square = Preprocessing(size=(160, 160), mean=(0.5,) * 3, std=(0.25,) * 3)
    made = Model(network, "anything", square, tuple(f"species {i}" for i in range(20)))
    path = tmp_path / "demo.safetensors"
    monkeypatch.setitem(load.BUNDLED, "demo", path)
    assert "reinstall foveal" in refusal("demo")
    save_model(made, path, architecture="foveal.synthetic.network:DemoNet", half=True)
    demo = load_model("demo")
    assert demo.name == "demo" and demo.labels == made.labels and demo.preprocessing == square
    x = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(demo.module(x), network(x), atol=1e-2)
    assert all(p.dtype == torch.float32 for p in demo.module.parameters())


def test_a_network_that_was_never_trained_is_noted(tmp_path: Path) -> None:
    """As long as every batch norm is as it was built; a batch through one is enough to end that."""
    code = "from torch import nn\ndef make(): return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))\n"
    (tmp_path / "net.py").write_text(code)
    fresh = load_model(f"{tmp_path / 'net.py'}:make")
    assert len(fresh.notes) == 1 and "nothing was learned" in fresh.notes[0]
    assert untrained(fresh.module)
    fresh.module.train()(torch.randn(4, 1, 5, 5))
    assert not untrained(fresh.module) and not untrained(torch.nn.Conv2d(1, 2, 3))
