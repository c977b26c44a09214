"""--preprocessing, --input-size, --mean, --std and --resize: how an image becomes the network's input."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import typer

from foveal.cli.console import info
from foveal.errors import ModelError, counted

if TYPE_CHECKING:
    from foveal.images import Preprocessing
    from foveal.images.preprocessing_checks import Resize
    from foveal.models import Model


@dataclass(frozen=True)
class PreprocessingOptions:
    """What the options say, read and checked.

    Attributes:
        base: what --preprocessing names; None where it is left out.
        size, mean, std, resize: changes to it, or to what the model brings.
    """

    base: Preprocessing | None = None
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Resize | None = None

    @classmethod
    def of(
        cls, name: str | None, size: str | None, mean: str | None, std: str | None, resize: str | None = None
    ) -> PreprocessingOptions:
        """Raises ImageError and typer.BadParameter for what cannot be read."""
        from foveal.images.preprocessing_file import read_preprocessing

        base = None if name is None else read_preprocessing(name)
        return cls(base, _size(size), _numbers("--mean", mean), _numbers("--std", std), _resize(resize))

    def applied(self, model: Model, name: str, *, silent: bool = False) -> Model:
        """The model with this preprocessing; its own where nothing was said. Notes what was, unless `silent`.

        Raises:
            ModelError: where nobody says how an image becomes its input.
        """
        from foveal.attribution.prepare import space_axes
        from foveal.engine.guard import unwrap
        from foveal.engine.input_channels import first_convolution
        from foveal.images.preprocessing import USUAL

        base = self.base or model.preprocessing
        said = self.size or self.mean or self.std or self.resize
        if base is None:
            first = first_convolution(unwrap(model.module))
            base = USUAL.get(first.channels if first else 0) if said else None
            if base is None and space_axes(unwrap(model.module)) != 2 and not said:
                return model  # signals and volumes are taken as they are
            if base is None:
                raise ModelError(_unknown(model, name, first.channels if first else None))
        used = base.changed(self.size, mean=self.mean, std=self.std, resize=self.resize)
        if said and not silent:
            info(f"note: preprocessing: {_in_words(used)}")
            if used.resize == "short" and used.size[0] != used.size[1]:
                info('note: to show the network the whole image, set "resize": "exact" in --preprocessing FILE.json')
        return replace(model, preprocessing=used)


def _unknown(model: Model, name: str, channels: int | None) -> str:
    """What to do where the preprocessing is not known, with a command that fits what is known of the network."""
    from foveal.engine.guard import unwrap
    from foveal.engine.input_channels import said_size

    preset = "gray" if channels == 1 else "imagenet"
    size = said_size(unwrap(model.module))
    side = "x".join(map(str, dict.fromkeys(size))) if size else "224"
    if channels not in (None, 1, 3):
        return (
            f"{name} takes {channels} channels and does not say how an image becomes its input: add --preprocessing "
            "FILE.json with bands, range, mean and std (`foveal help inputs`)."
        )
    takes = f"takes {counted(channels, 'channel')} and " if channels else ""
    return (
        f"{name} {takes}does not say how an image becomes its input: add --preprocessing {preset} --input-size {side} "
        "(and --mean, --std), with the numbers of its training, or --preprocessing FILE.json (`foveal help models`)."
    )


def _in_words(used: Preprocessing) -> str:
    """The settings in a line, as --show-preprocessing has them in JSON."""
    size = f"{used.size[0]}×{used.size[1]} pixels"
    short = f"images are scaled to a short side of {used.resize_to or min(used.size)} and cropped to the central {size}"
    placed = {
        "short": short,
        "exact": f"images are scaled to {size}, whatever their proportions",
        "pad": f"images are padded to {size}",
    }[used.resize]
    bands = ", ".join(map(str, used.bands or ()))
    channels = {"L": "gray", "bands": f"bands {bands}"}.get(used.channels, used.channels)
    mean, std = (", ".join(f"{x:g}" for x in numbers) for numbers in (used.mean, used.std))
    return f"{placed}, {channels}, mean {mean}, std {std}"


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


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"cannot read {option} {text!r}: write numbers with commas, .5 or .485,.456,.406"
        ) from None
