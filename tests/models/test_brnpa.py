"""Poolings, trunks, networks by parts and the loss of a student: P10, P11, P13, P14 of the specification."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import foveal
from foveal.attention import AttentionPooling, AveragePooling, Merge, RepresentativePooling, replicated
from foveal.errors import LayerError, ModelError
from foveal.models.backbone import Backbone
from foveal.models.brnpa import PartsNet
from foveal.training.distillation import distillation
from tests.networks import architecture, tiny


def maps(n: int = 2, c: int = 8, side: int = 5, seed: int = 0) -> Tensor:
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- poolings ---


def test_a_pooling_is_a_drop_in_without_parameters() -> None:
    F, pool = maps(), RepresentativePooling(3)
    assert pool(F).shape == (2, 24) and not list(pool.parameters()) and not pool.state_dict()
    assert torch.equal(pool(F).view(2, 3, 8), pool.group(F).vectors)
    assert RepresentativePooling(1)(F).shape == (2, 8)
    assert nn.Sequential(nn.Conv2d(8, 4, 1).double(), pool, nn.Linear(12, 2).double())(F).shape == (2, 2)


def test_a_replicated_head_says_the_mean_of_what_it_said_of_each() -> None:
    """P11."""
    F, head = maps(), nn.Linear(8, 4).double()
    pool = RepresentativePooling(3)
    one_by_one = torch.stack([head(v) for v in pool.group(F).vectors.unbind(1)]).mean(0)
    assert torch.allclose(replicated(head, 3)(pool(F)), one_by_one)
    assert torch.allclose(replicated(head, 1)(AveragePooling()(F)), head(F.mean((2, 3))))
    alike = F[:, :, :1, :1].expand(-1, -1, 5, 5)  # the map is flat where all places are alike
    assert torch.allclose(replicated(head, 1)(RepresentativePooling(1)(alike)), head(alike.mean((2, 3))))


def test_learned_attention_weighs_places_by_its_maps() -> None:
    torch.manual_seed(0)
    pool = AttentionPooling(8, 3).double().eval()
    F = maps()
    groups = pool.group(F)
    inner = pool.bn2(pool.conv2(pool.bn1(pool.conv1(F)).relu()))
    attention = pool.attend((inner + F).relu()).relu()[:, :3]
    expected = torch.stack([(attention[:, k, None] * F).mean((2, 3)) for k in range(3)], 1)
    assert torch.allclose(groups.vectors, expected) and pool(F).shape == (2, 24)


def test_merging_slots() -> None:
    x = torch.rand(4, 30)
    assert torch.allclose(Merge(10, 3)(x), x.view(4, 3, 10).mean(1))
    learned = Merge(10, 3, "learned")
    assert learned(x).shape == (4, 10) and [part.out_features for part in learned.parts] == [5, 3, 2]  # type: ignore[union-attr]
    assert len({id(part) for part in learned.parts}) == 3
    with pytest.raises(ModelError, match="'max'"):
        Merge(10, 3, "max")  # type: ignore[arg-type]


# --- trunks ---

EXACT = [
    ("resnet18", "layer4", 4), ("resnet50", "layer4", 2), ("mobilenet_v2", "features", 4),
    ("densenet121", "features.norm5", 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "layer", "resolution"), EXACT)
def test_dilated_trunks_hold_the_map_as_built(name: str, layer: str, resolution: int) -> None:
    """P13, first half, on real architectures with awake normalization."""
    model, x = architecture(name).double(), torch.randn(1, 3, 64, 64, dtype=torch.float64)
    built = Backbone(model, layer, x).eval()
    with torch.no_grad():
        low = built(x)
    weights = sum(p.numel() for p in built.parameters())
    fine = Backbone(built.network, layer, x, resolution=resolution).eval()
    with torch.no_grad():
        high = fine(x)
    assert resolution * (low.shape[2] - 1) < high.shape[2] <= resolution * low.shape[2]
    assert float((high[:, :, ::resolution, ::resolution] - low).abs().max() / low.abs().max()) < 1e-10
    assert sum(p.numel() for p in fine.parameters()) == weights


class Squeezed(nn.Module):
    """Looks at its map as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.out, self.fc = nn.ReLU(), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x).relu())
        y = self.out(y * (20 * y.mean((2, 3), keepdim=True)).sigmoid())
        return self.fc(y.mean((2, 3)))  # type: ignore[no-any-return]


