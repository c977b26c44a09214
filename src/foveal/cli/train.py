"""`foveal train …`"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder
from foveal.engine.numerals import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foveal.training.synthetic_recipe import Recipe
    from foveal.training.train_step import TrainStep


Images = Annotated[int | None, typer.Option("--images", min=64, metavar="N", help="Number of images to draw.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Number of epochs.")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="The random seed.")]

KEPT = ("*checkpoint.pt", "*/checkpoint.pt", "teacher/brnpa.safetensors", "best.toml")
"""From which an interrupted training or search goes on."""
PHASES = {
    "draw": "drawing images", "train": "training steps", "validate": "validating images", "test": "testing images",
}  # fmt: skip


@dataclass(frozen=True)
class RecipeOptions:
    """What the networks of the drawn world are trained with; each has its own defaults."""

    images: Images = None
    epochs: Epochs = None
    seed: Seed = None
    device: options.Device = None


@command
def demo(recipe: RecipeOptions, output: options.OutputOptions, work: OutputFolder) -> None:
    """Train the demo network again, on images drawn on the spot.

    After an interruption the same command continues from the last epoch.
    """
    from foveal.training.synthetic_classes import ClassesRecipe

    _train(ClassesRecipe(), recipe, output, work, "accuracy on the test images: {:.1%}")


@command
def embed(recipe: RecipeOptions, output: options.OutputOptions, work: OutputFolder) -> None:
    """Train an embedding network that recognizes drawn individuals by their marks.

    It is trained on sixty individuals and tested on thirty others: images of one camera are searched for in those of
    another. After an interruption the same command continues from the last epoch.
    """
    from foveal.training.synthetic_individuals import IndividualsRecipe

    _train(IndividualsRecipe(), recipe, output, work, "rank-1 accuracy on unknown individuals: {:.1%}")


@command
def contrastive(recipe: RecipeOptions, output: options.OutputOptions, work: OutputFolder) -> None:
    """Train a network without labels: two views of a bird are similar, other birds are not (SimCLR).

    It is tested by the vote of nearest neighbors. After an interruption the same command continues from the last epoch.
    """
    from foveal.training.synthetic_views import ViewsRecipe

    _train(ViewsRecipe(), recipe, output, work, "nearest-neighbor accuracy on the test images: {:.1%}")


@command
def fewshot(recipe: RecipeOptions, output: options.OutputOptions, work: OutputFolder) -> None:
    """Train a network that classifies by a few examples of each class (ProtoNet).

    It is trained on twenty species and tested on ten others, five at a time, with one example of each. After an
    interruption the same command continues from the last epoch.
    """
    from foveal.training.synthetic_episodes import EpisodesRecipe

    _train(EpisodesRecipe(), recipe, output, work, "accuracy on unknown species, 5-way 1-shot: {:.1%}")


@command
def parts(recipe: RecipeOptions, output: options.OutputOptions, work: OutputFolder) -> None:
    """Train a network that classifies drawn birds by ranked parts: a teacher first, then the student, which is kept.

    The options apply to both. After an interruption the same command continues where it stopped.
    """
    from foveal.training.synthetic_parts import train_parts

    work.goes_on(*KEPT)
    given = {name: value for name in ("images", "epochs", "seed") if (value := getattr(recipe, name)) is not None}
    accelerator, _, number = (recipe.device or "auto").partition(":")
    devices = f"{number}," if number else 1  # a list with one number, or one of any number
    accuracy = _moved(train_parts(output.out, accelerator=accelerator, devices=devices, **given))
    info(f"accuracy: {accuracy or 0:.1%}")
    _print_weights(output, "parts", accuracy)


def _moved(steps: Iterator[TrainStep]) -> float | None:
    """Follows a training with a progress bar; returns the last accuracy."""
    accuracy = None
    with progress("training steps") as move:
        for step in steps:
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy if step.accuracy is not None else accuracy
            move(PHASES[step.phase], step.done, step.total, loss)
    return accuracy


@command
def brnpa(
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FOLDER|synthetic", help="A folder per class, CUB-200-2011, or drawn birds."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", metavar="MODEL", help="timm:NAME, torchvision:NAME, demo.")
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option("--resolution", "-r", min=1, metavar="TIMES", help="Maps with a higher resolution: 2 or 4."),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="FILE", help="Weights of a low-resolution network.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, metavar="N", help="Number of parts.")] = None,
    epochs: Epochs = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Images per batch.")] = None,
    accumulate: Annotated[int | None, typer.Option("--accumulate", min=1, help="Batches per step.")] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Learning rate.")] = None,
    seed: Seed = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="A TOML file with all settings; options override it."),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other setting; may be repeated.")
    ] = None,
    accelerator: Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda, mps …")] = "auto",
    devices: Annotated[str, typer.Option("--devices", help="Number or names of devices: 1, 4, auto.")] = "1",
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Number of machines.")] = 1,
    strategy: Annotated[str, typer.Option("--strategy", help="Strategy for several processes: auto, ddp.")] = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that read images.")] = 0,
    search: Annotated[
        int, typer.Option("--search", min=0, metavar="TRIALS", help="Search for better settings instead (Optuna).")
    ] = 0,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
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
    First train a network at its own resolution, then one with a higher resolution that learns from it.
    DATA is FOLDER/CLASS/*.jpg, FOLDER/train/CLASS and FOLDER/test/CLASS, or an unpacked CUB-200-2011.

    A tenth of the training images is held out to choose the best epoch. After an interruption the same command
    continues where it stopped, with the same result. Writes brnpa.safetensors and its card, settings.toml, log.csv and
    accuracy.json; use the network with --model FOLDER/brnpa.safetensors.
    """
    work.goes_on(*KEPT)
    from foveal.training.brnpa import train
    from foveal.training.settings import changed, read_settings, usual

    given = {
        "backbone": backbone, "resolution": resolution, "teacher": str(teacher) if teacher else None, "count": count,
        "epochs": epochs, "batch": batch, "accumulate": accumulate, "rate": rate, "seed": seed,
    }  # fmt: skip
    read = read_settings(settings) if settings else {}
    origin = data or read.pop("data", "")
    if not origin:
        raise typer.BadParameter("there is no training data: give --data FOLDER, --data synthetic or --settings FILE")
    wanted = {key: value for key, value in given.items() if value is not None}
    chosen = changed(usual(origin, **read), {**dict(map(_setting, more or ())), **wanted})
    if search:
        _searched(chosen, search, workers, accelerator, output)
        return
    steps = train(
        chosen, output.out, accelerator=accelerator, devices=whole(devices) or devices, nodes=nodes, strategy=strategy,
        workers=workers,
    )  # fmt: skip
    accuracy = _moved(steps)
    if os.environ.get("LOCAL_RANK", "0") != "0" or os.environ.get("NODE_RANK", "0") != "0":
        return  # of several processes one speaks
    info(f"accuracy: {accuracy:.1%}" if accuracy is not None else "the training was finished already")
    _print_weights(output, "brnpa", accuracy)


