"""What tables of scores say: bold where a test decides, stars for methods, and where a baseline map wins."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.errors import MissingExtra
from foveal.metrics.paired import LEVEL
from foveal.results.scores import Scores


def scores(values: Mapping[str, Mapping[str, Any]], n: int, of: str = "probability of the class") -> Scores:
    given = {name: {m: tuple(map(float, v)) for m, v in by_metric.items()} for name, by_metric in values.items()}
    baseline_maps = tuple(name for name in given if name.startswith("("))
    pictures = tuple(f"{i}.png" for i in range(n))
    return Scores(given, pictures, ("jay",) * n, (0.5,) * n, of, baseline_maps, "net_1")


def apart(n: int, **shifts: float) -> Scores:
    """Methods that differ by so much in deletion, on every image; "edges" stands for "(edges)"."""
    base = np.linspace(0.2, 0.4, n)
    noise = np.random.default_rng(0).normal(0, 0.001, (len(shifts), n))
    names = {"edges": "(edges)", "random": "(random)"}
    return scores(
        {
            names.get(name, name): {"deletion": base + shift + own, "gini": base + own}
            for (name, shift), own in zip(shifts.items(), noise, strict=True)
        },
        n,
    )


@given(st.integers(1, 5), st.integers(2, 6), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_nothing_is_bold_below_six_images(n: int, methods: int, random: Any) -> None:
    found = scores({f"m{k}": {"deletion": [k + random.random() / 9 for _ in range(n)]} for k in range(methods)}, n)
    assert found.not_worse("deletion") == ()
    for text in (found.to_markdown(pairs=True), found.to_html(pairs=True), found.to_latex(pairs=True)):
        assert not any(mark in text for mark in ("**", "<b>", "textbf"))
        assert ("Too few images for a test (n" in text) == (n > 1)
    assert all(pair.p_holm >= LEVEL for pair in found.pairwise())


def test_bold_is_the_best_method_and_what_is_not_significantly_worse() -> None:
    found = apart(20, a=0.0, b=0.0002, c=0.1, random=0.2)
    assert set(found.not_worse("deletion")) == {"a", "b"} and found.not_worse("gini") == ()
    assert set(found.significance("deletion")) == {*found.methods} - {found.best("deletion")}
    text = found.to_markdown(by="deletion")
    bold = [line.split("`")[1] for line in text.splitlines() if "**" in line]
    assert set(bold) == {"a", "b"} and "Holm-corrected for 3 comparisons" in text
    rows = [line.split("|")[1].strip(" `") for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows[2:] == ["c", "(random)"] and text.startswith("### net\\_1: 20 images")
    assert "No bold" in apart(20, a=0.0, b=0.0).to_markdown()


def test_the_fewest_images_grow_with_the_number_of_comparisons() -> None:
    two, many = apart(6, a=0.0, b=0.5), apart(6, a=0.0, b=0.5, c=0.6, d=0.7, edges=0.8)
    assert two.not_worse("deletion") == ("a",) and "n = 6" not in two.to_markdown()
    assert many.not_worse("deletion") == () and "(n = 6): with 4 comparisons" in many.to_markdown()
    assert "at least 8 images" in many.to_markdown()


def test_stars_are_for_methods_and_a_mark_says_where_a_baseline_map_wins() -> None:
    won = apart(4, a=0.1, b=0.2, edges=0.0)
    line = next(line for line in str(won).splitlines() if "deletion" in line)
    assert line.count("*") == 1 and line.split("*")[0].count("±") == 1 and line.rstrip().endswith("†")
    assert won.best("deletion") == "a" and won.ahead("deletion") == ("(edges)",)
    told = "† (edges) has a better mean than every method here: deletion."
    assert told in str(won) and told in won.to_html() and "$\\dagger$ (edges) has" in won.to_latex()
    assert "too few images for a test (n = 4, 7 needed)" in str(won)
    for without in (apart(2, a=0.1, b=0.2), apart(9, a=0.1, edges=0.2), apart(9, a=0.1)):
        assert "*" not in str(without) and "†" not in str(without)
    equal = scores({"a": {"deletion": [0.1] * 4}, "b": {"deletion": [0.1] * 4}, "c": {"deletion": [0.2] * 4}}, 4)
    assert next(line for line in str(equal).splitlines() if "deletion" in line).count("*") == 2


def test_all_numbers_of_a_column_have_the_same_decimals() -> None:
    found = scores({"a": {"infidelity": [3.14159], "sparsity": [412.3], "deletion": [0.5]},
                    "b": {"infidelity": [0.00123], "sparsity": [2.0], "deletion": [math.nan]}}, 1)  # fmt: skip
    text = found.to_markdown()
    assert "| 3.14 | 412 | 0.500 |" in text and "| 0.00 | 2 | – |" in text
    assert "–: the metric is undefined for every image." in text
    assert "without arrow: a property of the map" in text and "deletion: area under the score" in text


def test_undefined_images_are_counted() -> None:
    found = scores({"a": {"deletion": [0.1, math.nan, 0.3]}, "b": {"deletion": [0.1, 0.2, 0.3]}}, 3)
    assert "(1?)" in found.to_markdown() and "(3?): the metric is undefined for 3 images" in found.to_markdown()
    (pair,) = found.pairwise("deletion")
    assert pair.n == 2 and found.to_dict()["means"]["a"]["deletion"]["undefined"] == 1


def test_pairs_are_those_of_methods_and_all_are_in_json() -> None:
    found = apart(12, a=0.0, b=0.1, c=0.2, random=0.3)
    pairs = found.to_dict()["pairwise"]
    assert {(pair["a"], pair["b"]) for pair in pairs} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert len(pairs) == 3 * len(found.metrics)
    text = found.to_markdown(["deletion"], pairs=True)
    assert "| a, b | deletion ↓ | 12 | −0." in text and "100 %" in text and "**\\< 0.001**" not in text
    assert text.count("| deletion ↓ |") == 3 + 1 and "gini" not in text
    assert "tests of all pairs" not in apart(12, a=0.0, random=0.1).to_markdown(pairs=True)


def test_pandas_or_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    found = apart(3, a=0.0, random=0.1)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pandas", None)
        with pytest.raises(MissingExtra, match=r"pip install 'foveal\[pandas\]'.*to_csv"):
            found.to_pandas()
    pandas = pytest.importorskip("pandas")
    frame = found.to_pandas()
    assert list(frame.columns) == ["picture", "target", "score", "method", *found.metrics] and len(frame) == 6
    assert frame[frame.method == "a"].deletion.tolist() == list(found.values["a"]["deletion"])
    assert len(pandas.DataFrame(map(vars, apart(3, a=0.0, b=0.1).pairwise()))) == 2
