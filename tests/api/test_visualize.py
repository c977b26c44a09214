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
from foveal.featurevis.transfer import answers, transfer
from foveal.models import Model
from foveal.synthetic import SPECIES, render, species_scene
from tests.featurevis.networks import PREPROCESSING, Small, coloured, known, small
from tests.networks import Planted, architecture

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.feature_images import FeatureImages
    from tests.conftest import NoTrace

QUICK = Schedule((Octave(1.0, 30),), check=10, patience=0)


@pytest.fixture(scope="module")
def birds() -> list[Any]:
    """Four pictures each of three species."""
    return [render(species_scene(SPECIES[s], 5000 + k))[0] for s in (0, 4, 12) for k in range(4)]


@pytest.fixture(scope="module")
def faces(birds: list[Any]) -> FeatureImages:
    plan = Schedule((Octave(1.0, 50),), check=25)
    return foveal.visualize(foveal.load_model("demo"), birds, "stage3", facets=3, plan=plan)


def test_portraits_of_drawn_birds_do_what_they_are_meant_to(faces: FeatureImages) -> None:
    for one in faces:
        assert one.gain > 1
        assert one.fit >= one.fit_before
        assert one.recall > 0.9
        assert one.loss < one.curve[0][1]
    assert faces.retrieval() == 1.0
    assert sorted(facet.members[0] // 4 for facet in faces.facets) == [0, 1, 2]
    assert [facet.size for facet in faces.facets] == [4, 4, 4]


def test_the_classifier_and_another_network_know_them(faces: FeatureImages) -> None:
    model = foveal.load_model("demo")
    for i, named in enumerate(answers(faces, model, 2)):
        species = SPECIES[(0, 4, 12)[faces.facets[faces[i].facet or 0].members[0] // 4]]
        assert named[0].label == species
        assert named[0].probability >= named[1].probability
        photo, cos = faces.nearest(i)[0]
        assert photo // 4 == faces.facets[faces[i].facet or 0].members[0] // 4 and cos > 0.9
    seen = transfer(faces, foveal.load_model("embed"))
    assert seen.share == 1 and "100 %" in str(seen)


def test_they_are_saved_whole_and_loaded_back(faces: FeatureImages, tmp_path: Path) -> None:
    folder = faces.save(tmp_path / "faces")
    names = {path.name for path in folder.iterdir()}
    assert {"sheet.png", "strip.png", "plane.png", "portraits.npz", "manifest.json"} <= names
    again = foveal.FeatureImages.load(folder)
    for a, b in zip(faces, again, strict=True):
        assert torch.equal(a.image, b.image) and torch.equal(a.channels, b.channels)
        assert a.to_dict() == b.to_dict() and a.curve == b.curve
        assert all(s == t and torch.equal(x, y) for (s, x), (t, y) in zip(a.snapshots, b.snapshots, strict=True))
    assert again.retrieval() == faces.retrieval() and str(again) == str(faces)
    assert [f.members for f in again.facets] == [f.members for f in faces.facets]
    assert np.array_equal(again.photos[3].pixels, faces.photos[3].pixels)
    assert again.figure().tobytes() == faces.figure().tobytes()
    (folder / "portraits.npz").write_bytes(b"cut")
    with pytest.raises(ResultError, match="changed or cut"):
        foveal.FeatureImages.load(folder)


def test_several_layers_and_seeds_are_one_batch(birds: list[Any], tmp_path: Path) -> None:
    model = foveal.load_model("demo")
    plan = Schedule((Octave(0.4, 2), Octave(0.5, 3)), check=2)
    found = foveal.visualize(model, birds, ["stage1", "stage3"], facets=2, seeds=2, start="noise", plan=plan)
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
        found.append(foveal.visualize(known(net), coloured().double(), "relu2", facets=3, plan=QUICK))
        images.append(torch.stack([one.image for one in found[-1]]))
    torch.testing.assert_close(images[0], images[1], atol=1e-6, rtol=0)
    assert found[0][0].gain == pytest.approx(found[1][0].gain)


def test_planted_colours_come_out() -> None:
    """Features are how red, green and blue a picture is: so must its portrait be."""
    model = Model(Planted(), "planted", PREPROCESSING)
    found = foveal.visualize(model, coloured(), "relu", facets=3, count=1, start="noise", plan=QUICK)
    for one in found:
        strongest = int(one.channels[0])
        assert int(one.image.mean((1, 2)).argmax()) == strongest
    assert sorted(int(one.channels[0]) for one in found) == [0, 1, 2] and found.retrieval() == 1


def test_nothing_changes_and_the_head_runs_once_to_be_traced(no_trace: NoTrace) -> None:
    net = small()
    with no_trace(net):
        foveal.visualize(known(net), coloured(), "relu2", facets=2, plan=QUICK)
    assert net.heads <= 1


def test_one_picture_and_a_plain_module() -> None:
    found = foveal.visualize(small(), coloured()[:1], "relu2", plan=QUICK)
    assert len(found) == 1 and found.facets[0].weights.tolist() == [1.0]
    assert found[0].gain > 1 and found.retrieval() == 1
    assert found[0].image.shape == (3, 16, 16)


def test_a_photo_whose_features_are_the_target_is_left_alone() -> None:
    """T6: all channels, no activation maximisation: the only thing to do is nothing."""
    only = ObjectiveWeights(pull=None, sparsity=0, statistics=0, smoothness=0)
    plan = Schedule((Octave(1.0, 10),), views=STILL, check=5)
    x = coloured()[:1].clamp(-1.6, 1.6)  # within what the canvas can show
    found = foveal.visualize(known(small()), x, "relu2", wishes=only, start="photo", plan=plan)
    assert found[0].loss == pytest.approx(0, abs=1e-9)
    first = found[0].snapshots[0][1]
    assert int((found[0].snapshots[-1][1].int() - first.int()).abs().max()) <= 1


def test_ctrl_c_keeps_the_best_and_the_same_call_goes_on(tmp_path: Path) -> None:
    def stop(step: Any) -> None:
        if step.done == 17:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"facets": 2, "plan": QUICK}
    whole = foveal.visualize(small(), coloured(), "relu2", **options)
    file = tmp_path / "half.pt"
    broken = foveal.visualize(small(), coloured(), "relu2", progress=stop, checkpoint=file, **options)
    assert "interrupted after 17 of 30 steps" in broken.notes and len(broken) == 2
    steps: list[int] = []
    again = foveal.visualize(
        small(), coloured(), "relu2", progress=lambda step: steps.append(step.done), checkpoint=file, **options
    )
    assert steps[0] == 18 and not again.notes
    assert all(b.loss <= a.loss for a, b in zip(broken, again, strict=True))
    assert [round(one.loss, 5) for one in again] == pytest.approx([round(one.loss, 5) for one in whole], abs=0.02)
    other = optimize(small(1), coloured(), "relu2", facets=2, plan=QUICK)
    assert not other.take_up(file)  # another network's


def test_single_units_grow(no_trace: NoTrace) -> None:
    net = small()
    units = [foveal.Neuron("relu2", 3), foveal.Neuron("relu2", 3, (4, 4)), foveal.Class("b")]
    with no_trace(net):
        found = foveal.visualize(known(net), target=units, plan=Schedule((Octave(1.0, 60),), check=20))
    assert [one.name for one in found] == ["relu2 channel 3", "relu2 channel 3 at 4,4", "class b"]
    for one in found:
        assert one.loss < one.curve[0][1] and one.facet is None
    assert any("classifier took part" in note for note in found.notes)
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
            plan=Schedule((Octave(1.0, 100),), rate=3.0, patience=0, leak=leak),
        )
        for leak in (0, -1)  # 0: as units have it; −1: never
    )
    assert float(woken[0].before[3]) == 0 and float(woken[0].attained[3]) > 0
    assert float(asleep[0].attained[3]) == 0


