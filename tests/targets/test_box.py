"""A detector's box as the target: followed through altered pictures, and explained where it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.errors import FovealError, LayerError, MethodError, TargetError, UnknownTarget
from foveal.images.place import laid
from foveal.models.extras import import_torchvision
from foveal.models.own_task import own_task
from foveal.targets import Box, ModelOutput
from foveal.targets.box_overlap import overlap, similarity
from foveal.targets.parsing import parse_target
from tests.detectors import STRIDE, bird_finder, read_birds, torchvision_detector, two_birds
from tests.networks import awake

if TYPE_CHECKING:
    from tests.conftest import NoTrace

KINDS = ("fasterrcnn", "retinanet", "ssd")
Found = partial(Box, read=read_birds)


def record(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, Tensor]:
    return {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels), "scores": torch.tensor(scores)}


def picture(n: int = 1) -> Tensor:
    return torch.rand(n, 3, 48, 64, generator=torch.Generator().manual_seed(1))


def shares(why: foveal.Explanation, boxes: Tensor) -> list[float]:
    """The shares of the positive evidence of one picture that lie in boxes."""
    map = laid(why.map[0].relu(), (64, 128), why.where.get(why.layer))
    each = [box.round().int().clamp(min=0).tolist() for box in boxes]
    return [float(map[top:bottom, left:right].sum() / map.sum()) for left, top, right, bottom in each]


def test_overlap_counts_the_pixels() -> None:
    def slowly(a: list[int], b: list[int]) -> float:
        pixels = [
            {(x, y) for x in range(left, right) for y in range(top, bottom)} for left, top, right, bottom in (a, b)
        ]
        return len(pixels[0] & pixels[1]) / max(1, len(pixels[0] | pixels[1]))

    boxes = [[0, 0, 4, 4], [1, 1, 5, 3], [4, 0, 8, 4], [2, 2, 2, 6], [0, 0, 9, 9]]
    measured = overlap(torch.tensor(boxes).float(), torch.tensor(boxes).float())
    assert torch.allclose(measured, torch.tensor([[slowly(a, b) for b in boxes] for a in boxes]))


def test_a_box_is_found_again_by_class_overlap_and_score() -> None:
    outcome = ModelOutput([record([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 2], [0.9, 0.6])])
    follow = Box(1).decide(outcome).per_image[0]
    copies = [
        record([[20.0, 0, 30, 10]], [2], [0.4]),  # less sure
        record([[25.0, 0, 35, 10], [22, 0, 30, 10]], [2, 2], [0.9, 0.5]),  # moved, and smaller
        record([[20.0, 0, 30, 10]], [1], [0.9]),  # another class
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long(), "scores": torch.zeros(0)},
    ]
    assert follow.decide(ModelOutput(copies)).score.tolist() == pytest.approx([0.4, max(0.9 / 3, 0.5 * 0.8), 0, 0])
    boxes, labels, scores = copies[1].values()
    found = similarity(torch.tensor([20.0, 0, 30, 10]), boxes, scores, labels == 2)
    assert found.tolist() == pytest.approx([0.3, 0.4])


def test_boxes_go_by_number_and_label() -> None:
    outcome = ModelOutput([record([[0.0, 0, 9, 8], [20, 0, 30, 10], [1, 1, 5, 5]], [1, 2, 2], [0.5, 0.2, 0.9])],
                          labels=("no", "cat", "dog"))  # fmt: skip
    assert Box().decide(outcome).label == ("box 0: dog (2)",)
    assert Box("cat").decide(outcome).label == ("box 1: cat (1)",)
    assert float(Box("dog").decide(outcome).score) == pytest.approx(0.9)
    assert [float(Box(1, part=side).decide(outcome).score) for side in ("left", "top", "right", "bottom", "all")] == [
        0, 0, 9, 8, 17
    ]  # fmt: skip
    assert foveal.Class().decide(outcome).spec["kind"] == "box"  # what no target means
    assert foveal.Class("cat").decide(outcome).label == ("box 1: cat (1)",)


def test_text_names_boxes_and_regions() -> None:
    assert parse_target("box 2", None) == Box(2)
    assert parse_target("box dog", ("dog",)) == Box("dog")
    assert parse_target("box 0 left", None) == Box(0, "left")
    assert parse_target("box", None) == Box(0)
    region: Any = parse_target("region dog", ("dog",))
    assert region.of == "dog" and region.where is None
    at: Any = parse_target("region dog 12,7", ("dog",))
    assert (at.of, at.where) == ("dog", (12, 7))
    assert parse_target("box turtle", ("box turtle", "dog")) == foveal.Class("box turtle")


@pytest.mark.parametrize(
    ("output", "target", "words"),
    [
        ([record([], [], [])], Box(), "finds no box"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], Box(3), "there is no box 3"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], Box("dog"), "the detector finds no dog"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], foveal.Class(1), "class or of a box"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], foveal.Class("1"), "class or of a box"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], foveal.Value(), r"finds boxes .* explain one of its boxes"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], foveal.Margin(), r"finds boxes .* explain one of its boxes"),
        ([record([[0.0, 0, 1, 1]], [1], [0.5])], foveal.Group([0, 1]), r"finds boxes .* explain one of its boxes"),
        ([{"boxes": torch.zeros(2, 4)}], Box(), r"list of 1: dict\(boxes: \(2, 4\)\)"),
        (torch.zeros(2, 5, 3, 3), Box(), "read=function"),
        (torch.zeros(2, 5), Box(read=lambda output: output), "boxes, labels and scores"),
        (torch.zeros(2, 5), Box(read=lambda output: (1, 2, 3)), "each a list with a tensor per image"),
        (torch.zeros(2, 5), Box(read=lambda output: ([[1.0]], [[1]], [[0.5]])), "each a list with a tensor per image"),
        (torch.zeros(2, 5), Box(read=lambda output: 1 / 0), "failed on what the model returned"),
    ],
)
def test_errors_say_what_to_do(output: Any, target: Any, words: str) -> None:
    if isinstance(output, list) and not output[0]["boxes"].numel():
        output[0]["boxes"] = torch.zeros(0, 4)
    with pytest.raises(TargetError, match=words):
        target.decide(ModelOutput(output, labels=("no", "cat", "dog")))


def test_a_part_there_is_not() -> None:
    with pytest.raises(TargetError, match="no part 'middle'"):
        Box(0, part="middle")  # type: ignore[arg-type]


LOCAL = ("hirescam", "layercam", "occlusion:window=16,stride=8", "rise:count=400")


def explained(method: str, target: Any, x: Tensor) -> foveal.Explanation:
    layer = None if method.startswith(("occlusion", "rise")) else "trunk"
    return foveal.explain(bird_finder(), x, target, method=method, layer=layer)


@pytest.mark.parametrize("method", LOCAL)
def test_the_map_of_a_box_lies_on_its_bird_and_not_on_the_other(method: str) -> None:
    ratios = []
    for x, boxes in zip(*two_birds(4, 10_000), strict=True):
        found = read_birds(bird_finder()(x[None]))[0][0].detach()
        for k in (0, 1):
            own = int(overlap(found[k], boxes).argmax())
            inside = shares(explained(method, Found(k), x[None]), boxes)
            assert inside[own] > inside[1 - own]
            ratios.append(inside[own] / sum(inside))
    assert sum(ratios) / len(ratios) > 0.85


def test_without_a_box_the_map_lies_on_both() -> None:
    least = []
    for x, boxes in zip(*two_birds(4, 10_000), strict=True):
        inside = shares(explained("hirescam", lambda out: out[:, 0].sigmoid().sum((1, 2)), x[None]), boxes)
        least.append(min(inside) / sum(inside))
    assert sum(least) / len(least) > 0.25


def test_gradcam_says_that_it_marks_other_objects_too() -> None:
    x, boxes = two_birds(4, 10_000)
    why = explained("gradcam", Found(0), x[:1])
    assert any("other objects" in note for note in why.notes)
    assert min(shares(why, boxes[0])) > 0.2
    assert not any("other objects" in note for note in explained("hirescam", Found(0), x[:1]).notes)


def test_the_gradient_of_a_score_is_that_of_the_raw_prediction() -> None:
    model, x = bird_finder(), two_birds(1, 10_000)[0]
    cell = int(model(x)[0, 0].argmax())
    by_score = foveal.explain(model, x, Found(0), method="hirescam", layer="trunk")
    raw = foveal.explain(model, x, lambda out: out[:, 0].flatten(1)[:, cell], method="hirescam", layer="trunk")
    p = float(by_score.score)
    assert torch.allclose(by_score.map, p * (1 - p) * raw.map, atol=1e-6)


def test_a_side_is_explained_in_pixels() -> None:
    model, x = bird_finder(), two_birds(1, 10_000)[0]
    why = foveal.explain(model, x, Found(0, part="left"), layer="trunk", method="hirescam")
    box = read_birds(model(x))[0][0][0].detach()
    assert float(why.score) == pytest.approx(float(box[0]))
    assert "left side" in why.target[0]
    one = model(x)[0, 0].argmax()
    column = (int(one) % 16 + 0.5) * STRIDE
    slowly = foveal.explain(
        model, x, lambda out: column - nn.functional.softplus(out[:, 1]).flatten(1)[:, one] * STRIDE, layer="trunk",
        method="hirescam",
    )  # fmt: skip
    assert torch.allclose(why.map, slowly.map, atol=1e-5)


def test_a_box_is_measured_and_audited() -> None:
    model, x = bird_finder(), two_birds(1, 10_000)[0]
    why = foveal.explain(model, x, Found(0), layer="trunk", method="hirescam")
    setting = foveal.metrics.EvaluationSettings(steps=8, grid=(8, 8))
    table = foveal.measure(
        model, x, Found(0), explanations=[why], metrics=["deletion", "insertion"], setting=setting,
        baseline_maps=["random"],
    )  # fmt: skip
    values = {name: table.values[name]["deletion"][0] for name in table.values}
    assert values["hirescam"] < values["(random)"]
    test = foveal.audit(model, x, Found(0), explanations=why, draws=4)[0]
    assert test.marked is not None and test.marked < 0.5 * test.whole
    with pytest.raises(TargetError, match="same target again"):
        foveal.audit(model, x, explanations=why, draws=4)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_all_levels_are_added(kind: str, no_trace: NoTrace) -> None:
    model, x = torchvision_detector(kind), picture()
    with no_trace(model):
        why = foveal.explain(model, x, method="hirescam")
    assert why.layer == "pyramid" and any("levels of the feature pyramid" in note for note in why.notes)
    levels: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _inputs: Any, output: dict[str, Tensor]) -> dict[str, Tensor]:
        # Each level alone: not what the finer ones have of the coarser.
        levels.update({key: map.detach().requires_grad_() for key, map in output.items()})
        return levels

    handle = model.backbone.register_forward_hook(keep)
    found = model(x)[0]
    handle.remove()
    assert float(why.score) == pytest.approx(float(found["scores"].detach().max()))
    G = torch.autograd.grad(found["scores"].max(), list(levels.values()))
    sums = sum(float((A.detach() * g).sum()) for A, g in zip(levels.values(), G, strict=True))
    fine, coarse = ((A * g).sum(1).detach() for A, g in zip(levels.values(), G, strict=True))
    each = foveal.explain(model, x, method="hirescam", layer=["backbone[0]", "backbone[1]"])
    assert torch.allclose(each.maps["backbone[0]"], fine, atol=1e-6)
    assert torch.allclose(each.maps["backbone[1]"], coarse, atol=1e-6)
    assert sums == pytest.approx(float(fine.sum() + coarse.sum()), rel=1e-3, abs=1e-6)
    # Bilinear interpolation leaves the coarse level's sum as it is up to its borders.
    spread = why.map - fine
    assert float(spread.abs().sum()) == pytest.approx(float(coarse.abs().sum()), rel=0.6)
    assert why.map.shape == fine.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ssdlite320_mobilenet_v3_large", {"score_thresh": 0.0, "topk_candidates": 20}),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", {"box_score_thresh": 0.0, "rpn_score_thresh": 0.0, "min_size": 128}),
        ("retinanet_resnet50_fpn", {"score_thresh": 0.0, "topk_candidates": 20, "min_size": 128, "max_size": 160}),
    ],
)
def test_detectors_of_torchvision_as_they_are_built(name: str, options: dict[str, Any], no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    detection: Any = import_torchvision().models.detection
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=4, **options)
    with torch.no_grad():  # scores that differ
        for key, parameter in model.named_parameters():
            if "cls" in key or "classification" in key:
                parameter.normal_(0, 1e-3 if name.startswith("retinanet") else 0.02)
    model, x = awake(model).eval(), torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(3))
    assert own_task(model) == ("boxes", "a detector of torchvision")
    with no_trace(model):
        why = foveal.explain(model, x, foveal.Box(1), method="hirescam")
    with torch.no_grad():
        found = model(x)[0]
    assert float(why.score) == pytest.approx(float(found["scores"][1]), rel=1e-4)
    assert why.target_spec["box"][0] == pytest.approx(found["boxes"][1].tolist(), abs=1e-2)
    assert why.layer == "pyramid" and bool((why.map != 0).any())
    with pytest.raises(MethodError, match="feature pyramid side by side"):
        foveal.decompose(model, x)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_a_batch_are_explained_as_alone(kind: str) -> None:
    model, x = torchvision_detector(kind), picture(3)
    for method in ("gradcam", "inputxgradient"):
        together = foveal.explain(model, x, foveal.Box(1), method=method)
        for i in range(3):
            alone = foveal.explain(model, x[i : i + 1], foveal.Box(1), method=method)
            assert torch.allclose(together.map[i], alone.map[0], atol=1e-5 * float(alone.map.abs().max()) + 1e-8)
            assert together.target[i] == alone.target[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_apply_says_why(kind: str) -> None:
    model, x = torchvision_detector(kind), picture()
    with pytest.raises(LayerError, match="no feature pyramid"):
        foveal.explain(bird_finder(), x, Found(0), layer="pyramid")
    with pytest.raises(MethodError, match="leave out scales"):
        foveal.explain(model, x, scales=(1, 1.5), layer="backbone.stem")
    with pytest.raises(MethodError, match="name one layer"):
        foveal.explain(model, x, resolution=2)
    for verb in (
        lambda: foveal.explain(model, x, method="scorecam:clusters=2", layer="pyramid"),
        lambda: foveal.explain(model, x, method="lrp-epsilon"),
    ):
        try:
            verb()
        except FovealError as error:
            assert "\n" not in str(error)
    for verb in (lambda: foveal.decompose(model, x), lambda: foveal.flow(model, x)):
        with pytest.raises(MethodError, match="2 levels of a feature pyramid side by side"):
            verb()
    flow = foveal.flow(model, x, layer="backbone.stem")  # before the pyramid all evidence is in one layer
    assert flow.layers == ("backbone.stem",)


def test_a_detector_without_a_pyramid_has_trees_and_flows() -> None:
    model, x = bird_finder(), two_birds(1, 10_000)[0]
    flow = foveal.flow(model, x, Found(0))
    assert float(flow.score) == pytest.approx(float(read_birds(model(x))[2][0][0].detach()))
    tree = foveal.decompose(model, x, Found(0)).grow(1)
    assert tree.root.children and tree.decision is not None


def test_the_saved_result_says_which_box(tmp_path: Any) -> None:
    model, x = torchvision_detector("retinanet"), picture(2)
    why = foveal.explain(model, x, foveal.Box([0, 1]))
    why.save(tmp_path / "out")
    again = foveal.Explanation.load(tmp_path / "out")
    assert again.target == why.target and again.target_spec["index"] == [0, 1]
    assert torch.equal(again.map, why.map)
    assert why[1:2].target_spec["index"] == [1] if hasattr(why, "__getitem__") else True


def test_unknown_labels() -> None:
    with pytest.raises(UnknownTarget, match="names of the classes are not known"):
        foveal.explain(torchvision_detector("ssd"), picture(), foveal.Box("dog"))
