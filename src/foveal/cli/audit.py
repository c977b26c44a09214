"""`foveal audit`"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.choices import one_of
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.pictures import pictures
from foveal.storage.atomic import write_text

FILLS = ("impute", "mean", "blur", "zero", "noise", "black")


@command
def audit(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: options.Methods = None,
    layer: options.Layer = None,
    area: Annotated[
        float | None,
        typer.Option(
            "--area", min=0, max=1, metavar="SHARE",
            help="Share of the image to hide. Default: the smallest that holds half of the evidence.",
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=2, metavar="N", help="Number of random areas hidden for comparison.")
    ] = 12,
    fill: Annotated[
        str,
        typer.Option(
            "--fill", metavar="WHAT", help="Fill hidden areas with: impute (from the surroundings), mean, blur, zero, "
            "noise or black.", callback=one_of(*FILLS),
        ),
    ] = "impute",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the random areas.")] = 0,
    *,
    output: options.OutputOptions,
) -> None:  # fmt: skip
    """Deletion test: hide the area that a map marks, and equal areas elsewhere, and compare the scores.

    \b
      foveal audit bird.jpg -m demo
      foveal audit photos/ -m timm:resnet50 --method gradcam --method hirescam
      foveal audit bird.jpg -m timm:resnet50 --target "jay - crow" --area 0.1

    A sentence for each photo and method: "hiding what this map marks (11 % of the image) lowers the probability of
    jay (17) by 62 %; hiding an equal area at random, by 8 ± 3 %". --target as in `foveal explain`. For curves,
    intervals and many metrics see `foveal measure`.

    The folder gets audit.json with every number. Prints its path.
    """
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.images import pictures_in

    target = question.resolve(network, each_label=True)
    files = pictures_in(photos)
    rows: list[dict[str, Any]] = []
    with pictures(network, json=output.json) as read, progress("auditing photos") as move:
        for i, batch in read.one_by_one(files):
            tests = audited(
                network, batch, target, explanations=method or ["gradcam"], area=area, draws=draws, layer=layer,
                seed=seed, fill=fill, progress=move,  # type: ignore[arg-type]
            )  # fmt: skip
            info(*(f"{files[i].name}, {test.method}: {test.summary}" for test in tests))
            info(*(f"{files[i].name}: note: {note}" for note in tests.notes))
            rows += [{"photo": str(files[i]), **test.to_dict(), "notes": list(tests.notes)} for test in tests]
            move("auditing photos", i + 1, len(files), files[i].name)
        read.need(rows)
        table = output.out / "audit.json"
        write_text(table, json.dumps(rows, indent=1) + "\n")
        if output.json:
            print_json([*rows, *read.failures()])
        else:
            print_lines(table)
