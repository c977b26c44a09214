"""x"""
from pathlib import Path
from foveal.models.model import Model
def build(path: Path) -> Model:
    raise NotImplementedError
