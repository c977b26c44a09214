"""What --preprocessing, --input-size, --range and the others say of how an image becomes the network's input."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

import typer

from foveal.cli.console import info
from foveal.errors import ModelError, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from foveal.cli.input_options import InputOptions
    from foveal.images import Preprocessing
    from foveal.images.preprocessing_checks import Resize
    from foveal.models import Model


@dataclass(frozen=True)
class PreprocessingOptions:
    """What the options say, read and checked.

    Attributes:
        base: what --preprocessing names; None where it is left out.
        size: (h, w) of the input.
        changes: the other settings of a `Preprocessing` to change, in it or in what the model brings.
    """

    base: Preprocessing | None = None
    size: tuple[int, int] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: InputOptions) -> PreprocessingOptions:
        """Raises ImageError and typer.BadParameter for what cannot be read."""
        from foveal.images.preprocessing_file import read_preprocessing

        base = None if given.preprocessing is None else read_preprocessing(given.preprocessing)
        changes = {
            "mean": _numbers("--mean", given.mean, ".5 or .485,.456,.406"),
            "std": _numbers("--std", given.std, ".5 or .229,.224,.225"),
            "resize": _resize(given.resize),
            "range": _numbers("--range", given.range, "0,4095 (black, white)"),
            "clip": given.clip,
            "bands": _whole("--bands", given.bands),
            "composite": _whole("--composite", given.composite),
            "frame": given.frame,
            "axis": given.axis,
        }
        return cls(base, _size(given.input_size), {k: value for k, value in changes.items() if value is not None})

    def applied(self, model: Model, name: str, *, silent: bool = False) -> Model:
        """The model with this preprocessing; its own where nothing was said. Notes what was, unless `silent`.

        Raises:
            ModelError: where nobody says how an image becomes its input.
            ImageError: for settings that do not fit together.
        """
        from foveal.attribution.prepare import space_axes
        from foveal.engine.guard import unwrap

        base = self.base or model.preprocessing
        said = self.size is not None or bool(self.changes)
        if base is None and not said and space_axes(unwrap(model.module)) != 2:
            return model  # signals and volumes are taken as they are
        used = self._made(model, name) if base is None else base.changed(self.size, **self.changes)
        if said and not silent:
            info(f"note: preprocessing: {_in_words(used)}")
            if used.resize == "short" and used.size[0] != used.size[1] and not used.transform:
                info("note: to show the network the whole image, add --resize exact")
        return replace(model, preprocessing=used)

    def _made(self, model: Model, name: str) -> Preprocessing:
        """The preprocessing of a network about which nobody else says anything."""
        from foveal.engine.guard import unwrap
        from foveal.engine.input_channels import first_convolution, said_size
        from foveal.images.preprocessing import USUAL, Preprocessing

        first = first_convolution(unwrap(model.module))
        channels = first.channels if first else None
        usual = USUAL.get(channels or 0)
        if usual and (self.size or self.changes):
            return usual.changed(self.size, **self.changes)
        size = self.size or said_size(unwrap(model.module))
        if size and {"bands", "mean", "std"} <= self.changes.keys():
            blank = (0.0,) * len(self.changes["bands"]), (1.0,) * len(self.changes["bands"])
            return Preprocessing(size, bands=self.changes["bands"], mean=blank[0], std=blank[1]).changed(**self.changes)
        raise ModelError(_unknown(model, name, channels))


def _unknown(model: Model, name: str, channels: int | None) -> str:
    """What to do where the preprocessing is not known, with a command that fits what is known of the network."""
    from foveal.engine.guard import unwrap
    from foveal.engine.input_channels import said_size

    preset = "gray" if channels == 1 else "imagenet"
    size = said_size(unwrap(model.module))
    side = "x".join(map(str, dict.fromkeys(size))) if size else "224"
    if channels not in (None, 1, 3):
        return (
            f"{name} takes {channels} channels and does not say how an image becomes its input: add --bands "
            f"{','.join(map(str, range(min(channels, 4))))}{',…' if channels > 4 else ''} --input-size {side} --mean, "
            "--std and, unless the files say it, --range, with the numbers of its training, or --preprocessing "
            "FILE.json (`foveal help inputs`)."
        )
    takes = f"takes {counted(channels, 'channel')} and " if channels else ""
    return (
        f"{name} {takes}does not say how an image becomes its input: add --preprocessing {preset} --input-size {side} "
        "(and --mean, --std), with the numbers of its training, or --preprocessing FILE.json (`foveal help models`)."
    )


def _in_words(used: Preprocessing) -> str:
    """The settings in a line, as --show-preprocessing has them in JSON."""
    from foveal.images.preprocessing import OF_FILES

    of_files = [f"{name} {_listed(value)}" for name, value in used.to_dict().items() if name in OF_FILES[:-1]]
    if used.transform:
        return ", ".join(["by the model's own transform", *of_files])
    size = f"{used.size[0]}×{used.size[1]} pixels"
    short = f"images are scaled to a short side of {used.resize_to or min(used.size)} and cropped to the central {size}"
    placed = {
        "short": short,
        "exact": f"images are scaled to {size}, whatever their proportions",
        "pad": f"images are padded to {size}",
    }[used.resize]
    channels = {"L": ["gray"], "bands": []}.get(used.channels, [used.channels])
    numbers = [f"mean {_listed(used.mean)}", f"std {_listed(used.std)}"]
    return "; ".join([", ".join([placed, *channels]), *numbers, *of_files])


def _listed(value: Any) -> str:
    """A setting as its option takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(f"{x:g}" for x in (value if isinstance(value, list | tuple) else [value]))


def _resize(text: str | None) -> Resize | None:
    from foveal.images.preprocessing_checks import Resize

    ways: dict[str, Resize] = {way: way for way in get_args(Resize)}
    if text is not None and text not in ways:
        raise typer.BadParameter(f"cannot resize by {text!r}: write {', '.join(ways)}")
    return None if text is None else ways[text]


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sides = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", text.strip().lower(), re.ASCII)
    if sides is None:
        raise typer.BadParameter(f"cannot read the size {text!r}: write 128, or 128x96 (height x width)")
    return int(sides[1]), int(sides[2] or sides[1])


def _numbers(option: str, text: str | None, example: str) -> tuple[float, ...] | None:
    return _each(option, text, example, float)


def _whole(option: str, text: str | None) -> tuple[int, ...] | None:
    return _each(option, text, "3,2,1 (counted from 0)", int)


def _each(option: str, text: str | None, example: str, kind: Callable[[str], Any]) -> tuple[Any, ...] | None:
    if text is None:
        return None
    try:
        return tuple(kind(number) for number in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"cannot read {option} {text!r}: write numbers with commas, {example}") from None
