"""The tables of the page, what it says around them, and how it was made."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import torch

from foveal._version import __version__
from foveal.demo.tables import TITLES, agreement_table, hits_table
from foveal.demo.truth import TruthMeasurements
from foveal.models import Model
from foveal.report.answers.measured import MeasuredAnswer, MeasuredTable, Said

CAVEATS = [
    "A map shows what the decision is sensitive to at one layer, not what the network has understood.",
    "Each map has its own color scale: compare positions within a map, not brightness between maps.",
    "A map of a coarse layer has large cells; details within one cell cannot be distinguished.",
    "Eigen-CAM ignores the decision: it shows what the layer responds to most, for every class the same.",
    "These scores are for this network and these drawings. For another network another method may be best.",
]
TERMS = {
    "margin": "the logit of one class minus the logit of another: why this and not that",
    "true effect": "how much the score falls when a part is taken out of the scene and nothing else changes",
    "hit": "the part with the highest mean positive evidence is the part in which the siblings differ",
    "stage": "the last layer at one resolution that the whole decision passes through",
}


def measured_answer(
    model: Model, evidence: TruthMeasurements, *, seconds: float, seed: int, command: str
) -> MeasuredAnswer:
    """The finding in numbers, the tables, how to read them, and how the page was made.

    Args:
        model: the network that was explained.
        evidence: what was measured on scenes with known truth; there are no tables where that is nothing yet.
        seconds: what all of it took.
        seed: of the scenes.
        command: the command line that makes the page again.
    """
    scored = bool(evidence.correct and evidence.largest)
    made = f"foveal {__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    weights = sum(p.numel() for p in model.module.parameters())
    provenance = {
        "command": command,
        "model": f"{model.name}, {weights:,} weights",
        "seed": str(seed),
        "made with": made,
        "time": f"{seconds:.0f} seconds",
    }
    return MeasuredAnswer(
        title="Which method points at the part that decides?",
        intro=(
            "Eight drawn birds, a small network that classifies twenty species, and foveal's fast methods. "
            "Because the birds are drawn, the truth is known: each species has a sibling that differs in one part, and "
            "the effect of every part was measured by drawing the same scene again without it."
            + ("" if scored else " The scores of the methods are missing: they had not been measured yet.")
        ),
        highlights=_highlights(evidence) if scored else [],
        tables=_tables(evidence) if scored else [],
        caveats=CAVEATS,
        terms=[Said(what=word, says=meaning) for word, meaning in TERMS.items()],
        provenance=[Said(what=what, says=value) for what, value in provenance.items()],
    )


def _highlights(evidence: TruthMeasurements) -> list[Said]:
    """The finding in three numbers."""
    best = max(evidence.hits, key=lambda key: np.mean(evidence.hits[key]))
    numbers = {
        f"of {len(evidence.correct)} newly drawn birds classified correctly": evidence.correct,
        f"of {len(evidence.largest)} scenes: removing the part in which siblings differ matters most": evidence.largest,
        f"of {len(evidence.hits[best])} margins: the best method ({_named(best)}) points at that part": (
            evidence.hits[best]
        ),
    }
    return [Said(what=_percent(hits), says=says) for says, hits in numbers.items()]


def _tables(evidence: TruthMeasurements) -> list[MeasuredTable]:
    layers = [layer for name, layer in evidence.hits if name == "gradcam"]
    return [hits_table(evidence, layers), agreement_table(evidence, layers[-1])]


def _named(key: tuple[str, str]) -> str:
    name, layer = key
    return f"{TITLES.get(name, name)} at {layer}" if layer else name


def _percent(hits: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(hits)):.1f} %"
