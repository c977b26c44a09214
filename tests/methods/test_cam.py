"""Every formula against a slow, literal version of its definition, on real architectures and by its identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import foveal
from foveal.engine.capture import capture
from foveal.engine.stages import describe
from foveal.errors import MethodError
from foveal.methods import METHODS, find_method
from foveal.methods.principal import leading, principal
from tests.networks import ARCHITECTURES, architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Callable

# --- The definitions again, one image and one position at a time, in double precision -----------------------------


def slow_weighted(weigh: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def slow(A: np.ndarray, G: np.ndarray) -> np.ndarray:
        total = np.zeros(A.shape[1:])
        for a, g in zip(A, G, strict=True):
            total = total + weigh(a, g) * a
        return total

    return slow


def slow_plus_plus_weight(a: np.ndarray, g: np.ndarray) -> float:
    weight = 0.0
    for value in g.flat:
        below = 2 * value**2 + a.sum() * value**3
        alpha = value**2 / below if below > 0 else 0.0
        weight += alpha * max(value, 0.0)
    return weight


def slow_sum(term: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def slow(A: np.ndarray, G: np.ndarray) -> np.ndarray:
        total = np.zeros(A.shape[1:])
        for a, g in zip(A, G, strict=True):
            total = total + term(a, g)
        return total

    return slow


def slow_projection(X: np.ndarray) -> np.ndarray:
    c, h, w = X.shape
    rows = X.reshape(c, h * w).T
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    return (rows @ directions[0]).reshape(h, w)


def slow_eigencam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    M = slow_projection(A)
    return M if (M[M > 0] ** 2).sum() >= (M[M < 0] ** 2).sum() else -M


def slow_eigengradcam(A: np.ndarray, G: np.ndarray) -> np.ndarray:
    M = slow_projection(A * G)
    return M if np.vdot(M, (A * G).sum(0)) >= 0 else -M


SLOW = {
    "gradcam": slow_weighted(lambda a, g: g.sum() / g.size),
    "gradcam++": slow_weighted(slow_plus_plus_weight),
    "xgradcam": slow_weighted(lambda a, g: sum((a / a.sum() * g).flat) if a.sum() != 0 else 0.0),
    "hirescam": slow_sum(lambda a, g: a * g),
    "layercam": slow_sum(lambda a, g: a * np.maximum(g, 0)),
    "elementwise": slow_sum(lambda a, g: np.maximum(a * g, 0)),
    "eigencam": slow_eigencam,
    "eigengradcam": slow_eigengradcam,
}


def slowly(name: str, A: Tensor, G: Tensor) -> Tensor:
    maps = [SLOW[name](a, g) for a, g in zip(A.double().numpy(), G.double().numpy(), strict=True)]
    return torch.from_numpy(np.stack(maps))


def relative(fast: Tensor, slow: Tensor) -> float:
    """The largest difference, as a share of the slow map's largest value, over the images."""
    difference = (fast.double() - slow).abs().flatten(1).amax(1)
    return float((difference / slow.abs().flatten(1).amax(1).clamp(min=1e-300)).max())


@pytest.fixture(scope="module", params=ARCHITECTURES)
def recorded(request: pytest.FixtureRequest) -> dict[str, tuple[Tensor, Tensor]]:
    """Layer -> (A, G) of a margin between the two strongest classes, at three stages of an architecture."""
    model = architecture(request.param)
    side = ARCHITECTURES[request.param]
    x = torch.randn(2, 3, side, side + 16, generator=torch.Generator().manual_seed(1))
    names = [stage.name for stage in describe(model, x).stages]
    with capture(model, [names[1], names[-2], names[-1]]) as run:
        top = run.forward(x).topk(2).values
        gradients = run.gradients(top[:, 0] - top[:, 1])
        return {name: (A.detach(), gradients[name]) for name, A in run.activations.items()}


@pytest.mark.parametrize("name", SLOW)
def test_agrees_with_its_definition_on_real_architectures(
    name: str, recorded: dict[str, tuple[Tensor, Tensor]]
) -> None:
    for layer, (A, G) in recorded.items():
        assert G.abs().amax() > 0, layer
        assert relative(METHODS[name](A, G), slowly(name, A, G)) < 1e-5 * conditioning(name, A, G), layer


