"""`foveal layers`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_table, busy
from foveal.cli.errors import reported


@reported
def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False, help=options.MODEL_HELP)],
    photo: Annotated[
        Path | None,
        typer.Argument(metavar="[PHOTO]", show_default=False, help="A photo to run it on; noise if left out."),
    ] = None,
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    json: options.Json = False,
) -> None:
    """The stages of a network: what can follow --layer.

    A stage is the last map at its resolution that the whole decision passes through. --layer also takes any other
    module by name, and wildcards.

    \b
      foveal layers timm:resnet50
      foveal layers net.py:shells --preprocessing imagenet
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=None,
        preprocessing=preprocessing,
        task=task,
        device=None,
    )
    with busy(f"tracing {model}"):
        from foveal.api.explain import stages

        found = stages(network, photo)
    if json:
        answer_json([{"number": number, **asdict(stage)} for number, stage in enumerate(found, 1)])
        return
    rows = [
        (
            number,
            stage.name,
            "×".join(map(str, stage.shape)),
            "×".join(f"{step:g}" for step in dict.fromkeys(stage.stride)),
            "×".join(map(str, dict.fromkeys(stage.receptive_field))) + ("" if stage.local else " and the whole image"),
            "≥ 0" if stage.sign == "nonnegative" else "signed",
        )
        for number, stage in enumerate(found, 1)
    ]
    answer_table(rows, head=("stage", "layer", "channels×h×w", "pixels a cell", "a cell sees", "values"))
