"""What a person's own file may offer: functions, classes, a ready network, and mistakes."""

from __future__ import annotations

from torch import nn

from foveal.images import Preprocessing
from foveal.models import Model


class Net(nn.Module):
    """Three classes of grey pictures."""

    def __init__(self, width: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.head = nn.Linear(width, classes)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.conv(x).relu().mean((2, 3)))


def described() -> Model:
    grey = Preprocessing(size=(8, 8), channels="L", mean=(0.5,), std=(0.5,))
    return Model(Net(), "shells", grey, ("cockle", "limpet", "whelk"))


def broken() -> Net:
    raise KeyError("the colour of\nthe shell")


def number() -> int:
    return 3


ready = Net()
CLASSES = 3
