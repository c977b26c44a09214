"""Feature activation maps against the definition, on networks whose embedding is known. T1–T18 of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError

if TYPE_CHECKING:
    from tests.conftest import NoTrace

SIDE = 12


class Embedder(nn.Module):
    """A small embedding network: convolution, ReLU, pooling, and a head."""

    def __init__(self, head: str = "mean", channels: int = 8) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv1, self.relu1 = nn.Conv2d(3, channels, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.ReLU()
        self.head = head
        self.project = nn.Linear(channels, 5, bias=False)
        self.flat = nn.Linear(channels * 36, 5)
        self.double()

    def features(self, x: Tensor) -> Tensor:
        return self.relu2(self.conv2(self.relu1(self.conv1(x))))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        A = self.features(x)
        if self.head == "mean":
            return A.mean((2, 3))
        if self.head == "gem":
            return A.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
        if self.head == "branches":
            return torch.cat([A.mean((2, 3)), A.amax((2, 3))], 1)
        if self.head == "flat":
            return self.flat(A.flatten(1))  # type: ignore[no-any-return]
        return self.project(A.mean((2, 3)))  # type: ignore[no-any-return]


def pictures(seed: int, n: int = 1) -> Tensor:
    return torch.rand(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, S = pictures(1, 3), pictures(2, 2)


def unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True)


def published(A: Tensor, q: Tensor, s: Tensor) -> Tensor:
    """Steps (1) to (4) of section 3, one picture after the other."""
    maps = []
    for a, one in zip(A, q, strict=True):
        p = one / max(float(one.norm()), 1e-12) * s / max(float(s.norm()), 1e-12)
        w = p / abs(p.sum())
        alpha = (w - w.min()) / (w.max() - w.min())
        maps.append(sum(alpha[k] * a[k] for k in range(len(alpha))))
    return torch.stack(maps)


def test_the_published_map() -> None:
    """T12: the vector–Jacobian route is step (4) over hw."""
    model = Embedder().eval()
    why = foveal.explain(model, X, foveal.Similar(S[:1]), method="fam")
    with torch.no_grad():
        A, q, s = model.features(X), model(X), model(S[:1])[0]
    assert why.layer == "relu2"
    assert torch.allclose(why.map * 36, published(A, q, s), rtol=1e-9)
    assert torch.allclose(why.score, unit(q) @ unit(s))


@pytest.mark.parametrize("head", ["mean", "gem", "project"])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_linear_maps_sum_to_the_similarity(metric: str, head: str) -> None:
    """T11, also through generalized-mean pooling, which is homogeneous, and a projection."""
    why = foveal.explain(Embedder(head).eval(), X, foveal.Similar(S[0], metric=metric), method="fam:weights=linear")
    assert torch.allclose(why.map.sum((1, 2)), why.score, rtol=1e-6)


def test_linear_maps_of_a_dot_product_are_cam_and_grad_cam() -> None:
    """T10."""
    model, target = Embedder().eval(), foveal.Similar(S[0], metric="dot")
    linear, gradcam, hirescam = (
        foveal.explain(model, X, target, method=m).map for m in ("fam:weights=linear", "gradcam", "hirescam")
    )
    assert torch.allclose(linear, gradcam, rtol=1e-9)
    assert torch.allclose(linear, hirescam, rtol=1e-9)


@pytest.mark.parametrize(
    "method", ["gradcam", "layercam", "hirescam", "lrp-epsilon", "ablationcam", "scorecam", "occlusion"]
)
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "nearest"])
def test_every_kind_of_method_explains_similarities(metric: str, method: str) -> None:
    if method == "lrp-epsilon" and metric != "cosine":
        pytest.skip("distances have no rule")
    target = foveal.Similar(S[0], metric=metric)
    if method == "lrp-epsilon":
        target = foveal.Similar(S[0], metric="dot")
    why = foveal.explain(Embedder().eval(), X, target, method=method, layer="relu1")
    assert why.map.shape == (3, SIDE, SIDE)
    assert float(why.map.abs().max()) > 0


def test_the_gradient_of_a_similarity_is_the_gradient() -> None:
    model = Embedder("gem").eval()
    x = X.clone().requires_grad_()
    A = model.features(x)
    q = A.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    score = (unit(q) * unit(model(S[:1]))).sum()
    (G,) = torch.autograd.grad(score, A)
    why = foveal.explain(model, X, foveal.Similar(S[:1]), method="hirescam")
    assert torch.allclose(why.map, (A * G).sum(1).detach(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("weights", ["contribution", "positive", "linear"])
def test_scale_of_picture_and_reference(weights: str) -> None:
    """T2, T3: the weights see directions only; a distance sees lengths (negative control)."""
    model = Embedder().eval()
    model.conv1.bias.data.zero_()
    model.conv2.bias.data.zero_()

    def maps(metric: str, scale: float) -> Tensor:
        target = foveal.Similar(scale * S[0], metric=metric)
        map = foveal.explain(model, X, target, method=f"fam:weights={weights}").map
        return map / map.abs().amax((1, 2), keepdim=True)

    assert torch.allclose(maps("cosine", 1), maps("cosine", 5), rtol=1e-6)
    assert not torch.allclose(maps("squared", 1), maps("squared", 5), rtol=1e-2)


def test_places_move_together() -> None:
    """T5: a flipped picture of a symmetric network has a flipped map."""
    model = Embedder().eval()
    for conv in (model.conv1, model.conv2):
        conv.weight.data = conv.weight.data + conv.weight.data.flip(-1)
    model.conv2.stride = (1, 1)
    target = foveal.Similar(S[0])
    maps = [foveal.explain(model, x, target, method="fam").map for x in (X, X.flip(-1))]
    assert torch.allclose(maps[0].flip(-1), maps[1], rtol=1e-9)


def test_batches_are_pictures_one_by_one(no_trace: NoTrace) -> None:
    """T15."""
    model = Embedder("project")
    with no_trace(model):
        together = foveal.explain(model, X, foveal.Similar(S[0]), method="fam").map
        alone = [foveal.explain(model, X[i : i + 1], foveal.Similar(S[0]), method="fam").map[0] for i in range(3)]
    assert torch.allclose(together, torch.stack(alone), rtol=1e-9)


def test_evidence_is_positive_where_features_are() -> None:
    """T8."""
    assert bool((foveal.explain(Embedder().eval(), X, foveal.Similar(S[0]), method="fam").map >= 0).all())


def test_planted_evidence() -> None:
    """T17: channel 0 is lit in one place, channel 1 in another; the reference has channel 0 alone."""
    model = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    conv = model[0]
    assert isinstance(conv, nn.Conv2d)
    conv.weight.data = torch.eye(2)[:, :, None, None]
    x = torch.zeros(1, 2, 8, 8)
    x[0, 0, 2, 3], x[0, 1, 6, 1] = 1, 5
    map = foveal.explain(model, x, foveal.Similar(torch.tensor([1.0, 0.0])), method="fam", layer="1").map[0]
    assert divmod(int(map.argmax()), 8) == (2, 3)
    assert float(map[6, 1]) == 0


def test_randomising_the_last_block_changes_the_map() -> None:
    """T18."""
    model, target = Embedder().eval(), foveal.Similar(S[0])
    before = foveal.explain(model, X, target, method="fam").map.flatten()
    nn.init.normal_(model.conv2.weight, std=0.3)
    after = foveal.explain(model, X, target, method="fam").map.flatten()
    ranks = torch.stack([before.argsort().argsort(), after.argsort().argsort()]).double()
    assert float(torch.corrcoef(ranks)[0, 1]) < 0.7


def test_constant_contributions_weigh_alike() -> None:
    """T7."""
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    conv = model[0]
    assert isinstance(conv, nn.Conv2d)
    conv.weight.data = torch.eye(3)[:, :, None, None]
    x = torch.rand(1, 1, 4, 4).expand(-1, 3, -1, -1).contiguous()
    map = foveal.explain(model, x, foveal.Similar(torch.ones(3)), method="fam", layer="0").map
    assert torch.allclose(map, x.sum(1) / 16)


def test_what_carries_the_similarity_is_measured() -> None:
    model = Embedder().eval()
    why = foveal.explain(model, X, foveal.Similar(S[0]), method="fam")
    found: Any = why.measured["relu2"]
    p = (unit(model(X)) * unit(model(S[:1]))).detach()
    assert torch.allclose(torch.tensor(found["similarity"], dtype=torch.float64), p.sum(1))
    for i in range(3):
        share = p[i].abs() / p[i].abs().sum()
        assert abs(found["channels that carry it"][i] - float(1 / (share**2).sum())) < 1e-6
        assert found["strongest channels"][i][0] == int(p[i].abs().argmax())
        assert abs(found["their parts"][i][0] - float(p[i][p[i].abs().argmax()])) < 1e-9


def test_zeroing_a_channel_takes_away_what_it_adds() -> None:
    """Section 11, the audit: for the dot product exactly p_k."""
    model, target = Embedder().eval(), foveal.Similar(S[0], metric="dot")
    p = (model(X) * model(S[:1])).detach()
    with torch.no_grad():
        q = model(X)
        for k in range(8):
            without = q.clone()
            without[:, k] = 0
            assert torch.allclose((q - without) @ model(S[:1])[0], p[:, k])
    assert torch.allclose(foveal.explain(model, X, target, method="fam").score, p.sum(1))


@pytest.mark.parametrize(
    ("target", "method", "words"),
    [
        (None, "fam", "explains similarities"),
        (foveal.Similar(S[0]), "fam:weights=margin", "needs a runner-up"),
        (foveal.Similar(S[0]), "fam:weights=loud", "say contribution, positive, margin, linear"),
        (foveal.Similar(S), "fam", "2 references were given for 3 images"),
        (foveal.Similar(S[0], metric="taxi"), "fam", "no metric 'taxi'"),
        (foveal.Similar([]), "fam", "no reference"),
        (foveal.Similar(torch.zeros(8, dtype=torch.float64)), "fam", "all zero"),
        (foveal.Similar(torch.full((8,), float("nan"))), "fam", "not finite"),
        (foveal.Similar(torch.ones(7)), "fam", "8 numbers with one of 7"),
        (foveal.Similar(S[0], embedding="nowhere"), "fam", "no layer 'nowhere'"),
        (foveal.Similar(pictures(4)[:, :1]), "fam", "takes 3 channels"),
    ],
)
def test_what_does_not_fit_is_said(target: Any, method: str, words: str) -> None:
    with pytest.raises(FovealError, match=words) as caught:
        foveal.explain(Embedder().eval(), X, target, method=method)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", ["contribution", "positive"])
def test_the_sign_of_an_axis_of_the_embedding_means_nothing(weights: str) -> None:
    """A projection may be mirrored along an axis: every similarity stays, and so must the maps."""
    model = Embedder("project")
    mirrored = Embedder("project")
    with torch.no_grad():
        mirrored.project.weight[::2] *= -1
    target = foveal.Similar(S[:1])
    for layer in ("relu1", "relu2"):
        one, other = (
            foveal.explain(m, X, target, method=f"fam:weights={weights}", layer=layer) for m in (model, mirrored)
        )
        assert torch.allclose(one.score, other.score) and torch.allclose(one.map, other.map)  # type: ignore[arg-type]
        literal = [
            foveal.explain(m, X, target, method=f"fam:weights={weights},oriented=false", layer=layer).map
            for m in (model, mirrored)
        ]
        assert not torch.allclose(literal[0], literal[1], rtol=0.1)
    ours, theirs = (foveal.match(m, X, S, weights=weights, lines=0) for m in (model, mirrored))
    assert torch.allclose(ours.query_maps, theirs.query_maps)
    assert torch.allclose(ours.reference_maps, theirs.reference_maps)


def test_oriented_evidence_of_a_channel_is_its_size() -> None:
    """Behind a projection: Σ map = Σ_k α_k |v_k| where the network has no bias after the layer."""
    model = Embedder("project")
    why = foveal.explain(model, X, foveal.Similar(S[:1]), method="fam", layer="relu2")
    q, s = model(X).detach(), model(S[:1]).detach()
    p = unit(q) * unit(s)
    alpha = (p - p.amin(1, keepdim=True)) / (p.amax(1, keepdim=True) - p.amin(1, keepdim=True))
    assert torch.allclose(why.map.sum((1, 2)), (alpha * q.abs()).sum(1))
    assert bool((q < 0).any())
