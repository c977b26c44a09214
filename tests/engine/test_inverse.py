"""Blocks and their kept-row inverses against explicit Jacobians and pseudo-inverses. T7–T12, T15, T16 of the spec."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from foveal.engine.block import Block
from foveal.engine.capture import capture
from foveal.engine.inverse import cgls, invert, pointwise
from foveal.errors import LayerError, MethodError

TIGHT = {"iterations": 2000, "tolerance": 1e-13}


class Residual(nn.Module):
    def __init__(self, channels: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 4, 3, stride, 1), nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, 1, 1)
        self.shortcut = nn.Conv2d(channels, 4, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.bn1(self.conv1(x)).relu()) + self.shortcut(x)).relu()


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x).relu(), self.three(x), x], 1)


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "strided": lambda: nn.Conv2d(3, 5, 3, stride=2, padding=1),
    "dilated": lambda: nn.Conv2d(3, 4, 3, padding=2, dilation=2),
    "grouped": lambda: nn.Conv2d(3, 6, 3, padding=1, groups=3),
    "pointwise": lambda: nn.Conv2d(3, 4, 1),
    "narrowing": lambda: nn.Conv2d(3, 2, 1),
    "transposed": lambda: nn.ConvTranspose2d(3, 2, 2, stride=2),
    "bn": lambda: nn.BatchNorm2d(3),
    "relu": nn.ReLU,
    "maxpool": lambda: nn.MaxPool2d(2),
    "maxpool 3/2": lambda: nn.MaxPool2d(3, 2, 1),
    "avgpool": lambda: nn.AvgPool2d(2),
    "avgpool 3/2": lambda: nn.AvgPool2d(3, 2, 1),
    "gap": lambda: nn.AdaptiveAvgPool2d(1),
    "layernorm": lambda: nn.GroupNorm(1, 3),
    "upsampled": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "gelu": nn.GELU,
    "residual": Residual,
    "residual, strided": lambda: Residual(stride=2),
    "branches": Branches,
    "squeeze-excite": SqueezeExcite,
    "two layers": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
}


def made(name: str, n: int = 2, side: int = 6) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(5)
    module = BLOCKS[name]().double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            with torch.no_grad():
                part.weight.uniform_(-2, 2)
                part.bias.normal_()
    return module, torch.randn(n, 3, side, side, dtype=torch.float64)


def block_of(module: nn.Module, x: Tensor, *, alone: bool = True) -> Block:
    x = x.detach().requires_grad_()
    return Block(x.detach(), module(x), x, module if alone else None)


def jacobian(module: nn.Module, x: Tensor) -> Tensor:
    """(q, p) of one image."""
    found = torch.autograd.functional.jacobian(lambda one: module(one[None])[0], x)
    assert isinstance(found, Tensor)
    return found.reshape(-1, x.numel())


def some(shape: torch.Size, share: float = 0.6) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share


@pytest.mark.parametrize("name", BLOCKS)
def test_push_and_pull_are_the_jacobian_and_its_transpose(name: str) -> None:
    module, x = made(name)
    block = block_of(module, x)
    v, u = torch.randn_like(x), torch.randn_like(block.y)
    pushed, pulled = block.jvp(v), block.vjp(u)
    for i in range(2):
        J = jacobian(module, x[i])
        assert torch.allclose(pushed[i].flatten(), J @ v[i].flatten(), atol=1e-10)
        assert torch.allclose(pulled[i].flatten(), J.T @ u[i].flatten(), atol=1e-10)
    assert float((pushed * u).sum()) == pytest.approx(float((v * pulled).sum()), rel=1e-9)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in ("gap", "relu", "bn", "gelu")])
def test_the_inverse_is_the_pseudo_inverse_of_the_kept_rows(name: str, alone: bool) -> None:
    """With and without closed forms; of what the kept rows see of a signal, as in mode `project`."""
    module, x = made(name)
    block = block_of(module, x, alone=alone)
    keep, t = some(block.y.shape), block.jvp(torch.randn_like(x))
    solved = invert(block, keep, t, **TIGHT)  # type: ignore[arg-type]
    for i in range(2):
        rows = keep[i].flatten()
        KJ = jacobian(module, x[i])[rows]
        expected = torch.linalg.pinv(KJ, rtol=1e-10) @ t[i].flatten()[rows]
        assert torch.allclose(solved.x[i].flatten(), expected, atol=1e-6)
    assert bool((solved.residual < 1e-6).all())
    if alone and name in ("pointwise", "narrowing", "maxpool", "avgpool"):
        assert solved.iterations.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["strided", "residual, strided", "narrowing"])
def test_contradicting_rows_are_met_by_least_squares(name: str) -> None:
    module, x = made(name)
    block = block_of(module, x)
    keep, t = some(block.y.shape, 0.9), torch.randn_like(block.y)
    solved = invert(block, keep, t, **TIGHT)  # type: ignore[arg-type]
    for i in range(2):
        rows = keep[i].flatten()
        KJ, wanted = jacobian(module, x[i])[rows], t[i].flatten()[rows]
        expected = torch.linalg.pinv(KJ, rtol=1e-10) @ wanted
        assert torch.allclose(solved.x[i].flatten(), expected, atol=1e-6)
        left = float((KJ @ expected - wanted).norm() / wanted.norm())
        assert float(solved.residual[i]) == pytest.approx(left, rel=1e-4, abs=1e-9)


def test_damping_is_ridge_regression() -> None:
    module, x = made("strided")
    block = block_of(module, x)
    keep, t = some(block.y.shape), torch.randn_like(block.y)
    solved = invert(block, keep, t, damping=0.3, **TIGHT)  # type: ignore[arg-type]
    for i in range(2):
        rows = keep[i].flatten()
        KJ = jacobian(module, x[i])[rows]
        normal = KJ.T @ KJ + 0.3 * torch.eye(KJ.shape[1], dtype=KJ.dtype)
        expected = torch.linalg.solve(normal, KJ.T @ t[i].flatten()[rows])
        assert torch.allclose(solved.x[i].flatten(), expected, atol=1e-8)


def test_projection_is_penrose() -> None:
    """K J x = K J A, |x| ≤ |A|, twice is once, the rest is orthogonal, and nothing outside the receptive fields."""
    module, x = made("conv", side=9)
    block = block_of(module, x)
    keep = torch.zeros(block.y.shape, dtype=torch.bool)
    keep[:, :2, 2, 3] = True
    A = torch.randn_like(x)
    one = invert(block, keep, block.jvp(A), **TIGHT).x  # type: ignore[arg-type]
    twice = invert(block, keep, block.jvp(one), **TIGHT).x  # type: ignore[arg-type]
    assert torch.allclose((block.jvp(one) - block.jvp(A))[keep], torch.zeros(int(keep.sum()), dtype=A.dtype))
    assert bool((one.flatten(1).norm(dim=1) <= A.flatten(1).norm(dim=1)).all())
    assert torch.allclose(one, twice) and torch.allclose(((A - one) * one).sum(), torch.zeros((), dtype=A.dtype))
    outside = torch.ones_like(A, dtype=torch.bool)
    outside[:, :, 1:4, 2:5] = False
    assert bool((one[outside] == 0).all()) and bool((one != 0).any())


def test_invertible_layers_give_the_input_back() -> None:
    torch.manual_seed(0)
    for module in (nn.Conv2d(4, 4, 1), nn.Conv2d(4, 7, 1), nn.Linear(6, 6)):
        module = module.double()
        x = (
            torch.randn(2, 4, 5, 6, dtype=torch.float64)
            if isinstance(module, nn.Conv2d)
            else torch.randn(3, 6).double()
        )
        block = block_of(module, x)
        solved = invert(block, torch.ones_like(block.y, dtype=torch.bool), block.jvp(x), **TIGHT)  # type: ignore[arg-type]
        assert torch.allclose(solved.x, x) and float(solved.residual.max()) < 1e-10


def test_each_image_ends_on_its_own_and_does_not_disturb_the_others() -> None:
    module, x = made("strided", n=3)
    block, keep = block_of(module, x), some(block_of(module, x).y.shape)
    t = block.jvp(x) * torch.tensor([1.0, 1e-6, 0.0], dtype=x.dtype).view(3, 1, 1, 1)
    together = cgls(block, keep, torch.where(keep, t, 0), iterations=60, tolerance=1e-4)
    for i in range(3):
        one = block_of(module, x[i : i + 1])
        alone = cgls(one, keep[i : i + 1], torch.where(keep, t, 0)[i : i + 1], iterations=60, tolerance=1e-4)
        assert torch.allclose(together.x[i], alone.x[0], rtol=1e-9, atol=1e-15)
        assert together.iterations[i] == alone.iterations[0]
    assert together.iterations[2] == 0 and 0 < together.iterations[0] < 60
    assert together.residual[2] == 0


def test_few_iterations_leave_a_visible_residual() -> None:
    module, x = made("two layers", side=12)
    block = block_of(module, x)
    keep = torch.ones_like(block.y, dtype=torch.bool)
    rough, fine = (invert(block, keep, block.jvp(x), iterations=k, tolerance=0).residual for k in (2, 40))
    assert bool((rough > 1e-3).all()) and bool((fine < rough / 10).all())


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d(3, 2)]
)
@pytest.mark.parametrize("side", [6, 7, 9])
def test_unpooling_fills_the_places_that_won(pool: nn.MaxPool2d, side: int) -> None:
    x = torch.rand(2, 3, side, side, dtype=torch.float64)
    block = block_of(pool, x)
    keep = torch.ones_like(block.y, dtype=torch.bool)
    found = invert(block, keep, block.y.detach(), **TIGHT).x  # type: ignore[arg-type]
    assert found.shape == x.shape
    assert bool((found[found != 0] == x[found != 0]).all())
    assert torch.allclose(pool(found), block.y.detach())


def test_a_kept_window_wins_over_an_abandoned_one_at_a_shared_place() -> None:
    x = torch.zeros(1, 1, 1, 5, dtype=torch.float64)
    x[..., 2] = 3
    pool = nn.MaxPool2d((1, 3), (1, 2))
    block = block_of(pool, x)
    keep = torch.tensor([True, False]).view(1, 1, 1, 2)
    found = invert(block, keep, block.y.detach(), **TIGHT).x  # type: ignore[arg-type]
    assert found.flatten().tolist() == [0, 0, 3, 0, 0]


def test_averages_are_copied_to_where_they_came_from() -> None:
    for pool in (nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((3, 2))):
        block = block_of(pool, torch.randn(2, 3, 6, 6, dtype=torch.float64))
        t = torch.randn_like(block.y)
        solved = invert(block, torch.ones_like(t, dtype=torch.bool), t, **TIGHT)  # type: ignore[arg-type]
        assert torch.allclose(pool(solved.x), t) and solved.iterations.sum() == 0
        # the smallest of all that do: the same everywhere under a mean
        assert torch.allclose(solved.x.norm(), t.norm() * (36 / t[0, 0].numel()) ** 0.5)


POINTWISE = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.PReLU(3), nn.ELU(1.3), nn.Sigmoid(), nn.Tanh(), nn.BatchNorm2d(3), nn.Identity(),
]  # fmt: skip


@pytest.mark.parametrize("module", POINTWISE, ids=lambda module: type(module).__name__)
def test_what_works_number_by_number_is_undone(module: nn.Module) -> None:
    torch.manual_seed(2)
    module = module.double().eval()
    if isinstance(module, nn.BatchNorm2d):
        module.running_mean.normal_()  # type: ignore[union-attr]
        module.running_var.uniform_(0.1, 3)  # type: ignore[union-attr]
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    x = x.abs() if isinstance(module, nn.ReLU) else x
    y = module(x).detach()
    found = pointwise(module, x, y, y)
    assert found is not None and torch.allclose(found, x, atol=1e-9)


def test_a_channel_that_normalisation_silences_keeps_its_forward_value() -> None:
    bn = nn.BatchNorm2d(3).double().eval()
    with torch.no_grad():
        bn.weight[1] = 0
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    found = pointwise(bn, x, bn(x).detach(), torch.randn(2, 3, 4, 4, dtype=torch.float64))
    assert found is not None and torch.equal(found[:, 1], x[:, 1])


@pytest.mark.parametrize("module", [nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.SiLU(inplace=True)])
def test_smooth_activations_are_followed_along_a_tangent_that_is_never_flat(module: nn.Module) -> None:
    x = torch.linspace(-4, 4, 101, dtype=torch.float64).view(1, 1, 1, -1)
    y = module(x.clone())
    before = x.clone()
    assert torch.allclose(pointwise(module, x, y, y), x)  # type: ignore[arg-type]
    moved = pointwise(module, x, y, y + 0.01)
    assert moved is not None and bool(((moved - x).abs() <= 0.1 + 1e-9).all()) and torch.equal(x, before)


@settings(max_examples=25, deadline=None)
@given(
    inputs=st.integers(1, 4), outputs=st.integers(1, 5), side=st.integers(3, 7), kernel=st.sampled_from([1, 2, 3]),
    stride=st.integers(1, 2), padding=st.integers(0, 1), share=st.floats(0.1, 1.0), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_convolution_agrees_with_its_pseudo_inverse(
    inputs: int, outputs: int, side: int, kernel: int, stride: int, padding: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    module = nn.Conv2d(inputs, outputs, kernel, stride, padding).double()
    x = torch.randn(1, inputs, side, side, dtype=torch.float64)
    block = block_of(module, x)
    keep = torch.rand(block.y.shape) < share
    t = block.jvp(x)
    solved = invert(block, keep, t, **TIGHT)  # type: ignore[arg-type]
    rows = keep.flatten()
    expected = torch.linalg.pinv(jacobian(module, x[0])[rows], rtol=1e-9) @ t.flatten()[rows]
    assert torch.allclose(solved.x.flatten(), expected, atol=1e-5)


# --- blocks of a run ---


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.block = Residual(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(self.pool(self.relu(self.conv(x)))).mean((2, 3)))  # type: ignore[no-any-return]


def test_a_run_knows_which_module_alone_lies_between_two_layers() -> None:
    torch.manual_seed(1)
    model, x = Chain().double().eval(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with capture(model, ["conv", "relu", "pool", "block"], neighbors=True) as run:
        score = run.forward(x)[:, 0]
        G = run.gradients(score, keep_graph=True)
        for before, after in (("conv", "relu"), ("relu", "pool"), ("pool", "block")):
            block = run.block(before, after)
            assert block.module is getattr(model, after)
            # the chain rule, layer by layer
            assert torch.allclose(block.vjp(G[after]), G[before])
        assert run.block("conv", "pool").module is None
        assert torch.allclose(run.block("conv", "block").vjp(G["block"]), G["conv"])
        # what is kept of a layer is what it was before an in-place ReLU
        assert bool((run.activations["conv"] < 0).any())


def test_layers_beside_one_another_have_nothing_between_them() -> None:
    from foveal.api.flow import flow

    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return (self.a(x).relu() + self.b(x).relu()).mean((2, 3))

    with pytest.raises(LayerError, match="not made of"):
        flow(Twins(), torch.randn(1, 3, 8, 8), layer=("a", "b"), mode="project")
    assert flow(Twins(), torch.randn(1, 3, 8, 8), layer=("a", "b")).layers == ("a", "b")


class NormAct(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(super().forward(x))


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, w, self.bias)


class Same(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


@pytest.mark.parametrize("make", [lambda: NormAct(3), lambda: Standardized(3, 4, 1), lambda: Same(2)])
def test_a_subclass_that_does_more_gets_no_closed_form(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module = make().double().eval()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    known, unknown = block_of(module, x), block_of(module, x, alone=False)
    keep = some(known.y.shape)
    t = known.jvp(x)
    one, other = (invert(block, keep, t, **TIGHT) for block in (known, unknown))  # type: ignore[arg-type]
    assert torch.equal(one.x, other.x) and bool((one.iterations > 0).all())
    assert pointwise(module, x, known.y.detach(), known.y.detach()) is None


def test_batch_norm_without_statistics_is_left_to_the_solver() -> None:
    module = nn.BatchNorm2d(3, track_running_stats=False).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert pointwise(module, x, module(x), module(x)) is None


def test_what_was_written_into_on_the_way_is_no_direct_input() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True)
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            out = self.bn(self.conv(x))
            out += x
            return self.fc(self.relu(out).mean((2, 3)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model, x = InPlace().double().eval(), torch.randn(1, 3, 6, 6, dtype=torch.float64)
    with capture(model, ["conv", "bn", "relu"], neighbors=True) as run:
        run.gradients(run.forward(x)[:, 0], keep_graph=True)
        assert run.block("conv", "bn").module is model.bn
        assert run.block("bn", "relu").module is None


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, g: Tensor) -> Tensor:
        return 2 * g


def test_what_cannot_be_differentiated_twice_says_so() -> None:
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    for out in (Once.apply(x), nn.functional.hardsigmoid(x)):
        block = Block(x.detach(), out, x)
        with pytest.raises(MethodError, match="mode='exact'"):
            block.jvp(torch.randn(1, 3, 4, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_solved_in_single(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    for module in (nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 4)):
        exact = module.double()
        x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
        precise = block_of(exact, x)
        keep = torch.ones_like(precise.y, dtype=torch.bool)
        wanted = invert(precise, keep, precise.jvp(x), iterations=50, tolerance=1e-6).x
        half = block_of(module.to(dtype), x.to(dtype))
        found = invert(half, keep, half.jvp(x.to(dtype)), iterations=50, tolerance=1e-6)
        assert found.x.dtype == torch.float32 and bool(found.residual.isfinite().all())
        assert float((found.x - wanted).detach().norm() / wanted.detach().norm()) < 0.2
        tiny = half.vjp(torch.full_like(half.y.detach(), 1e-7))
        assert bool((tiny != 0).any())
