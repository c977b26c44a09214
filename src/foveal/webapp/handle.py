"""Python's handle on a studio: `s = foveal.studio(model, images)`, then `s.selected`, `s.open(result)`."""

from __future__ import annotations

import atexit
import threading
import webbrowser
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import nn

from foveal.errors import FovealError, MissingExtra
from foveal.models.load import load_model
from foveal.models.model import Model, as_model

if TYPE_CHECKING:
    from types import TracebackType

    from foveal.engine.task import Task
    from foveal.images import ImageLike, Preprocessing
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run
    from foveal.targets import TargetLike
    from foveal.webapp.opened import Openable
    from foveal.webapp.selected import Selected
    from foveal.webapp.serve import StudioServer
    from foveal.webapp.studio import Studio

OneModel: TypeAlias = "nn.Module | Model | str"
_OPEN: dict[Hashable, StudioHandle] = {}


def studio(
    model: OneModel | Sequence[OneModel] | Mapping[str, OneModel] | Run | Reasons,
    images: ImageLike | None = None,
    *,
    run: Run | Reasons | None = None,
    targets: Mapping[str, TargetLike] | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
    task: Task | None = None,
    port: int | None = None,
    open: bool = True,
) -> StudioHandle:
    """A page on this machine where decisions of the model are explored; in a notebook the page itself.

        s = foveal.studio(model, ["jay.jpg", "crow.jpg"])       # opens the page; s.address is where it is
        s.selected.photo, s.selected.target, s.selected.layer   # what is looked at there now
        why = s.selected.explanation()                          # the same in Python
        s.open(foveal.explain(model, "owl.jpg"))                # the page goes there
        s.close()                                               # or: with foveal.studio(model) as s: …
        foveal.studio(foveal.Run.load("run/"))                  # the decisions of a data set

    The page asks the network in a thread of its own. foveal's verbs take turns with it; do not train or run the network
    yourself while the page computes. The same models again give the studio that is open already, with the new images.

    Args:
        model: an nn.Module, a `Model`, the name of one for `load_model`; or several, in a list or by name. A `Run` or
            `Reasons` in its place is that run with its network, which is loaded by its name.
        images: as `explain` takes them. More can be added on the page, and with `add`.
        run: a data set that one of the models explained, or its `Reasons`; its decisions are the view Atlas.
        targets: what else can be explained, by name: a target, or a function of what the model returns.
        preprocessing, labels, task: as in `explain`; for all of the models.
        port: of 127.0.0.1; None is 8765, or another that is free.
        open: open a browser. In a notebook the page is shown where `s` is the last line, whatever this says.

    Raises:
        FovealError: one sentence, for a model, image or port that does not work.
    """
    network, shown = _run_in(model, run)
    given = _named(network)
    key = _key(given, targets, (preprocessing, labels, task), port)
    handle = _OPEN.get(key)
    if handle is None:
        handle = _started(given, targets, preprocessing, labels, task, port)
        _OPEN[key] = handle
    elif images is None and shown is None and open:
        handle.show()
    try:
        if images is not None:
            handle.add(images)
        if shown is not None:
            handle.open(shown)
    except FovealError:
        if not len(handle._studio.photos):
            handle.close()
        raise
    if open and not handle.shown and not in_notebook():
        handle.show()
    return handle


