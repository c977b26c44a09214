"""`foveal.measure` and `foveal.audit`: planted evidence, every kind of decision and result, honest bookkeeping."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import foveal
from foveal.api.audit import elsewhere, marked
from foveal.attribution.perturbed_score import perturbed_scores
from foveal.attribution.prepare import prepare
from foveal.cli.app import app
from foveal.errors import MethodError, ResultError, TargetError
from foveal.metrics import EvaluationSettings, deletion
from foveal.metrics.metric import USUAL
from foveal.results import Scores
from foveal.synthetic import Split
from tests.networks import Planted, architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import NoTrace

QUICK = EvaluationSettings(steps=6, shares=(0.3, 0.7), samples=6, grid=(8, 8))


class Patch(nn.Module):
    """Two classes: how bright a patch of the picture is, against a half."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        self.conv.weight.data = torch.tensor([[1.0, 1, 1], [0, 0, 0]])[:, :, None, None]
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.relu(self.conv(x))
        return torch.stack([2 * maps[:, 0, 8:16, 16:24].mean((1, 2)), torch.full((len(x),), 4.0).to(x)], 1)


def patched(n: int = 2) -> tuple[Tensor, Tensor]:
    """Pictures whose patch decides, and the map that says so."""
    torch.manual_seed(0)
    x = torch.rand(n, 3, 32, 32)
    x[:, :, 8:16, 16:24] = 0.9
    truth = torch.zeros(n, 32, 32)
    truth[:, 8:16, 16:24] = 1
    return x, truth


def test_a_true_map_beats_a_false_one_and_all_baseline_maps(no_trace: NoTrace) -> None:
    model = Patch().eval()
    x, truth = patched()
    inside = truth[0].bool().numpy()
    with no_trace(model):
        scores = foveal.measure(
            model, x, 0, explanations={"true": truth, "false": 1 - truth}, metrics=["usual", "object"],
            masks=[inside, inside],
            setting=QUICK, labels=["bright", "dark"], baseline_maps=("random", "center", "edges", "constant"),
            task="classes",
        )  # fmt: skip
    assert scores.methods == ("true", "false", "(random)", "(center)", "(edges)", "(constant)")
    for metric in ("deletion", "insertion", "drop", "drop_in_deletion", "road", "pointing", "energy", "roc_area"):
        assert scores.best(metric) == "true", metric
        assert scores.ranks(metric)["true"] == pytest.approx(1, abs=1), metric
    assert set(scores.beaten("true", "deletion")) == set(scores.baseline_maps)
    assert scores.target == ("bright (0)",) * 2 and scores.of == "probability of the class"
    p = model(x).softmax(1)[:, 0]
    assert scores.whole == pytest.approx(p.tolist(), abs=1e-5)
    assert scores.summary("(constant)", "deletion_correlation").undefined == 2
    text = str(scores)
    assert "deletion ↓" in text and "true" in text and "–" in text


def test_values_are_those_of_the_functions_and_forwards_are_counted() -> None:
    model, (x, truth) = Patch().eval(), patched(1)
    scores = foveal.measure(
        model, x, 0, explanations=truth, metrics=USUAL, baseline_maps=False, setting=QUICK, task="classes"
    )
    alone = deletion(
        lambda z: model(z).softmax(1)[:, 0], x, torch.nn.functional.adaptive_avg_pool2d(truth, 8)[0], steps=6
    )
    assert scores.values["map"]["deletion"][0] == pytest.approx(alone.area, abs=1e-6)
    # For each curve its five steps and what stands there at its empty end; masks, ROAD and squares.
    assert scores.forwards == 6 + 6 + 2 + 4 + 6
    mixed = foveal.measure(
        model,
        torch.cat([x, x.flip(3)]),
        0,
        explanations=torch.cat([truth, truth]),
        baseline_maps=False,
        setting=QUICK,
        task="classes",
    )
    assert mixed.values["map"]["road"][0] == pytest.approx(scores.values["map"]["road"][0], abs=1e-5)


