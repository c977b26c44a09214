"""The command line: one file a command, a few words of typer around the verbs."""

import sys

from foveal.cli import interrupts

__all__ = ["main"]


def main() -> None:
    """What the `foveal` command runs."""
    try:
        interrupts.watch()
        from foveal.cli.app import run

        run(sys.argv[1:])
    except BaseException as error:
        failed = not isinstance(error, SystemExit) or error.code in (1, interrupts.INTERRUPTED)
        if failed and (
            interrupts.unreported() or isinstance(error, KeyboardInterrupt)
        ):  # outside of a command, or where a library made another error of it
            print("foveal: interrupted", file=sys.stderr)
            sys.exit(interrupts.INTERRUPTED)
        raise
