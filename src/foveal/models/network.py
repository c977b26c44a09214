"""A network that several processes need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveal.models.model import Model


@dataclass
class Network:
    """A network that each process has once: the caller's own here, and elsewhere what `load` gives, or a copy.

    Attributes:
        load: None where the network itself travels.
    """

    load: Callable[[], Model] | None = None
    model: Model | None = None

    def get(self) -> Model:
        """The network, loaded when it is first needed."""
        if self.model is None:
            assert self.load is not None
            self.model = self.load()
        return self.model

    def __getstate__(self) -> dict[str, Any]:
        return {"load": self.load, "model": None if self.load else self.model}