class StudioHandle:
    """A studio that is open.

    Attributes:
        address: what a browser opens; whoever has it can use the studio.
        shown: a browser was opened, or a notebook shows the page.
    """

    def __init__(self, studio: Studio, server: StudioServer, thread: threading.Thread) -> None:
        self._studio, self._server, self._thread = studio, server, thread
        self._widget: Any = None
        self.shown = False

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._thread.is_alive()

    @property
    def selected(self) -> Selected | None:
        """What the person looks at now; None as long as no page was opened."""
        from foveal.webapp.selected import selected_in

        return selected_in(self._studio)

    def open(self, result: Openable, i: int = 0) -> StudioHandle:
        """Show a result on the page: the view, photo, target and method that it is about.

        Args:
            result: an Explanation, Tree, Match, Retrieval, Parts, FeatureImages, Run, Reasons, or an image.
            i: which of its images.

        Raises:
            ResultError: for what the studio has no view of, or a network that it does not have.
        """
        from foveal.webapp.opened import address_of

        self._check_open()
        openings = self._studio.openings
        assert openings is not None
        if not openings.open(address_of(self._studio, result, i)) and self.shown and not in_notebook():
            self.show()
        return self

    def add(self, images: ImageLike) -> StudioHandle:
        """More photos; those that are there already are not added again."""
        self._check_open()
        self._studio.add_photos(images)
        if self._studio.openings:
            self._studio.openings.open("")
        return self

    def show(self) -> None:
        """Open the page in a browser."""
        self._check_open()
        self.shown = True
        webbrowser.open(self.address)

    def wait(self) -> None:
        """Serve until Ctrl-C, then close: the last line of a script."""
        try:
            while not self.closed:
                self._thread.join(0.5)
        except KeyboardInterrupt:
            self.close()

    def close(self) -> None:
        """Stop the studio and its threads; its pages say so."""
        for key in [key for key, handle in _OPEN.items() if handle is self]:
            del _OPEN[key]
        if self._widget is not None:
            self._widget.close()
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> StudioHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        models, photos = ", ".join(self._studio.models), len(self._studio.photos)
        where = "closed" if self.closed else self.address
        return f"studio of {models} with {photos} photo{'s' * (photos != 1)}: {where}"

    def _repr_html_(self) -> str:
        """A link, where no widget can be shown."""
        if self.closed:
            return f"<p>{escape(repr(self))}</p>"
        return f'<p><a href="{escape(self.address)}" target="_blank" rel="noopener">{escape(repr(self))}</a></p>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The page itself in a notebook that has anywidget, and a link."""
        plain = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if self.closed:
            return plain
        try:
            widget = self.widget
        except MissingExtra:
            return plain
        bundle = widget._repr_mimebundle_(include=include, exclude=exclude)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        self.shown = True
        return {**plain, **(data or {})}

    @property
    def widget(self) -> Any:
        """The page as a widget for notebooks; it needs no port, so it works where the notebook runs elsewhere.

        Raises:
            MissingExtra: without anywidget.
        """
        from foveal.webapp.widget import widget_of

        self._check_open()
        if self._widget is None:
            self._widget = widget_of(self._studio, self._server)
        return self._widget

    def _check_open(self) -> None:
        if self.closed:
            raise FovealError("this studio was closed: open another with foveal.studio(model)")


def in_notebook() -> bool:
    """Whether this runs in a kernel that shows widgets."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def _started(
    given: Mapping[str, OneModel],
    targets: Mapping[str, TargetLike] | None,
    preprocessing: Preprocessing | None,
    labels: Sequence[str] | None,
    task: Task | None,
    port: int | None,
) -> StudioHandle:
    try:
        from foveal.webapp.openings import Openings
        from foveal.webapp.serve import started
        from foveal.webapp.studio import Studio
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the studio needs {error.name}: pip install 'foveal[studio]'") from error
    models = {
        name: as_model(load_model(one) if isinstance(one, str) else one, preprocessing, labels, task)
        for name, one in given.items()
    }
    studio = Studio(models, targets)
    studio.openings = Openings()
    server, thread = started(studio, port=port)
    return StudioHandle(studio, server, thread)


def _run_in(model: Any, run: Run | Reasons | None) -> tuple[Any, Run | Reasons | None]:
    """The networks, and the run; of a run in the networks' place the name of its own."""
    from foveal.runs.reasons import Reasons
    from foveal.runs.result import Run

    if not isinstance(model, Run | Reasons):
        return model, run
    own = model if isinstance(model, Run) else model.run
    return own.record.settings["model"], model


def _named(model: OneModel | Sequence[OneModel] | Mapping[str, OneModel]) -> dict[str, OneModel]:
    """Models by the names that the page shows."""
    if isinstance(model, Mapping):
        return {str(name): one for name, one in model.items()}
    named: dict[str, OneModel] = {}
    several: Sequence[Any] = model if isinstance(model, list | tuple) else [model]
    for one in several:
        name = one if isinstance(one, str) else one.name if isinstance(one, Model) else type(one).__name__
        free = (f"{name} ({number})" if number > 1 else name for number in range(1, len(named) + 2))
        named[next(name for name in free if name not in named)] = one
    return named


def _key(
    given: Mapping[str, OneModel], targets: Mapping[str, Any] | None, options: tuple[Any, ...], port: int | None
) -> Hashable:
    """What is the same for the same models and options; a network is itself, whatever it is wrapped in."""
    models = tuple(
        (name, one if isinstance(one, str) else id(getattr(one, "module", one))) for name, one in given.items()
    )
    own = tuple((name, id(target)) for name, target in (targets or {}).items())
    return models, own, repr(options), port


@atexit.register
def _close_all() -> None:
    for handle in list(_OPEN.values()):
        handle.close()
