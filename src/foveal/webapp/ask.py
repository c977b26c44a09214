"""What an ask is: a name, the shape of its query and of its answer, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_type_hints

from pydantic import Field

from foveal.report.answers.wire import Wire

if TYPE_CHECKING:
    from foveal.webapp.studio import Studio

Progress: TypeAlias = Callable[[str, int, int], None]
"""Hears (what, done, total); raises `Canceled` where nobody waits for the answer any more."""

Answering = TypeVar("Answering", bound=Callable[..., Wire])


class Canceled(Exception):
    """Nobody waits for this answer any more."""


class Query(Wire):
    """What a page asks. Equal queries have one answer, which is computed once."""


class PhotoQuery(Query):
    """A query about one photo.

    Attributes:
        photo: its hash, as `library` gives it.
        model: the name of a model of this studio.
    """

    photo: str = Field(max_length=64)
    model: str = Field(max_length=300)


class TargetQuery(PhotoQuery):
    """A query about one decision.

    Attributes:
        target: what is explained, as on the command line: "" is the predicted class, "jay", "jay - runner-up",
            "neuron:layer3:17".
    """

    target: str = Field(default="", max_length=1000)


@dataclass(frozen=True)
class Ask:
    """One kind of question.

    Attributes:
        name: its path is /api/NAME.
        answer: `(studio, query, progress) -> Answer`.
        lasting: the answer depends on the query alone, so it is kept.
    """

    name: str
    query: type[Query]
    result: type[Wire]
    answer: Callable[[Studio, Any, Progress], Wire]
    lasting: bool

    def key(self, query: Query) -> str:
        """What its answer to a query is kept under."""
        return f"{self.name} {query.model_dump_json()}"


ASKS: dict[str, Ask] = {}


def ask(name: str, *, lasting: bool = True) -> Callable[[Answering], Answering]:
    """Register a function `(studio, query, progress) -> answer` under /api/NAME; its annotations give the schema.

    Args:
        name: of the path.
        lasting: whether the answer is kept; not where it depends on what the studio holds at the moment.
    """

    def register(function: Answering) -> Answering:
        from foveal.webapp.studio import Studio

        assert name not in ASKS, f"{name!r} is asked in two ways"
        hints = get_type_hints(function, localns={"Studio": Studio})
        ASKS[name] = Ask(name, hints["query"], hints["return"], function, lasting)
        return function

    return register
