"""`foveal studio`"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import interrupts, options
from foveal.cli.command import command
from foveal.cli.console import busy, error, info, print_lines, progress
from foveal.cli.lists import repeatable
from foveal.errors import ImageError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foveal.models import Model
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio

MOST_PHOTOS = 1000


@dataclass(frozen=True)
class StudioModels(options.ClassifierOptions):
    """The same for several networks, each under the name by which it was asked for."""

    model: Annotated[
        list[str] | None,
        repeatable("model", "-m", metavar="MODEL", help=f"Default: demo. {options.MODEL_HELP}"),
    ] = None  # type: ignore[assignment]

    def load_all(self, usual: str = "demo") -> dict[str, Model]:
        """The networks by their names; the usual one where none is named."""
        names = list(dict.fromkeys(self.model or [usual]))
        if len(names) > 1 and self.weights:
            raise typer.BadParameter(f"--weights are those of one network, but --model names {len(names)}")
        return {name: replace(self, model=name).load() for name in names}  # type: ignore[arg-type]


@command
def studio(
    source: StudioModels,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO",
            show_default=False,
            help="Image files, or folders of them (default: drawn scenes with known explanations).",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="FOLDER",
            help="What `foveal run` or `foveal reasons` saved: its decisions; its network is the default.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, metavar="N", help="The port (default: 8765, or a free one)."),
    ] = None,
    host: Annotated[
        str,
        typer.Option("--host", metavar="HOST", help="Where to listen; anything but 127.0.0.1 needs --token."),
    ] = "127.0.0.1",
    token: Annotated[
        str,
        typer.Option("--token", metavar="TEXT", help="The key in the address (default: a new one at each start)."),
    ] = "",
    open: Annotated[bool, typer.Option("--open/--no-open", help="Open the studio in a browser.")] = True,
) -> None:
    """Explore decisions in the browser: maps at every layer, the tree, parts, hiding and switching off.

    \b
      foveal studio
      foveal studio birds/ -m timm:resnet50
      foveal studio bird.jpg -m timm:resnet50 -m timm:resnet18
      foveal studio --run run/

    Prints the address of a page on this machine and opens it. The part after ?token= is its key: only a browser that
    has it gets answers. Nothing leaves this machine, and nothing is loaded from another. Ctrl-C ends it.
    """
    server_of = _server_of(host, token)
    server = server_of(_filled(source, photos or [], run), host=host, port=port, token=token)
    print_lines(server.address)
    info("The studio is at this address. Ctrl-C ends it.")
    if open:
        threading.Thread(target=_open, args=(server,), daemon=True).start()
    try:
        server.run()
    except KeyboardInterrupt:
        interrupts.reported()
    info("The studio has ended.")


def _server_of(host: str, token: str) -> type[StudioServer]:
    """The server, unless what it needs is not installed, or nobody should reach it there."""
    try:
        with busy("starting"):
            from foveal.webapp.serve import StudioServer, check_key
    except ModuleNotFoundError as missing:
        if missing.name not in ("fastapi", "uvicorn", "starlette"):
            raise
        raise MissingExtra(
            f"the studio needs {missing.name}, which is not installed: pip install 'foveal[studio]'"
        ) from missing
    check_key(host, token)
    return StudioServer


def _filled(source: StudioModels, photos: Sequence[Path], folder: Path | None) -> Studio:
    """A studio with these photos and this run; without either, with the drawn scenes."""
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run
    from foveal.storage.folder import kind_of
    from foveal.webapp.opened_run import show_run
    from foveal.webapp.studio import Studio

    shown: Run | Reasons | None = None
    if folder is not None:
        shown = Reasons.load(folder) if kind_of(folder) == "reasons" else Run.load(folder)
    if shown is None:
        studio = Studio(source.load_all())
    else:
        run = shown.run if isinstance(shown, Reasons) else shown
        studio = Studio(source.load_all(run.record.settings["model"]))
        with busy("reading the run"):
            show_run(studio, shown)
    if shown is None and not photos:
        from foveal.synthetic import demo_scenes

        studio.add_scenes(demo_scenes())
    if photos:
        _read(studio, photos)
    return studio


def _read(studio: Studio, photos: Sequence[Path]) -> None:
    """Add photos; those that cannot be read are said.

    Raises:
        ImageError: where none can be read.
    """
    from foveal.images import pictures_in

    files = pictures_in(photos)
    if len(files) > MOST_PHOTOS:
        info(f"note: of {len(files)} photos the studio shows the first {MOST_PHOTOS}")
    with progress("reading photos") as move:
        for number, file in enumerate(files[:MOST_PHOTOS], 1):
            try:
                studio.add_photos([file])
            except ImageError as unread:
                error(str(unread))
            move("reading photos", number, min(len(files), MOST_PHOTOS), file.name)
    if not len(studio.photos):
        raise ImageError("none of the photos could be read: name others")


def _open(server: StudioServer) -> None:
    """The page in a browser, as soon as the server answers."""
    import time
    import webbrowser

    while not server.started and not server.should_exit:
        time.sleep(0.02)
    try:
        opened = webbrowser.open(server.address)
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        info("note: no browser was found here: open the address yourself")