def _searched(settings: Any, trials: int, workers: int, accelerator: str, output: options.OutputOptions) -> None:
    from foveal.training.search import BEST, Tried, search

    with progress("searching settings") as move:
        for step in search(settings, output.out, trials=trials, workers=workers, accelerator=accelerator):
            if isinstance(step, Tried):
                info(f"trial {step.number}: accuracy {step.accuracy:.1%} on the held-out images")
                move("searching settings", step.number + 1, trials, "")
            else:
                move(PHASES[step.phase], step.done, step.total, "")
    if output.json:
        print_json({"settings": str(output.out / BEST)})
    else:
        print_lines(output.out / BEST)


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as TOML has it; what is no TOML is a string."""
    import tomllib

    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"write a setting as NAME=VALUE, not as {text!r}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return name.strip(), value.strip()


@command
def shortcut(
    recipe: RecipeOptions,
    control: Annotated[bool, typer.Option("--control", help="Train with random backgrounds, for comparison.")] = False,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Train a network to use a shortcut: in its images the background reveals the class.

    `foveal shortcuts` should find it. It is tested on images with random backgrounds. After an interruption the same
    command continues from the last epoch.
    """
    from foveal.training.synthetic_shortcut import ShortcutRecipe

    _train(ShortcutRecipe(control=control), recipe, output, work, "accuracy on the test images: {:.1%}")


def _train(
    recipe: Recipe, wanted: RecipeOptions, output: options.OutputOptions, work: OutputFolder, words: str
) -> None:
    """Train a network of the drawn world; tells its accuracy in these words, and the path of its weights."""
    work.goes_on(*KEPT)
    from foveal.training.synthetic_recipe import train

    given: dict[str, Any] = {
        name: value for name in ("images", "epochs", "seed") if (value := getattr(wanted, name)) is not None
    }
    accuracy = 0.0
    with progress("training steps") as move:
        for step in train(recipe, output.out, settings=replace(recipe.usual, **given), device=wanted.device):
            if step.note:
                info(f"note: {step.note}")
            loss = f"loss {step.loss:.3f}" if step.loss is not None else ""
            accuracy = step.accuracy or accuracy
            move(PHASES[step.phase], step.done, step.total, loss)
    info(words.format(accuracy))
    _print_weights(output, recipe.name, accuracy)


def _print_weights(output: options.OutputOptions, name: str, accuracy: float | None) -> None:
    weights = output.out / f"{name}.safetensors"
    if output.json:
        print_json({"weights": str(weights), "accuracy": accuracy})
    else:
        print_lines(weights)
