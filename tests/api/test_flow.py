"""Attention flow against its definition and identities: T1–T6, T13, T14, T17–T22 of the specification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import foveal
from foveal.errors import MethodError, ResultError, TargetError
from foveal.methods.naflow import MODES, Abandonment
from tests.networks import architecture, awake, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace

PIECEWISE_LINEAR = {
    "alexnet": 64, "vgg11_bn": 64, "resnet18": 64, "resnet50": 64, "densenet121": 64, "googlenet": 64,
    "mobilenet_v2": 64, "regnet_x_400mf": 64, "squeezenet1_1": 64, "shufflenet_v2_x0_5": 64,
}  # fmt: skip
SMOOTH = {"mobilenet_v3_small": 64, "efficientnet_b0": 64, "convnext_tiny": 64}


class Plain(nn.Module):
    """Convolutions, pooling and a residual block; with or without biases."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 6, 3, padding=1, bias=bias), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.relu2 = nn.Conv2d(6, 6, 3, padding=1, bias=bias), nn.ReLU()
        self.conv3, self.relu3 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=bias), nn.ReLU()
        self.fc = nn.Linear(8, 4, bias=bias)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        a = self.pool(self.relu1(self.conv1(x)))
        b = self.relu2(self.conv2(a) + a)
        return self.fc(self.relu3(self.conv3(b)).mean((2, 3)))  # type: ignore[no-any-return]


def plain(bias: bool = True, seed: int = 0) -> Plain:
    torch.manual_seed(seed)
    return Plain(bias=bias).eval()