def test_where_a_finer_map_is_not_exact_it_says_by_how_much() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 64, 64)
    exact = Backbone(architecture("resnet18"), "layer4", x, resolution=2)
    nearly = Backbone(Squeezed(), "out", x, resolution=2)
    strided = Backbone(architecture("resnet18"), "layer4", x, resolution=2, mode="stride")
    assert exact.apart < 1e-5 < 1e-3 < nearly.apart < 0.5 < strided.apart


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_strides_of_one_keep_the_weights_and_change_the_function(name: str) -> None:
    """P13, second half."""
    x = torch.randn(1, 3, 64, 64)
    low, high = (PartsNet(architecture(name), 7, resolution=r, mode="stride", size=64).eval() for r in (1, 4))
    high.load_state_dict(low.state_dict())
    with torch.no_grad():
        a, b = low.trunk(x), high.trunk(x)
    assert b.shape[2:] == (4 * a.shape[2], 4 * a.shape[3])
    assert sum(p.numel() for p in low.parameters()) == sum(p.numel() for p in high.parameters())
    assert float((b[:, :, ::4, ::4] - a).abs().max()) > 1e-2 * float(a.abs().max())
    assert all(module.dilation in (1, (1, 1)) for module in high.modules() if isinstance(module, nn.Conv2d))


def test_a_trunk_keeps_nothing_that_it_does_not_use() -> None:
    """Every weight takes part in training, so that several processes need not look for idle ones."""
    net = PartsNet(architecture("resnet18"), 5, size=64)
    assert isinstance(net.trunk.network.fc, nn.Identity)
    net(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_checkpointing_changes_no_gradient() -> None:
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        net = PartsNet(architecture("resnet18"), 5, size=64, resolution=2, mode="stride", checkpointing=checkpointing)
        net.train()
        torch.manual_seed(1)
        net(torch.randn(2, 3, 64, 64)).pow(2).sum().backward()
        grads.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert torch.allclose(*grads, rtol=1e-4, atol=1e-6)


def test_what_a_trunk_refuses() -> None:
    x = torch.randn(1, 3, 64, 64)
    with pytest.raises(LayerError, match="no module 'layer9'"):
        Backbone(architecture("resnet18"), "layer9", x)
    with pytest.raises(LayerError, match="feature map"):
        Backbone(architecture("resnet18"), "fc", x)
    with pytest.raises(ModelError, match="checkpointing"):
        Backbone(architecture("resnet18"), "layer4", x, resolution=2, checkpointing=True)
    with pytest.raises(ModelError, match="3 times as fine"):
        Backbone(architecture("resnet18"), "layer4", x, resolution=3, mode="stride")
    with pytest.raises(ModelError, match="'zoom'"):
        Backbone(architecture("resnet18"), "layer4", x, mode="zoom")  # type: ignore[arg-type]


# --- networks ---


def test_a_head_that_pools_by_the_mean_is_replicated() -> None:
    model, x = tiny(), torch.randn(2, 3, 16, 16)
    head, features = model.fc, model.features
    with torch.no_grad():
        vectors = RepresentativePooling(3)(features(x)).view(2, 3, -1)
        expected = torch.stack([head(v) for v in vectors.unbind(1)]).mean(0)
    net = PartsNet(model, 3, layer="relu2", size=16).eval()
    assert torch.allclose(net(x), expected, atol=1e-6)
    assert net.vectors(x).shape == (2, 3, 12)
    other = PartsNet(tiny(), 5, layer="relu2", size=16)  # another number of classes: a new head
    assert other(x).shape == (2, 5)


def test_the_demo_network_knows_its_birds_by_parts_before_any_training() -> None:
    from foveal.synthetic import Split
    from foveal.synthetic.dataset import normalized

    split = Split("classes", 20, seed=5)
    x = normalized(torch.stack([torch.from_numpy(e.image).permute(2, 0, 1) for e in split]))
    truth = torch.tensor([e.target for e in split])
    for resolution in (1, 2):
        net = PartsNet("demo", resolution=resolution).eval()
        with torch.inference_mode():
            right = float((net(x).argmax(1) == truth).float().mean())
        assert right >= 0.8


@pytest.mark.parametrize("pooling", ["brnpa", "average", "attention"])
def test_a_network_by_parts_is_saved_and_loaded(tmp_path: Path, pooling: str) -> None:
    arguments = {"backbone": "demo", "classes": 4, "pooling": pooling, "resolution": 2, "size": 96}
    torch.manual_seed(3)
    net = PartsNet(**arguments).eval()  # type: ignore[arg-type]
    path = foveal.save_model(
        foveal.Model(net, "mine"), tmp_path / "mine.safetensors",
        architecture="foveal.models.brnpa:PartsNet", arguments=arguments,
    )  # fmt: skip
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(foveal.load_model(path).module(x), net(x))


def test_a_sidecar_runs_no_code_of_others() -> None:
    with pytest.raises(ModelError, match="may not do by itself"):
        PartsNet("os:getcwd")
    with pytest.raises(ModelError, match="no backbone 'resnet'"):
        PartsNet("resnet")
    with pytest.raises(ModelError, match="no backbone"):
        PartsNet("timm:hf-hub:somebody/network")  # which would be fetched
    with pytest.raises(TypeError, match="pretrained"):
        PartsNet("timm:resnet18", pretrained=True)  # type: ignore[call-arg]


# --- distillation ---


def test_the_loss_of_a_student() -> None:
    """P14."""
    torch.manual_seed(0)
    s, t = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5, requires_grad=True)
    y = torch.randint(5, (6,))
    p, q = ((z / 4).softmax(1) for z in (t, s))
    expected = 0.3 * 16 * (p * (p / q).log()).sum(1).mean() + 0.7 * functional.cross_entropy(s, y)
    loss = distillation(s, t, y, weight=0.3, temperature=4)
    assert torch.allclose(loss, expected)
    loss.backward()
    assert t.grad is None and s.grad is not None
    assert torch.allclose(distillation(s, t, y, weight=0), functional.cross_entropy(s, y))
    assert torch.allclose(distillation(s, None, y), functional.cross_entropy(s, y))
    assert abs(distillation(s, s, y, weight=1).item()) < 1e-6
    fair = torch.nn.functional.one_hot(y, 5).float()
    assert torch.allclose(distillation(s, t, fair), distillation(s, t, y))
    # With T² before it, the gradient of the soft part hardly depends on a large T: it tends to (z_s − z_t) / (n c).
    (g,) = torch.autograd.grad(distillation(s, t, y, weight=1, temperature=1e3), s)
    centered = (s - t) - (s - t).mean(1, keepdim=True)
    assert torch.allclose(g, centered.detach() / (6 * 5), atol=1e-3)


