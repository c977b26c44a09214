"""The command line: one file a command, a few words of typer around the verbs."""

from foveal.cli.app import main

__all__ = ["main"]
