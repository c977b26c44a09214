"""What of a file becomes the picture: which frame, which bands, and which values are black and white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveal.errors import ImageError, counted

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Selection:
    """Choices that a file cannot make itself; `Preprocessing` bears them under the same names.

    Attributes:
        range: the values that are black and white; None where the file or its kind of number says so.
        clip: values beyond are cut to black and white; else they go on beyond 0 and 1.
        bands: numbers of those the network takes, from 0; None for a picture of one, three or four colors.
        composite: the three that are shown as red, green and blue, or the one that is shown in gray.
        frame: number of the frame, page or slice, from 0; None is the first frame, and the middle slice of a volume.
        axis: the axis of a volume along which slices are counted.
        asks: what nobody says is asked for; else the picture is only looked at, and stretched.
    """

    range: tuple[float, float] | None = None
    clip: bool = True
    bands: tuple[int, ...] | None = None
    composite: tuple[int, ...] | None = None
    frame: int | None = None
    axis: int = 2
    asks: bool = True

    def frame_of(self, count: int, *, middle: bool = False) -> tuple[int, tuple[str, ...]]:
        """The number of the frame to take, and a note on it where there are several.

        Raises:
            ImageError: where the file has fewer.
        """
        what = "slice" if middle else "frame"
        if self.frame is not None:
            if self.frame >= count:
                raise ImageError(f"it has {counted(count, what)}, counted from 0, and no {what} {self.frame}.")
            note = f"{what} {self.frame} of {count}, counted from 0"
        else:
            note = f"slice {count // 2} of {count}, counted from 0" if middle else f"first of {count} frames"
        chosen = self.frame if self.frame is not None else count // 2 if middle else 0
        return chosen, (note,) if count > 1 else ()

    def checked_bands(self, count: int, own: Sequence[int] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The bands for the network, and those to look at, of a file with so many.

        Args:
            own: what the file itself says is red, green and blue.

        Raises:
            ImageError: for a band that there is not.
        """
        assert self.bands is not None
        usual = range(3) if count >= 3 else range(1)
        shown = self.composite or tuple(own or usual)
        for band in (*self.bands, *shown):
            if band >= count:
                raise ImageError(f"it has {counted(count, 'band')}, counted from 0, and no band {band}.")
        return self.bands, shown


AS_IT_IS = Selection()
"""Nothing is chosen."""

TO_LOOK_AT = Selection(asks=False)
"""Nothing is chosen, and no network is asked."""
