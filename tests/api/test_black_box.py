"""Whatever gives scores for images is explained by methods that need scores alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import foveal
from foveal.errors import FovealError, MethodError, ModelError
from foveal.methods import METHODS
from foveal.models.black_box import BlackBox

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
ALONE = ("occlusion", "rise:count=60")


def quadrants(x: Any) -> Any:
    """Class i is the brightness of quadrant i: what the maps must show is known."""
    parts = x.reshape(len(x), 3, 2, 16, 2, 16).mean((1, 3, 5)).reshape(len(x), 4) + 1e-6
    return np.log(parts / parts.sum(1, keepdims=True))


class Quadrants(nn.Module):
    """The same as a network of torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(x)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.unflatten(3, (2, 16)).unflatten(2, (2, 16)).mean((1, 3, 5)).flatten(1) + 1e-6
        return (parts / parts.sum(1, keepdim=True)).log()


@pytest.mark.parametrize("method", ALONE)
def test_a_function_of_arrays_has_the_maps_of_the_same_network(method: str) -> None:
    by_function = foveal.explain(quadrants, X, foveal.Class(1), method=method)
    by_network = foveal.explain(Quadrants().eval(), X, foveal.Class(1), method=method)
    torch.testing.assert_close(by_function.map, by_network.map, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(by_function.score, by_network.score)
    assert by_function.model == "quadrants"


def test_the_map_shows_the_planted_quadrant() -> None:
    M = foveal.explain(quadrants, X, foveal.Class(2), method="occlusion").map
    inside = M[:, 16:, :16].mean((1, 2))
    assert bool((inside > 0).all())
    assert bool((M[:, :16, 16:].mean((1, 2)) < 0).all())  # a darker other quadrant raises the share of this one


def test_a_function_of_tensors_is_given_tensors_after_it_refused_an_array() -> None:
    box = BlackBox(Quadrants().scores)
    torch.testing.assert_close(box(X), Quadrants()(X))
    assert box.takes == "tensors"
    assert BlackBox(quadrants)(X).dtype == torch.float32


def test_what_a_function_is_given_can_be_written_into() -> None:
    def rude(x: Any) -> Any:
        scores = quadrants(x)
        x[:] = 0
        return scores

    before = X.clone()
    torch.testing.assert_close(BlackBox(rude)(X), BlackBox(quadrants)(X))
    assert torch.equal(X, before)


def test_one_image_at_a_time_lists_and_records() -> None:
    def one(x: Any) -> Any:
        if len(x) > 1:
            raise ValueError("one image at a time")
        return [[float(score) for score in quadrants(x)[0]]]

    alone = foveal.explain(one, X[:1], foveal.Class(1), method="occlusion")
    torch.testing.assert_close(alone.map, foveal.explain(quadrants, X[:1], foveal.Class(1), method="occlusion").map)
    assert any("one image at a time" in note for note in alone.notes)
    torch.testing.assert_close(BlackBox(lambda x: {"logits": quadrants(x)})(X)["logits"], BlackBox(quadrants)(X))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_a_map_or_one_sentence(name: str) -> None:
    method, options = METHODS[name], {"rise": "rise:count=20"}
    if method.scores_alone and method.place == "input":
        assert foveal.explain(quadrants, X, foveal.Class(0), method=options.get(name, name)).map.shape == (2, 32, 32)
        return
    with pytest.raises(MethodError, match=r"scores alone, occlusion or rise") as caught:
        foveal.explain(quadrants, X, foveal.Class(0), method=name)
    assert str(caught.value).startswith(name)


def test_the_two_that_are_named_are_those_that_work() -> None:
    assert [name for name, m in METHODS.items() if m.scores_alone and m.place == "input"] == ["occlusion", "rise"]


def test_compare_leaves_out_what_does_not_apply() -> None:
    whys = foveal.compare(quadrants, X[:1], foveal.Class(0), methods=["occlusion", "rise:count=20"])
    assert [why.method for why in whys] == ["occlusion", "rise:count=20"]
    with pytest.raises(MethodError, match="scores alone"):
        foveal.compare(quadrants, X[:1], methods="fast")


def test_deletion_and_insertion_and_the_audit_work() -> None:
    table = foveal.measure(
        quadrants, X, foveal.Class(2), explanations=["occlusion"], metrics=["deletion", "insertion"],
        baseline_maps=["random"],
    )  # fmt: skip
    own, random = table.values["occlusion"], table.values["(random)"]
    assert all(a < b for a, b in zip(own["deletion"], random["deletion"], strict=True))
    assert all(a > b for a, b in zip(own["insertion"], random["insertion"], strict=True))
    tests = foveal.audit(quadrants, X, foveal.Class(2), explanations=["occlusion"], task="classes")
    assert "lowers the probability of class 2" in str(tests)


def test_the_same_seed_gives_the_same_map_and_progress_is_heard() -> None:
    heard: list[tuple[int, int]] = []
    one, two = (
        foveal.explain(
            quadrants, X[:1], foveal.Class(0), method="rise:count=40",
            progress=lambda what, done, total: heard.append((done, total)),
        ).map
        for _ in range(2)
    )  # fmt: skip
    assert torch.equal(one, two)
    assert heard[-1] == (40, 40)


def test_an_estimator_of_scikit_learn_takes_rows_and_names_its_classes() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    bright = np.where(x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2)), "top", "bottom")
    fitted = linear.LogisticRegression(C=100).fit(x.flatten(1).numpy(), bright)
    why = foveal.explain(fitted, x[:2], foveal.Class("top"), method="occlusion")
    assert why.target[0].startswith("top")
    assert why.map[:, :4].mean() > 0 > why.map[:, 4:].mean()
    expected = torch.from_numpy(fitted.predict_proba(x[:2].flatten(1).numpy())[:, 1]).float()
    torch.testing.assert_close(why.probability, expected)


def test_what_fails_is_one_sentence() -> None:
    def broken(x: Any) -> Any:
        raise ConnectionError("the service is away")

    with pytest.raises(FovealError, match="the service is away"):
        foveal.explain(broken, X, method="occlusion")
    with pytest.raises(ModelError, match="cannot give images to a function as 'lists'"):
        BlackBox(quadrants, takes="lists")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="a function that gives scores"):
        foveal.explain(3, X, method="occlusion")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="scores alone and has no stages"):
        foveal.stages(BlackBox(quadrants), X)


def test_a_function_in_a_file_is_explained_itself(tmp_path: Any) -> None:
    file = tmp_path / "service.py"
    file.write_text("def scores(x):\n    return x.mean((2, 3))\n\n\ndef made(seed=0):\n    return scores\n")
    for name in ("scores", "made"):
        model = foveal.load_model(f"{file}:{name}")
        assert isinstance(model.module, BlackBox)
        torch.testing.assert_close(model.module(X), X.mean((2, 3)))


def test_the_command_line_explains_a_function(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from PIL import Image

    from foveal.cli import main

    (tmp_path / "service.py").write_text("def scores(x):\n    return x[:, :, :16].mean((2, 3))\n")
    Image.fromarray((255 * X[0].permute(1, 2, 0).numpy()).astype(np.uint8)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    given = ["photo.png", "-m", "service.py:scores", "--preprocessing", "imagenet", "--input-size", "32"]
    monkeypatch.setattr("sys.argv", ["foveal", "explain", *given, "--method", "occlusion", "--out", "out"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None), capsys.readouterr().err
    assert [*(tmp_path / "out").rglob("*.png")]
