"""The notes below a figure name what they are about, and leave out advice for the keyboard."""

from __future__ import annotations

import torch

from foveal.render.figure_notes import figure_notes
from foveal.targets.heads import read_head
from tests.results.test_explanation import explanation

ALL = "photo: reduced 16 times"


def one(photo: int, method: str, *notes: str) -> object:
    return explanation(method=method, notes=notes)[photo]


def test_a_note_of_all_is_told_once() -> None:
    rows = [((one(k, "gradcam", ALL), one(k, "lrp-gamma", ALL)), 0) for k in (0, 1)]
    assert figure_notes(rows, []) == ["Photo: reduced 16 times."]  # type: ignore[arg-type]


def test_notes_that_differ_in_numbers_name_the_photo_and_the_method() -> None:
    rows = [((one(k, "gradcam"), one(k, "lrp-gamma", f"relevance sums to -{k}.5 of 3")), 0) for k in (0, 1)]
    (said,) = figure_notes(rows, [])  # type: ignore[arg-type]
    name = rows[0][0][0].photos[0].source.rpartition("/")[2]  # type: ignore[attr-defined]
    assert said == f"Relevance sums to −0.5 of 3 (lrp-gamma, {name}; with other numbers for 1 more)."


def test_advice_is_left_out() -> None:
    (note,) = read_head(torch.zeros(1, 1)).notes(("healthy", "pneumonia"))
    assert "task=" in note
    (said,) = figure_notes([((one(0, "gradcam", note),), 0)], [])  # type: ignore[list-item]
    assert said == (
        "What the network's one number means is not known, so no probability is given; it was read as a logit, "
        "pneumonia where it is above 0 and healthy below."
    )
