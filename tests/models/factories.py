"""What a person's own file may offer: functions, classes, a ready network, and mistakes."""

from __future__ import annotations

import sys

from torch import nn

from foveal.images import Preprocessing
from foveal.models import Model


class Net(nn.Module):
    """Three classes of gray pictures."""

    def __init__(self, width: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.head = nn.Linear(width, classes)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.conv(x).relu().mean((2, 3)))


def described() -> Model:
    gray = Preprocessing(size=(8, 8), channels="L", mean=(0.5,), std=(0.5,))
    return Model(Net(), "shells", gray, ("cockle", "limpet", "whelk"))


def broken() -> Net:
    raise KeyError("the color of\nthe shell")


def number() -> int:
    return 3


ready = Net()
CLASSES = 3


def exits() -> Net:
    sys.exit("no network today")


def stops() -> Net:
    raise GeneratorExit


class Own(BaseException):
    """Not even an Exception."""


def raises_its_own() -> Net:
    raise Own("\x1b[31mred\nlines")


def talks() -> Model:
    print("building \x1b[31m…")
    print('{"not": "the answer"}')

    class Talker(Net):
        def forward(self, x):  # type: ignore[no-untyped-def]
            print("forward!")
            return super().forward(x)

    made = described()
    return Model(Talker(), made.name, made.preprocessing, made.labels)


def junk_model() -> Model:
    return Model("no module", "junk")  # type: ignore[arg-type]


def nothing() -> None:
    return None


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no words")


def unspeakable() -> Unspeakable:
    return Unspeakable()


class Config:
    def __init__(self, id2label: object) -> None:
        self.id2label = id2label


def transformer(id2label: object = None) -> Net:
    """As transformers have it: names in the configuration."""
    net = Net()
    net.config = Config({0: "cockle", 1: "limpet", 2: "whelk"} if id2label is None else id2label)  # type: ignore[assignment]
    return net
