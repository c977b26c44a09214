"""Methods that need no layer ask for none: networks without feature maps, scripted, exported and quantized ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError, LayerError, MethodError
from foveal.methods import METHODS
from tests.networks import tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

LAYERLESS = [name for name, method in METHODS.items() if method.place == "input" and name != "gap"]
QUICK = {"rise": "rise:count=40", "occlusion": "occlusion:window=8", "smoothgrad": "smoothgrad:samples=8"}


class Ecg(nn.Module):
    """A network of signals that takes them as pictures one pixel high."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.fc = nn.Conv1d(12, 16, 7, padding=3), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        return self.fc(F.relu(self.c(x[:, :, 0])).mean(2))


class Dense(nn.Module):
    """No convolution at all."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3 * 12 * 12, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        return self.b(F.relu(self.a(x.flatten(1))))


class Tokens(nn.Module):
    """Patches as tokens, never a map."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.fc = nn.Linear(48, 16), nn.Linear(9, 9), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        patches = F.unfold(x, 4, stride=4).mT
        return self.fc(F.relu(self.mix(self.embed(patches).mT)).mean(2))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "signals": (Ecg, (2, 12, 1, 120)),
    "dense": (Dense, (2, 3, 12, 12)),
    "tokens": (Tokens, (2, 3, 12, 12)),
}


