"""Small things that lie behind the creature, and occluders in front of it."""

from __future__ import annotations

import numpy as np

from foveal.synthetic.canvas import Canvas, Coverage, rasterize
from foveal.synthetic.outline import Points, curve, disc, feather
from foveal.synthetic.palette import tones
from foveal.synthetic.scene import LABELS, Distractors, Occluder, SceneError

DISTRACTORS, OCCLUDER = 4, 5  # keys of their random streams
SHADOW = np.array([0.74, 0.74, 0.8], np.float32)
OCCLUDERS = ("grass", "twig")


def draw_distractors(canvas: Canvas, distractors: Distractors) -> None:
    """Berries, petals, shells and fallen feathers in the given colors; they belong to the background."""
    random = np.random.default_rng([distractors.seed, DISTRACTORS])
    unit = canvas.size / 160
    for index in range(distractors.count):
        x, y = random.uniform(4, 156), random.uniform(12, 154)
        kind, angle, size = int(random.integers(4)), random.uniform(0, 360), random.uniform(2.4, 5.2)
        deep, base, light = tones(distractors.colors[index % len(distractors.colors)])
        cover = rasterize([points * unit for points in _thing(kind, x, y, angle, size)], canvas.size)
        if cover is None:
            continue
        canvas.darken(_below(cover, max(1, round(unit)), canvas.size), SHADOW)
        canvas.lay(cover, base * np.float32(0.75) + deep * np.float32(0.25))
        shine = (
            rasterize([disc(x - size * 0.25, y - size * 0.3, size * 0.33) * unit], canvas.size) if kind == 0 else None
        )
        if shine is not None:
            canvas.lay(shine, light)


def _below(cover: Coverage, step: int, size: int) -> Coverage:
    """The same coverage a little lower: a shadow on the ground."""
    return Coverage(cover.x, cover.y + step, cover.alpha[: max(0, size - cover.y - step)])


def _thing(kind: int, x: float, y: float, angle: float, size: float) -> list[Points]:
    if kind == 0:  # a berry
        return [disc(x, y, size * 0.8)]
    if kind == 1:  # petals
        return [feather(x, y, angle + turn, size * 1.5, size, tip=0.7) for turn in (0, 72, 144, 216, 288)]
    if kind == 2:  # a fallen feather
        return [feather(x, y, angle, size * 3.2, size * 0.9, tip=0.6)]
    return [curve("0,-4! 3,0 0,4! -2,0") * (size * 0.32) + [x, y]]  # a shell


def draw_occluder(canvas: Canvas, occluder: Occluder) -> None:
    """Something green or brown in front of everything, narrow enough that no part is completely hidden."""
    random = np.random.default_rng([occluder.seed, OCCLUDER])
    draw = {"grass": _grass, "twig": _twig}.get(occluder.kind)
    if draw is None:
        raise SceneError(f"no occluder is called {occluder.kind!r}: choose one of {', '.join(OCCLUDERS)}")
    unit = canvas.size / 160
    for polygon, color in draw(random):
        cover = rasterize([polygon * unit], canvas.size)
        if cover is not None:
            deep, base, light = tones(color)
            xs, _ = cover.grid()
            side = ((xs - cover.x) / np.float32(cover.alpha.shape[1]))[..., None]
            canvas.lay(
                cover,
                light * (1 - side) * np.float32(0.4) + base * np.float32(0.6) + deep * side * np.float32(0.4),
                LABELS["occluder"],
            )


def _grass(random: np.random.Generator) -> list[tuple[Points, str]]:
    """A few blades from below."""
    blades = []
    foot = random.uniform(25, 135)
    for _ in range(int(random.integers(2, 5))):
        length, angle = random.uniform(45, 105), random.uniform(-108, -72)
        blade = feather(foot + random.uniform(-22, 22), 164, angle, length, random.uniform(5, 8), tip=0.35)
        blades.append((blade, "moss" if random.random() < 0.7 else "olive"))
    return blades


def _twig(random: np.random.Generator) -> list[tuple[Points, str]]:
    """A thin branch with leaves, reaching in from one side."""
    right, y, angle = bool(random.integers(2)), random.uniform(30, 130), random.uniform(-22, 22)
    x, way = (164.0, 180 + angle) if right else (-4.0, angle)
    length = random.uniform(50, 90)
    items: list[tuple[Points, str]] = [(feather(x, y, way, length, 3.2, tip=0.3), "chestnut")]
    cos, sin = np.cos(np.radians(way)), np.sin(np.radians(way))
    for step in range(4):
        along = length * (0.4 + 0.18 * step)
        side = 48 if step % 2 else -48
        leaf = feather(
            x + along * cos, y + along * sin, way + side, random.uniform(13, 19), random.uniform(6, 8.5), tip=0.5
        )
        items.append((leaf, "moss"))
    return items
