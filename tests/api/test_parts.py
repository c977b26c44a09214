"""`foveal.parts`: evidence that adds up, networks of other kinds, files, pictures; P12 and P15 of the specification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.attention import Grouping, RepresentativePooling
from foveal.errors import FovealError, LayerError, MethodError, ResultError
from foveal.models.brnpa import PartsNet
from foveal.render.parts import palette
from foveal.synthetic import Split
from tests.networks import SMOOTH, architecture, tiny

if TYPE_CHECKING:
    from tests.conftest import NoTrace


def pictures(n: int = 2, side: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def bird(number: int = 6) -> np.ndarray:
    return Split("classes", 40)[number].image


# --- evidence ---


def test_the_evidence_of_a_head_on_the_mean_adds_up_to_the_logit(no_trace: NoTrace) -> None:
    model, x = tiny(), pictures()
    with no_trace(model):
        found = foveal.parts(model, x, foveal.Class(1), count=4)
    F = model.features(x)
    places = torch.einsum("nchw,c->nhw", F, model.fc.weight[1]) / F[0, 0].numel()
    assert torch.allclose(found.places, places, atol=1e-6)
    shares = Grouping(4)(F).shares
    assert torch.allclose(found.evidence, (shares * places[:, None]).sum((2, 3))[:, :4], atol=1e-6)
    total = found.evidence.sum(1) + found.remainder
    assert torch.allclose(total + model.fc.bias[1], model(x)[:, 1], atol=1e-5)
    assert torch.allclose(found.offset, model.fc.bias[1].detach().expand(2), atol=1e-5)
    assert torch.equal(found.map, found.groups.display[:, 0])


def test_a_network_by_parts_is_shown_by_its_own(no_trace: NoTrace) -> None:
    """P12: its evidence is what the head makes of each vector; the class map sums to the logit, without a bias."""
    torch.manual_seed(1)
    net = PartsNet(tiny(), 5, layer="relu2", size=16).eval()
    assert net.head.bias is not None
    net.head.bias.data.zero_()
    net.head.weight.data.normal_()
    x = pictures()
    with no_trace(net):
        found = foveal.parts(net, x, foveal.Class(2))
    groups = net.pool.group(net.trunk(x))
    W = net.head.weight[2].view(3, -1)
    assert found.uses_own_parts and torch.allclose(found.evidence, (groups.vectors * W).sum(2), atol=1e-4)
    assert torch.allclose(found.evidence.sum(1), net(x)[:, 2], atol=1e-4)
    assert torch.allclose(found.places.sum((1, 2)), net(x)[:, 2], atol=1e-4)
    assert not bool(found.remainder.any()) and float(found.offset.abs().max()) < 1e-4
    margin = foveal.parts(net, x, foveal.Margin(2, 0))
    against = foveal.parts(net, x, foveal.Class(0))
    assert torch.allclose(margin.evidence, found.evidence - against.evidence, atol=1e-4)
    with pytest.raises(MethodError, match="itself has part pooling"):
        foveal.parts(net, x, count=2)


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "densenet121", "convnext_tiny", "efficientnet_b0"])
def test_real_architectures(name: str, no_trace: NoTrace) -> None:
    model, x = architecture(name), pictures(1, 64)
    with no_trace(model):
        found = foveal.parts(model, x)
    assert found.evidence.shape == (1, 3) and found.groups.vectors.shape[1] == 3
    total = found.evidence.sum(1) + found.remainder + found.offset
    assert torch.allclose(total, found.score, rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]
    hirescam = foveal.explain(model, x, method="hirescam")
    assert torch.allclose(found.places, hirescam.map, atol=1e-5 * float(hirescam.map.abs().max()))
    if name not in SMOOTH:
        fine = foveal.parts(model, x, resolution=2)
        assert fine.map.shape[1] >= 2 * found.map.shape[1] - 1
        own = fine.groups.norm[:, ::2, ::2]
        assert torch.allclose(own, found.groups.norm, rtol=1e-3, atol=1e-4 * float(own.max()))
        assert fine.target == found.target


def test_decisions_other_than_a_class_are_divided_too() -> None:
    model = foveal.load_model("embed")
    one, other = bird(6), bird(7)
    found = foveal.parts(model, one, foveal.Similar(other))
    assert torch.allclose(found.evidence.sum(1) + found.remainder + found.offset, found.score)  # type: ignore[arg-type]
    assert found.target_spec["kind"] == "similar"
    own = foveal.parts(foveal.load_model("parts"), one, foveal.Similar(one))
    assert own.uses_own_parts and float(own.score) == pytest.approx(1, abs=1e-4)  # type: ignore[arg-type]


def test_awkward_pictures() -> None:
    model = tiny()
    dead = foveal.parts(model, torch.zeros(1, 3, 16, 16) - 1e3 * torch.ones(1, 3, 16, 16))
    assert bool(torch.isfinite(dead.evidence).all())
    same = foveal.parts(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                        torch.ones(1, 3, 8, 8), layer="1")  # fmt: skip
    assert same.groups.used.tolist() == [[True, False, False]]
    assert any("only 1 of 3 slots" in note for note in same.notes) and "empty" in same.caption(2)
    same.figure(side=64)
    double = foveal.parts(tiny().double(), pictures().double())
    assert double.groups.maps.dtype == torch.float64
    assert len(double) == 2 and torch.equal(double[1].evidence, double.evidence[1:])


def test_what_it_refuses() -> None:
    with pytest.raises(LayerError, match="one layer, but 2"):
        foveal.parts(tiny(), pictures(), layer=["relu1", "relu2"])
    with pytest.raises(MethodError, match="contradict"):
        foveal.parts(tiny(), pictures(), count=2, grouping=Grouping(3))
    with pytest.raises(FovealError, match="finer"):
        foveal.parts(tiny(), pictures(), resolution=3)


def test_other_rules_are_remembered() -> None:
    found = foveal.parts(tiny(), pictures(), grouping=Grouping(2, power=4.0, refine=False))
    assert found.parameters == {"count": 2, "resolution": 1, "power": 4.0, "refine": False}


# --- files and words ---


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    found = foveal.parts(model, [bird(6), bird(11)], count=5, resolution=2)
    found.save(tmp_path / "out")
    again = foveal.Parts.load(tmp_path / "out")
    for name in ("maps", "vectors", "alike", "norm", "seeds", "scores", "gaps", "sizes", "used"):
        assert torch.equal(getattr(again.groups, name), getattr(found.groups, name)), name
    for name in ("places", "evidence", "remainder", "offset"):
        assert torch.equal(getattr(again, name), getattr(found, name)), name
    assert str(again) == str(found) and not again.uses_own_parts and again.coverage(1) == found.coverage(1)
    assert {"parts.png", "ranks-0.png", "ranks-1.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    again.figure(side=64)
    (tmp_path / "out" / "parts.npz").write_bytes(b"")
    with pytest.raises(ResultError, match="changed or cut"):
        foveal.Parts.load(tmp_path / "out")


# --- pictures ---


def test_palettes_tell_parts_apart() -> None:
    """Also for eyes without the cones for red or for green (Viénot, Brettel, Mollon 1999, on linear RGB)."""
    from foveal.render.color import to_oklab

    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for count in (2, 3, 5):
        linear = (palette(count) / 255) ** 2.2
        for seen in (np.eye(3), protan, deutan):
            rgb = np.round(255 * np.clip(linear @ seen.T, 0, 1) ** (1 / 2.2)).astype(np.uint8)
            lab = to_oklab(rgb)
            apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[~np.eye(count, dtype=bool)]
            assert apart.min() > 0.07
    many = to_oklab(palette(12))
    assert np.linalg.norm(many[:, None] - many[None], axis=2)[~np.eye(12, dtype=bool)].min() > 0.05


def planted_parts() -> foveal.Parts:
    """Three patches, each of one color and less bright than the one before; the network passes colors on."""
    x = torch.zeros(1, 3, 32, 32)
    x[0, 0, 2:10, 2:10], x[0, 1, 2:10, 20:28], x[0, 2, 20:28, 2:10] = 3.0, 2.0, 1.5
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[0].weight.data = torch.eye(3)[:, :, None, None]
    return foveal.parts(net, x, layer="1")


def test_each_planted_part_is_outlined_in_its_own_color() -> None:
    found = planted_parts()
    assert found.groups.vectors[0].argmax(1).tolist() == [0, 1, 2] and found.coverage() == pytest.approx(1)
    drawn = np.asarray(found.rank_picture(side=320, legend=False)).astype(int)
    plain = np.asarray(found.photos[0].pixels).repeat(10, 0).repeat(10, 1).astype(int)
    changed = np.abs(drawn - plain).max(axis=2) > 60
    for color, (y, x) in zip(palette(3).astype(int), ((20, 20), (20, 200), (200, 20)), strict=True):
        close = np.abs(drawn - color).max(axis=2) < 12
        rows, columns = np.nonzero(close)
        inside = (rows > y - 20) & (rows < y + 100) & (columns > x - 20) & (columns < x + 100)
        assert inside.mean() > 0.95 and inside.sum() > 100  # around its own patch, and nowhere else
    assert changed.mean() < 0.35  # the photo stays as it is
    assert found.rank_picture(side=320).width > 320  # the legend


def test_every_part_is_seen_whatever_the_others_are() -> None:
    """Each has a scale of its own: a part a thousand times weaker is drawn alike."""
    from dataclasses import replace

    from foveal.render.parts import part_picture

    found = planted_parts()
    maps = found.groups.maps.clone()
    maps[:, 2] /= 1000
    weak = replace(found, groups=replace(found.groups, maps=maps))
    for one in (found, weak):
        close = np.abs(np.asarray(part_picture(one, 0, 2, side=320)).astype(int) - palette(3)[2]).max(axis=2) < 12
        assert close.sum() > 100


def test_parts_that_are_not_here_are_a_sentence() -> None:
    found = planted_parts()
    for ask in (lambda: found.rank_picture(1), lambda: found.coverage(1), lambda: found.caption(3)):
        with pytest.raises(ResultError, match=r"There is no (image 1|part 3) here: there (is 1 image|are 3 parts)"):
            ask()


def test_pooling_modules_are_found_wherever_they_are() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), RepresentativePooling(2))
            self.out = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"logits": self.out(self.inner(x))}

    found = foveal.parts(Wrapped().eval(), pictures())
    assert found.uses_own_parts and found.layer == "inner.2.input" and found.count == 2
