"""Backgrounds: foliage, water, sand, sky and stones, each drawn from a seed of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from foveal.synthetic.outline import Points, ellipse, feather
from foveal.synthetic.scene import Backdrop, SceneError

Picture = NDArray[np.float32]
Random = np.random.Generator
Color = tuple[int, int, int]
BACKDROP = 3  # key of the background's random stream


def background(backdrop: Backdrop, size: int) -> Picture:
    """The background of a scene, (size, size, 3) in 0..255."""
    if backdrop.kind not in BACKGROUNDS:
        raise SceneError(f"no background is called {backdrop.kind!r}: choose one of {', '.join(BACKGROUNDS)}")
    return BACKGROUNDS[backdrop.kind](np.random.default_rng([backdrop.seed, BACKDROP]), size)


def _foliage(random: Random, size: int) -> Picture:
    moods = [
        ((214, 222, 178), (139, 168, 118), (72, 104, 76)),
        ((196, 216, 202), (112, 152, 130), (52, 88, 82)),
        ((232, 218, 168), (172, 170, 104), (98, 108, 66)),
    ]
    top, middle, low = _pick(random, moods)
    picture = _gradient([top, middle, low], size)
    for count, length, blur in ((16, 0.24, 0.016), (12, 0.15, 0.006)):
        leaves = [
            (_leaf(random, size, length), _between(random, middle, _pick(random, [top, low]))) for _ in range(count)
        ]
        picture = _painted(picture, leaves, blur=blur, strength=0.6)
    picture = _ground(random, picture, _scaled(low, 1.12), level=0.80)
    fringe = [(_blade(random, size), _between(random, low, middle)) for _ in range(14)]
    return _painted(picture, fringe, blur=0.004)


def _water(random: Random, size: int) -> Picture:
    moods = [
        ((206, 230, 232), (122, 184, 196), (54, 122, 146)),
        ((232, 222, 214), (158, 180, 192), (74, 112, 142)),
        ((196, 226, 216), (108, 178, 170), (40, 112, 116)),
    ]
    top, middle, low = _pick(random, moods)
    picture = _gradient([top, middle, low], size)
    ripples = []
    for _ in range(46):
        y = random.uniform(0.28, 1.0) ** 0.8
        length = (0.04 + 0.16 * y) * random.uniform(0.5, 1.4)
        lens = ellipse(random.uniform(-0.05, 1.05), y, length, 0.004 + 0.009 * y * y)
        ripples.append((lens * size, _between(random, middle, _pick(random, [top, top, low]))))
    return _painted(picture, ripples, blur=0.006)


def _sand(random: Random, size: int) -> Picture:
    moods = [
        ((214, 226, 226), (238, 214, 166), (204, 160, 108)),
        ((238, 212, 190), (232, 190, 142), (186, 132, 92)),
        ((222, 226, 214), (230, 216, 184), (186, 164, 128)),
    ]
    top, middle, low = _pick(random, moods)
    picture = _gradient([top, middle], size)
    dunes = []
    for level, shade in ((0.42, 1.02), (0.55, 0.97), (0.70, 1.0)):
        dunes.append((_ridge(random, size, level, 0.06), _scaled(_mix(middle, low, (level - 0.3) * 1.6), shade)))
    picture = _painted(picture, dunes, blur=0.012)
    ripples = []
    for _ in range(26):
        y = random.uniform(0.72, 1.02)
        ripples.append((ellipse(random.uniform(0, 1), y, random.uniform(0.08, 0.3), 0.006) * size, _scaled(low, 0.96)))
    return _grain(random, _painted(picture, ripples, blur=0.01), 7)


def _sky(random: Random, size: int) -> Picture:
    moods = [
        ((104, 160, 212), (188, 216, 232), (118, 140, 84)),
        ((146, 152, 200), (244, 208, 186), (112, 108, 88)),
        ((134, 190, 206), (226, 234, 218), (140, 150, 92)),
    ]
    top, middle, low = _pick(random, moods)
    picture = _gradient([top, middle, middle], size)
    clouds = []
    for _ in range(4):
        cx, cy, wide = random.uniform(0, 1), random.uniform(0.08, 0.62), random.uniform(0.10, 0.22)
        for _ in range(7):
            x, y = cx + random.uniform(-1, 1) * wide, cy + random.uniform(-0.03, 0.025)
            clouds.append(
                (ellipse(x, y, random.uniform(0.06, 0.13), random.uniform(0.03, 0.06)) * size, (250, 247, 240))
            )
    picture = _painted(picture, clouds, blur=0.025, strength=0.75)
    picture = _painted(picture, [(_ridge(random, size, 0.74, 0.04), _mix(low, middle, 0.5))], blur=0.01)
    picture = _ground(random, picture, low, level=0.82)
    fringe = [(_blade(random, size), _scaled(low, random.uniform(0.8, 1.15))) for _ in range(16)]
    return _painted(picture, fringe, blur=0.003)


def _stones(random: Random, size: int) -> Picture:
    moods = [
        ((206, 212, 214), (150, 158, 166), (92, 100, 112)),
        ((222, 212, 200), (170, 158, 146), (112, 100, 94)),
        ((196, 206, 200), (138, 152, 148), (82, 96, 98)),
    ]
    top, middle, low = _pick(random, moods)
    picture = _gradient([top, _mix(top, middle, 0.5), low], size)
    stones = []
    for row in range(6):
        y = 0.50 + 0.012 * row + 0.018 * row * row
        wide = 0.05 + 0.018 * row
        x = random.uniform(-wide, 0)
        while x < 1 + wide:
            width = wide * random.uniform(0.8, 1.4)
            stones += _stone(
                random, x + width / 2, y + random.uniform(-0.015, 0.015), width * 0.62, size, middle, top, low
            )
            x += width * 1.02
    far = [(_ridge(random, size, 0.45, 0.05), _mix(middle, low, 0.35))]
    return _grain(random, _painted(_painted(picture, far, blur=0.02), stones, blur=0.005), 6)


BACKGROUNDS: dict[str, Callable[[Random, int], Picture]] = {
    "foliage": _foliage, "water": _water, "sand": _sand, "sky": _sky, "stones": _stones,
}  # fmt: skip


def _gradient(stops: Sequence[Color], size: int) -> Picture:
    """Colors evenly spaced from the top to the bottom."""
    position = np.linspace(0, len(stops) - 1, size)
    columns = [np.interp(position, np.arange(len(stops)), [stop[k] for stop in stops]) for k in range(3)]
    column = np.stack(columns, 1).astype(np.float32)[:, None]
    return np.repeat(column, size, 1)


def _painted(
    picture: Picture, shapes: Sequence[tuple[Points, Color]], *, blur: float, strength: float = 0.85
) -> Picture:
    """Filled polygons over an image; both edges and colors softened by `blur`, a fraction of the size."""
    size = picture.shape[0]
    base = Image.fromarray(np.rint(np.clip(picture, 0, 255)).astype(np.uint8))
    layer = base.resize((2 * size, 2 * size), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(layer)
    for points, color in shapes:
        draw.polygon(np.rint(points * 2).astype(np.int64).ravel().tolist(), fill=color)
    over = layer.reduce(2)
    for _ in range(2 if blur > 0.008 else 1):
        over = over.filter(ImageFilter.BoxBlur(blur * size))
    return picture + (np.asarray(over, np.float32) - picture) * np.float32(strength)


def _ground(random: Random, picture: Picture, color: Color, *, level: float) -> Picture:
    """A soft, slightly uneven floor."""
    size = picture.shape[0]
    grown = _painted(picture, [(_ridge(random, size, level, 0.02), color)], blur=0.008, strength=1.0)
    return _grain(random, grown, 5)


def _grain(random: Random, picture: Picture, depth: float) -> Picture:
    """Gentle mottling at two scales."""
    size = picture.shape[0]
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((9, 0.75), (56, 0.25)):
        grid = Image.fromarray(random.integers(0, 256, (cells, cells), np.uint8))
        fine = grid.resize((size, size), Image.Resampling.BICUBIC)
        total += (np.asarray(fine, np.float32) - 127) * np.float32(weight / 64)
    return picture + total[..., None] * np.float32(depth)


def _leaf(random: Random, size: int, length: float) -> Points:
    x, y = random.uniform(-0.05, 1.05), random.uniform(-0.05, 0.95)
    long = length * random.uniform(0.7, 1.5) * size
    return feather(x * size, y * size, random.uniform(0, 360), long, long * random.uniform(0.35, 0.55), tip=0.5)


def _blade(random: Random, size: int) -> Points:
    """A blade of grass at the lower edge."""
    long = random.uniform(0.06, 0.16) * size
    return feather(random.uniform(0, 1) * size, 1.02 * size, random.uniform(-115, -65), long, long * 0.13, tip=0.4)


def _ridge(random: Random, size: int, level: float, swing: float) -> Points:
    """Everything below a rolling horizon."""
    knots = level + random.uniform(-swing, swing, 6)
    x = np.linspace(0, 1, 33)
    y = np.interp(x, np.linspace(0, 1, 6), knots)
    line = np.stack([x, y], 1)
    return np.concatenate([line, [[1, 1.01], [0, 1.01]]]) * size


def _stone(
    random: Random, x: float, y: float, radius: float, size: int, middle: Color, top: Color, low: Color
) -> list[tuple[Points, Color]]:
    """A pebble: its dark foot, its body and its lit top."""
    wobble = random.uniform(0.86, 1.1, 14)[:, None]
    flat = np.array([radius, radius * 0.72])
    ring = (ellipse(0, 0, 1, 1) * wobble) * flat
    body = _between(random, middle, top)
    center = np.array([x, y])
    foot = (center + [0, radius * 0.10] + ring * 1.06) * size
    crown = (center - [radius * 0.10, radius * 0.16] + ring * 0.66) * size
    return [(foot, _scaled(low, 0.85)), ((center + ring) * size, body), (crown, _mix(body, top, 0.35))]


def _pick(random: Random, options: Sequence[Color | tuple[Color, ...]]):  # type: ignore[no-untyped-def]
    return options[int(random.integers(len(options)))]


def _mix(one: Color, other: Color, share: float) -> Color:
    r, g, b = (round(p + (q - p) * share) for p, q in zip(one, other, strict=True))
    return r, g, b


def _between(random: Random, one: Color, other: Color) -> Color:
    return _mix(one, other, random.uniform(0, 0.75))


def _scaled(color: Color, factor: float) -> Color:
    r, g, b = (min(255, round(value * factor)) for value in color)
    return r, g, b