def pictures(n: int = 2, side: int = 12, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LAYERS = ("relu1", "pool", "relu2", "relu3")


def tensors(model: nn.Module, x: Tensor, layers: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A and G of the largest logit, by hooks and one backward of our own."""
    A: dict[str, Tensor] = {}
    modules = dict(model.named_modules())
    handles = [
        modules[layer].register_forward_hook(lambda _m, _i, out, layer=layer: A.__setitem__(layer, out))
        for layer in layers
    ]
    score = model(x).amax(1)
    for handle in handles:
        handle.remove()
    G = torch.autograd.grad(score.sum(), list(A.values()))
    return {at: a.detach() for at, a in A.items()}, dict(zip(A, G, strict=True))


# --- exact ---


def test_exact_is_the_published_formula_at_every_layer() -> None:
    """T2, T13: Σ_c ReLU(A ⊙ G), which on rectified layers is LayerCAM; never negative, zero where G is."""
    model, x = plain(), pictures()
    A, G = tensors(model, x, LAYERS)
    flow = foveal.flow(model, x, layer=LAYERS)
    layercam = foveal.explain(model, x, method="layercam", layer=LAYERS)
    assert flow.layers == LAYERS
    for layer in LAYERS:
        assert torch.allclose(flow.maps[layer], (A[layer] * G[layer]).relu().sum(1))
        assert torch.allclose(flow.maps[layer], layercam.maps[layer].relu())
        assert torch.allclose(flow.signed[layer], (A[layer] * G[layer]).sum(1))
        used = (G[layer] != 0) & (A[layer] > 0)
        assert torch.allclose(flow.kept[layer], used.double().mean(1))
        assert flow.number(layer, "kept", 1) == pytest.approx(float(used[1].double().mean()))


def test_the_last_layer_is_class_activation_mapping() -> None:
    """T3: G = W_c / hw there; with weights that are nowhere negative the map is CAM."""
    model, x = plain(), pictures()
    with torch.no_grad():
        model.fc.weight.abs_()
    flow = foveal.flow(model, x, foveal.Class(2))
    A, _ = tensors(model, x, ("relu3",))
    cam = torch.einsum("nchw,c->nhw", A["relu3"], model.fc.weight[2].detach()) / 9
    assert torch.allclose(flow.map, cam)
    with torch.no_grad():
        model.fc.weight[2, ::2] *= -1
    cam = torch.einsum("nchw,c->nhw", A["relu3"], model.fc.weight[2].detach()).relu() / 9
    assert bool((foveal.flow(model, x, foveal.Class(2)).map >= cam - 1e-12).all())


def test_a_similarity_flows_by_its_channels() -> None:
    """T4, T5: at the last layer it is FAM; below, one vector–Jacobian product carries α."""
    model = nn.Sequential(*list(plain().children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten()).double().eval()
    x, s = pictures(), pictures(1, seed=5)
    target = foveal.Similar(s)
    flow = foveal.flow(model, x, target)
    fam = foveal.explain(model, x, target, method="fam", layer="all")
    for layer in flow.layers:
        assert torch.allclose(flow.signed[layer], fam.maps[layer])
    assert torch.allclose(flow.map, fam.map)  # A ≥ 0, α ≥ 0
    v, w = (functional.normalize(model(z).detach(), dim=1) for z in (x, s))
    p = v * w
    alpha = (p - p.amin(1, keepdim=True)) / (p.amax(1, keepdim=True) - p.amin(1, keepdim=True))
    J = torch.autograd.functional.jacobian(lambda one: model[3:](one[None])[0], model[:3](x)[0].detach())
    assert isinstance(J, Tensor)
    G = torch.einsum("d,dchw->chw", alpha[0], J)
    name = "2"
    assert torch.allclose(
        foveal.flow(model, x, target, layer=name).signed[name][0], (model[:3](x)[0].detach() * G).sum(0)
    )
    by_gradient = foveal.flow(model, x, target, coefficients="gradient")
    hirescam = foveal.explain(model, x, target, method="hirescam", layer="all")
    for layer in by_gradient.layers:
        assert torch.allclose(by_gradient.signed[layer], hirescam.maps[layer])


def test_without_biases_every_layer_adds_up_to_the_score() -> None:
    """T6, first half: Euler's identity."""
    model, x = plain(bias=False), pictures()
    flow = foveal.flow(model, x, layer=("input", *LAYERS))
    for layer in flow.layers:
        assert torch.allclose(flow.signed[layer].sum((1, 2)), flow.score)  # type: ignore[arg-type]
        assert abs(flow.number(layer, "offset", 0)) < 1e-12


def bias_term(model: nn.Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """(n,) Σ A G, and what the biases after the layer bring, each offset times its gradient; by hooks of our own."""
    affine: list[tuple[Tensor, Tensor]] = []
    tapped: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        tapped.append(output.detach().requires_grad_())
        return tapped[-1].clone()

    modules = dict(model.named_modules())
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm2d
    inner = [m for m in modules.values() if isinstance(m, kinds)]
    originals = {m: m.forward for m in inner}

    def wrapped(m: nn.Module) -> Any:
        return lambda z: note_of(m, z)

    def note_of(m: nn.Module, z: Tensor) -> Tensor:
        out: Tensor = originals[m](z)
        if not out.requires_grad:
            return out
        with torch.no_grad():
            affine.append((out, originals[m](torch.zeros_like(z))))
        return out.clone()  # what follows may work in place

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    handle = modules[layer].register_forward_hook(cut)
    try:
        for m in inner:
            m.forward = wrapped(m)
        score = model(x).amax(1)
    finally:
        handle.remove()
        for m in inner:
            del m.forward
    A = tapped[-1]
    G, *gradients = torch.autograd.grad(score.sum(), [A, *(out for out, _ in affine)], allow_unused=True)
    offsets = torch.zeros(len(x), dtype=x.dtype)
    for (_, at_zero), g in zip(affine, gradients, strict=True):
        if g is not None:
            offsets += (at_zero * g).flatten(1).sum(1)
    return (A * G).flatten(1).sum(1).detach(), offsets


@pytest.mark.parametrize("name", PIECEWISE_LINEAR)
def test_every_layer_and_the_biases_after_it_add_up_to_the_score(name: str) -> None:
    """T6 with biases, on real architectures: the offset is the later biases' own contribution, found independently."""
    from foveal.models.extras import import_torchvision

    if name in ("alexnet", "regnet_x_400mf", "shufflenet_v2_x0_5"):
        torch.manual_seed(0)
        model = awake(getattr(import_torchvision().models, name)(weights=None)).eval()
    else:
        model = architecture(name)
    model = model.double()
    x = pictures(2, PIECEWISE_LINEAR[name])
    flow = foveal.flow(model, x)
    assert len(flow.layers) >= 2
    for layer in flow.layers:
        if "#" in layer:
            continue
        total, offset = bias_term(model, x, layer)
        scale = (total.abs() + offset.abs()).clamp(min=1e-12)
        assert bool((((total + offset) - flow.score).abs() <= 1e-5 * scale).all())  # type: ignore[operator]
        for i in range(2):
            assert abs(flow.number(layer, "offset", i) - float(offset[i])) <= 1e-5 * float(scale[i])
    single = foveal.flow(model.float(), x.float())
    for layer in flow.layers:
        for i in range(2):
            off = abs(single.number(layer, "total", i) - flow.number(layer, "total", i))
            assert off <= 1e-3 * float(flow.signed[layer][i].abs().sum())


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_networks_abandon_by_mass(name: str) -> None:
    """Gradients never vanish there; what is kept grows with the share of the evidence it is to hold."""
    model, x = architecture(name), pictures(1, SMOOTH[name]).float()
    every = foveal.flow(model, x)
    layer = every.layer
    A = [foveal.flow(model, x, mass=mass, layer=layer) for mass in (0.5, 0.9, 0.99, 0.9999)]
    kept = [flow.number(layer, "kept") for flow in A]
    assert kept == sorted(kept) and kept[0] < 0.5 * every.number(layer, "kept")
    gaps = [float((flow.map - every.map).abs().sum() / every.map.sum()) for flow in A]
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 1e-3
    assert gaps[1] <= 0.2


def test_a_network_that_abandons_nothing_says_so() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    x = torch.randn(1, 3, 8, 8)
    assert any("mass=0.99" in note for note in foveal.flow(model, x, layer="1").notes)
    assert not any("mass" in note for note in foveal.flow(model, x, layer="1", mass=0.99).notes)


def test_mass_keeps_the_fewest_that_hold_it() -> None:
    A = torch.tensor([[[[4.0, 1.0], [3.0, 2.0]]]])
    G = torch.ones(1, 1, 2, 2)
    for mass, count in ((0.39, 1), (0.4, 1), (0.41, 2), (0.7, 2), (0.71, 3), (0.9, 3), (1.0, 4)):
        keep = Abandonment(mass=mass).kept(A, G)
        assert int(keep.sum()) == count, mass
        assert float(A[keep].sum()) >= mass * 10 - 1e-6
    assert Abandonment(tolerance=0.5).kept(A, torch.tensor([[[[1.0, 0.5], [-0.6, 0]]]])).flatten().tolist() == [
        True, False, True, False,
    ]  # fmt: skip


def test_scaling_the_score_scales_the_maps() -> None:
    """T19."""
    model, x = plain(), pictures()
    one, three = (foveal.flow(model, x, lambda out, k=k: k * out[:, 1]) for k in (1.0, 3.0))
    for layer in one.layers:
        assert torch.allclose(3 * one.maps[layer], three.maps[layer])
        assert torch.equal(one.kept[layer], three.kept[layer])


def test_losers_of_pooling_may_be_anything() -> None:
    """T14: what does not change a maximum changes no score and no map."""
    model, x = plain(), pictures(1)
    before = foveal.flow(model, x, layer=("pool", "relu2", "relu3"))

    class Disturbed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            a = model.relu1(model.conv1(x))
            _, index = functional.max_pool2d(a, 2, return_indices=True)
            won = torch.zeros_like(a).flatten(2).scatter(2, index.flatten(2), 1.0).view_as(a)
            a = torch.where(won > 0, a, a * 0.3)
            a = model.pool(a)
            b = model.relu2(model.conv2(a) + a)
            return model.fc(model.relu3(model.conv3(b)).mean((2, 3)))  # type: ignore[no-any-return]

    after = foveal.flow(Disturbed(), x, layer=("inner.pool", "inner.relu2", "inner.relu3"))
    assert torch.allclose(before.score, after.score)  # type: ignore[arg-type]
    for layer in before.layers:
        assert torch.allclose(before.maps[layer], after.maps[f"inner.{layer}"])


def test_a_circular_network_shifts_with_its_input() -> None:
    """T20."""
    torch.manual_seed(0)
    convs = [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    ]
    model = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    x = pictures(1, 8)
    for mode in ("exact", "project"):
        one, other = (
            foveal.flow(model, z, foveal.Class(0), layer=("1", "3"), mode=mode, iterations=200, tolerance=1e-10)
            for z in (x, x.roll((2, 3), (2, 3)))
        )
        for layer in one.layers:
            assert torch.allclose(one.maps[layer].roll((2, 3), (1, 2)), other.maps[layer], atol=1e-6)


# --- modes that invert ---


@pytest.mark.parametrize("mode", MODES)
def test_modes_against_explicit_matrices(mode: str) -> None:
    """Every mode, one block after another, with Jacobians and pseudo-inverses written out."""
    model, x = plain(), pictures(1, 8)
    A, G = tensors(model, x, ("pool", "relu2", "relu3"))
    between = {"relu3": lambda b: model.relu3(model.conv3(b)), "relu2": lambda a: model.relu2(model.conv2(a) + a)}
    keep = {at: (G[at] != 0) & (A[at] > 0) for at in A}
    B = {"relu3": A["relu3"] * keep["relu3"]}
    damping = 0.7
    for below, above in (("relu2", "relu3"), ("pool", "relu2")):
        x0, y0 = A[below], A[above]
        J = torch.autograd.functional.jacobian(between[above], x0)
        assert isinstance(J, Tensor)
        J = J.reshape(y0.numel(), x0.numel())
        rows = keep[above].flatten() if mode != "cascade_all" else torch.ones(y0.numel(), dtype=torch.bool)
        at = J @ x0.flatten()
        if mode == "exact":
            found = x0.flatten()
        elif mode == "project":
            found = torch.linalg.pinv(J[rows], rtol=1e-10) @ at[rows]
        elif mode == "damped":
            v = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)).double()
            scale = damping * float((J @ v.flatten()).square().sum() / v.square().sum())
            K = J[rows]
            d = torch.linalg.solve(K.T @ K + scale * torch.eye(x0.numel()), K.T @ (B[above] - y0).flatten()[rows])
            found = x0.flatten() + d
        else:
            t = (B[above] - y0).flatten() + at
            found = torch.linalg.pinv(J[rows], rtol=1e-10) @ t[rows]
        B[below] = (found.view_as(x0) * keep[below]).clamp(min=0)
    flow = foveal.flow(
        model,
        x,
        mode=mode,
        layer=("pool", "relu2", "relu3"),
        iterations=3000,
        tolerance=1e-13,
        damping=damping,  # type: ignore[arg-type]
    )
    for layer in flow.layers:
        assert torch.allclose(flow.maps[layer], (B[layer] * G[layer]).relu().sum(1), atol=1e-7)


def test_limits_of_the_modes() -> None:
    """T17: damped tends to exact; cascade is project right below the last layer."""
    model, x = plain(), pictures()
    layers = ("pool", "relu2", "relu3")
    options = {"layer": layers, "iterations": 500, "tolerance": 1e-12}
    exact, stiff = foveal.flow(model, x, layer=layers), foveal.flow(model, x, mode="damped", damping=1e9, **options)  # type: ignore[arg-type]
    project, cascade = (foveal.flow(model, x, mode=mode, **options) for mode in ("project", "cascade"))  # type: ignore[arg-type]
    for layer in layers:
        assert torch.allclose(exact.maps[layer], stiff.maps[layer], atol=1e-6)
    assert torch.allclose(project.maps["relu2"], cascade.maps["relu2"], atol=1e-8)
    assert not torch.allclose(project.maps["relu2"], exact.maps["relu2"], rtol=1e-2)
    # kept neurons above have their forward values, so there is nothing to correct at any damping
    loose = foveal.flow(model, x, mode="damped", damping=1e-3, **options)  # type: ignore[arg-type]
    for layer in layers:
        assert torch.allclose(exact.maps[layer], loose.maps[layer], atol=1e-9)


def test_modes_agree_where_everything_is_invertible() -> None:
    torch.manual_seed(0)
    convs = [nn.Conv2d(4, 4, 1, bias=False) for _ in range(2)]
    model = nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).double()
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    exact, *others = (foveal.flow(model, x, mode=mode, layer=("0", "1")) for mode in ("exact", "project", "cascade"))
    for other in others:
        for layer in exact.layers:
            assert torch.allclose(exact.maps[layer], other.maps[layer])


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_is_its_images(mode: str) -> None:
    """T18."""
    model, x = plain(), pictures(3)
    together = foveal.flow(model, x, mode=mode, iterations=8)  # type: ignore[arg-type]
    for i in range(3):
        alone = foveal.flow(model, x[i : i + 1], mode=mode, iterations=8)  # type: ignore[arg-type]
        for layer in together.layers:
            assert torch.allclose(together.maps[layer][i], alone.maps[layer][0], rtol=1e-6, atol=1e-9)
            for what in ("kept", "total", "offset", "residual", "iterations"):
                assert together.number(layer, what, i) == pytest.approx(alone.number(layer, what), rel=1e-5, abs=1e-9)
        assert torch.equal(together[i].maps[together.layer], together.maps[together.layer][i : i + 1])
        assert together[i].number(together.layer, "kept") == together.number(together.layer, "kept", i)


