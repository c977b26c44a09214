"""Packages whose names are imported when first used have all of their names, and no others."""

from __future__ import annotations

from importlib import import_module

import pytest

LAZY = (
    "foveal.images",
    "foveal.models",
    "foveal.results",
    "foveal.similarity",
    "foveal.targets",
    "foveal.engine.rules",
)


@pytest.mark.parametrize("package", LAZY)
def test_every_name_is_there(package: str) -> None:
    face = import_module(package)
    assert all(getattr(face, name) is not None for name in face.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        face.nothing  # noqa: B018
