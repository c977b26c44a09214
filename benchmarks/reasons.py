"""Planted shortcuts found by the reasons of decisions, and false alarms on classes without one.

    nice python -m benchmarks.reasons -o cache/            # draws and trains what is not in the folder yet

Five cues (`benchmarks.reasons_world`), each in 35 % or 15 % of one species' pictures, in networks that have learned
from such pictures; ten species of the control have none. "uses": by how much the cue, put into pictures of other
species, raises the probability of its species; below 0.05 the network has no shortcut there, whatever was planted.
A class is found if one of its groups is flagged. Beside it the published recipe (Lapuschkin et al., 2019): LRP maps of
the input on a small grid, spectral clustering, as many clusters as the largest eigengap says; that work flags
by eye. As a rule here: a class is flagged if there is more than one cluster, and one is a minority with a silhouette
of at least 0.25.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

import foveal
from benchmarks.reasons_world import SHARES, SPECIES, cue_effects, cue_of, drawn, network, planted, written
from foveal.models import Model
from foveal.runs import grouping
from foveal.runs.group_effect import GroupEffect
from foveal.runs.group_reasons import GROUPS
from foveal.runs.reasons import SURE, Reasons
from foveal.runs.result import Run

USED = 0.05
SMALL, MEMBERS, APART = 0.5, 4, 0.25
"""What the published recipe flags: at most this share of a class, at least so many, with such a silhouette."""


def main(out: Annotated[Path, typer.Option("-o")], seed: int = 1) -> None:
    """The table of a seed."""
    torch.set_num_threads(1)
    print("| cue | share | uses | flagged | cue in the flagged group | hiding | appearance | spectral, of LRP maps |")
    print("|---|---|---|---|---|---|---|---|")
    hits, theirs, alarms, odd, their_alarms = [], [], [], [], []
    for strength in (*SHARES, None):
        model = network(out, seed, strength)
        found, has, spectral = looked_at(model, out, seed, strength)
        effects = cue_effects(model, out, seed) if strength else {}
        for species, name in enumerate(SPECIES):
            flags = [group for group in found.flagged if group.class_name == name]
            cue = cue_of(species, seed) if strength else None
            if cue is None:
                alarms.append(bool(flags))
                odd.append(any(group.odd for group in found.groups if group.class_name == name))
                their_alarms.append(name in spectral)
                continue
            assert strength
            _, before, after = effects[cue]
            hits.append((bool(flags), after - before >= USED))
            theirs.append(name in spectral)
            print("| " + " | ".join([
                cue, f"{SHARES[strength]:.0%}", f"{before:.2f} → {after:.2f}", "yes" if flags else "no",
                ", ".join(f"{sum(has[row] for row in g.rows)} of {len(g)}" for g in flags) or "–",
                "; ".join(measured(g.hiding) for g in flags) or "–",
                "; ".join(measured(g.appearance) for g in flags) or "–",
                "yes" if name in spectral else "no",
            ]) + " |", flush=True)  # fmt: skip
    print(f"\nclean classes with an odd group: {counts(odd)}")
    print("\n| | foveal.reasons | spectral, of LRP maps |\n|---|---|---|")
    used = [flagged for flagged, uses in hits if uses]
    rows = (
        ("planted, flagged", [flagged for flagged, _ in hits], theirs),
        ("planted and used, flagged", used, [their for their, (_, uses) in zip(theirs, hits, strict=True) if uses]),
        ("clean classes flagged", alarms, their_alarms),
    )
    for words, ours, others in rows:
        print(f"| {words} | {counts(ours)} | {counts(others)} |")


def measured(test: GroupEffect | None) -> str:
    """ "4.8, elsewhere 0.0 ± 0.2", in brackets where it may be chance."""
    if test is None:
        return "–"
    said = f"{test.effect:.1f}, elsewhere {test.chance:.1f} ± {test.spread:.1f}"
    return said if test.p < SURE else f"({said})"


def looked_at(model: Model, home: Path, seed: int, strength: str | None) -> tuple[Reasons, list[bool], set[str]]:
    """The reasons of decisions on pictures it has not seen, which of them have a cue, and what the recipe flags."""
    _, pictures = drawn(home, seed)
    shown, has = planted(pictures, seed, SHARES.get(strength or "", 0.0), key=1)
    photos = written(home / f"photos-{seed}-{strength or 'control'}", shown)
    place = home / f"run-{seed}-{strength or 'control'}"
    run = foveal.run(model, photos, out=place / "reasons", method="hirescam", contributions=True, batch=32)
    lrp = foveal.run(model, photos, out=place / "lrp", method="lrp-epsilon", batch=32)
    known = {f"{name}/{i:03d}.png": bool(has[k, i]) for k, name in enumerate(SPECIES) for i in range(has.shape[1])}
    return foveal.reasons(run, model), [known[uri] for uri in run["uri"]], published(lrp)


def published(run: Run) -> set[str]:
    """Classes that the published recipe flags."""
    flagged, maps = set(), run.maps().numpy()
    for name in SPECIES:
        own = run["predicted"] == name
        if own.sum() < 12:
            continue
        cells = grouping.cell_shares(maps[own], 10)
        which = grouping.spectral(cells, most=GROUPS)
        for k in np.unique(which):
            mine = which == k
            if MEMBERS <= mine.sum() <= SMALL * len(mine) and grouping.apart(cells, mine) >= APART:
                flagged.add(name)
    return flagged


def counts(flags: list[bool]) -> str:
    """ "9 of 10 (0.60 to 0.98)": Wilson's interval at 95 %."""
    n, k, z = len(flags), sum(flags), 1.96
    middle, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * (k * (n - k) / n + z * z / 4) ** 0.5
    return f"{k} of {n} ({max(0.0, middle - half):.2f} to {min(1.0, middle + half):.2f})"


if __name__ == "__main__":
    typer.run(main)
