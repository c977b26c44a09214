"""`render`: from a scene to its image and its label map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from foveal.synthetic.backgrounds import background
from foveal.synthetic.camera import develop
from foveal.synthetic.canvas import Canvas, Coverage, blurred, rasterize
from foveal.synthetic.distractors import draw_distractors, draw_occluder
from foveal.synthetic.individual_marks import draw_mark
from foveal.synthetic.outline import Placement, turn
from foveal.synthetic.palette import ramp, rgb, tones
from foveal.synthetic.part_shapes import HIP, NECK, RUMP, axis, form
from foveal.synthetic.patterns import pattern
from foveal.synthetic.scene import LABELS, Look, Pose, Scene, Shift

ORDER = ("legs", "tail", "body", "beak", "crest", "head", "eye", "wing")  # from the back to the front
ROUNDNESS = {"body": 9.0, "head": 6.0, "beak": 2.5, "crest": 2.5, "wing": 4.0, "tail": 3.0, "legs": 1.0}
SHADOW = np.array([0.62, 0.60, 0.72], np.float32)  # what a soft shadow leaves of red, green and blue
CASTS_ON_BODY = {"wing": 3.0, "head": 4.0}  # parts whose shadow falls on the creature, and its width


def render(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The image (h, w, 3) and the label map (h, w) of a scene, both uint8.

    A pure function: equal scenes give equal bytes. Labels are those of `LABELS`: 0 is background (and
    clutter), then the parts, personal marks and occluders; each pixel has the label of the topmost element
    that covers at least half of it.
    """
    canvas = Canvas(background(scene.backdrop, scene.size))
    draw_distractors(canvas, scene.distractors)
    _draw_ground_shadow(canvas, scene)
    shifts = {shift.part: shift for shift in scene.shifts}
    for part in ORDER:
        look = scene.creature[part]
        if look is not None:
            placement = place(part, scene.pose, scene.size, shifts.get(part))
            _draw_part(canvas, scene, part, look, placement)
            for mark in scene.individual_marks:
                if mark.host == part:
                    draw_mark(canvas, mark, placement)
    if scene.occluder is not None:
        draw_occluder(canvas, scene.occluder)
    return develop(canvas.pixels, scene.light, scene.camera, scene.seed), canvas.labels


def place(part: str, pose: Pose, size: int, shift: Shift | None = None) -> Placement:
    """Where the creature's units land in the image, for one part: pose first, then the part's own joint."""
    unit = size / 160
    scale = pose.scale * unit
    cos, sin = math.cos(math.radians(pose.angle)) * scale, math.sin(math.radians(pose.angle)) * scale
    mirror = -1 if pose.flip else 1
    x, y = pose.x * unit, pose.y * unit
    if shift is not None:
        x, y = x + shift.x * unit, y + shift.y * unit
    stand = Placement(mirror * cos, -mirror * sin, x + mirror * 46 * sin, sin, cos, y - 46 * cos)
    joint = {"tail": (pose.tail, *RUMP), "legs": (pose.legs, *HIP)}.get(part)
    if part in ("head", "eye", "beak", "crest"):
        joint = (pose.head, *NECK)
    return stand.after(turn(*joint)) if joint and joint[0] else stand


def _draw_part(canvas: Canvas, scene: Scene, part: str, look: Look, placement: Placement) -> None:
    shape = form(part, look.shape)
    cover = rasterize([placement.points(polygon) for polygon in shape.polygons], canvas.size)
    if cover is None:
        return
    if part in CASTS_ON_BODY:
        _cast(canvas, cover, scene, CASTS_ON_BODY[part] * placement.scale)
    if part == "eye":
        _draw_eye(canvas, cover, look, placement)
    else:
        color = _painted(cover, scene, part, look, placement)
        canvas.lay(cover, color, LABELS[part])
        _draw_strokes(canvas, shape.strokes, shape.stroke_width, cover, look, placement)
    window = canvas.creature[cover.window]
    np.maximum(window, cover.alpha, out=window)


def _painted(cover: Coverage, scene: Scene, part: str, look: Look, placement: Placement) -> NDArray[np.float32]:
    """The part's colors with pattern and shading, (h, w, 3)."""
    x, y = _own_coordinates(cover, placement)
    shade = _shading(cover, scene, ROUNDNESS[part] * placement.scale)
    if part in ("body", "wing", "head", "tail"):
        shade = shade + _plumage(x, y)
    tone = np.rint(np.clip(shade, -1, 1) * np.float32(127.5) + np.float32(127.5)).astype(np.intp)
    color: NDArray[np.float32] = ramp(look.color)[tone]
    if look.pattern != "plain":
        accent = pattern(look.pattern)(_along(part, x, y), x, y, 1.2 / placement.scale)[..., None]
        color += (ramp(look.accent)[tone] - color) * accent
    return color


def _own_coordinates(cover: Coverage, placement: Placement) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each pixel of the box in the creature's units."""
    xs, ys = cover.grid()
    back = placement.inverse()
    x = np.float32(back.a) * xs + (np.float32(back.b) * ys + np.float32(back.c))
    y = np.float32(back.d) * xs + (np.float32(back.e) * ys + np.float32(back.f))
    return x, y


