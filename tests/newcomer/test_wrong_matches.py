"""Wrong matches of an embedding network: which, why, and what must be hidden; by the commands of the README."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

import foveal
from foveal.images import labeled_pictures
from tests import forked

PEOPLE = range(63, 67)  # the query of 66 is matched to 63


def run(*words: str, status: int = 0) -> tuple[str, str]:
    """Standard output and standard error of a command."""
    done = forked.foveal(*words, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """queries/NAME/0.png of one camera, gallery/NAME/0.png and 1.png of the other."""
    folder = tmp_path_factory.mktemp("birds")
    for who in PEOPLE:
        for side, camera, count in (("queries", 0, 1), ("gallery", 1, 2)):
            for k in range(count):
                scene = foveal.synthetic.individual_scene(who, 1000 * camera + 10 * who + k, camera=camera)
                at = folder / side / f"bird{who}" / f"{k}.png"
                at.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(foveal.synthetic.render(scene)[0]).save(at)
    return folder


@pytest.fixture(scope="module")
def cosines(place: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """The similarities of all pairs and the labels of both sides, computed from the bare network."""
    model = foveal.load_model("embed")
    vectors, labels = [], []
    for side in ("queries", "gallery"):
        files, names = labeled_pictures(place / side)
        x = foveal.images.load_images(files, model.preprocessing).tensor
        with torch.no_grad():
            vectors.append(model.module(x))
        labels.append(names)
    return cosine_similarity(vectors[0][:, None], vectors[1][None], dim=2).numpy(), labels[0], labels[1]


@pytest.fixture(scope="module")
def matched(place: Path) -> tuple[Path, str]:
    """`foveal match queries/ gallery/ --model embed`: its folder, and its messages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        printed, said = run("match", "queries/", "gallery/", "--model", "embed", "--top", "2", "-o", "found")
    assert printed.strip() == "found/match.html"
    return place / "found", said


def test_the_wrong_matches_are_those_of_the_bare_network(
    matched: tuple[Path, str], cosines: tuple[np.ndarray, list[str], list[str]]
) -> None:
    found, said = matched
    similarity, ours, theirs = cosines
    first = similarity.argmax(1)
    wrong = [i for i, j in enumerate(first) if ours[i] != theirs[j]]
    assert wrong, "the situation needs a wrong match"
    with (found / "queries.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [i for i, row in enumerate(rows) if row["right"] == "False"] == wrong
    for i, row in enumerate(rows):
        right = np.array([label == ours[i] for label in theirs])
        assert row["first_label"] == theirs[first[i]]
        margin = similarity[i, ~right].max() - similarity[i, right].max()
        assert float(row["margin"]) == pytest.approx(margin, abs=1e-4)
        ranks = np.argsort(-similarity[i])
        assert int(row["rank_of_right"]) == 1 + min(k for k, j in enumerate(ranks) if right[j])
    assert f"{len(wrong)} of {len(ours)} queries" in said
    assert f"rank-1 {100 * (1 - len(wrong) / len(ours)):.1f} %" in said


def test_it_is_seen_which_images_and_which_are_right(matched: tuple[Path, str]) -> None:
    found, _ = matched
    page = (found / "match.html").read_text(encoding="utf-8")
    assert "bird66/0.png (bird66) is matched to bird63" in page and "to hide" in page
    sheet = found / "bird66_0"  # not "0": every query is called 0.png
    assert {"match.png", "ranks.png", "match.npz"} <= {path.name for path in sheet.iterdir()}
    pair = foveal.Match.load(sheet)
    verdicts = [pair.verdict(0, j) for j in range(len(pair.references))]
    assert verdicts.count("right") == 1 and verdicts[0] == "wrong"  # the best right one is there, though not among two
    with (found / "queries.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["label"] == "bird66")
    assert pair.rank(0, verdicts.index("right")) == int(row["rank_of_right"]) > 2
    names = [pair.name(photo, j, "reference") for j, photo in enumerate(pair.references)]
    assert len(set(names)) == len(names)


def test_what_is_said_to_flip_the_ranking_flips_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    model = foveal.load_model("embed")
    queries, who = labeled_pictures(Path("queries"))
    gallery, others = labeled_pictures(Path("gallery"))
    found = foveal.retrieve(model, queries, gallery, query_labels=who, reference_labels=others, fill="mean", draws=0)
    wrong = found.contrasts[0]
    assert wrong.query_map.sum().item() == pytest.approx(wrong.margin, abs=1e-4)
    area = wrong.flip.pair_hidden if wrong.flip.hidden is None else wrong.flip.hidden
    assert area is not None
    share = wrong.flip.pair_share if wrong.flip.hidden is None else wrong.flip.share
    assert area.float().mean().item() == pytest.approx(share, abs=1e-3)
    x = foveal.images.load_images(queries[wrong.query], model.preprocessing).tensor
    shelf = foveal.images.load_images(gallery, model.preprocessing).tensor
    x = torch.where(area, x.mean((2, 3), keepdim=True), x)
    with torch.no_grad():
        similarity = cosine_similarity(model.module(x), model.module(shelf))
    right = torch.tensor([label == who[wrong.query] for label in others])
    assert similarity[right].max() > similarity[wrong.wrong]


def test_an_earlier_run_is_not_taken_for_this_one(matched: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = matched
    monkeypatch.chdir(found.parent)
    run("match", "queries/bird65/0.png", "gallery/bird65", "-m", "embed", "-o", "found", "--lines", "0")
    page = (found / "index.html").read_text(encoding="utf-8")
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings.index("0") < headings.index("From earlier runs") < headings.index("bird66_0")


def test_labels_on_one_side_only_are_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    _, said = run("match", "queries/", "gallery/bird66", "-m", "embed", "--show", "0", "-o", "one-side")
    assert "2 of 2 references lie in no sub-folder" in " ".join(said.split())


def test_verbs_about_classes_point_to_a_similarity(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for command in ("explain", "measure", "sanity"):
        _, said = run(command, "queries/bird66/0.png", "-m", "embed", status=1)
        assert "gives an embedding of 64 numbers" in said and "--like PHOTO" in said
    _, said = run("benchmark", "folder", "queries", "-m", "embed", status=1)
    assert "bird63/0.png: this network gives an embedding" in said and "foveal measure queries --like" in said


def test_an_episode_says_which_queries_are_wrong(
    place: Path, cosines: tuple[np.ndarray, list[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    printed, said = run("episode", "queries", "gallery", "-m", "embed", "--rule", "nearest", "--json", "-o", "few")
    similarity, ours, theirs = cosines
    nearest = [theirs[j] for j in similarity.argmax(1)]
    rows = json.loads(printed)
    assert [row["class"] for row in rows] == nearest and [row["label"] for row in rows] == ours
    assert [row["right"] for row in rows] == [a == b for a, b in zip(nearest, ours, strict=True)]
    wrong = sum(a != b for a, b in zip(nearest, ours, strict=True))
    assert f"{wrong} of {len(ours)} queries" in said and f"accuracy {100 * (1 - wrong / len(ours)):.1f} %" in said
    assert Path("few/episode.png").is_file() and foveal.Episode.load(Path("few")).wrong
