"""What a verb of a run is: options that are plain data, and columns for a batch of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from foveal.results.notes import map_notes, photo_notes

if TYPE_CHECKING:
    from foveal.attribution.context import Context
    from foveal.models.model import Model
    from foveal.results import Explanation
    from foveal.runs.verbs.contributions import ChannelContributions

Decides: TypeAlias = "Literal['always', 'where given', 'never']"


@dataclass(frozen=True)
class Columns:
    """What a verb gives for n pictures.

    Attributes:
        why: their explanation; each of its maps is a column, the last one is drawn, and a row is opened with them.
        numbers: column -> n numbers, None where there is none; those about one map end with its name, "kept_layer1".
        texts: column -> n texts, in place of "predicted" too.
        remarks: what a reader must know of each picture alone; not of the n together.
        notes: what a reader must know of all.
        contributions: what each channel contributes to their scores, where that is asked.
        asked: settings in words that `Verb.settings` has as fingerprints only: the `layer` of parts, the `reference` of
            a flow, the folder that the `references` of a match lie below. Whoever asks the same of one picture needs
            them.
    """

    why: Explanation
    numbers: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    remarks: Sequence[Sequence[str]] = ()
    notes: tuple[str, ...] = ()
    contributions: ChannelContributions | None = None
    asked: Mapping[str, str] = field(default_factory=dict)


Ask: TypeAlias = "Callable[[Context], Columns]"


@runtime_checkable
class Verb(Protocol):
    """What is asked of every picture. It travels to other processes: a frozen dataclass whose fields are its options.

    Attributes:
        name: "flow".
        decides: whether a decision is looked at: "always", only "where given" as a target, or "never".
        alone: whether pictures come one by one, because the last digits of a batch matter and it saves no time.
    """

    name: str
    decides: Decides
    alone: bool

    def made_by(self, model: Model) -> str:
        """What makes the maps, as a result about one picture says it: "naflow:mode=exact"."""

    def settings(self) -> Mapping[str, Any]:
        """Everything that decides an outcome, as plain data; what has no plain words, by its fingerprint."""

    def begin(self, model: Model) -> Ask:
        """What is called with each batch of pictures; made once in each process.

        Raises:
            FovealError: for options that do not fit the model.
        """


def general_notes(why: Explanation) -> tuple[str, ...]:
    """Its notes, but for those of single maps and photos."""
    own = {*map_notes(why.maps), *photo_notes(why.photos)}
    return tuple(note for note in why.notes if note not in own)


def known(value: float) -> float | None:
    """None in place of NaN."""
    return None if value != value else float(value)