def test_literal_runs_and_lets_facets_leak() -> None:
    options: dict[str, Any] = {"facets": 3, "plan": QUICK}
    found = foveal.visualize(known(small()), coloured(), "relu2", literal=True, **options)
    assert len(found) == 3 and bool(torch.isfinite(found[0].image).all())
    net = known(small())
    own = optimize(net, coloured(), "relu2", **options)
    released = optimize(net, coloured(), "relu2", literal=True, **options)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def pulled(session: Any) -> set[int]:
        """Channels whose activation the first facet's objective looks at beyond the distance."""
        from foveal.featurevis.objectives import Seen

        seen = session.eye.look(x, session.tasks[0].objective.layers, gradient=False)
        u = seen.features("relu2").clone().requires_grad_()
        maps = {**seen.maps, "relu2": u}
        (gradient,) = torch.autograd.grad(session.tasks[0].objective(Seen(x, maps)).sum(), u)
        return {c for c in range(16) if float(gradient[0, c]) < 0}

    others = {int(c) for person in released.people[1:] for c in person.channels}
    assert others & pulled(released) and released.people[0].channels.equal(own.people[0].channels)


@pytest.mark.parametrize("canvas", ["pixel", "phase"])
def test_other_canvases(canvas: Any) -> None:
    found = foveal.visualize(known(small()), coloured(), "relu2", facets=2, canvas=canvas, plan=QUICK)
    assert all(one.loss < one.curve[0][1] for one in found)


