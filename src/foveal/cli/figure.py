"""The figure that `--figure` asks for: photos are added one after another, and it is saved at the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foveal.cli.drawing_options import DrawingOptions
    from foveal.results import Explanation

ENOUGH = 1024  # pixels of a photo that is kept for the figure, unless --size asks for more


class Figure:
    """Collects explanations, and keeps their photos only as large as the figure needs them."""

    def __init__(self, options: DrawingOptions) -> None:
        self._options = options
        self._rows: list[tuple[Sequence[Explanation], int]] = []

    def add(self, explanations: Sequence[Explanation]) -> None:
        """A row for each image, its explanations by several methods."""
        if self._options.figure is None:
            return
        from foveal.render.overlay import fit

        side = self._options.size or ENOUGH
        kept = [
            replace(
                why,
                photos=tuple(
                    fit(photo, side) if max(photo.geometry.photo_size) > side else photo for photo in why.photos
                ),
            )
            for why in explanations
        ]
        self._rows += [(kept, i) for i in range(len(kept[0]))]

    def save(self) -> Path | None:
        """The file, where one was asked for and there is something to show."""
        if self._options.figure is None or not self._rows:
            return None
        from foveal.render.figure_file import save_figure

        return save_figure(
            self._options.figure, self._rows, side=self._options.size, drawing=self._options.drawing(),
            title=self._options.title,
        )  # fmt: skip
