"""`foveal train …`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.options import Device
from foveal.cli.reported import reported
from foveal.cli.talk import progress, say


@reported
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where demo.safetensors goes.")] = Path(
        "demo"
    ),
    images: Annotated[int | None, typer.Option(min=64, help="Pictures to draw and train on.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over them.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another network.")] = None,
    device: Device = None,
) -> None:
    """Train the demo network again, from pictures drawn on the spot.

    A run that was interrupted goes on from its last epoch when started again with the same settings.
    """
    from dataclasses import replace

    from foveal.world.recipe import Settings, train_demo

    usual = Settings()
    settings = replace(
        usual,
        images=usual.images if images is None else images,
        epochs=usual.epochs if epochs is None else epochs,
        seed=usual.seed if seed is None else seed,
    )
    accuracy = None
    with progress("starting") as move:
        for step in train_demo(out, settings=settings, device=device):
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy
            move(step.phase, step.done, step.total, loss)
    if accuracy is not None:
        say(f"right on {accuracy:.1%} of the test pictures")
    typer.echo(out / "demo.safetensors")
