"""Damage to order: bytes, JSON documents, zip archives and folders, each changed in a way that a number decides.

    for number in range(1000):
        with damaged_copy(folder, number) as (copy, what):
            …                                            # loads equal to the original, or fails in one sentence

The same number always gives the same damage. `mutations()` says how many a fuzzer tries: `FOVEAL_FUZZ` sets it.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Draw = random.Random
Found = tuple[Any, Any]  # a container in a JSON document, and a key or position in it


def mutations(usual: int) -> int:
    """How many mutations to try: FOVEAL_FUZZ times a thousandth of what is usual for a thousand."""
    return max(1, usual * int(os.environ.get("FOVEAL_FUZZ", "1000")) // 1000)


def limit(seconds: int) -> int:
    """How long a fuzzer may take, where so many seconds are enough for the usual number."""
    return max(seconds, mutations(seconds))


def draw(number: int, *about: object) -> Draw:
    """The randomness of one mutation."""
    return Draw("/".join(map(str, (number, *about))))


# --- bytes ---


def flip_bit(content: bytes, random: Draw) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def flip_bits(content: bytes, random: Draw) -> bytes:
    for _ in range(random.randint(2, 12)):
        content = flip_bit(content, random)
    return content


def cut_end(content: bytes, random: Draw) -> bytes:
    return content[: random.randrange(len(content))]


def cut_start(content: bytes, random: Draw) -> bytes:
    return content[random.randint(1, len(content)) :]


def cut_middle(content: bytes, random: Draw) -> bytes:
    start, end = _span(content, random)
    return content[:start] + content[end:]


def double_middle(content: bytes, random: Draw) -> bytes:
    start, end = _span(content, random)
    return content[:end] + content[start:]


def zero_middle(content: bytes, random: Draw) -> bytes:
    start, end = _span(content, random)
    return content[:start] + bytes(end - start) + content[end:]


def noise_middle(content: bytes, random: Draw) -> bytes:
    start, end = _span(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


def swap_middle(content: bytes, random: Draw) -> bytes:
    """Two spans change places."""
    a, b, c = sorted(random.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def extreme_number(content: bytes, random: Draw) -> bytes:
    """Four or eight bytes become a number that breaks sizes and offsets."""
    number = random.choice([struct.pack("<i", -1), struct.pack("<I", 2**31), struct.pack("<q", 2**62), bytes(4)])
    at = random.randrange(len(content))
    return content[:at] + number + content[at + len(number) :]


def add_end(content: bytes, random: Draw) -> bytes:
    return content + random.randbytes(random.randint(1, 64))


def nothing_left(content: bytes, random: Draw) -> bytes:
    return b""


BYTES: Sequence[Callable[[bytes, Draw], bytes]] = (
    flip_bit, flip_bits, cut_end, cut_start, cut_middle, double_middle, zero_middle, noise_middle, swap_middle,
    extreme_number, add_end, nothing_left,
)  # fmt: skip


def mutated_bytes(content: bytes, number: int) -> tuple[bytes, str]:
    """The bytes otherwise, and what was done to them; they are never the same as before, unless there were none."""
    return _changed(content, draw(number, "bytes"), BYTES)


# --- JSON ---

VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 10**30, 0.5, 1e308, "", "0", "x", "../x", "\x00", "\ud800",
    "ä\u2028", [], {}, [[]], [0], [None], {"": 0}, [[[[[[[[[[]]]]]]]]]], "x" * 5000, [0] * 5000,
)  # fmt: skip


def swap_value(document: Any, random: Draw) -> Any:
    """A value becomes another, often of another type."""
    holder, key = random.choice(places(document))
    holder[key] = copy.deepcopy(random.choice(VALUES))
    return document


def nudge_number(document: Any, random: Draw) -> Any:
    """A number becomes another number: still of the right type, but wrong."""
    numbers = [(h, k) for h, k in places(document) if type(h[k]) in (int, float)]
    holder, key = random.choice(numbers or places(document))
    change = random.choice([lambda x: x + 1, lambda x: -x, lambda x: x * 1000, lambda x: x - 1, lambda x: x / 3])
    holder[key] = change(holder[key]) if numbers else 7
    return document


def drop_item(document: Any, random: Draw) -> Any:
    holder, key = random.choice(places(document))
    del holder[key]
    return document


def rename_key(document: Any, random: Draw) -> Any:
    holder, key = random.choice([(h, k) for h, k in places(document) if isinstance(h, dict)] or places(document))
    value = holder.pop(key)
    if isinstance(holder, dict):
        holder[f"{key}x"] = value
    return document


def double_item(document: Any, random: Draw) -> Any:
    holder, key = random.choice([(h, k) for h, k in places(document) if isinstance(h, list)] or places(document))
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[f"{key} again"] = copy.deepcopy(holder[key])
    return document


def exchange_items(document: Any, random: Draw) -> Any:
    """Two values from anywhere change places, neither of them inside the other."""
    for _ in range(20):
        (a, i), (b, j) = random.choice(places(document)), random.choice(places(document))
        x, y = copy.deepcopy(a[i]), copy.deepcopy(b[j])
        if not _holds(a[i], b) and not _holds(b[j], a):
            a[i], b[j] = y, x
            return document
    return document


def deep_nest(document: Any, random: Draw) -> Any:
    """A value deeper than any reader may recurse."""
    holder, key = random.choice(places(document))
    holder[key] = _Raw("[" * 50_000 + "]" * 50_000)
    return document


def long_number(document: Any, random: Draw) -> Any:
    """A number longer than Python reads, or one that is none."""
    holder, key = random.choice(places(document))
    holder[key] = _Raw(random.choice(["1" * 5_000, "1e999", "-1e999", "NaN", "Infinity", "1" * 400]))
    return document


def double_key(document: Any, random: Draw) -> Any:
    """An object that says one thing twice, the second time something else."""
    holders = [h for h, _ in places(document) if isinstance(h, dict)]
    if not holders:
        return swap_value(document, random)
    holder = random.choice(holders)
    key = random.choice(list(holder))
    holder[_Twice(key)] = copy.deepcopy(random.choice(VALUES))
    return document


JSON: Sequence[Callable[[Any, Draw], Any]] = (
    swap_value, swap_value, nudge_number, drop_item, rename_key, double_item, exchange_items, deep_nest, long_number,
    double_key,
)  # fmt: skip


def mutated_json(text: str, number: int) -> tuple[str, str]:
    """The text of a JSON document that says something else, and what was done to it."""
    document = json.loads(text)
    if not places(document):
        return "", "nothing_left"
    before = _dumped(document)

    def one(kind: Callable[[Any, Draw], Any]) -> Callable[[str, Draw], str]:
        return lambda _, random: _dumped(kind(copy.deepcopy(document), random))

    kinds = [one(kind) for kind in JSON]
    for maker, kind in zip(kinds, JSON, strict=True):
        maker.__name__ = kind.__name__
    return _changed(before, draw(number, "json"), kinds)


def places(document: Any) -> list[Found]:
    """Every place in a JSON document: what holds it, and under which key."""
    found: list[Found] = []
    todo = [document]
    while todo:
        holder = todo.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            found.append((holder, key))
            todo.append(holder[key])
    return found


# --- zip archives ---


def mutated_zip(content: bytes, number: int) -> tuple[bytes, str]:
    """An archive with a member lost, renamed, doubled, exchanged or damaged, all of it packed in order again."""
    random = draw(number, "zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at, other = random.randrange(len(members)), random.randrange(len(members))
    name, inside = members[at]
    done = random.choice(["lost", "renamed", "doubled", "exchanged", "damaged", "emptied", "bomb"])
    if done == "lost":
        del members[at]
    elif done == "renamed":
        members[at] = (f"x{name}", inside)
    elif done == "doubled":
        members.append((name, members[other][1]))
    elif done == "exchanged":
        members[at], members[other] = (name, members[other][1]), (members[other][0], inside)
    elif done == "damaged" and inside:
        members[at] = (name, mutated_bytes(inside, number)[0])
    else:
        members[at] = (name, bytes(64 * 2**20) if done == "bomb" and random.random() < 0.1 else b"")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, inside in members:
            with _quiet():
                archive.writestr(one, inside)
    return packed.getvalue(), f"{done} {name}"


# --- files and folders ---


def mutated_file(path: Path, number: int) -> str:
    """A file, changed in place by what suits its kind or by its bytes; what was done."""
    random = draw(number, "file")
    content = path.read_bytes()
    suited = random.random() < 0.6
    if suited and path.suffix == ".json":
        text, what = mutated_json(content.decode(), number)
        content = text.encode("utf-8", "surrogatepass")
    elif suited and zipfile.is_zipfile(path) and random.random() < 0.7:
        content, what = mutated_zip(content, number)
    else:
        content, what = mutated_bytes(content, number)
    path.write_bytes(content)
    return f"{what} of {path.name}"


def mutated_folder(folder: Path, number: int) -> str:
    """A folder with a file changed, lost, or exchanged with another one; what was done."""
    random = draw(number, "folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = random.choice(files)
    chance = random.random()
    if chance < 0.04:
        path.unlink()
        return f"lost {path.name}"
    if chance < 0.08:
        path.unlink()
        path.mkdir()
        return f"a folder for {path.name}"
    if chance < 0.14 and len(files) > 1:
        other = random.choice([file for file in files if file != path])
        mine, yours = path.read_bytes(), other.read_bytes()
        path.write_bytes(yours)
        other.write_bytes(mine)
        return f"exchanged {path.name} and {other.name}"
    return mutated_file(path, number)


@contextmanager
def damaged_copy(original: Path, number: int) -> Iterator[tuple[Path, str]]:
    """A copy of a file or folder, damaged; and what was done to it."""
    with tempfile.TemporaryDirectory() as place:
        copied = Path(place) / original.name
        if original.is_dir():
            shutil.copytree(original, copied)
            yield copied, mutated_folder(copied, number)
        else:
            shutil.copy(original, copied)
            yield copied, mutated_file(copied, number)


# --- inside ---


def _changed(content: Any, random: Draw, kinds: Sequence[Callable[[Any, Draw], Any]]) -> tuple[Any, str]:
    for _ in range(100):
        kind = random.choice(kinds)
        if content and (new := kind(content, random)) != content:
            return new, kind.__name__
    return content, "nothing"


def _span(content: bytes, random: Draw) -> tuple[int, int]:
    """A short stretch mostly, now and then a long one."""
    longest = random.choice([4, 64, len(content)])
    start = random.randrange(len(content))
    return start, min(len(content), start + random.randint(1, longest))


def _holds(document: Any, wanted: Any) -> bool:
    return document is wanted or any(holder[key] is wanted for holder, key in places(document))


class _Raw:
    """Text that stands in the document as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Twice(str):
    """A key that may stand beside its equal."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def _dumped(value: Any) -> str:
    if isinstance(value, _Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_dumped(inside)}" for key, inside in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dumped, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """zipfile warns of doubled names."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
