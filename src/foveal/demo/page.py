"""The page: what it says at its head, its sections, its tables, and how it was made."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import torch

from foveal._version import __version__
from foveal.demo.tables import TITLES, agreement_table, hits_table
from foveal.demo.truth import TruthMeasurements
from foveal.models import Model
from foveal.report.report import Report, Section, Table


def report(
    model: Model, sections: Sequence[Section], evidence: TruthMeasurements, *, seconds: float, seed: int, command: str
) -> Report:
    """The page of the demonstration: the finding in numbers, sections of examples, tables, and how it was made.

    Args:
        model: the network that was explained.
        sections: the examples, in order.
        evidence: what was measured on scenes with known truth; the page has no scores where that is nothing yet.
        seconds: what all of it took.
        seed: of the scenes.
        command: the command line that makes the page again.
    """
    scored = bool(evidence.correct and evidence.largest)
    return Report(
        title="Why did the network look there?",
        intro=(
            "Eight drawn birds, a small network that classifies twenty species, and foveal's methods, except those "
            "that need a thousand forward passes or another library. "
            "Because the birds are drawn, the truth is known: each species has a sibling that differs in one part, and "
            "the effect of every part was measured by drawing the same scene again without it."
            + ("" if scored else " The scores of the methods are missing: they had not been measured yet.")
        ),
        highlights=_highlights(evidence) if scored else (),
        sections=tuple(sections),
        tables=_tables(evidence) if scored else (),
        caveats=(
            "A map shows what the decision is sensitive to at one layer, not what the network has understood.",
            "Each map has its own color scale: compare positions within a map, not brightness between maps.",
            "A map of a coarse layer has large cells; details within one cell cannot be distinguished.",
            "Eigen-CAM ignores the decision: it shows what the layer responds to most, for every class the same.",
            "These scores are for this network and these drawings. For another network another method may be best.",
        ),
        terms=(
            ("margin", "the logit of one class minus the logit of another: why this and not that"),
            ("true effect", "how much the score falls when a part is taken out of the scene and nothing else changes"),
            ("hit", "the part with the highest mean positive evidence is the part in which the siblings differ"),
            ("stage", "the last layer at one resolution that the whole decision passes through"),
        ),
        provenance=(
            ("command", command),
            ("model", f"{model.name}, {sum(p.numel() for p in model.module.parameters()):,} weights"),
            ("seed", str(seed)),
            (
                "made with",
                f"foveal {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
            ),
            ("time", f"{seconds:.0f} seconds"),
        ),
    )


def _highlights(evidence: TruthMeasurements) -> tuple[tuple[str, str], ...]:
    """The finding in three numbers."""
    best = max(evidence.hits, key=lambda key: np.mean(evidence.hits[key]))
    return (
        (_percent(evidence.correct), f"of {len(evidence.correct)} newly drawn birds classified correctly"),
        (
            _percent(evidence.largest),
            f"of {len(evidence.largest)} scenes: removing the part in which siblings differ matters most",
        ),
        (
            _percent(evidence.hits[best]),
            f"of {len(evidence.hits[best])} margins: the best method ({_named(best)}) points at that part",
        ),
    )


def _tables(evidence: TruthMeasurements) -> tuple[Table, ...]:
    layers = [layer for name, layer in evidence.hits if name == "gradcam"]
    return hits_table(evidence, layers), agreement_table(evidence, layers[-1])


def _named(key: tuple[str, str]) -> str:
    name, layer = key
    return f"{TITLES.get(name, name)} at {layer}" if layer else name


def _percent(hits: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(hits)):.1f} %"