def conditioning(name: str, A: Tensor, G: Tensor) -> float:
    """How much single-precision rounding of the inputs' sums is magnified by the definition itself.

    Dividing by Σ A, which crosses zero in signed layers, and separating nearly equal singular values both
    amplify rounding; the definitions are in double precision, so the comparison has to allow for that.
    """
    A64 = A.double()
    if name in ("xgradcam", "gradcam++") and A.min() < 0:
        total, size = A64.sum((2, 3)).abs(), A64.abs().sum((2, 3))
        return float((size / total.clamp(min=1e-300)).amax())
    if name in ("eigencam", "eigengradcam"):
        X = (A64 if name == "eigencam" else A64 * G.double()).flatten(2)
        s = torch.linalg.svdvals(X)
        return max(1.0, float((1 / (1 - (s[:, 1] / s[:, 0]) ** 2)).amax()) / 10)
    if name == "hirescam":
        # Right before a normalization over channels, G ⊥ A at every position: the terms cancel to rounding.
        terms = A64 * G.double()
        return float(terms.abs().sum(1).amax() / terms.sum(1).abs().amax())
    return 1.0


# --- Identities ---------------------------------------------------------------------------------------------------


def recorded_tiny(n: int = 2, seed: int = 0, **options: bool) -> tuple[Tensor, Tensor, Tensor, nn.Module]:
    model = tiny(seed, **options)
    with capture(model, ["relu2"]) as run:
        score = run.forward(torch.randn(n, 3, 9, 12, generator=torch.Generator().manual_seed(seed)))[:, 1]
        G = run.gradients(score)["relu2"]
        return run.activations["relu2"].detach(), G, score.detach(), model


def test_cam_averages_to_the_score_without_bias() -> None:
    A, G, score, model = recorded_tiny()
    mean = METHODS["cam"](A, G).mean((1, 2))
    assert torch.allclose(mean + model.fc.bias[1], score, atol=1e-6)  # type: ignore[union-attr, index]


def test_cam_is_the_classifier_weights_times_the_features() -> None:
    A, G, _, model = recorded_tiny()
    by_hand = torch.einsum("c,nchw->nhw", model.fc.weight[1], A)  # type: ignore[union-attr, index]
    assert torch.allclose(METHODS["cam"](A, G), by_hand, atol=1e-6)


def test_behind_a_pooled_linear_head_cam_gradcam_and_hirescam_are_one_map() -> None:
    A, G, _, _ = recorded_tiny()
    cells = A.shape[2] * A.shape[3]
    cam, gradcam, hirescam = (METHODS[name](A, G) for name in ("cam", "gradcam", "hirescam"))
    assert torch.allclose(cam, cells * gradcam, atol=1e-6)
    assert torch.allclose(cam, cells * hirescam, atol=1e-6)


def test_cam_refuses_another_head() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    with capture(model, ["1"]) as run:
        G = run.gradients(run.forward(torch.randn(1, 3, 8, 8))[:, 0])["1"]
        with pytest.raises(MethodError, match="global average pooling"):
            METHODS["cam"](run.activations["1"].detach(), G)


class Ended(nn.Module):
    """Features, and any end."""

    def __init__(self, *end: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.front, self.end = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()), nn.Sequential(*end)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.front(x))  # type: ignore[no-any-return]


