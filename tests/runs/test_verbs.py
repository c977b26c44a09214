"""What a run asks of every picture: the same numbers and maps as the verb gives of the picture alone."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import foveal
from foveal.api.measure import default_setting
from foveal.errors import FovealError, ResultError
from foveal.images import load_images
from foveal.models import Model
from foveal.runs.result import Run
from foveal.runs.verbs import match as module
from foveal.runs.verbs.verb import Columns, Verb
from foveal.targets import Similar
from foveal.webapp.opened_run import row_address, show_run
from foveal.webapp.studio import Studio
from tests.runs.photos import drawn, network, parts, ran

METRICS = ["deletion", "insertion", "drop", "road"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return drawn(tmp_path / "photos", 9)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Four references: two of one class, one each of the others."""
    random = np.random.default_rng(5)
    for name in ("a/0.png", "a/1.png", "b/2.png", "c/3.png"):
        (tmp_path / "shelf" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(tmp_path / "shelf" / name)
    return tmp_path / "shelf"


def options_of(verb: str, shelf: Path) -> dict[str, Any]:
    more: dict[str, dict[str, Any]] = {
        "flow": {"layer": ["one", "two"]},
        "measure": {"metrics": METRICS, "steps": 9},
        "match": {"references": shelf},
        "parts": {"count": 2},
    }
    return {"verb": verb, **more.get(verb, {})}


def each(run: Run) -> list[tuple[int, str]]:
    return [(i, str(run.root / uri)) for i, uri in enumerate(run["uri"])]


@pytest.mark.parametrize("target", [None, "label"])
def test_a_flow_has_maps_of_all_layers_and_what_they_keep(target: str | None, photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", target=target, maps="float32", verb="flow", mode="project", iterations=3)
    assert run.layers == foveal.flow(network(), each(run)[0][1]).layers == ("one", "two")
    for i, photo in each(run)[:5]:
        own = run["label"][i] if target else None
        why = foveal.flow(network(), photo, own, mode="project", iterations=3)
        again = run[i]
        assert again.method == why.method and again.target == why.target and again.layers == why.layers
        assert not [note for note in why.notes if note not in (*run.notes, *str(run["notes"][i]).split("\n"))]
        for layer in run.layers:
            assert torch.allclose(run.maps(layer)[i], why.maps[layer][0], atol=1e-5)
            for what in ("kept", "total", "offset", "residual"):
                value = run[f"{what}_{layer}"][i]
                assert value == pytest.approx(why.number(layer, what), rel=1e-3, abs=1e-5)
                assert again.measured[layer][what] == [value]  # type: ignore[index, call-overload]


def test_a_measure_has_the_numbers_of_measure(photos: Path, tmp_path: Path) -> None:
    run = ran(
        photos, tmp_path / "run", maps="float32", verb="measure", metrics=METRICS, method="hirescam",
        baseline_maps=["center"], steps=9,
    )  # fmt: skip
    assert run.layers == ("two",) and run[0].method == "hirescam" and not len(run.failed)
    for i, photo in each(run)[:5]:
        why = foveal.explain(network(), photo, method="hirescam")
        x = load_images([photo], network().preprocessing).tensor
        scores = foveal.measure(
            network(), photo, explanations=["hirescam"], metrics=METRICS, baseline_maps=["center"],
            setting=default_setting(x, steps=9), precision="float32",
        )  # fmt: skip
        assert torch.allclose(run.maps()[i], why.map[0], atol=1e-6) and run["target"][i] == why.target[0]
        for metric in METRICS:
            for method, end in (("hirescam", ""), ("(center)", "_center")):
                (value,) = scores.values[method][metric]
                assert run[f"measure_{metric}{end}"][i] == pytest.approx(value, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("metric", "weights"), [("cosine", "contribution"), ("euclidean", "linear")])
def test_a_match_is_that_with_the_most_similar_reference(
    metric: str, weights: str, photos: Path, shelf: Path, tmp_path: Path
) -> None:
    run = ran(
        photos, tmp_path / "run", maps="float32", verb="match", references=shelf, metric=metric, weights=weights
    )  # fmt: skip
    names = ["a/0.png", "a/1.png", "b/2.png", "c/3.png"]
    for i, photo in each(run):
        pair = foveal.match(network(), photo, [str(shelf / name) for name in names], metric=metric, weights=weights)
        best = pair.ranking()[0]
        others = [float(pair.similarity[0, j]) for j in range(4) if names[j][0] != names[best][0]]
        assert run["match"][i] == names[best] and run["predicted"][i] == names[best][0]
        assert run["score"][i] == pytest.approx(float(pair.similarity[0, best]), abs=1e-5)
        assert run["margin"][i] == pytest.approx(float(pair.similarity[0, best]) - max(others), abs=1e-5)
        assert torch.allclose(run.maps()[i], pair.query_maps[0, best], atol=1e-5) and run.layers == (pair.layer,)
        again = run[i]
        target = Similar(str(shelf / names[best]), metric=metric)
        why = foveal.explain(network(), photo, target, method=f"fam:weights={weights}")
        assert again.method == why.method and again.score == pytest.approx(float(why.score[0]), abs=1e-5)  # type: ignore[index]
        assert again.target == (f"{metric} to {names[best]}",)
    agreed = np.mean([match[0] == label for match, label in zip(run["match"], run["label"], strict=True)])
    assert run.accuracy == pytest.approx(agreed) and "matched as labeled" in str(run)


def test_references_are_embedded_once_with_the_threads_of_the_run(
    photos: Path, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    usual = module.embedded_few_at_a_time

    def counting(*args: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return usual(*args)

    monkeypatch.setattr(module, "embedded_few_at_a_time", counting)
    threads = torch.get_num_threads()
    assert len(ran(photos, tmp_path / "run", verb="match", references=shelf, threads=threads + 1).explained) == 9
    assert seen == [threads + 1] and torch.get_num_threads() == threads


def test_a_picture_is_not_matched_with_itself(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", verb="match", references=photos)
    assert all(match != uri for match, uri in zip(run["match"], run["uri"], strict=True))
    files = [path for _, path in each(run)]
    alone = ran(files, tmp_path / "alone", verb="match", references=files[:1])
    assert alone["error"][0] == "there is no reference but the image itself" and len(alone.failed) == 1
    assert alone["predicted"].tolist() == [None] * 9 and alone.accuracy is None and np.isnan(alone["margin"]).all()


def test_references_are_part_of_the_question(photos: Path, shelf: Path, tmp_path: Path) -> None:
    ran(photos, tmp_path / "run", verb="match", references=shelf)
    (shelf / "c" / "3.png").write_bytes((shelf / "b" / "2.png").read_bytes())
    with pytest.raises(ResultError, match=r"made with other settings \(other references\)"):
        ran(photos, tmp_path / "run", verb="match", references=shelf)
    (shelf / "c" / "3.png").write_bytes(b"no picture")
    with pytest.raises(FovealError, match=r"a reference cannot be read: Cannot read .*3\.png"):
        ran(photos, tmp_path / "other", verb="match", references=shelf)
    with tarfile.open(tmp_path / "shelf.tar", "w") as archive:
        archive.add(shelf, "shelf")
    with pytest.raises(FovealError, match="References must be image files"):
        ran(photos, tmp_path / "other", verb="match", references=tmp_path / "shelf.tar")
    with pytest.raises(FovealError, match="Cannot read the reference"):
        ran(photos, tmp_path / "other", verb="match", references=[shelf / "a" / "0.png", shelf / "nowhere.png"])


def test_parts_have_a_map_each_and_divide_the_score(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (24, 20), "gray").save(photos / "a" / "02.png")  # all positions are alike
    net = nn.Sequential(nn.Conv2d(3, 5, 1, 2), nn.ReLU(), nn.Conv2d(5, 6, 1, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten(), nn.Linear(6, 3))  # fmt: skip
    model = replace(network(), module=net.eval())
    run = ran(photos, tmp_path / "run", model=model, maps="float32", verb="parts", count=3)
    assert run.layers == ("part3", "part2", "part1")
    few = []
    for i, photo in each(run):
        found = foveal.parts(model, photo)
        again = run[i]
        assert again.method == found.method and torch.allclose(again.map, found.map, atol=1e-5)
        for k in range(3):
            assert torch.allclose(run.maps(f"part{k + 1}")[i], found.groups.display[0, k], atol=1e-5)
            assert run[f"evidence_part{k + 1}"][i] == pytest.approx(float(found.evidence[0, k]), abs=1e-5)
            held = [
                float(found.groups.shares[0, k, y, x] * found.groups.norm[0, y, x])
                for y in range(found.map.shape[1])
                for x in range(found.map.shape[2])
            ]
            assert run[f"share_part{k + 1}"][i] == pytest.approx(sum(held) / float(found.groups.norm.sum()), abs=1e-5)
        whole = sum(
            run[name][i] for name in ("evidence_part1", "evidence_part2", "evidence_part3", "remainder", "offset")
        )
        assert whole == pytest.approx(run["score"][i], abs=1e-4)
        if not bool(found.groups.used.all()):
            few.append(i)
        assert ("slots found a part" in str(run["notes"][i])) == (i in few), "a note is of its own picture"
    assert 0 < len(few) < len(run) and any("does not use these parts" in note for note in run.notes)


@pytest.mark.parametrize("verb", ["explain", "flow", "measure", "match", "parts"])
def test_other_weights_are_refused_and_a_row_opens_in_the_studio(
    verb: str, photos: Path, shelf: Path, tmp_path: Path
) -> None:
    options, model = options_of(verb, shelf), network()
    run = foveal.run(model, photos, out=tmp_path / "run", **options)
    studio = Studio({"tiny": model})
    show_run(studio, run)
    own = {"match": "match", "parts": "parts"}.get(verb, "decision")
    assert studio.atlas and row_address(studio, studio.atlas, 2).startswith(f"#/{own}?")
    with torch.no_grad():
        next(model.module.parameters()).mul_(2)
    with pytest.raises(ResultError, match="other weights"):
        foveal.run(model, photos, out=tmp_path / "run", **options)


@pytest.mark.parametrize(
    ("verb", "doing"), [("explain", "explaining"), ("flow", "following"), ("measure", "measuring"),
                        ("match", "matching"), ("parts", "dividing")],
)  # fmt: skip
def test_progress_says_what_is_done(verb: str, doing: str, photos: Path, shelf: Path, tmp_path: Path) -> None:
    heard = list[tuple[str, int, int]]()
    ran(photos, tmp_path / "run", progress=lambda *told: heard.append(told), **options_of(verb, shelf))
    assert {what for what, _, _ in heard} == {f"{doing} photos"} and heard[-1][1:] == (9, 9)


@pytest.mark.parametrize("verb", ["explain", "flow", "measure", "match", "parts"])
def test_every_verb_goes_on_fails_by_rows_and_draws_itself(
    verb: str, photos: Path, shelf: Path, tmp_path: Path
) -> None:
    options = options_of(verb, shelf)
    (photos / "a" / "02.png").write_bytes(b"no picture")
    whole = ran(photos, tmp_path / "whole", **options)
    assert [i for i, error in enumerate(whole["error"]) if error] == [1] and len(whole.explained.maps()) == 8

    def stop(what: str, done: int, total: int) -> None:
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(photos, tmp_path / "again", progress=stop, **options)
    assert len(ran(photos, tmp_path / "again", **options)) == 9
    assert parts(tmp_path / "again") == parts(tmp_path / "whole")
    for kind in ("sheet", "numbers", "classes"):
        assert min(whole.figure(kind).size) > 100
    assert "9 images, 1 failed" in str(whole) and f"mean_{whole.record.numbers[-1]}" in whole.classes()[0]
    other = "flow" if verb == "explain" else "explain"
    with pytest.raises(ResultError, match=f"settings \\(verb: {verb} → {other}\\)"):
        ran(photos, tmp_path / "whole", verb=other)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["flow", "measure", "match", "parts"])
def test_another_process_makes_the_same_bytes(verb: str, photos: Path, shelf: Path, tmp_path: Path) -> None:
    options = options_of(verb, shelf)
    ran(photos, tmp_path / "here", **options)
    ran(photos, tmp_path / "there", workers=1, **options)
    assert parts(tmp_path / "here") == parts(tmp_path / "there")


def test_references_of_a_target_are_embedded_once(photos: Path, shelf: Path, tmp_path: Path) -> None:
    reference = shelf / "a" / "0.png"
    target = foveal.Similar(str(reference))
    whole = ran(photos, tmp_path / "whole", target=target, method="fam")
    seen = 0

    def gone(what: str, done: int, total: int) -> None:
        nonlocal seen
        seen += 1
        if done:  # the first batch is through
            reference.unlink(missing_ok=True)

    run = ran(photos, tmp_path / "run", target=target, method="fam", progress=gone)
    assert seen > 2 and not len(run.failed) and torch.equal(run.maps(), whole.maps())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"verb": "folw"}, "no verb 'folw': did you mean flow"),
        ({"verb": "nothing"}, "the verbs are explain, flow, measure, match, parts"),
        ({"verb": "flow", "method": "gradcam"}, "the verb flow takes no method .in Python it takes layer, mode"),
        ({"verb": "parts", "mode": "exact"}, "takes no mode .in Python it takes count, resolution, layer"),
        ({"mode": "exact"}, "the verb explain takes no mode"),
        ({"verb": "match"}, "a match needs images to compare with"),
        ({"verb": "match", "references": "SHELF", "target": "a"}, "leave target out"),
        ({"verb": "match", "references": "SHELF", "target": "label"}, "leave target out"),
        ({"verb": "match", "references": "SHELF", "layer": ["one", "two"]}, "maps of one layer, but 2"),
        ({"verb": "match", "references": "SHELF", "metric": "far"}, "no metric 'far'"),
        ({"verb": "match", "references": "SHELF", "weights": "far"}, "there are no weights 'far'"),
        ({"verb": "measure", "metrics": ["pointing"]}, "pointing needs the place of the object"),
        ({"verb": "measure", "metrics": "everything"}, "no metric 'everything'"),
        ({"verb": "measure", "precision": "auto"}, "give float32 or bfloat16"),
        ({"verb": "measure", "layer": ["one", "two"]}, "the map of one layer"),
        ({"verb": "flow", "mode": "backwards"}, "backwards"),
        ({"verb": "flow", "mass": "all"}, "cannot take mass='all': give a number"),
        ({"verb": "parts", "count": 100}, "100 parts are more than"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    options: dict[str, Any], said: str, photos: Path, shelf: Path, tmp_path: Path
) -> None:
    given = {name: shelf if value == "SHELF" else value for name, value in options.items()}
    with pytest.raises(FovealError, match=said) as caught:
        ran(photos, tmp_path / "run", **given)
    assert "\n" not in str(caught.value) and not list(tmp_path.glob("run/*.parquet"))


def test_signals(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 4, 5, 2, 2), nn.ReLU(), nn.Conv1d(4, 6, 5, 2, 2), nn.ReLU(),
                        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 3))  # fmt: skip
    model = Model(net.eval(), "signal", None, ("a", "b", "c"), task="classes")
    files = [tmp_path / f"{i}.npy" for i in range(3)]
    for i, file in enumerate(files):
        np.save(file, np.random.default_rng(i).normal(size=(2, 64)).astype(np.float32))
    for verb, more in (("flow", {}), ("measure", {"metrics": ["deletion", "drop"]}), ("parts", {})):
        run = ran(files, tmp_path / verb, model=model, **{**options_of(verb, tmp_path), "layer": None, **more})
        assert not len(run.failed) and run.maps().shape == (3, 16)
    with pytest.raises(FovealError, match=r"matches so far are of images \(n, c, h, w\)"):
        ran(files, tmp_path / "match", model=model, verb="match", references=files)


def test_what_rounding_did_is_said_of_each_picture(photos: Path, tmp_path: Path) -> None:
    run = ran(photos, tmp_path / "run", verb="measure", metrics="deletion", steps=5, precision="bfloat16")
    assert all("copies were scored in bfloat16" in notes for notes in run["notes"])
    assert not any(" scored in " in note for note in run.notes)


def test_a_measure_keeps_contributions_too(photos: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"contributions": True, "maps": "float32"}
    measured = ran(photos, tmp_path / "measured", verb="measure", metrics="drop", audit=True, **options)
    explained = ran(photos, tmp_path / "explained", audit=True, **options)
    assert np.allclose(measured.contributions(), explained.contributions(), atol=1e-5)
    assert np.allclose(measured["audit_effect"], explained["audit_effect"], atol=1e-4)


@dataclass(frozen=True)
class Brightness:
    """A verb of one's own: where the network's input is bright."""

    power: float = 1.0
    name: ClassVar[str] = "brightness"
    decides: ClassVar[Any] = "always"
    alone: ClassVar[bool] = False

    def made_by(self, model: Any) -> str:
        return "bright"

    def settings(self) -> dict[str, Any]:
        return {"power": self.power}

    def begin(self, model: Any) -> Any:
        return self._columns

    def _columns(self, context: Any) -> Columns:
        bright = context.x.mean(1) ** self.power
        why = foveal.explain(context.subject, context.batch, context.target)
        own = foveal.results.Explanation(
            maps={"bright": bright}, photos=why.photos, score=why.score, probability=None, target=why.target,
            target_spec=why.target_spec, method="bright", parameters={}, model=why.model,
        )  # fmt: skip
        return Columns(own, {"mean_bright": bright.mean((1, 2)).tolist()})


def test_a_verb_of_ones_own(photos: Path, tmp_path: Path) -> None:
    assert isinstance(Brightness(), Verb)
    run = ran(photos, tmp_path / "run", verb=Brightness(2.0), maps="float32")
    for i, photo in each(run):
        bright = load_images([photo], network().preprocessing).tensor.mean(1) ** 2
        assert torch.allclose(run.maps("bright")[i], bright[0], atol=1e-5)
        assert run["mean_bright"][i] == pytest.approx(float(bright.mean()), rel=1e-4)
    assert run[0].method == "bright" and run[0].measured == {"bright": {"mean": [float(run["mean_bright"][0])]}}
    with pytest.raises(ResultError, match=r"power: 2\.0 → 1\.0"):
        ran(photos, tmp_path / "run", verb=Brightness())
    with pytest.raises(FovealError, match="power are options of the verb that is given"):
        ran(photos, tmp_path / "run", verb=Brightness(), power=2.0)
