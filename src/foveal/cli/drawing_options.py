"""The options of how maps are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.options import DRAWING_PANEL

if TYPE_CHECKING:
    from foveal.render.drawing import Drawing


@dataclass(frozen=True)
class DrawingOptions:
    """How maps are drawn, and into which figure."""

    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure", metavar="FILE", rich_help_panel=DRAWING_PANEL,
            help="One figure of all photos, methods and layers: .pdf or .svg with text as text, .png, .jpg.",
        ),
    ] = None  # fmt: skip
    title: Annotated[
        str | None,
        typer.Option(
            "--title", metavar="TEXT", rich_help_panel=DRAWING_PANEL, show_default=False,
            help="Title of the figure; the model's name if left out, \"\" for none.",
        ),
    ] = None  # fmt: skip
    size: Annotated[
        int | None,
        typer.Option(
            "--size", metavar="PX", min=16, max=32768, rich_help_panel=DRAWING_PANEL, show_default=False,
            help="Long side of an overlay in pixels. Default: as the photo, 2048 at most.",
        ),
    ] = None  # fmt: skip
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", metavar="SHARE", min=0, max=1, rich_help_panel=DRAWING_PANEL, show_default=False,
            help="Opacity of the strongest evidence, 0 to 1. Default: 0.65, on gray photos 0.5.",
        ),
    ] = None  # fmt: skip
    sign: Annotated[
        str | None,
        typer.Option(
            "--sign", metavar="SIGN", rich_help_panel=DRAWING_PANEL, show_default=False,
            help="Evidence shown: auto, positive, negative or signed.",
            autocompletion=lambda: ["auto", "positive", "negative", "signed"],
        ),
    ] = None  # fmt: skip
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale", metavar="RULE", rich_help_panel=DRAWING_PANEL, show_default=False,
            help="Value of the strongest color: image (the largest value), robust (98th percentile), batch (one scale "
            "per column of the figure), or a number.",
            autocompletion=lambda: ["auto", "image", "robust", "batch"],
        ),
    ] = None  # fmt: skip
    colors: Annotated[
        str | None,
        typer.Option(
            "--colors", metavar="NAME", rich_help_panel=DRAWING_PANEL, show_default=False,
            help="A colormap: inferno, viridis, gray, coolwarm, or another name of matplotlib's.",
            autocompletion=lambda: ["inferno", "viridis", "gray", "coolwarm"],
        ),
    ] = None  # fmt: skip
    contour: Annotated[
        bool,
        typer.Option(
            "--contour", rich_help_panel=DRAWING_PANEL, help="Draw contour lines on the photo instead of colors."
        ),
    ] = False

    def check(self) -> None:
        """Before the work is done: ends the command for what cannot be drawn."""
        from foveal.errors import ResultError
        from foveal.render.figure_file import check_figure_file

        if self.title is not None and not self.figure:
            raise typer.BadParameter("--title is the title of the figure: give --figure FILE, too")
        try:
            self.drawing()
            if self.figure:
                check_figure_file(self.figure)
        except ResultError as error:
            raise typer.BadParameter(str(error)) from error

    def drawing(self) -> Drawing:
        """The choices as results take them."""
        from foveal.render.drawing import Drawing

        return Drawing().with_given(
            size=self.size, alpha=self.alpha, sign=self.sign, scale=_number(self.scale), colors=self.colors,
            contour=self.contour,
        )  # fmt: skip


def _number(text: str | None) -> str | float | None:
    try:
        return text if text is None else float(text)
    except ValueError:
        return text
