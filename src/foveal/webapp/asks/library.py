"""What a studio has: photos, models with their layers and classes, methods, and the color tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveal.methods import METHODS
from foveal.methods.listing import passes
from foveal.report.answers.library import LibraryAnswer, MethodEntry, ModelEntry, PhotoEntry
from foveal.report.recorded_page import color_tables
from foveal.webapp.ask import Progress, Query, ask

if TYPE_CHECKING:
    from foveal.models import Model
    from foveal.webapp.photos import StudioPhoto
    from foveal.webapp.studio import Studio


class LibraryQuery(Query):
    """Everything that the page can choose from."""


@ask("library", lasting=False)
def library(studio: Studio, query: LibraryQuery, progress: Progress) -> LibraryAnswer:
    """What there is to choose from."""
    return LibraryAnswer(
        photos=[photo_entry(photo) for photo in studio.photos],
        models=[_model_entry(name, model) for name, model in studio.models.items()],
        methods=[
            MethodEntry(
                name=method.name,
                title=method.title,
                family=family,
                about=method.about,
                condition=method.condition,
                options=",".join(f"{option}={value}" for option, value in method.options.items()),
                cost=passes(method),
                place=method.place,
                needs=method.needs,
                similarity=method.similarity,
            )
            for family, methods in METHODS.families.items()
            for method in methods
        ],
        colors=color_tables(),
        own_targets=list(studio.targets),
        live=True,
        atlas=studio.atlas.key if studio.atlas else "",
        python=studio.openings is not None,
    )


def photo_entry(photo: StudioPhoto) -> PhotoEntry:
    """A photo as the page knows it."""
    return PhotoEntry(
        hash=photo.hash,
        name=photo.name,
        width=photo.size[1],
        height=photo.size[0],
        url=f"photos/{photo.hash}",
        drawn=photo.scene is not None,
        truth=photo.scene.class_name if photo.scene else "",
        source=photo.source,
    )


def _model_entry(name: str, model: Model) -> ModelEntry:
    size = model.preprocessing.size if model.preprocessing else None
    return ModelEntry(
        name=name,
        source=model.name,
        labels=list(model.labels or ()),
        task=model.task,
        input_size=list(size) if size else None,
        notes=list(model.notes),
    )