@pytest.mark.parametrize("target", [None, foveal.Margin(0, 1), foveal.Neuron("conv2", 3), lambda out: out[:, 2]])
def test_decisions_pinned_to_the_whole_picture(target: Any, no_trace: NoTrace) -> None:
    torch.manual_seed(3)
    model, x = tiny(2), torch.randn(3, 3, 16, 16)
    with no_trace(model), perturbed_scores(prepare(model, x, target, task="classes")) as asked:
        assert len(asked) == 3
        for i, question in enumerate(asked):
            assert float(question(x[i : i + 1])[0]) == pytest.approx(question.whole, abs=1e-6)
            assert question(torch.randn(5, 3, 16, 16)).shape == (5,) and question.count == 7
    logits = model(x).detach()
    if target is None:
        assert asked[1].whole == pytest.approx(float(logits.softmax(1).max(1).values[1]), abs=1e-5)
    if isinstance(target, foveal.Margin):
        assert asked[1].whole == pytest.approx(float((logits[1, 0] - logits[1, 1]).sigmoid()), abs=1e-5)
    with perturbed_scores(prepare(model, x, target, task="classes"), "score") as asked:
        plain = foveal.explain(model, x, target, method="gradient", task="classes").score
        assert plain is not None and [q.whole for q in asked] == pytest.approx(plain.tolist(), abs=1e-5)


def test_the_class_is_that_of_the_clean_picture_also_when_copies_change_their_mind() -> None:
    model, (x, _) = Patch().eval(), patched(1)
    with perturbed_scores(prepare(model, 2 * x, None, task="classes")) as asked:
        assert asked[0].label == "class 0" and asked[0].whole > 0.5 and float(asked[0](0 * x)[0]) < 0.5


def test_similarities_shares_of_a_vote_and_prototypes(no_trace: NoTrace) -> None:
    torch.manual_seed(0)
    model, x, bank = tiny(1), torch.randn(2, 3, 16, 16), torch.randn(6, 3, 16, 16)
    labels = ["a", "a", "b", "b", "c", "c"]
    v, s = (model.features(z).mean((2, 3)) for z in (x, bank))
    cosine = torch.nn.functional.cosine_similarity
    shift = torch.randn(4, 3, 16, 16)
    with no_trace(model):
        with perturbed_scores(prepare(model, x, foveal.Similar(bank[:1]))) as asked:
            assert asked[0].of == "score" and asked[0].whole == pytest.approx(float(cosine(v[:1], s[:1])), abs=1e-5)
            near = cosine(model.features(shift).mean((2, 3)), s[:1])
            assert torch.allclose(asked[1](shift), near, atol=1e-5)
        with perturbed_scores(prepare(model, x, foveal.Neighbors(bank, labels, k=3))) as asked:
            assert asked[0].of == "probability"
            shares = asked[0](shift)
            assert bool(((shares >= 0) & (shares <= 1)).all())
        with perturbed_scores(prepare(model, x, foveal.Prototypes(bank, labels))) as asked:
            assert 1 / 3 <= asked[0].whole <= 1
        found = foveal.measure(
            model, x, foveal.Prototypes(bank, labels), explanations=["fam", "gradcam"], setting=QUICK
        )
        pair = foveal.match(model, x, bank[:1])
        both = foveal.measure(
            model,
            x,
            foveal.Similar(bank[:1]),
            explanations=pair,
            metrics="deletion",
            setting=QUICK,
            baseline_maps=False,
        )
    assert found.of == "probability of the class" and both.methods == ("fam",) and both.of == "score"


def test_a_vote_nobody_is_left_for_has_share_zero() -> None:
    torch.manual_seed(0)
    model, x = tiny(1), torch.randn(1, 3, 16, 16)
    bank = torch.cat([x + 0.01, 3 * torch.randn(5, 3, 16, 16)])
    with perturbed_scores(prepare(model, x, foveal.Neighbors(bank, ["a", *"bbbbb"], k=1))) as asked:
        found = asked[0](torch.cat([x, bank[1:2]]))
    assert found.tolist() == pytest.approx([1, 0])