def built(name: str) -> tuple[nn.Module, Tensor]:
    kind, shape = NETS[name]
    torch.manual_seed(0)
    return kind().eval(), torch.randn(shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", LAYERLESS)
def test_networks_without_feature_maps(method: str, name: str, no_trace: NoTrace) -> None:
    net, x = built(name)
    with no_trace(net):
        why = foveal.explain(net, x, 1, method=QUICK.get(method, method))
    assert why.map.shape == (len(x), *x.shape[2:]) and why.layer == "input"
    alone = torch.cat([foveal.explain(net, one[None], 1, method=QUICK.get(method, method)).map for one in x])
    assert torch.allclose(why.map, alone, atol=1e-5 * max(1.0, float(alone.abs().max())))
    why.overlay()


@pytest.mark.parametrize("name", NETS)
def test_values_that_are_known(name: str) -> None:
    net, x = built(name)
    f = lambda x: net(x)[:, 1].detach()  # noqa: E731
    ig = foveal.explain(net, x, 1, method="integratedgradients:steps=128")
    assert torch.allclose(ig.map.flatten(1).sum(1), f(x) - f(torch.zeros_like(x)), atol=2e-3)
    lift = foveal.explain(net, x, 1, method="deeplift")
    assert torch.allclose(lift.map.flatten(1).sum(1), f(x) - f(torch.zeros_like(x)), atol=1e-4)
    leaf = x.clone().requires_grad_()
    (G,) = torch.autograd.grad(net(leaf)[:, 1].sum(), leaf)
    assert torch.allclose(foveal.explain(net, x, 1, method="inputxgradient").map, (G * x).sum(1), atol=1e-6)
    covered = x.clone()
    covered[..., : max(1, x.shape[2] // 2), : x.shape[3] // 2] = 0
    window = max(x.shape[2:]) // 2
    where = foveal.explain(net, x, 1, method=f"occlusion:window={window},stride={window}").map
    if x.shape[2] in (1, x.shape[3]):
        assert torch.allclose(where[:, 0, 0], f(x) - f(covered), atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_measures_and_audits_need_no_layer(name: str) -> None:
    net, x = built(name)
    table = foveal.measure(net, x, 1, explanations=["inputxgradient", "occlusion"], metrics=["deletion", "insertion"])
    assert "(activation)" not in table.methods and "(random)" in table.methods
    assert len(foveal.audit(net, x, 1, explanations="inputxgradient", draws=3)) == 2


@pytest.mark.parametrize("name", NETS)
def test_methods_of_a_layer_say_one_sentence(name: str) -> None:
    net, x = built(name)
    for ask in (lambda: foveal.explain(net, x, 1), lambda: foveal.flow(net, x, 1), lambda: foveal.parts(net, x, 1),
                lambda: foveal.decompose(net, x[:1], 1), lambda: foveal.explain(net, x, 1, method="ablationcam"),
                lambda: foveal.stages(net, x)):  # fmt: skip
        with pytest.raises(LayerError, match=r"has no layer that returns a feature map.*occlusion.*layer='input'"):
            ask()


# --- networks that cannot be looked into ---------------------------------------------------------------------------


def quietly(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def scripted() -> nn.Module:
    return quietly(lambda: torch.jit.script(tiny()))  # type: ignore[no-any-return]


def traced() -> nn.Module:
    return quietly(lambda: torch.jit.trace(tiny(), torch.randn(1, 3, 16, 16)))  # type: ignore[no-any-return]


def frozen() -> nn.Module:
    return quietly(lambda: torch.jit.freeze(torch.jit.script(tiny())))  # type: ignore[no-any-return]


def exported() -> nn.Module:
    batch = torch.export.Dim("n", min=1, max=4096)
    x = torch.randn(2, 3, 16, 16)
    return quietly(lambda: torch.export.export(tiny(), (x,), dynamic_shapes=({0: batch},)).module())  # type: ignore[no-any-return]


CLOSED = {"scripted": scripted, "traced": traced, "frozen": frozen, "exported": exported}


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*export")
@pytest.mark.parametrize("kind", CLOSED)
@pytest.mark.parametrize("method", LAYERLESS)
def test_closed_networks_have_the_map_of_the_open_one_or_say_why_not(method: str, kind: str) -> None:
    net, x = CLOSED[kind](), torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    name = QUICK.get(method, method)
    right = foveal.explain(tiny(), x, 1, method=name, layer="input").map
    try:
        why = foveal.explain(net, x, 1, method=name)
    except MethodError as error:
        assert method.startswith(("lrp", "deeplift")) and kind != "exported", error
        return
    named = any("no rule for it" in note for note in why.notes)
    assert named or torch.allclose(why.map, right, atol=1e-4 * float(right.abs().max()))
    assert named <= (method in ("guidedbackprop", "deconvnet"))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("kind", ["scripted", "traced", "frozen"])
def test_layers_of_torchscript_cannot_be_observed(kind: str) -> None:
    net, x = CLOSED[kind](), torch.randn(2, 3, 16, 16)
    with pytest.raises(LayerError, match=r"TorchScript.*cannot be observed"):
        foveal.explain(net, x, 1)
    with pytest.raises(LayerError, match=r"TorchScript|there is no layer"):
        foveal.explain(net, x, 1, layer="relu1")
    state = {key: value.clone() for key, value in net.state_dict().items()}
    mode = getattr(net, "training", None)
    foveal.audit(net, x, 1, explanations="occlusion", draws=2)
    assert getattr(net, "training", None) == mode
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_quantized_networks_are_asked() -> None:
    ao = pytest.importorskip("torch.ao.quantization")

    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.d = ao.QuantStub(), ao.DeQuantStub()
            self.c, self.r, self.fc = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Any:
            return self.d(self.fc(self.r(self.c(self.q(x))).mean((2, 3))))

    torch.manual_seed(0)
    net, x = Quantized().eval(), torch.randn(2, 3, 16, 16)
    net.qconfig = ao.get_default_qconfig(
        "qnnpack" if "qnnpack" in torch.backends.quantized.supported_engines else "x86"
    )
    torch.backends.quantized.engine = "qnnpack" if "qnnpack" in torch.backends.quantized.supported_engines else "x86"
    ao.prepare(net, inplace=True)
    plain = foveal.explain(net, x, 1, method="occlusion:window=4").map
    net(x)
    ao.convert(net, inplace=True)
    why = foveal.explain(net, x, 1, method="occlusion:window=4")
    assert torch.corrcoef(torch.stack([why.map.flatten(), plain.flatten()]))[0, 1] > 0.8
    assert foveal.explain(net, x, 1, method="rise:count=30").map.shape == (2, 16, 16)
    for method in ("gradcam", "gradient", "integratedgradients", "lrp-epsilon", "deeplift"):
        with pytest.raises(FovealError):
            foveal.explain(net, x, 1, method=method)
