"""timm and torchvision import where their compiled operators are missing, whatever was tried before."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests import forked

if TYPE_CHECKING:
    from pathlib import Path

installed = all(importlib.util.find_spec(name) for name in ("timm", "torchvision"))
pytestmark = pytest.mark.skipif(not installed, reason="timm and torchvision are not installed")

WORKS = """
assert len(timm.list_models()) > 100
import torch, torchvision.ops
assert torchvision.models.resnet18(num_classes=2).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
"""
BEFORE = {
    "nothing": "",
    "a failed import": """
try:
    import torchvision
except Exception:
    pass
""",
    "a failed import of timm, then of torchvision's parts": """
for name in ("timm", "torchvision.models", "torchvision.ops"):
    try:
        __import__(name)
    except Exception:
        pass
""",
    "half a module": """
import importlib.util, sys
half = importlib.util.module_from_spec(importlib.util.find_spec("torchvision"))
sys.modules["torchvision"] = half
try:
    half.__spec__.loader.exec_module(half)
except Exception:
    pass
""",
    "someone else's declaration": """
import torch
theirs = torch.library.Library("torchvision", "FRAGMENT")
try:
    theirs.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
except RuntimeError:
    pass
""",
}


def run(code: str) -> None:
    done = forked.code(code, warnings="error")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", BEFORE)
def test_imports_after(before: str) -> None:
    run(
        BEFORE[before]
        + "from foveal.models.extras import import_timm\ntimm = import_timm()\nimport torchvision"
        + WORKS
    )


def test_a_file_of_ones_own_that_imports_torchvision_loads(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(
        "import torchvision\n\n\ndef net():\n    return torchvision.models.resnet18(num_classes=2).eval()\n"
    )
    (tmp_path / "late.py").write_text(
        "def net():\n    from torchvision.models import resnet18\n\n    return resnet18(num_classes=2).eval()\n"
    )
    for name in ("nets", "late"):
        run(
            f"import foveal\nassert foveal.load_model({str(tmp_path / name)!r} + '.py:net').module.fc.out_features == 2"
        )


def test_importing_twice_gives_the_same_module() -> None:
    run(
        "from foveal.models.extras import import_torchvision as load\n"
        "first = load()\nkinds = first.models.ResNet\nassert load() is first and load().models.ResNet is kinds"
    )


def test_a_torchvision_that_works_is_left_alone() -> None:
    # Stands in for a torchvision whose operators are there: it must neither be replaced nor given declarations.
    run("""
import sys, types, torch
package = types.ModuleType("torchvision"); package.__path__ = []
package.models = sys.modules["torchvision.models"] = types.ModuleType("torchvision.models")
sys.modules["torchvision"] = package
from foveal.models import extras
assert extras.import_torchvision() is package
assert not extras._declared
""")


@pytest.mark.parametrize(("package", "extra"), [("timm", "timm"), ("torchvision", "torchvision")])
def test_a_missing_extra_names_itself(package: str, extra: str) -> None:
    run(f"""
import sys
sys.modules["{package}"] = None      # what Python itself does to say: not there
from foveal.errors import MissingExtra
from foveal.models import list_models, load_model
try:
    load_model("{package}:resnet18")
except MissingExtra as error:
    assert "pip install 'foveal[{extra}]'" in str(error), error
    assert "\\n" not in str(error)
else:
    raise AssertionError
listed = {{source.spec: source.missing for source in list_models()}}
assert "not installed" in listed["{package}:NAME"]
""")


def test_what_a_library_prints_while_it_fetches_goes_to_standard_error() -> None:
    run("""
import contextlib, io
from foveal.models.extras import import_torchvision
models = import_torchvision().models
built = models.get_model
def fetching(name, **options):
    print("Downloading: …")
    return built(name, weights=None)
models.get_model = fetching
import foveal
out, err = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    foveal.load_model("torchvision:resnet18")
assert out.getvalue() == "" and "Downloading" in err.getvalue()
""")