def test_results_say_what_they_explain_and_methods_share_a_pass() -> None:
    model, x = tiny(4), torch.randn(2, 3, 16, 16)
    why = foveal.explain(model, x, foveal.Margin([0, 1], 2), method="hirescam", task="classes")
    flow = foveal.flow(model, x, foveal.Class([0, 1]), task="classes")
    scores = foveal.measure(
        model, x, explanations=why, metrics="deletion", baseline_maps=("random",), setting=QUICK, task="classes"
    )
    assert scores.target == ("class 0 − class 2", "class 1 − class 2") and scores.methods == ("hirescam", "(random)")
    layers = foveal.measure(
        model, x, explanations=flow, layer="all", metrics="gini", baseline_maps=False, task="classes"
    )
    assert layers.methods == tuple(f"naflow:mode=exact at {layer}" for layer in flow.layers)
    named = foveal.measure(
        model, x, explanations=["gradcam", "gradcam"], metrics="gini", baseline_maps=False, task="classes"
    )
    assert named.methods == ("gradcam", "gradcam 2")
    similar = foveal.explain(model, x, foveal.Similar(x[:1]), method="gradcam", task="classes")
    with pytest.raises(TargetError, match="pass the same target"):
        foveal.measure(model, x, explanations=similar, task="classes")
    assert foveal.measure(model, x, foveal.Similar(x[:1]), explanations=similar, metrics="gini", task="classes").values[
        "gradcam"
    ]["gini"]


def test_trees_and_parts_are_measured_like_maps(tmp_path: Path) -> None:
    model, bird = foveal.load_model("demo"), next(iter(Split("classes", 1))).image
    target = foveal.Margin(4, 5)
    tree = foveal.decompose(model, bird, target, branching=2).grow()
    tree.save(tmp_path / "tree")
    parts = foveal.parts(model, bird, target)
    loaded = foveal.Tree.load(tmp_path / "tree")
    for one, map in ((tree, tree.map()[None]), (loaded, tree.map()[None]), (parts, parts.places)):
        scores = foveal.measure(
            model, bird, explanations={"it": one}, metrics="deletion", baseline_maps=False, setting=QUICK
        )
        plain = foveal.measure(
            model, bird, target, explanations={"it": map}, metrics="deletion", baseline_maps=False, setting=QUICK
        )
        assert scores.target == plain.target == (tree.target,)
        assert scores.values["it"]["deletion"] == pytest.approx(plain.values["it"]["deletion"])
    assert "hiding what this map marks" in str(foveal.audit(model, bird, explanations=tree, draws=2))


def test_metrics_that_explain_again() -> None:
    model, x = tiny(5), torch.randn(1, 3, 16, 16)
    scores = foveal.measure(
        model, x, explanations=["gradcam", "inputxgradient"], metrics=["sensitivity", "coherency", "adcc"],
        baseline_maps=("center",),
        setting=EvaluationSettings(neighbors=2, radius=0.1),
    )  # fmt: skip
    assert scores.values["(center)"]["sensitivity"] == (0.0,) and scores.values["(center)"]["coherency"] == (1.0,)
    assert scores.values["gradcam"]["sensitivity"][0] > 0 and 0 <= scores.values["inputxgradient"]["coherency"][0] <= 1
    with pytest.raises(MethodError, match="by name instead of maps"):
        foveal.measure(model, x, explanations=torch.rand(1, 4, 4), metrics="sensitivity", baseline_maps=False)


def test_a_map_that_is_not_finite_is_undefined_and_counted() -> None:
    model, (x, truth) = Patch().eval(), patched()
    truth[1, 0, 0] = torch.nan
    scores = foveal.measure(
        model, x, 0, explanations=truth, metrics=["deletion", "gini"], setting=QUICK, baseline_maps=("random",)
    )
    assert scores.summary("map", "gini").undefined == 1 and math.isnan(scores.values["map"]["deletion"][1])
    assert "map" in scores.significance("deletion") or scores.best("deletion") == "map"


def test_boxes_and_masks_follow_the_crop(tmp_path: Path) -> None:
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[20:30, 10:30] = 255
    preprocessing = foveal.Preprocessing(size=(20, 20), resize_to=20)  # the middle 40 × 40 at half the size
    map = torch.zeros(1, 20, 20)
    map[0, 5:10, 5:15] = 1
    mask = pixels[..., 0] > 0
    model = Planted()
    for known in ({"boxes": [[(10, 20, 30, 30)]]}, {"masks": [mask]}):
        scores = foveal.measure(
            model,
            pixels,
            0,
            explanations=map,
            metrics=["energy", "roc_area"],
            baseline_maps=False,
            preprocessing=preprocessing,
            **known,
        )  # type: ignore[arg-type]
        assert scores.values["map"]["energy"] == (1.0,) and scores.values["map"]["roc_area"] == (1.0,)
    gone = foveal.measure(
        model, pixels, 0, explanations=map, metrics=["energy", "iou"], baseline_maps=False, preprocessing=preprocessing,
        boxes=[[(0, 0, 40, 11)]],
    )  # fmt: skip
    assert math.isnan(gone.values["map"]["energy"][0]) and math.isnan(gone.values["map"]["box_overlap"][0])


