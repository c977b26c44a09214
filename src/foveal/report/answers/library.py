"""What a page can choose from."""

from __future__ import annotations

from typing import Literal

from foveal.report.answers.wire import Wire


class PhotoEntry(Wire):
    """A photo: its hash, its name, its size, and where the page finds it.

    Attributes:
        url: relative to the page, or the photo itself as a data URI.
        drawn: it is a scene of the drawn world, so the truth about it is known.
        truth: the class it shows, where that is known.
        source: how code names it.
    """

    hash: str
    name: str
    width: int
    height: int
    url: str
    drawn: bool = False
    truth: str = ""
    source: str = ""


class ModelEntry(Wire):
    """A model: the name the page shows, what code loads it from, its classes.

    Attributes:
        task: "classes", "labels", "value", "embedding", "regions", "boxes"; None where that is not known.
        input_size: (height, width) of its input, where that is known.
        notes: what a reader must know, such as random weights.
    """

    name: str
    source: str
    labels: list[str]
    task: Literal["classes", "labels", "value", "embedding", "regions", "boxes"] | None
    input_size: list[int] | None
    notes: list[str]


class MethodEntry(Wire):
    """A method of `foveal methods`.

    Attributes:
        family: under which it is listed.
        condition: where it applies.
        options: what can follow its name after a colon, with the values that hold: "clusters=64,seed=0".
        needs: None in the page of a saved result, which knows the method's name.
    """

    name: str
    title: str
    family: str
    about: str
    condition: str
    options: str
    cost: str
    place: str
    needs: Literal["activations", "gradients", "forwards"] | None
    similarity: bool


class ColorTables(Wire):
    """256 colors each, three bytes a color, base64."""

    diverging: str
    sequential: str


class LibraryAnswer(Wire):
    """Everything that a page can choose from.

    Attributes:
        own_targets: names of the person's own functions that can be explained.
        live: a network answers; False for a report, which has what was recorded.
        atlas: the key of the run of a data set that is shown; "" where there is none.
        python: a program holds the studio: it hears what is looked at, and opens results on the page.
    """

    photos: list[PhotoEntry]
    models: list[ModelEntry]
    methods: list[MethodEntry]
    colors: ColorTables
    own_targets: list[str]
    live: bool
    atlas: str = ""
    python: bool = False
