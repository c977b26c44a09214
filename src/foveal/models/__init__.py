"""Networks by name, file or factory, with what is needed to feed them and to name their answers."""

from foveal.models.catalog import Source, list_models
from foveal.models.labels import read_labels
from foveal.models.load import load_model
from foveal.models.model import Model
from foveal.models.save import save_model

__all__ = ["Model", "Source", "list_models", "load_model", "read_labels", "save_model"]
