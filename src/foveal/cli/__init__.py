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
        ended = isinstance(error, SystemExit) and error.code != 1  # 1 is also what typer makes of an interruption
        if ended or not (interrupts.happened() or isinstance(error, KeyboardInterrupt)):
            raise
        print("foveal: interrupted", file=sys.stderr)
        sys.exit(interrupts.INTERRUPTED)
