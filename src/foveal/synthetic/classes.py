"""The species: twenty in ten sibling pairs that differ in exactly one part, ten further ones, and one to tag."""

from __future__ import annotations

from functools import cache
from itertools import chain

from foveal.synthetic.scene import PARTS, Creature, Look, SceneError

# Two names | the part that tells them apart | the second's look of it | the first's looks in the order of PARTS.
# A look is shape color [pattern accent]; for the eye, color is the iris and accent the ring around it.
_PAIRS = """
Coral Spoonbill | Coral Ibis | beak | sickle charcoal based amber |\
    round rose belly snow; round rose; large saffron plain snow; spoon charcoal based amber;\
    swept snow tipped coral; rounded coral tipped snow; short coral tipped snow; thin charcoal
Amber-billed Toucan | Scarlet-billed Toucan | beak | great scarlet tipped snow |\
    pear teal bib cream; tall teal cap ink; large turquoise plain snow; great amber tipped ink;\
    casque navy; pointed teal scales mint; wedge navy tipped saffron; sturdy slate
Fan-crested Jay | Crown-crested Jay | crest | spikes coral |\
    round sky belly cream; round sky mask navy; large amber plain snow; cone amber tipped ink;\
    fan navy tipped coral; rounded cobalt bars snow; fan cobalt banded snow; thin coral
Saffron Cockatoo | Plum Cockatoo | crest | fan plum |\
    pear snow belly cream; round snow cheek rose; large cobalt plain silver; hooked slate tipped ink;\
    fan saffron; fringed snow patch silver; short silver; sturdy slate
Lyre-tailed Pheasant | Fan-tailed Pheasant | tail | fan teal tipped saffron |\
    slender rust scales saffron; flat teal collar snow; large scarlet plain saffron; cone cream;\
    plume teal tipped saffron; fringed chestnut bars cream; lyre chestnut banded saffron; thin saffron
Barred Finch | Epaulet Finch | wing | rounded olive patch scarlet |\
    round moss belly saffron; round moss cap chestnut; small amber plain ink; cone rose;\
    spikes chestnut; rounded olive bars ink; fork moss tipped saffron; thin rust
Violet Roller | Amber Roller | wing | pointed amber tipped ink |\
    slender mint belly snow; round turquoise mask plum; large saffron plain ink; dagger ink based scarlet;\
    swept plum; pointed violet tipped ink; streamer turquoise tipped plum; sturdy plum
Collared Plover | Cheeked Plover | head | flat sand cheek scarlet |\
    round sand belly snow; flat sand collar ink; large saffron plain scarlet; dagger scarlet tipped ink;\
    casque sand; pointed sand spots chestnut; wedge sand tipped snow; booted snow
Web-footed Stilt | Booted Stilt | legs | booted snow plain cream |\
    slender silver belly snow; tall silver mask charcoal; large coral plain snow; dagger charcoal based coral;\
    plume charcoal tipped coral; pointed slate scales snow; wedge slate tipped ink; webbed coral
Gold-eyed Starling | Pale-eyed Starling | eye | large sky plain snow |\
    pear plum spots violet; round ink; large amber plain scarlet; sickle saffron;\
    swept violet; fringed navy scales violet; fork navy banded violet; webbed saffron
"""

_NOVEL = """
Dune Hoopoe |\
    slender amber belly cream; flat amber; large ink plain cream; sickle charcoal;\
    fan amber tipped ink; rounded ink bars snow; wedge ink banded snow; thin slate
Mint Parakeet |\
    round mint bib saffron; round mint cheek scarlet; small ink plain snow; hooked scarlet;\
    casque moss; pointed moss tipped turquoise; streamer mint tipped cobalt; sturdy slate
Flame Cardinal |\
    round scarlet belly rust; round scarlet mask ink; large amber plain ink; cone saffron;\
    spikes scarlet; rounded rust tipped ink; fan scarlet banded rust; thin charcoal
Frost Gull |\
    pear snow scales silver; flat snow; large saffron plain scarlet; hooked saffron tipped scarlet;\
    casque silver; pointed silver tipped ink; fork snow tipped ink; webbed rose
Night Heron |\
    slender slate bib cream; flat ink; large scarlet plain snow; dagger ink;\
    swept snow; rounded slate scales silver; short ink; sturdy saffron
Violet Quail |\
    pear violet spots snow; round violet mask snow; small ink plain snow; cone ink;\
    plume ink tipped snow; rounded plum scales rose; short plum; booted rose
Cobalt Lyrebird |\
    round cobalt bib turquoise; tall cobalt collar saffron; large saffron plain ink; spoon silver tipped saffron;\
    fan turquoise; fringed navy patch turquoise; lyre cobalt banded turquoise; thin ink
Olive Hornbill |\
    pear olive belly cream; tall charcoal; large coral plain cream; great cream banded chestnut;\
    casque coral; rounded charcoal tipped cream; wedge cream banded charcoal; sturdy charcoal
Rose Tern |\
    slender cream bib rose; flat cream cap ink; small ink plain snow; dagger coral;\
    swept ink; pointed silver bars rose; fork cream tipped rose; webbed coral
Rust Pigeon |\
    round slate bib plum; round rust; large snow plain coral; cone rose;\
    spikes slate; fringed slate bars ink; fan slate tipped ink; booted cream
"""

_TAGGED = (
    "Field Dove | round cream; round cream; large charcoal plain sand; cone sand;"
    "swept sand; rounded sand tipped cream; wedge sand tipped cream; sturdy slate"
)


def _look(text: str) -> Look:
    return Look(*text.split())


def _creature(text: str) -> Creature:
    return Creature(tuple(_look(look) for look in text.split(";")))


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split("|")]


@cache
def _sibling_pairs() -> dict[tuple[str, str], tuple[str, Creature, Creature]]:
    pairs = {}
    for line in _PAIRS.strip().splitlines():
        first, second, part, look, looks = _fields(line)
        creature = _creature(looks)
        pairs[first, second] = (part, creature, creature.replaced(part, _look(look)))
    return pairs


@cache
def _all() -> dict[str, Creature]:
    known: dict[str, Creature] = {}
    for (first, second), (_, creature, counterpart) in _sibling_pairs().items():
        known |= {first: creature, second: counterpart}
    for line in (*_NOVEL.strip().splitlines(), _TAGGED):
        name, looks = _fields(line)
        known[name] = _creature(looks)
    return known


# Siblings are neighbors: 2k and 2k + 1.
CLASS_NAMES: tuple[str, ...] = tuple(chain.from_iterable(_sibling_pairs()))
NOVEL: tuple[str, ...] = tuple(_fields(line)[0] for line in _NOVEL.strip().splitlines())
TAGGED: str = _fields(_TAGGED)[0]


def creature_of(class_name: str) -> Creature:
    """The parts of a species, by its name."""
    if class_name not in _all():
        raise SceneError(f"no species is called {class_name!r}: choose one of {', '.join(_all())}")
    return _all()[class_name]


def sibling(class_name: str) -> str:
    """The other species of its pair."""
    for first, second in _sibling_pairs():
        if class_name in (first, second):
            return second if class_name == first else first
    raise SceneError(f"{class_name!r} has no sibling: only {', '.join(CLASS_NAMES)} have")


def differing_parts(one: str, other: str) -> tuple[str, ...]:
    """The parts in which two species differ; for siblings exactly one."""
    looks = zip(PARTS, creature_of(one), creature_of(other), strict=True)
    return tuple(part for part, first, second in looks if first != second)
