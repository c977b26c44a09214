"""`foveal.visualize` from pictures to files: T3, T5, T12, T13 of the specification, units, awkward sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.api.visualize import optimize
from foveal.errors import ImageError, LayerError, MethodError, ResultError
from foveal.featurevis import STILL, ObjectiveWeights, Octave, Schedule, units_of
from foveal.featurevis.transfer import answers as answers_of
from foveal.featurevis.transfer import transfer
from foveal.models import Model
from foveal.synthetic import CLASS_NAMES, class_scene, render
from tests.featurevis.networks import PREPROCESSING, Small, colored, known, small
from tests.networks import Planted, architecture

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.feature_images import FeatureImages
    from tests.conftest import NoTrace

QUICK = Schedule((Octave(1.0, 30),), check=10, patience=0)


@pytest.fixture(scope="module")
def birds() -> list[Any]:
    """Four pictures each of three species."""
    return [render(class_scene(CLASS_NAMES[s], 5000 + k))[0] for s in (0, 4, 12) for k in range(4)]


@pytest.fixture(scope="module")
def feature_images(birds: list[Any]) -> FeatureImages:
    schedule = Schedule((Octave(1.0, 50),), check=25)
    return foveal.visualize(foveal.load_model("demo"), birds, layer="stage3", facets=3, schedule=schedule)


def test_feature_images_of_drawn_birds_do_what_they_are_meant_to(feature_images: FeatureImages) -> None:
    for one in feature_images:
        assert one.gain > 1
        assert one.fit >= one.fit_before
        assert one.recall > 0.9
        assert one.loss < one.curve[0][1]
    assert feature_images.retrieval() == 1.0
    assert sorted(facet.members[0] // 4 for facet in feature_images.facets) == [0, 1, 2]
    assert [facet.size for facet in feature_images.facets] == [4, 4, 4]


def test_the_classifier_and_another_network_know_them(feature_images: FeatureImages) -> None:
    model = foveal.load_model("demo")
    for i, answers in enumerate(answers_of(feature_images, model, 2)):
        species = CLASS_NAMES[(0, 4, 12)[feature_images.facets[feature_images[i].facet or 0].members[0] // 4]]
        assert answers[0].label == species
        assert answers[0].probability >= answers[1].probability
        photo, cos = feature_images.nearest(i)[0]
        assert photo // 4 == feature_images.facets[feature_images[i].facet or 0].members[0] // 4 and cos > 0.9
    seen = transfer(feature_images, foveal.load_model("embed"))
    assert seen.share == 1 and "100 %" in str(seen)


def test_they_are_saved_whole_and_loaded_back(feature_images: FeatureImages, tmp_path: Path) -> None:
    folder = feature_images.save(tmp_path / "faces")
    names = {path.name for path in folder.iterdir()}
    assert {"sheet.png", "strip.png", "plane.png", "feature_images.npz", "manifest.json"} <= names
    again = foveal.FeatureImages.load(folder)
    for a, b in zip(feature_images, again, strict=True):
        assert torch.equal(a.image, b.image) and torch.equal(a.channels, b.channels)
        assert a.to_dict() == b.to_dict() and a.curve == b.curve
        assert all(s == t and torch.equal(x, y) for (s, x), (t, y) in zip(a.snapshots, b.snapshots, strict=True))
    assert again.retrieval() == feature_images.retrieval() and str(again) == str(feature_images)
    assert [f.members for f in again.facets] == [f.members for f in feature_images.facets]
    assert np.array_equal(again.photos[3].pixels, feature_images.photos[3].pixels)
    assert again.figure().tobytes() == feature_images.figure().tobytes()
    (folder / "feature_images.npz").write_bytes(b"cut")
    with pytest.raises(ResultError, match="changed or cut"):
        foveal.FeatureImages.load(folder)


def test_several_layers_and_seeds_are_one_batch(birds: list[Any], tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    schedule = Schedule((Octave(0.4, 2), Octave(0.5, 3)), check=2)
    found = foveal.visualize(
        model, birds, layer=["stage1", "stage3"], facets=2, seeds=2, start="noise", schedule=schedule
    )
    assert len(found) == 8 and found.layers == ("stage1", "stage3")
    assert found[0].name == "facet 1 at stage1, seed 0"
    assert not torch.equal(found[0].image, found[1].image)
    assert found[0].target is not None and len(found[0].target) == 32
    assert found.figure().width > 5 * 224
    again = foveal.FeatureImages.load(found.save(tmp_path / "faces"))
    assert [step for step, _ in again[3].snapshots] == [step for step, _ in found[3].snapshots]
    assert again.figure("strip").tobytes() == found.figure("strip").tobytes()


@pytest.mark.parametrize("scale", [1e-2, 30.0])
def test_the_scale_of_features_does_not_matter(scale: float) -> None:
    """T3: a network whose features are all s times as large gives the same image."""
    images, found = [], []
    for factor in (1.0, scale):
        net = small(dtype=torch.float64)
        with torch.no_grad():
            for conv in (net.conv1, net.conv2):
                assert conv.bias is not None
            net.conv2.weight.mul_(factor)
            net.conv2.bias.mul_(factor)
        found.append(foveal.visualize(known(net), colored().double(), layer="relu2", facets=3, schedule=QUICK))
        images.append(torch.stack([one.image for one in found[-1]]))
    torch.testing.assert_close(images[0], images[1], atol=1e-6, rtol=0)
    assert found[0][0].gain == pytest.approx(found[1][0].gain)


def test_planted_colors_come_out() -> None:
    """Features are how red, green and blue a picture is: so must its feature image be."""
    model = Model(Planted(), "planted", PREPROCESSING)
    found = foveal.visualize(model, colored(), layer="relu", facets=3, count=1, start="noise", schedule=QUICK)
    for one in found:
        strongest = int(one.channels[0])
        assert int(one.image.mean((1, 2)).argmax()) == strongest
    assert sorted(int(one.channels[0]) for one in found) == [0, 1, 2] and found.retrieval() == 1


def test_nothing_changes_and_the_head_runs_once_to_be_traced(no_trace: NoTrace) -> None:
    net = small()
    with no_trace(net):
        foveal.visualize(known(net), colored(), layer="relu2", facets=2, schedule=QUICK)
    assert net.heads <= 1


def test_one_picture_and_a_plain_module() -> None:
    found = foveal.visualize(small(), colored()[:1], layer="relu2", schedule=QUICK)
    assert len(found) == 1 and found.facets[0].weights.tolist() == [1.0]
    assert found[0].gain > 1 and found.retrieval() == 1
    assert found[0].image.shape == (3, 16, 16)


def test_a_photo_whose_features_are_the_target_is_left_alone() -> None:
    """T6: all channels, no activation maximization: the only thing to do is nothing."""
    only = ObjectiveWeights(activation=None, sparsity=0, statistics=0, smoothness=0)
    schedule = Schedule((Octave(1.0, 10),), views=STILL, check=5)
    x = colored()[:1].clamp(-1.6, 1.6)  # within what the parametrization can show
    found = foveal.visualize(known(small()), x, layer="relu2", objective_weights=only, start="photo", schedule=schedule)
    assert found[0].loss == pytest.approx(0, abs=1e-9)
    first = found[0].snapshots[0][1]
    # Of 255; Adam follows even the rounding of a gradient that is zero.
    assert int((found[0].snapshots[-1][1].int() - first.int()).abs().max()) <= 2


def test_ctrl_c_keeps_the_best_and_the_same_call_goes_on(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 17:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"facets": 2, "schedule": QUICK}
    whole = foveal.visualize(small(), colored(), layer="relu2", **options)
    file = tmp_path / "half.pt"
    broken = foveal.visualize(small(), colored(), layer="relu2", progress=stop, checkpoint=file, **options)
    assert "interrupted after 17 of 30 steps" in broken.notes and len(broken) == 2
    steps: list[int] = []
    again = foveal.visualize(
        small(),
        colored(),
        layer="relu2",
        progress=lambda what, done, total: steps.append(done),
        checkpoint=file,
        **options,
    )
    assert steps[0] == 18 and not again.notes
    assert all(b.loss <= a.loss for a, b in zip(broken, again, strict=True))
    assert [round(one.loss, 5) for one in again] == pytest.approx([round(one.loss, 5) for one in whole], abs=0.02)
    other = optimize(small(1), colored(), layer="relu2", facets=2, schedule=QUICK)
    assert not other.resume(file)  # another network's


def test_single_units_grow(no_trace: NoTrace) -> None:
    net = small()
    units = [foveal.Neuron("relu2", 3), foveal.Neuron("relu2", 3, (4, 4)), foveal.Class("b")]
    with no_trace(net):
        found = foveal.visualize(known(net), target=units, schedule=Schedule((Octave(1.0, 60),), check=20))
    assert [one.name for one in found] == ["relu2 channel 3", "relu2 channel 3 at 4,4", "class b"]
    for one in found:
        assert one.loss < one.curve[0][1] and one.facet is None
    assert any("classifier was used" in note for note in found.notes)
    x = torch.stack([found[0].image, found[0].snapshots[0][1] / 255])
    net.eval()
    with torch.no_grad():
        body = net.relu2(net.conv2(net.pool(net.relu1(net.conv1((x - 0.5) / 0.25)))))[:, 3].mean((1, 2))
    assert float(body[0]) > float(body[1])
    assert found.figure().size and found.figure("strip").size
    with pytest.raises(ResultError, match="single units"):
        found.plane()
    with pytest.raises(MethodError, match="single units"):
        transfer(found, known(net))


def test_a_sleeping_unit_wakes() -> None:
    """Off on every noise image, so without a gradient of its own."""
    net = small()
    with torch.no_grad():
        assert net.conv2.bias is not None
        net.conv2.bias.fill_(-0.4)
    woken, asleep = (
        foveal.visualize(
            known(net),
            target=foveal.Neuron("relu2", 3),
            schedule=Schedule((Octave(1.0, 100),), rate=3.0, patience=0, relu_leak=relu_leak),
        )
        for relu_leak in (0, -1)  # 0: as units have it; −1: never
    )
    assert float(woken[0].before[3]) == 0 and float(woken[0].attained[3]) > 0
    assert float(asleep[0].attained[3]) == 0


def test_the_published_code_runs_and_lets_facets_mix() -> None:
    options: dict[str, Any] = {"facets": 3, "schedule": QUICK}
    found = foveal.visualize(known(small()), colored(), layer="relu2", published=True, **options)
    assert len(found) == 3 and bool(torch.isfinite(found[0].image).all())
    net = known(small())
    own = optimize(net, colored(), layer="relu2", **options)
    released = optimize(net, colored(), layer="relu2", published=True, **options)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def pulled(run: Any) -> set[int]:
        """Channels whose activation the first facet's objective looks at beyond the distance."""
        from foveal.featurevis.seen import Seen

        seen = run.network.look(x, run.tasks[0].objective.layers, gradient=False)
        u = seen.features("relu2").clone().requires_grad_()
        maps = {**seen.maps, "relu2": u}
        (gradient,) = torch.autograd.grad(run.tasks[0].objective(Seen(x, maps)).sum(), u)
        return {c for c in range(16) if float(gradient[0, c]) < 0}

    others = {int(c) for facet_task in released.facet_tasks[1:] for c in facet_task.channels}
    assert others & pulled(released) and released.facet_tasks[0].channels.equal(own.facet_tasks[0].channels)


