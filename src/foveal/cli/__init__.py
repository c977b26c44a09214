"""The command line: one file a command, a few words of typer around the verbs."""

import sys

from foveal.cli import interrupts

__all__ = ["main"]


def main() -> None:
    """What the `foveal` command runs."""
    interrupts.watch()
    try:
        from foveal.cli.app import run

        run(sys.argv[1:])
    except BaseException as error:
        failed = not isinstance(error, SystemExit) or error.code in (1, interrupts.INTERRUPTED)
        if interrupts.unreported() and failed:  # outside of a command, or where a library made another error of it
            print("foveal: interrupted", file=sys.stderr)
            sys.exit(interrupts.INTERRUPTED)
        raise
