"""The description of a drawn image: a creature with known parts, its pose, surroundings, light and camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from foveal.errors import FovealError

PARTS = ("body", "head", "eye", "beak", "crest", "wing", "tail", "legs")
REMOVABLE = ("eye", "beak", "crest", "wing", "tail", "legs")  # a creature without body or head is none
RIDERS = {"head": ("head", "eye", "beak", "crest")}  # what moves along with a part
LABELS = {"background": 0, **{part: code for code, part in enumerate(PARTS, 1)}, "mark": 9, "occluder": 10}


class SceneError(FovealError, ValueError):
    """A scene that names a part, shape, color, pattern or background that does not exist."""


@dataclass(frozen=True)
class Look:
    """How one part looks: its outline, its color, and a pattern painted over it in the accent color."""

    shape: str
    color: str
    pattern: str = "plain"
    accent: str = "cream"


@dataclass(frozen=True)
class Creature:
    """Eight parts in the order of `PARTS`; a missing part is None."""

    looks: tuple[Look | None, ...]

    def __getitem__(self, part: str) -> Look | None:
        return self.looks[part_index(part)]

    def __iter__(self) -> Iterator[Look | None]:
        return iter(self.looks)

    def replaced(self, part: str, look: Look | None) -> Creature:
        """The same creature with another look of one part."""
        index = part_index(part)
        return Creature((*self.looks[:index], look, *self.looks[index + 1 :]))


@dataclass(frozen=True)
class Mark:
    """A personal mark: it lies on a part, at a point in the creature's own coordinates, and moves with it."""

    kind: str  # "spot", "ring" or "scar"
    host: str  # the part it lies on
    x: float
    y: float
    size: float  # radius in units: one unit is one pixel at scale 1
    color: str


@dataclass(frozen=True)
class Pose:
    """Where the creature stands and how it holds itself; lengths in 1/160 of the image, angles in degrees."""

    x: float = 80.0  # the point of the ground between the feet
    y: float = 132.0
    scale: float = 1.0
    angle: float = 0.0
    flip: bool = False  # False: it looks to the right
    head: float = 0.0
    tail: float = 0.0
    legs: float = 0.0


@dataclass(frozen=True)
class Light:
    """Where the light comes from (degrees; -90 is straight above, -135 upper left) and what it does."""

    angle: float = -125.0
    strength: float = 1.0
    warmth: float = 0.0  # -1 cool .. 1 warm
    shadow: float = 0.5  # depth of the shadow on the ground, 0..1


@dataclass(frozen=True)
class Backdrop:
    """The background: its kind and its own seed, so that it can be exchanged alone."""

    kind: str = "foliage"
    seed: int = 0


@dataclass(frozen=True)
class Distractors:
    """Small things in the background; their colors are usually borrowed from creatures."""

    count: int = 0
    colors: tuple[str, ...] = ("scarlet",)
    seed: int = 0


@dataclass(frozen=True)
class Occluder:
    """Something in front of the creature: "grass" from below or a "twig" from the side."""

    kind: str = "grass"
    seed: int = 0


@dataclass(frozen=True)
class Camera:
    """Blur in passes of a 3×3 binomial filter, noise in gray levels, exposure as a factor."""

    blur: int = 0
    noise: int = 0
    exposure: float = 1.0


@dataclass(frozen=True)
class Shift:
    """One part drawn elsewhere than the pose has it, in 1/160 of the image."""

    part: str
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """An image to be drawn: `render(scene)` depends on this value alone.

    The interventions return the same scene changed in one respect. Each element draws its random
    details from its own seed, so nothing else in the image moves.

    >>> from foveal.synthetic import class_scene, render
    >>> scene = class_scene("Coral Spoonbill", seed=1)
    >>> image, labels = render(scene.without("beak"))
    >>> image.shape, labels.shape
    ((160, 160, 3), (160, 160))
    """

    creature: Creature
    pose: Pose = field(default_factory=Pose)
    light: Light = field(default_factory=Light)
    backdrop: Backdrop = field(default_factory=Backdrop)
    distractors: Distractors = field(default_factory=Distractors)
    occluder: Occluder | None = None
    camera: Camera = field(default_factory=Camera)
    individual_marks: tuple[Mark, ...] = ()
    seed: int = 0  # of the sensor's noise
    size: int = 160
    class_name: str = ""  # a name for people; drawing never looks at it
    shifts: tuple[Shift, ...] = ()  # at most one a part

    def without(self, part: str) -> Scene:
        """The scene with one part missing (with the marks on it); "mark" removes all personal marks."""
        if part == "mark":
            return replace(self, individual_marks=())
        if part not in REMOVABLE:
            raise SceneError(f"cannot draw a creature without {part!r}: choose one of {', '.join(REMOVABLE)}, mark")
        individual_marks = tuple(mark for mark in self.individual_marks if mark.host != part)
        return replace(self, creature=self.creature.replaced(part, None), individual_marks=individual_marks)

    def with_variant(
        self,
        part: str,
        shape: str | None = None,
        *,
        color: str | None = None,
        pattern: str | None = None,
        accent: str | None = None,
    ) -> Scene:
        """The scene with another shape, color, pattern or accent of one part; what is not given stays the same."""
        old = self.creature[part]
        if old is None:
            raise SceneError(f"cannot vary the {part} of a creature that has none: give it one with with_look")
        look = Look(shape or old.shape, color or old.color, pattern or old.pattern, accent or old.accent)
        return self.with_look(part, look)

    def with_look(self, part: str, look: Look | None) -> Scene:
        """The scene with the given look of one part."""
        return replace(self, creature=self.creature.replaced(part, look))

    def with_background(self, kind: str, *, seed: int | None = None) -> Scene:
        """The scene with another background (another seed: another background of the same kind)."""
        return replace(self, backdrop=Backdrop(kind, self.backdrop.seed if seed is None else seed))

    def moved(self, dx: float, dy: float = 0.0) -> Scene:
        """The creature, with its shadow, moved in units of 1/160 of the image; everything else stays."""
        return replace(self, pose=replace(self.pose, x=self.pose.x + dx, y=self.pose.y + dy))

    def shifted(self, part: str, dx: float, dy: float = 0.0) -> Scene:
        """One part drawn elsewhere, in units of 1/160 of the image, with the marks on it.

        The head takes eye, beak and crest along; the body takes everything, as `moved` does.
        """
        part_index(part)
        if part == "body":
            return self.moved(dx, dy)
        at = {shift.part: (shift.x, shift.y) for shift in self.shifts}
        for rider in RIDERS.get(part, (part,)):
            x, y = at.get(rider, (0.0, 0.0))
            at[rider] = (x + dx, y + dy)
        return replace(self, shifts=tuple(Shift(name, *at[name]) for name in PARTS if at.get(name, (0, 0)) != (0, 0)))


def part_index(part: str) -> int:
    """The number of a body part: its index in `PARTS` and in a creature's looks.

    Raises:
        SceneError: for a name that is not one of `PARTS`.
    """
    if part not in PARTS:
        raise SceneError(f"no part is called {part!r}: choose one of {', '.join(PARTS)}")
    return PARTS.index(part)
