"""What a studio holds: models, photos and answers. The server asks it, whatever the page wants to know."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from foveal.errors import FovealError, ResultError, UnknownMethod, UnknownModel, UnknownTarget
from foveal.images.load import one_by_one
from foveal.images.selection import TO_LOOK_AT
from foveal.methods import METHODS
from foveal.methods.find import find_method
from foveal.methods.registry import plain
from foveal.targets import as_decision
from foveal.targets.parsing import parse_target
from foveal.webapp.cache import AnswerCache
from foveal.webapp.photos import Photos

if TYPE_CHECKING:
    from foveal.attribution.method import Method
    from foveal.images import ImageLike
    from foveal.images.selection import Selection
    from foveal.models import Model
    from foveal.synthetic.scene import Scene
    from foveal.targets import Target, TargetLike
    from foveal.webapp.atlas import Atlas
    from foveal.webapp.openings import Openings
    from foveal.webapp.photos import StudioPhoto

Kept = TypeVar("Kept")
MOST_KEPT = 32  # live objects, such as trees that grow


class Studio:
    """Models, photos, and what was answered.

    Attributes:
        models: by the name that the page shows.
        photos: see `Photos`.
        answers: JSON by what was asked.
        targets: targets and functions of the person's own that are explained, by name.
        atlas: the run that is shown, if there is one.
        openings: what Python opens on the pages; None where no Python listens, as on the command line.
    """

    def __init__(self, models: Mapping[str, Model], targets: Mapping[str, TargetLike] | None = None) -> None:
        if not models:
            raise UnknownModel("a studio needs a model: name one")
        self.models = dict(models)
        self.photos = Photos(_shown_of(self.models))
        self.answers = AnswerCache()
        self.targets = dict(targets or {})
        self.atlas: Atlas | None = None
        self.openings: Openings | None = None
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = Lock()

    def add_photos(self, images: ImageLike) -> list[StudioPhoto]:
        """Photos that the person named, as `foveal.explain` takes them.

        Raises:
            ImageError: for what cannot be read.
        """
        added = []
        for number, image in enumerate(one_by_one(images, 2), 1):
            if isinstance(image, str | os.PathLike):
                added.append(self.photos.add(image, Path(image).name, source=repr(str(image))))
            else:
                added.append(self.photos.add(image, f"image {number}", source=f"images[{number - 1}]"))
        return added

    def add_scenes(self, scenes: Iterable[Scene]) -> None:
        """Drawn scenes, whose truth is known."""
        from foveal.synthetic.drawing import render
        from foveal.synthetic.scene_code import scene_code

        for scene in scenes:
            name = f"{scene.class_name}.png".replace(" ", "-").lower()
            source = f"foveal.synthetic.render({scene_code(scene)})[0]"
            self.photos.add(render(scene)[0], name, scene=scene, source=source)

    def atlas_or_refuse(self, key: str) -> Atlas:
        """The run that is shown.

        Args:
            key: under which the page knows it.

        Raises:
            ResultError: where there is none, or another one by now.
        """
        if self.atlas is None:
            raise ResultError("this studio shows no run: open it with one, foveal studio --run FOLDER")
        if self.atlas.key != key:
            raise ResultError("this studio shows another run by now: load the page again")
        return self.atlas

    def model(self, name: str) -> Model:
        """The model of that name. Raises UnknownModel where there is none."""
        if name not in self.models:
            raise UnknownModel(f"this studio has no model {name!r}: it has {', '.join(self.models)}")
        return self.models[name]

    def photo(self, hash: str) -> StudioPhoto:
        """The photo of that hash. Raises UnknownPhoto where there is none."""
        return self.photos[hash]

    def method(self, text: str) -> Method:
        """The method of that name, with options after a colon; never code in a file, whatever a page asks for.

        Raises:
            UnknownMethod: for what `foveal methods` does not list.
        """
        name = re.fullmatch(r"([\w +-]+)(:[\w=.,+ -]*)?", text)
        if name is None or plain(name[1]) not in map(plain, METHODS):
            raise UnknownMethod(f"the studio has no method {text!r}: choose one of those that it lists")
        return find_method(text)

    def target(self, text: str, model: Model) -> Target | None:
        """The target that the page means, see `foveal.targets.parsing`; "own:NAME" is one of `targets`.

        Raises:
            TargetError: for what names none.
        """
        if text.startswith("own:") and text not in (model.labels or ()):
            name = text.removeprefix("own:")
            if name not in self.targets:
                known = ", ".join(self.targets) or "none"
                raise UnknownTarget(f"this studio has no function {name!r} to explain; those it has: {known}")
            own = self.targets[name]
            return as_decision(_named(own, name) if callable(own) else own)
        return parse_target(text or None, model.labels)

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """A live object such as a growing tree: made when first needed, the last `MOST_KEPT` are kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]  # type: ignore[no-any-return]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return made

    def failed(self, ask: str, error: BaseException) -> None:
        """Tell the terminal of a fault of our own."""
        if not isinstance(error, FovealError):
            print(f"foveal studio: {ask} failed", file=sys.stderr)
            traceback.print_exception(error, file=sys.stderr)


def _named(function: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """The function, called as the page calls it."""

    def own(output: Any) -> Any:
        return function(output)

    own.__name__ = name
    return own


def _shown_of(models: Mapping[str, Model]) -> Selection:
    """The frame that the models are given, so that their maps are drawn on it."""
    given = {(made.frame, made.axis) for model in models.values() if (made := model.preprocessing)}
    frame, axis = given.pop() if len(given) == 1 else (None, TO_LOOK_AT.axis)
    return replace(TO_LOOK_AT, frame=frame, axis=axis)