@pytest.mark.parametrize("parametrization", ["pixel", "phase"])
def test_other_parametrizations(parametrization: Any) -> None:
    found = foveal.visualize(
        known(small()), colored(), layer="relu2", facets=2, parametrization=parametrization, schedule=QUICK
    )
    assert all(one.loss < one.curve[0][1] for one in found)


@pytest.mark.parametrize(
    "objective_weights",
    [
        ObjectiveWeights(activation="caricature", power=2), ObjectiveWeights(activation="mean"),
        ObjectiveWeights(spatial=True), ObjectiveWeights(contrast=1.0),
        ObjectiveWeights(distance="charbonnier"), ObjectiveWeights(distance="cosine"),
        ObjectiveWeights(channels="contrast"), ObjectiveWeights(low_saturation=1.0),
    ],
)  # fmt: skip
def test_other_weights(objective_weights: ObjectiveWeights) -> None:
    found = foveal.visualize(
        known(small()), colored(), layer="relu2", facets=2, objective_weights=objective_weights, schedule=QUICK
    )
    assert all(one.loss < one.curve[0][1] for one in found)


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "convnext_tiny"])
def test_real_architectures(name: str, no_trace: NoTrace) -> None:
    net = architecture(name)
    x = colored(2, side=64)
    with no_trace(net):
        found = foveal.visualize(net, x, facets=2, schedule=Schedule((Octave(1.0, 3),), check=3))
    assert len(found) == 2 and all(one.loss <= one.curve[0][1] for one in found)