@pytest.mark.parametrize("mode", ["project", "cascade"])
@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18", "densenet121", "googlenet", "mobilenet_v2", "convnext_tiny"])
def test_real_architectures_are_inverted_stage_by_stage(name: str, mode: str, no_trace: NoTrace) -> None:
    model, x = architecture(name), pictures(1, 64).float()
    with no_trace(model):
        flow = foveal.flow(model, x, mode=mode, iterations=15)  # type: ignore[arg-type]
    for layer in flow.layers:
        assert bool(flow.maps[layer].isfinite().all()) and bool((flow.maps[layer] >= 0).all())
        assert 0 <= flow.number(layer, "residual") <= 1
    assert flow.number(flow.layers[0], "iterations") == 15
    assert flow.parameters["iterations"] == 15


def test_every_module_of_a_plain_network() -> None:
    """Layer by layer as the authors do: closed forms for pooling and activations, the solver for convolutions."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(8 * 9, 4),
    ).double().eval()  # fmt: skip
    x = pictures(2)
    flow = foveal.flow(awake(model), x, mode="project", layer="*", iterations=400, tolerance=1e-12)
    assert flow.layers == tuple("012345678")
    counts = {layer: flow.number(layer, "iterations") for layer in flow.layers}
    assert all(counts[str(k)] == 0 for k in (8, 7, 4, 3, 2, 1, 0)[:2]) and counts["5"] > 0 and counts["6"] == 0
    exact = foveal.flow(model, x, layer="*")
    for k in "01246":  # below what works number by number, the kept neurons see all of their own input
        assert torch.allclose(flow.maps[k], exact.maps[k]), k


def test_a_way_round_a_layer_is_told() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            a = self.a(x).relu()
            return (a + self.b(a)).mean((2, 3))

    torch.manual_seed(0)
    flow = foveal.flow(Skip(), torch.randn(1, 3, 8, 8), layer=("a", "b"), mode="project")
    assert any("other ways than through b" in note for note in flow.notes)


# --- what a user does with it ---


@pytest.mark.parametrize("mode", MODES)
def test_no_trace(mode: str, no_trace: NoTrace) -> None:
    """T21."""
    model, x = tiny(inplace=True), torch.randn(2, 3, 12, 12)
    with no_trace(model):
        flow = foveal.flow(model, x, mode=mode)  # type: ignore[arg-type]
        flow.audit()


def test_audit_of_what_pooling_abandons_and_of_a_head_alone() -> None:
    """Max-pool losers and neurons that are off: nothing changes. The kept of the last stage: the bias is left."""
    model, x = plain(), pictures(3)
    flow = foveal.flow(model, x, foveal.Class(1), layer=("relu1", "relu3"))
    audit = flow.audit()
    first, last = audit.layers
    assert (first.layer, last.layer) == ("relu1", "relu3")
    assert bool((flow.kept["relu1"].mean((1, 2)) < 0.4).all())
    A, G = tensors(model, x, ("relu1",))
    losers = (A["relu1"] > 0) & (
        functional.max_unpool2d(*functional.max_pool2d(A["relu1"], 2, return_indices=True), 2) == 0
    )  # type: ignore[misc]
    assert bool(losers.any()) and bool((G["relu1"][losers] == 0).all())
    assert torch.allclose(last.without_abandoned, flow.score)  # type: ignore[arg-type]
    assert torch.allclose(last.without_kept, model.fc.bias[1].detach().expand(3))
    assert torch.allclose(last.without_kept, last.offset.double())
    assert len(str(audit).splitlines()) == 1 + 2 * 3


def test_audit_zeroes_what_the_masks_say() -> None:
    """By hand: the rest of the network on A ⊙ (1 − m) and A ⊙ m."""
    model, x = plain(), pictures(2)
    A, G = tensors(model, x, ("pool",))
    keep = ((G["pool"] != 0) & (A["pool"] > 0)).double()

    def rest(a: Tensor) -> Tensor:
        b = model.relu2(model.conv2(a) + a)
        return model.fc(model.relu3(model.conv3(b)).mean((2, 3)))  # type: ignore[no-any-return]

    top = model(x).argmax(1, keepdim=True)
    (found,) = foveal.flow(model, x, layer="pool").audit()
    assert torch.allclose(found.without_abandoned, rest(A["pool"] * keep).gather(1, top)[:, 0].detach())
    assert torch.allclose(found.without_kept, rest(A["pool"] * (1 - keep)).gather(1, top)[:, 0].detach())


def test_audit_of_a_similarity() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    torch.manual_seed(0)
    x, target = torch.randn(2, 3, 8, 8), foveal.Similar(torch.randn(1, 3, 8, 8))
    flow = foveal.flow(model, x, target)
    (found,) = flow.audit()
    # The channel that adds least has weight 0, and with it goes what little it adds.
    assert bool((found.without_abandoned < flow.score).all()) and bool(found.offset.isnan().all())  # type: ignore[operator]
    (by_gradient,) = foveal.flow(model, x, target, coefficients="gradient").audit()
    assert torch.allclose(by_gradient.without_abandoned, flow.score)  # type: ignore[arg-type]
    assert bool(by_gradient.without_kept.isnan().all())  # an embedding of zeros is like nothing


def test_pairs_flow_with_the_same_weights_on_both_sides() -> None:
    model = nn.Sequential(*list(plain().children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten()).double().eval()
    q, s = pictures(1), pictures(1, seed=3)
    one, other = foveal.follow_pair(model, q, s)
    assert torch.allclose(one.score, other.score)  # type: ignore[arg-type]
    pair = foveal.match(model, q, s)
    assert torch.allclose(one.signed[pair.layer], pair.query_maps[:, 0])
    assert torch.allclose(other.signed[pair.layer], pair.reference_maps[0])


def test_contrast_is_the_flow_of_a_margin() -> None:
    model, x = plain(), pictures()
    flow = foveal.flow(model, x, foveal.Margin())
    top = model(x).detach().sort(1, descending=True)[0]
    assert torch.allclose(flow.score, top[:, 0] - top[:, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["exact", "cascade"])
def test_several_decisions_share_one_forward(mode: Any, no_trace: NoTrace) -> None:
    model, x = plain(), pictures()
    targets = [0, foveal.Margin(1, 2), None, foveal.Similar(pictures(1, seed=5), embedding="fc.input")]
    forwards = []
    handle = model.register_forward_hook(lambda *_: forwards.append(1))
    with no_trace(model):
        each = foveal.flows(model, x, targets, mode=mode, layer=LAYERS)
    handle.remove()
    assert len(forwards) <= 3  # the pictures once, the one they are likened to, and the tracing of its embedding
    for target, together in zip(targets, each, strict=True):
        alone = foveal.flow(model, x, target, mode=mode, layer=LAYERS)
        assert together.target == alone.target
        for layer in LAYERS:
            assert torch.allclose(together.maps[layer], alone.maps[layer], atol=1e-12)
            assert torch.allclose(together.signed[layer], alone.signed[layer], atol=1e-12)
            assert together.number(layer, "offset") == pytest.approx(alone.number(layer, "offset"), abs=1e-12)
    assert str(each[1].audit()) == str(foveal.flow(model, x, targets[1], mode=mode, layer=LAYERS).audit())


def test_decisions_at_different_depths_do_not_share_all_layers() -> None:
    with pytest.raises(MethodError, match="different depths"):
        foveal.flows(plain(), pictures(), [0, foveal.Neuron("relu2", 1)])
    with pytest.raises(MethodError, match="no decision"):
        foveal.flows(plain(), pictures(), [])


def test_randomising_weights_changes_the_flow() -> None:
    """T22: a new head changes every map, a new layer those above it and, through G, those below."""
    model, x = plain(), pictures(1, 24)
    before = foveal.flow(model, x, foveal.Class(0), layer=LAYERS)
    for name in ("fc", "conv3"):
        changed = plain()
        torch.manual_seed(77)
        getattr(changed, name).reset_parameters()
        after = foveal.flow(changed.double(), x, foveal.Class(0), layer=LAYERS)
        for layer in LAYERS:
            both = torch.stack([before.maps[layer].flatten(), after.maps[layer].flatten()])
            assert float(torch.corrcoef(both)[0, 1]) < 0.97, (name, layer)


def test_saved_and_loaded(tmp_path: Path) -> None:
    flow = foveal.flow(foveal.load_model("demo"), torch.rand(2, 3, 160, 160), mode="project", iterations=3)
    flow.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"strip-0.png", "flow-1.webp", "flow.npz", "maps.npz", "manifest.json"} <= names
    film, frames = Image.open(tmp_path / "out" / "flow-1.webp"), flow.animation(1)
    assert np.array_equal(np.asarray(film.convert("RGB")), np.asarray(frames[0]))  # every color is kept
    assert film.info["loop"] == 0
    again = foveal.Flow.load(tmp_path / "out")
    for layer in flow.layers:
        assert torch.equal(again.maps[layer], flow.maps[layer])
        assert torch.equal(again.signed[layer], flow.signed[layer])
        assert torch.equal(again.kept[layer], flow.kept[layer])
        assert again.number(layer, "residual", 1) == pytest.approx(flow.number(layer, "residual", 1))
    assert str(again) == str(flow)
    with pytest.raises(ResultError, match="no network to audit"):
        again.audit()
    with pytest.raises(ResultError):
        foveal.Explanation.load(tmp_path / "out")


def test_pictures_of_a_flow() -> None:
    flow = foveal.flow(foveal.load_model("demo"), torch.rand(1, 3, 160, 160))
    inside = torch.zeros(160, 160, dtype=torch.bool).numpy()
    inside[40:120, 40:120] = True
    assert flow.figure("strip", audit=flow.audit(), inside=inside).width > 4 * 224
    assert flow.figure("strip", common=True).size == flow.figure("strip").size
    assert flow.figure().height < flow.figure("strip").height
    film = flow.animation(side=120)
    assert len({frame.size for frame in film}) == 1 and len(film) > len(flow.layers)
    assert flow.correlations().width > 64 * len(flow.layers)


def test_bad_wishes_get_one_sentence() -> None:
    model, x = plain(), pictures()
    for options in (
        {"mode": "cascades"},
        {"mass": 0},
        {"zero": -1},
        {"iterations": 0, "mode": "project"},
        {"damping": 0},
    ):
        with pytest.raises(MethodError):
            foveal.flow(model, x, **options)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="coefficients"):
        foveal.flow(model, x, coefficients="alpha")
    with pytest.raises(MethodError, match="similarity"):
        foveal.flow(model, x, coefficients="linear")
    flow = foveal.flow(model, x)
    with pytest.raises(ResultError, match="another flow"):
        flow[1].figure("strip", audit=flow.audit())
    with pytest.raises(TargetError):
        foveal.flow(model, x, foveal.Class(99))
    with pytest.raises(MethodError, match="runner-up"):
        foveal.flow(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double(), x,
            foveal.Similar(x[:1]), coefficients="margin",
        )  # fmt: skip