def test_the_shipped_network_is_held_to_its_card() -> None:
    """It names fresh birds, at a finer map than the demo network's, and the margin's evidence lies on what decides."""
    from foveal.synthetic import CLASS_NAMES, Split
    from foveal.synthetic.agreement import hit
    from foveal.synthetic.ground_truth import decides_visibly, deciding_part, sibling_margin

    model = foveal.load_model("parts")
    assert model.card["accuracy"]["test"] >= 0.99 and model.card["recipe"]["resolution"] == 4
    birds = [example for example in Split("classes", 60, seed=9) if decides_visibly(example)][:24]
    found = foveal.parts(model, [bird.image for bird in birds], sibling_margin([CLASS_NAMES[b.target] for b in birds]))
    named = foveal.parts(model, [bird.image for bird in birds])
    assert named.target_spec["kind"] == "class" and found.map.shape[1:] == (80, 80)
    right = sum(words.startswith(CLASS_NAMES[b.target]) for words, b in zip(named.target, birds, strict=True))
    assert right >= 23
    hits = [
        hit(
            found.photos[i].geometry.map_to_photo(found.places[i]), bird.labels, deciding_part(CLASS_NAMES[bird.target])
        )
        for i, bird in enumerate(birds)
    ]
    assert sum(hits) >= 18  # of 24; a blind map has one in eight


def test_a_position_of_the_shipped_network_sees_less_than_one_of_the_demo_network() -> None:
    """What a position in the middle depends on, by the gradient: 23 pixels a side, and 47."""
    sides = []
    for name, layer in (("parts", None), ("demo", "stage3")):
        module = foveal.load_model(name).module
        trunk = module.trunk if layer is None else Backbone(module, layer, torch.zeros(1, 3, 160, 160))
        x = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(0)).requires_grad_()
        F = trunk(x)  # type: ignore[operator]
        (seen,) = torch.autograd.grad(F[0, :, F.shape[2] // 2, F.shape[3] // 2].sum(), x)
        rows = seen[0].abs().amax((0, 2)).nonzero()[:, 0]
        sides.append(int(rows.max() - rows.min()) + 1)
    assert sides == [23, 47]


def test_average_pooling_gives_its_group_and_lets_relevance_through() -> None:
    birds = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    net = PartsNet("demo", 20, pooling="average").eval()
    with torch.inference_mode():
        F = net.trunk(birds)
        torch.testing.assert_close(net.pool(F), net.pool.group(F).vectors.flatten(1))
    own, plain = (
        foveal.explain(model, birds, 3, method="lrp-zplus", layer="input").map
        for model in (net, foveal.load_model("demo").module)
    )
    torch.testing.assert_close(own, plain, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))