def test_tokens_are_pooled() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 12, 4, 4)
            self.norm = nn.LayerNorm(12)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.patch(x).flatten(2).mT).mean(1)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    found = foveal.visualize(Tokens(), colored(), layer="norm", facets=2, schedule=QUICK)
    assert found[0].target is not None and len(found[0].target) == 12


def test_one_gray_channel() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
    found = foveal.visualize(net, torch.rand(4, 1, 16, 16), layer="1", schedule=QUICK)
    assert found[0].image.shape == (1, 16, 16) and found.figure().mode == "RGB"


def test_what_does_not_fit_is_said_in_a_sentence() -> None:
    net = known(small())
    with pytest.raises(MethodError, match="give images"):
        foveal.visualize(net, layer="relu2")
    with pytest.raises(LayerError):
        foveal.visualize(net, colored(), layer="nowhere")
    with pytest.raises(MethodError, match="1 to 18"):
        foveal.visualize(net, colored(), layer="relu2", facets=19)
    with pytest.raises(MethodError, match="choose mean"):
        foveal.visualize(net, colored(), layer="relu2", start="middle")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="choose fourier"):
        foveal.visualize(net, colored(), layer="relu2", parametrization="oil")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="preprocessing"):
        foveal.visualize(Small().eval(), target=foveal.Neuron("relu2", 0))
    dark = small()
    with torch.no_grad():
        assert dark.conv2.bias is not None
        dark.conv2.bias.fill_(-1e3)
    with pytest.raises(MethodError, match="responds"):
        foveal.visualize(known(dark), colored(), layer="relu2")


def test_channels_of_a_tree_can_be_portrayed(birds: list[Any]) -> None:
    model = foveal.load_model("demo")
    units = units_of(foveal.decompose(model, birds[0], branching=2).grow(1), most=3)
    assert [unit.layer for unit in units] == ["stage3", "stage3"]
    found = foveal.visualize(model, target=units[:1], schedule=Schedule((Octave(0.25, 2),)))
    assert found[0].name == f"stage3 channel {units[0].channel}"