def test_black_is_what_preprocessing_makes_of_it() -> None:
    model = foveal.load_model("demo")
    setting = EvaluationSettings(steps=2, delete="black", grid=(4, 4))
    picture = np.full((160, 160, 3), 90, np.uint8)
    ramp = torch.arange(16.0).view(1, 4, 4)
    dark = foveal.measure(
        model, picture, 3, explanations=ramp, metrics="deletion", baseline_maps=False, setting=setting
    )
    black = foveal.measure(
        model, np.zeros_like(picture), 3, explanations=ramp, metrics="deletion", baseline_maps=False, setting=setting
    )
    last = black.whole[0]
    middle = 2 * dark.values["map"]["deletion"][0] - (dark.whole[0] + last) / 2
    assert 0 <= middle <= 1 and dark.setting["delete"] == "given"
    with pytest.raises(MethodError, match="preprocessing"):
        foveal.measure(tiny(), torch.randn(1, 3, 16, 16), explanations=torch.rand(1, 4, 4), setting=setting)


def test_scores_are_saved_whole_and_loaded_back(tmp_path: Path) -> None:
    values = {
        "a": {"deletion": (0.1, math.nan), "gain": (0.5, 0.25)},
        "(random)": {"deletion": (0.3, 0.4), "gain": (0.0, 1.0)},
    }
    scores = Scores(values, ("x.png", "y.png"), ("jay", "crow"), (0.9, 0.8), "score", ("(random)",), "net")
    again = Scores.load(scores.save(tmp_path / "out"))
    assert again.to_csv() == scores.to_csv() and again.baseline_maps == ("(random)",)
    assert again.summary("a", "deletion") == scores.summary("a", "deletion")
    assert scores.best("gain") == "a" and scores.ahead("gain") == ("(random)",) and not scores.ahead("deletion")
    joined = Scores.joined([scores, again])
    assert joined.pictures == ("x.png", "y.png") * 2 and joined.summary("a", "gain").n == 4
    (tmp_path / "out" / "scores.csv").write_text("nothing")
    with pytest.raises(ResultError, match="changed"):
        Scores.load(tmp_path / "out")