class Done(nn.Module):
    """Anything, done to what comes."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


def necked() -> list[nn.Module]:
    neck = nn.BatchNorm1d(6)
    nn.init.uniform_(neck.running_mean), nn.init.uniform_(neck.running_var, 0.5, 2)  # type: ignore[arg-type]
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), neck, nn.Linear(6, 4)]


LINEAR: dict[str, Callable[[], list[nn.Module]]] = {
    "a 1 × 1 convolution behind pooling": lambda: [nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 4, 1), nn.Flatten()],
    "a 1 × 1 convolution before pooling": lambda: [nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
    "two layers": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.Linear(5, 4)],
    "a normalized neck": necked,
    "a product of matrices": lambda: [
        Done(lambda y: torch.einsum("nchw,kc->nk", y, torch.linspace(-1, 1, 24).view(4, 6)))
    ],
    "another precision": lambda: [Done(lambda y: y.double().mean((2, 3)).float()), nn.Linear(6, 4)],
    "a copy": lambda: [Done(lambda y: torch.zeros(len(y), 6).copy_(y.mean((2, 3)))), nn.Linear(6, 4)],
    "scaled": lambda: [Done(lambda y: 3 * y.mean((2, 3)) / 7), nn.Linear(6, 4)],
}


@pytest.mark.parametrize("end", LINEAR.values(), ids=LINEAR)
def test_cam_at_every_linear_head(end: Callable[[], list[nn.Module]]) -> None:
    """Two pictures' maps differ on average by what their scores do: the constant is the head's own."""
    model, x = Ended(*end()).eval(), torch.randn(2, 3, 16, 20, generator=torch.Generator().manual_seed(1))
    why = foveal.explain(model, x, 2, method="cam", layer="front")
    (one, other), scores = why.map.mean((1, 2)), model(x).detach()[:, 2]
    assert float((one - other) - (scores[0] - scores[1])) == pytest.approx(0, abs=1e-5)


BENT: dict[str, Callable[[], list[nn.Module]]] = {
    "Relu": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)],
    "Mul of two": lambda: [Done(lambda y: y.mean((2, 3)) * y.mean((2, 3))), nn.Linear(6, 4)],
    "Bmm of two": lambda: [Done(lambda y: (y.flatten(2) @ y.flatten(2).mT).flatten(1)), nn.Linear(36, 4)],
    "Div of two": lambda: [Done(lambda y: y.mean((2, 3)) / y.mean((1, 2, 3))[:, None]), nn.Linear(6, 4)],
}


@pytest.mark.parametrize("end", BENT)
def test_cam_is_refused_behind_what_is_not_linear(end: str) -> None:
    with pytest.raises(MethodError, match=rf"the path to the score passes through .*{end}"):
        foveal.explain(Ended(*BENT[end]()).eval(), torch.randn(2, 3, 16, 20), 2, method="cam", layer="front")


def test_hirescam_sums_to_the_score_without_biases() -> None:
    model = tiny()
    for module in (model.conv2, model.fc):
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with capture(model, ["relu1", "relu2"]) as run:
        score = run.forward(torch.randn(3, 3, 8, 10))[:, 2]
        G = run.gradients(score)
        for layer, A in run.activations.items():
            assert torch.allclose(METHODS["hirescam"](A, G[layer]).sum((1, 2)), score, atol=1e-5), layer


shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 7))


@settings(max_examples=40, deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**16), name=st.sampled_from(sorted(SLOW)), rectified=st.booleans())
def test_each_image_is_on_its_own(shape: tuple[int, ...], seed: int, name: str, rectified: bool) -> None:
    """A batch gives what its images give alone, in any order."""
    generator = torch.Generator().manual_seed(seed)
    A, G = torch.randn(shape, generator=generator).double(), torch.randn(shape, generator=generator).double()
    A = A.relu() if rectified else A
    together = METHODS[name](A, G)
    alone = torch.cat([METHODS[name](a[None], g[None]) for a, g in zip(A, G, strict=True)])
    assert together.shape == (shape[0], *shape[2:])
    assert torch.allclose(together, alone, atol=1e-9)
    assert torch.allclose(METHODS[name](A.flip(0), G.flip(0)), together.flip(0), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(shape=shapes, seed=st.integers(0, 2**16), name=st.sampled_from(sorted(SLOW)))
def test_agrees_with_its_definition_on_anything(shape: tuple[int, ...], seed: int, name: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    A, G = torch.randn(shape, generator=generator).double().relu(), torch.randn(shape, generator=generator).double()
    if "eigen" in name and not separated(A if name == "eigencam" else A * G):
        return
    assert relative(METHODS[name](A, G), slowly(name, A, G)) < 1e-8


def separated(X: Tensor) -> bool:
    """Whether the first principal direction and its sign are well defined for every image."""
    s = torch.linalg.svdvals(X.flatten(2))
    second = s[:, 1] if s.shape[1] > 1 else torch.zeros_like(s[:, 0])
    overlap = torch.stack([torch.from_numpy(slow_projection(x.numpy())) for x in X])
    agreement = (overlap * X.sum(1)).sum((1, 2)).abs()
    return bool((second < 0.99 * s[:, 0]).all() and (agreement > 1e-6).all())


@pytest.mark.parametrize("name", [n for n in SLOW if METHODS[n].needs == "gradients"] + ["cam"])
def test_no_gradient_no_evidence(name: str) -> None:
    A = torch.rand(2, 4, 3, 5)
    M = METHODS[name](A, torch.zeros_like(A))
    assert torch.equal(M, torch.zeros_like(M))


@pytest.mark.parametrize("name", SLOW)
def test_a_silent_layer_gives_zero_not_nan(name: str) -> None:
    A, G = torch.zeros(2, 4, 3, 5), torch.randn(2, 4, 3, 5)
    M = METHODS[name](A, G)
    assert torch.equal(M.abs(), torch.zeros_like(M))


def test_gradcam_plus_plus_keeps_its_definition_for_tiny_gradients() -> None:
    """An epsilon in the denominator would rule when gradients are small."""
    A, G = torch.rand(1, 5, 4, 4).double(), torch.randn(1, 5, 4, 4).double() * 1e-7
    fast, slow = METHODS["gradcam++"](A, G), slowly("gradcam++", A, G)
    assert relative(fast, slow) < 1e-9
    assert float(fast.abs().amax()) > 0


def test_eigencam_does_not_depend_on_the_decision_and_its_larger_lobe_is_positive() -> None:
    A = torch.randn(3, 6, 7, 5)
    M = METHODS["eigencam"](A, torch.randn_like(A))
    assert torch.equal(M, METHODS["eigencam"](A, torch.zeros_like(A)))
    assert bool(((M.clamp(min=0) ** 2).sum((1, 2)) >= (M.clamp(max=0) ** 2).sum((1, 2))).all())


def test_eigengradcam_agrees_in_sign_with_the_evidence() -> None:
    A, G = torch.rand(4, 6, 7, 5), torch.randn(4, 6, 7, 5)
    M = METHODS["eigengradcam"](A, G)
    assert bool(((M * (A * G).sum(1)).sum((1, 2)) >= 0).all())
    assert torch.allclose(METHODS["eigengradcam"](A, -G), -M, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 300, 20, 20), (2, 30, 40, 40), (2, 400, 13, 13), (1, 200, 200, 1)])
def test_principal_direction_of_large_maps(shape: tuple[int, ...]) -> None:
    A = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    A[:, :, : shape[2] // 2] += 0.5
    fast = principal(A).double()
    for M, a in zip(fast, A, strict=True):
        slow = torch.from_numpy(slow_projection(a.double().numpy()))
        slow = slow * torch.sign((slow * M).sum())
        assert float((M - slow).abs().amax() / slow.abs().amax()) < 2e-5


def test_equal_leading_eigenvalues_still_give_an_eigenvector() -> None:
    basis = torch.linalg.qr(torch.randn(200, 200, generator=torch.Generator().manual_seed(0))).Q
    values = torch.linspace(1, 0.5, 200)
    values[1] = values[0]
    C = basis @ torch.diag(values) @ basis.T
    v = leading(C[None])[0]
    assert torch.allclose(C @ v, v, atol=1e-4)


def test_half_precision_is_computed_in_single() -> None:
    A, G = torch.rand(1, 8, 6, 6), torch.randn(1, 8, 6, 6)
    M = METHODS["gradcam"](A.bfloat16(), G.bfloat16())
    assert M.dtype == torch.float32
    assert torch.allclose(M, METHODS["gradcam"](A.bfloat16().float(), G.bfloat16().float()))


def test_doubles_stay_doubles() -> None:
    A, G = torch.rand(1, 3, 4, 4).double(), torch.randn(1, 3, 4, 4).double()
    assert all(
        method(A, G).dtype == torch.float64
        for name, method in METHODS.items()
        if name != "cam" and method.needs != "forwards"
    )


# --- Names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["gradcam++", "Grad-CAM++", "GradCAMPlusPlus", "grad_cam++"])
def test_methods_are_found_as_people_write_them(written: str) -> None:
    assert find_method(written).name == "gradcam++"


def test_an_unknown_method_gets_the_nearest() -> None:
    with pytest.raises(MethodError, match="hirescam"):
        find_method("hires-camm")


def test_every_method_is_described() -> None:
    for name, method in METHODS.items():
        assert name == method.name
        assert method.about and method.citation and method.title
        assert "\n" not in method.about
