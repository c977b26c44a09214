"""On an accelerator every verb says what it says on the processor, and leaves the network there.

Without one, `test_elsewhere.py` tests at least that no verb mixes tensors of two devices.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from benchmarks.gpu import calibrated, embedding, moved
from benchmarks.gpu_asks import QUESTIONS, Asked, difference
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError
from foveal.featurevis import Octave, Schedule
from foveal.methods import COMPARING
from foveal.metrics import EvaluationSettings
from foveal.synthetic import Split
from tests.networks import architecture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import NoTrace

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

RANDOM = {"opticam", "rise", "smoothgrad", "gradientshap"}  # many steps, or noise drawn there: alike, not equal
QUICK = {"rise": "rise:count=64", "opticam": "opticam:steps=5"}


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Without TF32, so that what differs is the order of sums."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def both(model: foveal.Model) -> tuple[foveal.Model, foveal.Model]:
    """A network on the processor, and a copy of it on the accelerator."""
    there = deepcopy(model)
    there.module.cuda()
    return model, there


def birds(n: int) -> list[Any]:
    scenes = iter(Split("classes", n))
    return [next(scenes).image for _ in range(n)]


def alike(a: Any, b: Any) -> float:
    """Cosine between two maps."""
    a, b = torch.as_tensor(a).double().cpu().flatten(), torch.as_tensor(b).double().cpu().flatten()
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0, eps=1e-300))


@pytest.mark.parametrize("method", sorted(set(foveal.METHODS) - {"cam", "gap", *COMPARING}))
def test_every_method_draws_the_same_map(method: str, no_trace: NoTrace) -> None:
    here, there = both(foveal.load_model("demo"))
    pictures = birds(3)
    asked = QUICK.get(method, method)
    expected = foveal.explain(here, pictures, 0, method=asked)
    with no_trace(there.module):
        why = foveal.explain(there, pictures, 0, method=asked)
    assert why.map.shape == expected.map.shape
    assert alike(why.map, expected.map) > (0.9 if method in RANDOM else 0.999)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v3_small", "convnext_tiny"])
def test_architectures(name: str) -> None:
    model = architecture(name)
    x = torch.randn(2, 3, 96, 96)
    expected = foveal.compare(model, x, foveal.Margin(), methods=("gradcam", "hirescam", "inputxgradient"))
    whys = foveal.compare(model.cuda(), x, foveal.Margin(), methods=("gradcam", "hirescam", "inputxgradient"))
    for why, other in zip(whys, expected, strict=True):
        assert alike(why.map, other.map) > 0.999


def test_pictures_on_either_device() -> None:
    """A batch on the processor is sent to the network; one on the accelerator stays."""
    model = architecture("resnet18").cuda()
    x = torch.randn(2, 3, 96, 96)
    assert alike(foveal.explain(model, x).map, foveal.explain(model, x.cuda()).map) > 0.9999


def test_references_on_either_device() -> None:
    model = architecture("resnet18").cuda()
    x, reference = torch.randn(2, 3, 96, 96), torch.randn(1, 3, 96, 96)
    expected = foveal.explain(model, x.cuda(), foveal.Similar(reference.cuda())).map
    assert alike(foveal.explain(model, x, foveal.Similar(reference)).map, expected) > 0.9999


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "emd"])
def test_match(metric: str) -> None:
    here, there = both(foveal.load_model("embed"))
    query, *others = birds(4)
    a, b = (foveal.match(model, query, others, metric=metric) for model in (here, there))
    assert torch.allclose(torch.as_tensor(a.similarity).cpu(), torch.as_tensor(b.similarity).cpu(), atol=1e-4)


@pytest.mark.parametrize("mode", ["exact", "project"])
def test_flow(mode: Any) -> None:
    here, there = both(foveal.load_model("demo"))
    a, b = (foveal.flow(model, birds(1), 0, mode=mode, iterations=5) for model in (here, there))
    for layer in a.layers:
        assert alike(a.maps[layer], b.maps[layer]) > 0.999, layer


def test_decompose_and_the_class_tree() -> None:
    here, there = both(foveal.load_model("demo"))
    a, b = (foveal.decompose(model, birds(1), 0) for model in (here, there))
    assert list(a.features) == list(b.features)
    foveal.class_tree(there, birds(2), 0)


def test_parts_and_similar_targets() -> None:
    here, there = both(foveal.load_model("parts"))
    first, second = birds(2)
    a, b = (foveal.parts(model, first, foveal.Similar(second)) for model in (here, there))
    assert alike(a.map, b.map) > 0.999


def test_measure_audit_and_sanity(no_trace: NoTrace) -> None:
    here, there = both(foveal.load_model("demo"))
    pictures = birds(2)
    setting = EvaluationSettings(steps=6, shares=(0.3, 0.7), samples=6, grid=(8, 8))
    with no_trace(there.module):
        scores = [
            foveal.measure(model, pictures, 0, explanations="gradcam", setting=setting) for model in (here, there)
        ]
        foveal.audit(there, pictures, 0, explanations="gradcam", draws=4)
        checked = foveal.sanity(there, pictures, 0, steps=3)
    assert checked.seconds > 0
    assert torch.allclose(torch.tensor(scores[0].whole), torch.tensor(scores[1].whole), atol=1e-4)


def test_feature_images_in_every_precision() -> None:
    _, there = both(foveal.load_model("demo"))
    for precision in ("float32", "bfloat16"):
        made = foveal.visualize(
            there, birds(2), layer="stage3", facets=1, schedule=Schedule((Octave(1.0, 4),)), precision=precision
        )
        assert torch.isfinite(torch.as_tensor(made.images[0].image)).all()


def test_half_precision_networks() -> None:
    model = architecture("resnet18").cuda()
    x = torch.randn(2, 3, 96, 96)
    expected = foveal.explain(model, x, 0).map
    half = foveal.explain(deepcopy(model).half(), x.half(), 0).map
    assert alike(expected, half) > 0.98


def test_memory_is_given_back() -> None:
    model = architecture("resnet18").cuda()
    x = torch.randn(4, 3, 96, 96)
    foveal.explain(model, x, method="ablationcam")
    before = torch.cuda.memory_allocated()
    for method in ("gradcam", "lrp-epsilon", "ablationcam", "occlusion"):
        foveal.explain(model, x, method=method)
    assert torch.cuda.memory_allocated() - before < 2**20


def test_more_than_the_card_holds_is_chunked_or_said() -> None:
    """Memory that somebody else has taken makes chunks smaller; where nothing helps, it is one sentence."""
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(max(0, free - 2**30), dtype=torch.uint8, device="cuda")
    model = architecture("resnet18").cuda()
    try:
        why = foveal.explain(model, torch.randn(1, 3, 224, 224), method="occlusion")
    except FovealError as error:
        assert "memory" in str(error)
    else:
        assert torch.isfinite(torch.as_tensor(why.map)).all()
    del taken


class OnTwo(nn.Module):
    """A network whose head lives on the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()).cuda()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.cuda()).mean((2, 3)).cpu())  # type: ignore[no-any-return]


def test_a_network_on_two_devices() -> None:
    torch.manual_seed(0)
    why = foveal.explain(OnTwo().eval(), torch.randn(2, 3, 16, 16), 0, method="hirescam")
    assert torch.isfinite(torch.as_tensor(why.map)).all()


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_every_verb_answers_as_on_the_processor(name: str, no_trace: NoTrace) -> None:
    question = QUESTIONS[name]
    model = calibrated(architecture("resnet18"), 64)
    here = Asked(model, embedding(model), torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    there = moved(here, "cuda")
    expected = question.told(question.ask(here.few(question.images)))
    with no_trace(there.model):
        found = question.told(question.ask(there.few(question.images)))
    assert difference(expected, found, drawn=question.drawn) <= question.tolerance
