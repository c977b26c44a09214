"""The commands together. `--help` and `--version` import neither torch nor anything else that is slow."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from foveal._version import __version__
from foveal.cli import (
    benchmark,
    compare,
    decompose,
    demo,
    errors,
    explain,
    flow,
    match,
    measure,
    methods,
    models,
    parts,
    sanity,
    shortcuts,
    stages,
    train,
    visualize,
)

ABOUT = """Why did the network look there?

foveal shows which evidence a convolutional network used for a decision, drawn on your own photo.

\b
  foveal demo                                           everything at once, on bundled pictures
  foveal explain bird.jpg --model timm:resnet50         the predicted class, at the last stage
  foveal explain bird.jpg --model timm:resnet50 --target "jay - crow" --method hirescam
  foveal match query.jpg shelf/ --model timm:resnet50   why these two are alike
  foveal flow bird.jpg --model timm:resnet50            how attention forms, layer by layer
  foveal tree bird.jpg --model timm:resnet50            which parts, made of which smaller parts
  foveal parts bird.jpg --model timm:resnet50           which parts, ranked and sharp
  foveal portray birds/ --model timm:resnet50           what a layer responds to in these pictures
  foveal measure bird.jpg --model timm:resnet50         is the explanation true?
  foveal models                                         what can follow --model

Results go to standard output (with --json for machines), words for people to standard error. Exit status:
0 done, 1 failed, also where one of many pictures could not be read, 2 misused, 130 interrupted.
"""

app = typer.Typer(
    help=ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
benching = typer.Typer(help="Every method on many pictures.", no_args_is_help=True, rich_markup_mode=None)
training = typer.Typer(help="Train networks.", no_args_is_help=True, rich_markup_mode=None)

app.command("explain")(explain.explain)
app.command("match")(match.match)
app.command("flow")(flow.flow)
app.command("tree")(decompose.tree)
app.command("parts")(parts.parts)
app.command("portray")(visualize.visualize)
app.command("compare")(compare.compare)
app.command("measure")(measure.measure)
app.command("sanity")(sanity.sanity)
app.command("shortcut")(shortcuts.shortcut)
app.command("demo")(demo.demo)
app.command("models")(models.models)
app.command("layers")(stages.layers)
app.command("methods")(methods.methods)
app.add_typer(benching, name="bench")
benching.command("world")(benchmark.world)
benching.command("folder")(benchmark.folder)
app.add_typer(training, name="train")
training.command("demo")(train.demo)
training.command("embed")(train.embed)
training.command("contrastive")(train.contrastive)
training.command("fewshot")(train.fewshot)
training.command("brnpa")(train.brnpa)
training.command("shortcut")(train.shortcut)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"foveal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="On failure show Python's whole story; may stand anywhere.")
    ] = False,
) -> None:
    if traceback:
        errors.show_tracebacks()


def main() -> None:
    """What the `foveal` command runs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # help and usage are printed by typer
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    if "--traceback" in arguments:
        arguments.remove("--traceback")
        errors.show_tracebacks()
    app(arguments, prog_name="foveal")
