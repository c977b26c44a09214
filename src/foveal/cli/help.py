"""`foveal help`"""

from __future__ import annotations

import pydoc
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli.command import command
from foveal.cli.console import info, output_for_libraries, print_lines, print_table
from foveal.errors import ResultError, UnknownName

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@command
def help(
    context: typer.Context,
    topic: Annotated[
        str | None,
        typer.Argument(metavar="TOPIC", show_default=False, help="A topic or a command. Default: list the topics."),
    ] = None,
) -> None:
    """Show the documentation, topic by topic.

    \b
      foveal help           the topics
      foveal help models    where networks come from, and files for your own

    For the options of a command see foveal COMMAND --help.
    """
    topics = _topics()
    if topic is None:
        print_table([(name, _title(page)) for name, page in topics.items()], head=("topic", ""))
        info("", "Read one: foveal help TOPIC. The options of a command: foveal COMMAND --help.")
        return
    if topic not in topics and _shows_command(context, topic):
        return
    wanted = topic.casefold().removeprefix("docs/").removesuffix(".md")
    if wanted not in topics:
        near = get_close_matches(wanted, topics, 1)
        meant = f"did you mean {near[0]}?" if near else f"the topics are {', '.join(topics)}."
        raise UnknownName(f"There is no topic {topic!r}: {meant}")
    text = topics[wanted].read_text(encoding="utf-8")
    with output_for_libraries() as terminal:
        if terminal:
            pydoc.pager(text)
            return
    print_lines(*text.splitlines())


def _shows_command(context: typer.Context, name: str) -> bool:
    """Show the help of a command, if there is one of this name."""
    root: Any = context.find_root()
    found = root.command.get_command(root, name)
    if found is None:
        return False
    with output_for_libraries():
        typer.echo(found.get_help(type(root)(found, info_name=name, parent=root)))
    return True


def _topics() -> dict[str, Traversable]:
    """The pages by name: those of the package, or of the repository that an editable installation runs from."""
    for folder in (files("foveal") / "docs", Path(__file__).parents[3] / "docs"):
        if folder.is_dir():
            pages = {page.name.removesuffix(".md"): page for page in folder.iterdir() if page.name.endswith(".md")}
            return dict(sorted(pages.items()))
    raise ResultError("The documentation is missing from this installation: install foveal again.")


def _title(page: Traversable) -> str:
    """The heading of a page."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
