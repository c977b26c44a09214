"""The commands together. `--help` and `--version` import neither torch nor anything else that is slow."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from foveal._version import __version__
from foveal.cli import (
    audit,
    benchmark,
    channels,
    compare,
    decompose,
    demo,
    episode,
    errors,
    explain,
    flow,
    help,
    match,
    measure,
    methods,
    models,
    page,
    parts,
    reasons,
    sanity,
    shortcuts,
    stages,
    studio,
    tiles,
    train,
    visualize,
)
from foveal.cli.command import ARGUMENTS, flowing
from foveal.cli.run import run as data_set

ABOUT = """Why did the network look there?

The evidence that a convolutional network used for a decision, drawn on your own photos.

\b
  foveal explain bird.jpg -m demo           what mattered for the decision
  foveal explain bird.jpg -m timm:resnet50 --target "jay - crow"
  foveal compare birds/ -m timm:resnet50    methods side by side, measured
  foveal match query.jpg shelf/ -m embed    why two photos are similar
  foveal run photos/ -m demo -o run/        a whole data set, resumable
  foveal studio birds/ -m timm:resnet50     explore it all in the browser
  foveal demo                               everything at once, on bundled images
  foveal help models                        the documentation, topic by topic

Results go to standard output (--json for programs), messages to standard error, and files to out/COMMAND, where
index.html shows them. Exit status: 0 done; 1 failed, also when some of several images could not be read; 2 misuse: a
command line that cannot be parsed, or an unknown class, layer, method, metric or model; 130 interrupted with Ctrl-C.
"""

BENCHMARKS = """Every method on many images.

\b
  foveal benchmark synthetic --truth-only            drawn images, known answers
  foveal benchmark folder photos/ -m timm:resnet50   your own photos

After an interruption the same command continues where it stopped. Each writes a table and a page.
"""

TRAINING = """Train networks.

\b
  foveal train demo                                    a bundled network again
  foveal train brnpa --data birds/ --backbone timm:resnet50 -o low/

After an interruption the same command continues from the last epoch. Each writes weights for --model.
"""

FIRST = "Start here"
DEEPER = "Look deeper"
TRUE = "Is it true?"
LISTS = "What there is"
MORE = "Networks and benchmarks"

OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Foveal(TyperGroup):
    """Keeps the words of the command line, for the record of what a command did."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Foveal,
    help=flowing(ABOUT),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=OPTIONS,
)
benchmarks = typer.Typer(help=BENCHMARKS, no_args_is_help=True, context_settings=OPTIONS)
training = typer.Typer(help=TRAINING, no_args_is_help=True, context_settings=OPTIONS)

for panel, commands in {
    FIRST: (explain.explain, compare.compare, match.match, studio.studio, page.page),
    DEEPER: (
        flow.flow,
        decompose.decompose,
        parts.parts,
        visualize.visualize,
        channels.channels,
        episode.episode,
        tiles.tiles,
        data_set,
        reasons.reasons,
    ),
    TRUE: (measure.measure, audit.audit, sanity.sanity, shortcuts.shortcuts),
    LISTS: (demo.demo, help.help, models.models, stages.stages, methods.methods),
}.items():
    for function in commands:
        app.command(rich_help_panel=panel)(function)
for function in (benchmark.synthetic, benchmark.folder):
    benchmarks.command()(function)
for function in (train.demo, train.embed, train.contrastive, train.fewshot, train.parts, train.brnpa, train.shortcut):
    training.command()(function)
app.add_typer(benchmarks, name="benchmark", rich_help_panel=MORE)
app.add_typer(training, name="train", rich_help_panel=MORE)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"foveal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the Python traceback on errors (any position).")
    ] = False,
) -> None:
    if traceback:
        errors.show_tracebacks()


def run(arguments: list[str]) -> None:
    """Run the command that these words name; raises SystemExit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # help and usage are printed by typer
            stream.reconfigure(errors="backslashreplace")
    if "--traceback" in arguments:
        arguments.remove("--traceback")
        errors.show_tracebacks()
    app(arguments, prog_name="foveal")
