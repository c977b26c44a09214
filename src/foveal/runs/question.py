"""What is asked about every picture of a run, in a form that travels to other processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foveal._version import __version__
from foveal.errors import TargetError
from foveal.images import Preprocessing
from foveal.models.network import Network
from foveal.results.provenance import versions
from foveal.runs.verbs.verb import Verb
from foveal.storage.fingerprint import fingerprint
from foveal.targets import Class, Labels, TargetLike

OWN = "label"
"""The target of a run that explains each picture's own label."""


@dataclass(frozen=True)
class RunQuestion:
    """What a run asks.

    Attributes:
        verb: what is asked of each picture.
        target: of every picture.
        own: each picture's label is its target; `target` is None then.
        notes: what holds for every picture, and is not said again of each.

    Raises:
        TargetError: for a target where the verb looks at none.
    """

    network: Network
    verb: Verb
    target: TargetLike = None
    own: bool = False
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.verb.decides == "never" and (self.own or self.target is not None):
            raise TargetError(f"a {self.verb.name} explains a similarity, and no target: leave target out")

    @property
    def blind(self) -> bool:
        """Whether no decision is looked at."""
        undecided = self.target is None and not self.own
        return self.verb.decides == "never" or (self.verb.decides == "where given" and undecided)

    def settings(self) -> dict[str, Any]:
        """Everything that decides an outcome, as plain data; what has no plain words, by its fingerprint."""
        model = self.network.get()
        device = next((str(p.device) for p in model.module.parameters()), "cpu")
        kinds = dict.fromkeys(type(part) for part in model.module.modules())
        known = {
            "model": model.name,
            "weights": fingerprint(weights=model.module),
            "code": fingerprint(code=[getattr(kind, "forward", None) for kind in kinds]),
            "preprocessing": preprocessing_setting(model.preprocessing),
            "labels": fingerprint(labels=model.labels),
            "task": model.task,
            "target": OWN if self.own else fingerprint(target=self.target),
            "verb": self.verb.name,
            "method": self.verb.made_by(model),
            "device": device,
            "versions": {**versions(), "foveal": __version__},
        }
        own = self.verb.settings()
        assert not known.keys() & own.keys(), "a setting of the verb has the name of one of the run"
        return {**known, **own}


def preprocessing_setting(known: Preprocessing | None) -> str | None:
    """Its fingerprint; of a transform that was learned the transform itself, not the sizes that it has met so far."""
    if known is None:
        return None
    transform = known.transform.run if known.transform else None
    return fingerprint(said=known.to_dict(), transform=transform)


def asked_target(target: TargetLike) -> tuple[TargetLike, bool]:
    """The target, and whether it is each picture's own label.

    Raises:
        TargetError: for one that is about a number of pictures, or gives each several maps.
    """
    if isinstance(target, str) and target == OWN:
        return None, True
    several = isinstance(target, list | tuple) or (
        isinstance(target, Class) and not isinstance(target.which, int | str | None)
    )
    if several:
        raise TargetError(
            "a run has one target, or each image's own label: put the classes into a table with a column `label`, and "
            "explain target='label'"
        )
    if isinstance(target, Labels):
        raise TargetError("a run has one map for each image: explain one of the labels")
    return target, False


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How settings differ, in words: "method: gradcam → hirescam, other weights"."""
    if before.get("verb") != now.get("verb"):  # whose options have nothing to do with each other
        return _change("verb", before.get("verb"), now.get("verb"))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if "weights" in names and "model" in names:
        names.remove("weights")
    return ", ".join(_change(name, before.get(name), now.get(name)) for name in names)


def _change(name: str, before: Any, now: Any) -> str:
    if name == "versions":
        pairs = {key: (dict(before or {}).get(key), dict(now or {}).get(key)) for key in {**(before or {}), **now}}
        return ", ".join(f"{key} {old} → {new}" for key, (old, new) in pairs.items() if old != new)
    fingerprints = any(isinstance(value, str) and len(value) == 64 for value in (before, now))
    return f"other {name}" if fingerprints else f"{name}: {before} → {now}"