def test_what_does_not_fit_is_refused() -> None:
    model, x = tiny(), torch.randn(2, 3, 16, 16)
    for wrong, about in (
        ({"explanations": []}, "nothing to measure"),
        ({"explanations": torch.rand(3, 4, 4)}, "as many maps"),
        ({"explanations": "gradcam", "baseline_maps": ("noise",)}, "no baseline map"),
        ({"explanations": "gradcam", "metrics": "pointing"}, "masks="),
        ({"explanations": "gradcam", "of": "logit"}, "probability or score"),
        ({"explanations": "gradcam", "masks": [np.ones((4, 4), bool)]}, "masks for each"),
    ):
        with pytest.raises(MethodError, match=about):
            foveal.measure(model, x, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny"])
def test_real_architectures(name: str, no_trace: NoTrace) -> None:
    model, x = architecture(name), torch.randn(1, 3, 64, 64)
    with no_trace(model):
        scores = foveal.measure(model, x, explanations="gradcam", setting=QUICK, baseline_maps=("activation",))
        found = foveal.audit(model, x, explanations="gradcam", draws=3)
    assert all(math.isfinite(scores.values["gradcam"][metric][0]) for metric in ("deletion", "insertion", "road"))
    assert len(found[0].others) == 3


# --- the audit ---


def test_hiding_the_patch_costs_more_than_hiding_others(no_trace: NoTrace) -> None:
    model, (x, truth) = Patch().eval(), patched(2)
    with no_trace(model):
        found = foveal.audit(
            model,
            x,
            0,
            explanations={"true": truth, "false": truth.roll(16, 1)},
            area=0.0625,
            labels=["bright", "dark"],
            task="classes",
        )
    assert len(found) == 4 and found[0].method == "true"
    assert found[0].effect > 0.15 and found[0].beats > 0.9 and abs(found[2].effect) < 0.05
    assert found[0].summary.startswith("hiding what this map marks (") and "of bright (0) by" in found[0].summary
    assert "an equal area at random, by" in found[0].summary and str(found).count("\n") == 3
    assert not found.notes
    unknown = foveal.audit(model, x, 0, explanations={"true": truth}, area=0.0625)
    assert unknown[0].of == "score" and "lowers the score of output 0" in unknown[0].summary
    assert len(unknown.notes) == 1 and "is not known" in unknown.notes[0] and str(unknown).count("\n") == 2


def test_other_places_have_the_same_shape_and_the_sentence_knows_nothing_from_something() -> None:
    where = marked(torch.rand(5, 5), (20, 24), 0.1)
    assert where is not None and int(where.sum()) == 48
    others = elsewhere(where, 6)
    assert others.flatten(1).sum(1).tolist() == [48] * 6 and not bool((others[0] == others[1]).all())
    assert marked(-torch.rand(4, 4), (8, 8), None) is None
    model, (x, truth) = Patch().eval(), patched(1)
    nothing = foveal.audit(model, x, 0, explanations=-truth)[0]
    assert nothing.marked is None and "nothing to hide" in nothing.summary and nothing.to_dict()["effect"] is None
    with pytest.raises(MethodError, match="draws"):
        foveal.audit(model, x, 0, explanations=truth, draws=1)


# --- the command ---


def test_the_command_measures_audits_and_answers(tmp_path: Path) -> None:
    picture = tmp_path / "bird.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)).save(picture)
    asked = ["measure", str(picture), "-m", "demo", "--method", "hirescam", "--metric", "deletion", "--metric", "gini",
             "--steps", "4", "--audit", "-o", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["methods"][0] == "hirescam" and "(random)" in answer["baseline_maps"]
    assert answer["means"]["hirescam"]["deletion"]["n"] == 1 and answer["audit"][0]["summary"].startswith("hiding")
    assert Scores.load(tmp_path / "out").metrics == ("deletion", "gini")
    plain = CliRunner().invoke(app, asked)
    tables = [str(tmp_path / "out" / f"scores.{end}") for end in ("csv", "md", "tex", "html")]
    assert plain.stdout.split() == tables and "deletion ↓" in plain.stderr
    wrong = CliRunner().invoke(app, ["measure", str(picture), "-m", "demo", "--metric", "deletoin"])
    assert wrong.exit_code == 2 and "did you mean" in wrong.stderr


def test_other_verbs_carry_the_sentence(tmp_path: Path) -> None:
    names = []
    for k in range(2):
        names.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (160, 160, 3), dtype=np.uint8)).save(names[k])
    explained = CliRunner().invoke(app, ["explain", names[0], "-m", "demo", "--audit", "-o", str(tmp_path), "--json"])
    assert explained.exit_code == 0, explained.output
    assert "hid" in json.loads(explained.stdout)[0]["audit"]["summary"] and "audit: " in explained.stderr
    verbs = (
        ["flow", names[0], "-m", "demo"], ["match", *names, "-m", "embed"], ["parts", names[0], "-m", "parts"],
        ["decompose", names[0], "-m", "demo", "--branching", "2", "--depth", "2"],
    )  # fmt: skip
    for verb in verbs:
        done = CliRunner().invoke(app, [*verb, "--audit", "-o", str(tmp_path / verb[0])])
        assert done.exit_code == 0, done.output
        assert "hiding what this map marks" in done.stderr or "nothing to hide" in done.stderr


@pytest.mark.real
def test_a_trained_network_on_photos_with_boxes(data: Path) -> None:
    """Where the network is right, hiding what the map marks costs more than hiding as much elsewhere."""
    from foveal.benchmark.folder import shots
    from tests import real_networks

    model = real_networks.resnet18()
    found = [shot for shot in shots(data / "images" / "imagenet_boxes")[:12] if shot.boxes][:4]
    paths, boxes = [shot.path for shot in found], [shot.boxes for shot in found]
    whys = foveal.explain(model, paths, method="hirescam")
    scores = foveal.measure(
        model, paths, explanations=whys, metrics=["lift", "deletion"], boxes=boxes, baseline_maps=("random",),
                            setting=EvaluationSettings(steps=7, grid=(7, 7)))  # fmt: skip
    assert scores.summary("hirescam", "lift").mean > 1.2
    assert scores.summary("hirescam", "deletion").mean < scores.summary("(random)", "deletion").mean
    audits = foveal.audit(model, paths, explanations=whys, draws=4)
    assert np.mean([one.effect for one in audits]) > np.mean([one.chance[0] for one in audits]) + 0.1