def _along(part: str, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far from the part's root (0) to its tip (1)."""
    root_x, root_y, cos, sin, length = (np.float32(value) for value in axis(part))
    along: NDArray[np.float32] = (x - root_x) * (cos / length) + (y - root_y) * (sin / length)
    return along


def _shading(cover: Coverage, scene: Scene, radius: float) -> NDArray[np.float32]:
    """-1 (in shade) to 1 (lit): the part inflated like a cushion, lit from the scene's light."""
    pad = int(radius * 2) + 1
    height = blurred(np.pad(cover.alpha, pad), radius)
    h, w = cover.alpha.shape
    rows, columns = slice(pad, pad + h), slice(pad, pad + w)
    dy = height[pad + 1 : pad + 1 + h, columns] - height[pad - 1 : pad - 1 + h, columns]
    dx = height[rows, pad + 1 : pad + 1 + w] - height[rows, pad - 1 : pad - 1 + w]
    lx, ly = math.cos(math.radians(scene.light.angle)), math.sin(math.radians(scene.light.angle))
    slope = -(dx * np.float32(lx) + dy * np.float32(ly)) * np.float32(radius * 1.15 * scene.light.strength)
    return slope + np.float32(0.06)


def _plumage(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Faint rows of feathers."""
    row = y * np.float32(0.28) + x * np.float32(0.07)
    column = x * np.float32(0.2) + np.floor(row) * np.float32(0.5)
    fall, bulge = row - np.floor(row), np.abs(column - np.floor(column) - np.float32(0.5)) * 2
    edge = fall - bulge * bulge * np.float32(0.55)
    relief: NDArray[np.float32] = (edge - np.floor(edge)) * np.float32(0.22) - np.float32(0.11)
    return relief


def _cast(canvas: Canvas, cover: Coverage, scene: Scene, width: float) -> None:
    """The part's own shadow, on what of the creature lies behind it."""
    pad = int(width * 3) + 1
    angle = math.radians(scene.light.angle)
    dx, dy = round(-math.cos(angle) * width * 0.7), round(-math.sin(angle) * width * 0.7)
    soft = blurred(np.pad(cover.alpha, pad), width * 0.6)
    left, top = cover.x - pad + dx, cover.y - pad + dy
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + soft.shape[1], canvas.size), min(top + soft.shape[0], canvas.size)
    if x1 <= x0 or y1 <= y0:
        return
    shadow = soft[y0 - top : y1 - top, x0 - left : x1 - left] * canvas.creature[y0:y1, x0:x1]
    canvas.darken(Coverage(x0, y0, shadow * np.float32(0.75)), SHADOW)


def _draw_strokes(
    canvas: Canvas,
    strokes: tuple[NDArray[np.float64], ...],
    width: float,
    cover: Coverage,
    look: Look,
    placement: Placement,
) -> None:
    if not strokes:
        return
    lines = rasterize(
        (), canvas.size, strokes=[placement.points(line) for line in strokes], width=width * placement.scale
    )
    if lines is None:
        return
    inside = np.zeros((canvas.size, canvas.size), np.float32)
    inside[cover.window] = cover.alpha
    soft = lines.alpha * inside[lines.window] * np.float32(0.55)
    canvas.lay(Coverage(lines.x, lines.y, soft), tones(look.color)[0] * np.float32(0.8))


def _draw_eye(canvas: Canvas, cover: Coverage, look: Look, placement: Placement) -> None:
    """A ring in the eye's color, a dark pupil and a glint."""
    x, y = _own_coordinates(cover, placement)
    soft = np.float32(placement.scale)
    distance = np.sqrt((x - 31) * (x - 31) + (y + 28) * (y + 28))
    ring = 6.2 if look.shape == "large" else 4.6
    iris = np.clip((ring - 1.1 - distance) * soft + np.float32(0.5), 0, 1)[..., None]
    pupil = np.clip((ring * 0.5 - distance) * soft + np.float32(0.5), 0, 1)[..., None]
    glint = np.sqrt((x - 32) * (x - 32) + (y + 29.6) * (y + 29.6))
    shine = np.clip((np.float32(1.3) - glint) * soft + np.float32(0.5), 0, 1)[..., None]
    color = rgb(look.accent) * (1 - iris) + rgb(look.color) * iris
    color = color * (1 - pupil) + rgb("ink") * pupil
    canvas.lay(cover, color * (1 - shine) + rgb("snow") * shine, LABELS["eye"])


def _draw_ground_shadow(canvas: Canvas, scene: Scene) -> None:
    """A soft ellipse under the feet, drawn out away from the light; it does not depend on the parts."""
    pose, unit = scene.pose, canvas.size / 160
    lean = -math.cos(math.radians(scene.light.angle)) * 14
    cx, cy = (pose.x + lean * pose.scale) * unit, (pose.y + 1) * unit
    rx, ry = 42 * pose.scale * unit, 9 * pose.scale * unit
    x0, x1 = max(0, math.floor(cx - rx)), min(canvas.size, math.ceil(cx + rx))
    y0, y1 = max(0, math.floor(cy - ry)), min(canvas.size, math.ceil(cy + ry))
    if x1 <= x0 or y1 <= y0 or not scene.light.shadow:
        return
    xs = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - cx)) / np.float32(rx)
    ys = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - cy)) / np.float32(ry)
    inside = np.clip(1 - xs[None] * xs[None] - ys[:, None] * ys[:, None], 0, 1)
    canvas.darken(Coverage(x0, y0, inside * np.float32(scene.light.shadow * 1.4)), SHADOW * np.float32(0.8))
