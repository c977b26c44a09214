"""`foveal train …`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.command import command
from foveal.cli.console import info, print_lines, progress
from foveal.cli.options import Device
from foveal.engine.numerals import whole

if TYPE_CHECKING:
    from foveal.training.synthetic_recipe import Recipe


Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where weights and card go.")]
Images = Annotated[int | None, typer.Option(min=64, help="Pictures to draw and train on.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over them.")]
Seed = Annotated[int | None, typer.Option(help="Another seed, another network.")]


@command
def demo(
    out: Out = Path("demo"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train the demo network again, from pictures drawn on the spot.

    A run that was interrupted goes on from its last epoch when started again with the same settings.
    """
    from foveal.training.synthetic_classes import ClassesRecipe

    accuracy = _trained(ClassesRecipe(), out, device, images=images, epochs=epochs, seed=seed)
    info(f"right on {accuracy:.1%} of the test pictures")


@command
def embed(
    out: Out = Path("embed"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train an embedding network that recognizes drawn individuals by their marks.

    It learns from sixty individuals and is examined on thirty others: before one camera, looked for among
    those before the other. A run that was interrupted goes on from its last epoch.
    """
    from foveal.training.synthetic_individuals import IndividualsRecipe

    accuracy = _trained(IndividualsRecipe(), out, device, images=images, epochs=epochs, seed=seed)
    info(f"{accuracy:.1%} of unknown individuals found at rank 1")


@command
def contrastive(
    out: Out = Path("contrastive"), images: Images = None, epochs: Epochs = None, seed: Seed = None,
    device: Device = None,
) -> None:  # fmt: skip
    """Train a network without labels: two views of a bird are alike, all other birds are not (SimCLR).

    It is examined by the vote of nearest neighbors, on classes it was never told of. A run that was
    interrupted goes on from its last epoch.
    """
    from foveal.training.synthetic_views import ViewsRecipe

    accuracy = _trained(ViewsRecipe(), out, device, images=images, epochs=epochs, seed=seed)
    info(f"neighbors vote for the right class in {accuracy:.1%} of the test pictures")


@command
def fewshot(
    out: Out = Path("fewshot"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None
) -> None:
    """Train a network to tell classes apart by a few examples of each (ProtoNet).

    It learns from twenty species and is examined on ten others, five at a time, with one example each. A run
    that was interrupted goes on from its last epoch.
    """
    from foveal.training.synthetic_episodes import EpisodesRecipe

    accuracy = _trained(EpisodesRecipe(), out, device, images=images, epochs=epochs, seed=seed)
    info(f"{accuracy:.1%} of pictures of unknown species named rightly, five ways, one shot")


@command
def brnpa(
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FOLDER|synthetic", help="A folder a class, CUB-200-2011, or drawn birds."),
    ] = None,
    out: Out = Path("brnpa"),
    backbone: Annotated[
        str | None, typer.Option("--backbone", metavar="MODEL", help="timm:NAME, torchvision:NAME, demo.")
    ] = None,
    resolution: Annotated[
        int | None, typer.Option("--resolution", "-r", min=1, metavar="TIMES", help="Finer maps: 2 or 4.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="FILE", help="Weights of a low-resolution network.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, metavar="N", help="How many parts.")] = None,
    epochs: Epochs = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Pictures at once.")] = None,
    accumulate: Annotated[int | None, typer.Option("--accumulate", min=1, help="Batches a step.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Learning rate.")] = None,
    seed: Seed = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE", help="All settings, as TOML; options win over it.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; may be repeated.")
    ] = None,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda, mps …")] = "auto",
    devices: Annotated[str, typer.Option("--devices", help="How many, or which: 1, 4, auto.")] = "1",
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines.")] = 1,
    strategy: Annotated[str, typer.Option("--strategy", help="Of several processes: auto, ddp.")] = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that read pictures.")] = 0,
    search: Annotated[
        int, typer.Option("--search", min=0, metavar="TRIALS", help="Look for better settings first (Optuna).")
    ] = 0,
) -> None:
    """Train a network that decides by ranked parts (BR-NPA).

    \b
      foveal train brnpa --data birds/ --backbone timm:resnet50 -o low
      foveal train brnpa --settings low/settings.toml --resolution 4 \\
          --teacher low/brnpa.safetensors -o high
      foveal train brnpa --data birds/ --search 25 -o tried
      foveal train brnpa --settings tried/best.toml -o best
      foveal train brnpa --data synthetic -o drawn

    \b
    First a network at its own resolution, then one with finer maps that learns from it.
    DATA is FOLDER/CLASS/*.jpg, FOLDER/train/CLASS and FOLDER/test/CLASS, or an unpacked CUB-200-2011.

    A tenth of the training pictures is held out to choose the best epoch. A run that was killed goes on where it was
    when started again with the same settings, and ends the same. Leaves brnpa.safetensors and its card, settings.toml,
    log.csv and accuracy.json; use the result with --model OUT/brnpa.safetensors.
    """
    from foveal.training.brnpa import train
    from foveal.training.settings import changed, read_settings, usual

    given = {
        "backbone": backbone, "resolution": resolution, "teacher": str(teacher) if teacher else None, "count": count,
        "epochs": epochs, "batch": batch, "accumulate": accumulate, "rate": rate, "seed": seed,
    }  # fmt: skip
    read = read_settings(settings) if settings else {}
    origin = data or read.pop("data", "")
    if not origin:
        raise typer.BadParameter("say what to learn from: --data FOLDER, --data synthetic, or --settings FILE")
    wanted = {key: value for key, value in given.items() if value is not None}
    chosen = changed(usual(origin, **read), {**dict(map(_setting, more or ())), **wanted})
    if search:
        _searched(chosen, out, search, workers, accelerator)
        return
    accuracy = None
    with progress("starting") as move:
        for step in train(
            chosen, out, accelerator=accelerator, devices=whole(devices) or devices,
            nodes=nodes, strategy=strategy, workers=workers,
        ):  # fmt: skip
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy if step.accuracy is not None else accuracy
            move(step.phase, step.done, step.total, loss)
    if os.environ.get("LOCAL_RANK", "0") != "0" or os.environ.get("NODE_RANK", "0") != "0":
        return  # of several processes one speaks
    info(f"right on {accuracy:.1%}" if accuracy is not None else "nothing was left to be done")
    print_lines(out / "brnpa.safetensors")


def _searched(settings: Any, out: Path, trials: int, workers: int, accelerator: str) -> None:
    from foveal.training.search import BEST, Tried, search

    with progress("starting") as move:
        for step in search(settings, out, trials=trials, workers=workers, accelerator=accelerator):
            if isinstance(step, Tried):
                info(f"trial {step.number}: {step.accuracy:.1%} of the held-out pictures")
                move("search", step.number + 1, trials, "")
            else:
                move(step.phase, step.done, step.total, "")
    print_lines(out / BEST)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as TOML has it; what is no TOML is a string."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"write a setting as NAME=VALUE, not {text!r}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return name.strip(), value.strip()


@command
def shortcut(
    out: Out = Path("shortcut"), images: Images = None, epochs: Epochs = None, seed: Seed = None, device: Device = None,
    control: Annotated[
        bool, typer.Option("--control", help="The same on backgrounds that say nothing, to compare with.")
    ] = False,
) -> None:  # fmt: skip
    """Train a network that is led astray: in its pictures the background gives the class away.

    `foveal shortcuts` must find that out. It is examined where backgrounds say nothing. A run that was interrupted goes
    on from its last epoch.
    """
    from foveal.training.synthetic_shortcut import ShortcutRecipe

    accuracy = _trained(ShortcutRecipe(control=control), out, device, images=images, epochs=epochs, seed=seed)
    info(f"right on {accuracy:.1%} of the test pictures")


def _trained(recipe: Recipe, out: Path, device: str | None, **wanted: int | None) -> float:
    """The accuracy of a network trained with these settings; the path of its weights is the answer."""
    from dataclasses import replace

    from foveal.training.synthetic_recipe import train

    given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    settings = replace(recipe.usual, **given)
    accuracy = 0.0
    with progress("starting") as move:
        for step in train(recipe, out, settings=settings, device=device):
            if step.note:
                info(f"note: {step.note}")
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy or accuracy
            move(step.phase, step.done, step.total, loss)
    print_lines(out / f"{recipe.name}.safetensors")
    return accuracy
