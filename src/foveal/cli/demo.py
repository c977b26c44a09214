"""`foveal demo`"""

from __future__ import annotations

from contextlib import closing

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder


@command
def demo(output: options.OutputOptions, work: OutputFolder) -> None:
    """Explain the bundled images with every fast method, and write a report.

    \b
      foveal demo
      foveal demo -o somewhere/ --open

    Needs no internet and no GPU: the network and the images ship with foveal. report.html is a page of the studio with
    its answers inside. It is there after the first image; it is complete after a minute or two, when the methods are
    scored on newly drawn images. Prints its path.
    """
    from foveal.demo import run

    with progress("explaining images") as move, closing(run(output.out)) as steps:
        for step in steps:
            move(step.description, step.done, step.total, "")
            work.done(step.done, step.total, step.description.partition(" ")[2])
    report = output.out / "report.html"
    if output.json:
        print_json({"report": str(report)})
    else:
        print_lines(report)
