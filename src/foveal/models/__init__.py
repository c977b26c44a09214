"""Networks by name, file or factory, with what is needed to feed them and to name their answers.

Names are imported when first used: to explain a network takes none of what loads one from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal._lazy import lazily

if TYPE_CHECKING:
    from foveal.models.black_box import BlackBox
    from foveal.models.catalog import Source, list_models
    from foveal.models.labels import read_labels
    from foveal.models.load import load_model
    from foveal.models.model import Model
    from foveal.models.save import save_model

_HOME = {
    "BlackBox": "black_box",
    "Model": "model",
    "Source": "catalog",
    "list_models": "catalog",
    "load_model": "load",
    "read_labels": "labels",
    "save_model": "save",
}

__all__ = ["BlackBox", "Model", "Source", "list_models", "load_model", "read_labels", "save_model"]

__getattr__ = lazily(__name__, _HOME)