def test_what_compare_gives_is_several_explanations() -> None:
    model, (x, _) = Patch().eval(), patched(1)
    whys = foveal.compare(model, x, 0, methods=["gradcam", "hirescam"])
    scores = foveal.measure(model, x, 0, explanations=whys, metrics="deletion", baseline_maps=False, setting=QUICK)
    assert scores.methods == whys.methods == ("gradcam", "hirescam")
    assert whys["hirescam"] is whys[1] and [why.method for why in whys[1:]] == ["hirescam"]
    with pytest.raises(ResultError, match="no map by 'lime'"):
        whys["lime"]


def test_rows_come_as_they_are_measured() -> None:
    model, (x, truth) = Patch().eval(), patched(2)
    heard: list[dict[str, Any]] = []
    so_far: list[int] = []
    scores = foveal.measure(
        model, x, 0, explanations=truth, metrics=["deletion", "gini"], setting=QUICK, baseline_maps=("random",),
        on_row=lambda row: heard.append(dict(row)), progress=lambda what, done, total: so_far.append(len(heard)),
    )  # fmt: skip
    assert sorted(heard, key=str) == sorted(scores.rows(), key=str) and so_far[-1] == 4
    assert so_far == sorted(so_far) and len(so_far) > 4  # told after every chunk, not only after every map
    assert [row["method"] for row in heard] == ["map", "(random)"] * 2  # image by image


@pytest.mark.parametrize("together", [True, False])
def test_what_few_copies_tell_comes_first(together: bool) -> None:
    model, (x, truth) = Patch().eval(), patched(2)
    asked: list[int] = []
    model.register_forward_hook(lambda module, inputs, output: asked.append(len(inputs[0])))
    first: list[dict[str, Any]] = []
    copies: list[int] = []

    def hear(row: Mapping[str, Any]) -> None:
        first.append(dict(row))
        copies.append(sum(asked))

    told: dict[str, Any] = {
        "explanations": {"a": truth, "b": truth.flip(2)}, "metrics": ["deletion", "drop", "gini"],
        "baseline_maps": ("random",), "setting": replace(QUICK, together=together),
    }  # fmt: skip
    scores = foveal.measure(model, x, 0, **told)
    alone, every = sum(asked), [row for row in scores.rows() if row["method"] in "ab"]
    asked.clear()
    assert foveal.measure(model, x, 0, **told, on_first=hear).values == scores.values
    assert sum(asked) <= alone, "nothing is asked twice for it"
    wanted = ("picture", "target", "score", "method", "drop", "gini")
    assert sorted(first, key=str) == sorted(({key: row[key] for key in wanted} for row in every), key=str)
    assert all(copies[k] < alone / 3 for k in range(2)), "the first photo's are told before its curves are asked"
    first.clear()
    foveal.measure(model, x, 0, **told | {"metrics": ["drop", "gini"]}, on_first=hear)
    assert not first, "the row itself is the first that is known"


def test_the_command_prints_rows_and_latex(tmp_path: Path) -> None:
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 255, (160, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    asked = ["measure", str(tmp_path / "0.png"), str(tmp_path / "1.png"), "-m", "demo", "--metric", "gini",
             "--method", "gradcam", "--method", "hirescam", "-o", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(app, [*asked, "--latex"])
    assert done.exit_code == 0, done.output
    assert r"\begin{tabular}" in done.stdout and r"\texttt{hirescam}" in done.stdout and "gini" in done.stdout
    rows = [line for line in done.stderr.splitlines() if ".png, " in line]
    assert [row.split(":")[0] for row in rows] == [f"{n}.png, {m}" for n in (0, 1) for m in ("gradcam", "hirescam")]
    both = CliRunner().invoke(app, [*asked, "--latex", "--json"])
    assert both.exit_code == 2 and "--latex" in both.stderr