@pytest.mark.parametrize(
    "wishes",
    [
        ObjectiveWeights(pull="caricature", power=2), ObjectiveWeights(pull="mean"),
        ObjectiveWeights(spatial=True), ObjectiveWeights(contrast=1.0),
        ObjectiveWeights(distance="charbonnier"), ObjectiveWeights(distance="cosine"),
        ObjectiveWeights(channels="contrast"), ObjectiveWeights(paleness=1.0),
    ],
)  # fmt: skip
def test_other_wishes(wishes: ObjectiveWeights) -> None:
    found = foveal.visualize(known(small()), coloured(), "relu2", facets=2, wishes=wishes, plan=QUICK)
    assert all(one.loss < one.curve[0][1] for one in found)


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "convnext_tiny"])
def test_real_architectures(name: str, no_trace: NoTrace) -> None:
    net = architecture(name)
    x = coloured(2, side=64)
    with no_trace(net):
        found = foveal.visualize(net, x, facets=2, plan=Schedule((Octave(1.0, 3),), check=3))
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
    found = foveal.visualize(Tokens(), coloured(), "norm", facets=2, plan=QUICK)
    assert found[0].target is not None and len(found[0].target) == 12


def test_one_grey_channel() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
    found = foveal.visualize(net, torch.rand(4, 1, 16, 16), "1", plan=QUICK)
    assert found[0].image.shape == (1, 16, 16) and found.figure().mode == "RGB"


def test_what_does_not_fit_is_said_in_a_sentence() -> None:
    net = known(small())
    with pytest.raises(MethodError, match="give images"):
        foveal.visualize(net, layer="relu2")
    with pytest.raises(LayerError):
        foveal.visualize(net, coloured(), "nowhere")
    with pytest.raises(MethodError, match="1 to 18"):
        foveal.visualize(net, coloured(), "relu2", facets=19)
    with pytest.raises(MethodError, match="say mean"):
        foveal.visualize(net, coloured(), "relu2", start="middle")  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="say fourier"):
        foveal.visualize(net, coloured(), "relu2", canvas="oil")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="preprocessing"):
        foveal.visualize(Small().eval(), target=foveal.Neuron("relu2", 0))
    dark = small()
    with torch.no_grad():
        assert dark.conv2.bias is not None
        dark.conv2.bias.fill_(-1e3)
    with pytest.raises(MethodError, match="responds"):
        foveal.visualize(known(dark), coloured(), "relu2")


def test_channels_of_a_tree_can_be_portrayed(birds: list[Any]) -> None:
    model = foveal.load_model("demo")
    units = units_of(foveal.decompose(model, birds[0], branch=2).grow(1), most=3)
    assert [unit.layer for unit in units] == ["stage3", "stage3"]
    found = foveal.visualize(model, target=units[:1], plan=Schedule((Octave(0.25, 2),)))
    assert found[0].name == f"stage3 channel {units[0].channel}"
