"""`foveal train …`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.options import Device
from foveal.cli.reported import reported
from foveal.cli.talk import progress, say

if TYPE_CHECKING:
    from foveal.world.recipe import Course


Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where weights and card go.")]
Images = Annotated[int | None, typer.Option(min=64, help="Pictures to draw and train on.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over them.")]
Seed = Annotated[int | None, typer.Option(help="Another seed, another network.")]


@reported
def demo(
    out: Out = Path("demo"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train the demo network again, from pictures drawn on the spot.

    A run that was interrupted goes on from its last epoch when started again with the same settings.
    """
    from foveal.world.learn_species import SpeciesCourse

    accuracy = _trained(SpeciesCourse(), out, device, images=images, epochs=epochs, seed=seed)
    say(f"right on {accuracy:.1%} of the test pictures")


@reported
def embed(
    out: Out = Path("embed"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train an embedding network that recognises drawn individuals by their marks.

    It learns from sixty individuals and is examined on thirty others: before one camera, looked for among
    those before the other. A run that was interrupted goes on from its last epoch.
    """
    from foveal.world.learn_individuals import IndividualsCourse

    accuracy = _trained(IndividualsCourse(), out, device, images=images, epochs=epochs, seed=seed)
    say(f"{accuracy:.1%} of unknown individuals found at rank 1")


@reported
def contrastive(
    out: Out = Path("contrastive"), images: Images = None, epochs: Epochs = None, seed: Seed = None,
    device: Device = None,
) -> None:  # fmt: skip
    """Train a network without labels: two views of a bird are alike, all other birds are not (SimCLR).

    It is examined by the vote of nearest neighbours, on species it was never told of. A run that was
    interrupted goes on from its last epoch.
    """
    from foveal.world.learn_views import ViewsCourse

    accuracy = _trained(ViewsCourse(), out, device, images=images, epochs=epochs, seed=seed)
    say(f"neighbours vote for the right species in {accuracy:.1%} of the test pictures")


@reported
def fewshot(
    out: Out = Path("fewshot"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train a network to tell classes apart by a few examples of each (ProtoNet).

    It learns from twenty species and is examined on ten others, five at a time, with one example each. A run
    that was interrupted goes on from its last epoch.
    """
    from foveal.world.learn_episodes import EpisodesCourse

    accuracy = _trained(EpisodesCourse(), out, device, images=images, epochs=epochs, seed=seed)
    say(f"{accuracy:.1%} of pictures of unknown species named rightly, five ways, one shot")


def _trained(course: Course, out: Path, device: str | None, **wanted: int | None) -> float:
    """The accuracy of a network trained with these settings; the path of its weights is the answer."""
    from dataclasses import replace

    from foveal.world.recipe import train

    given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    settings = replace(course.usual, **given)
    accuracy = 0.0
    with progress("starting") as move:
        for step in train(course, out, settings=settings, device=device):
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy or accuracy
            move(step.phase, step.done, step.total, loss)
    typer.echo(out / f"{course.name}.safetensors")
    return accuracy
