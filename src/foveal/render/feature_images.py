"""Feature images as images: beside the photos they stand for, on their way, in numbers, and the set in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from foveal.errors import ResultError
from foveal.render.figures import MUTED, grid
from foveal.render.overlay import INK, PAPER
from foveal.render.text import write
from foveal.render.tree_words import count

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray
    from torch import Tensor

    from foveal.images import Photo
    from foveal.render.drawable import MadeImage, MadeImages

# Okabe and Ito's colors, told apart by everyone.
FACETS = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233), (120, 94, 240),
    (150, 150, 60), (90, 90, 96), (160, 60, 60),
)  # fmt: skip
TARGET, ATTAINED = (190, 190, 198), (0, 114, 178)


def as_picture(image: Float[Tensor, "c h w"]) -> Image.Image:
    """Values in 0..1 (or bytes) as an image; one channel is gray, and of more than three the mean is shown."""
    values = image.detach().cpu()
    values = values.float() / 255 if values.dtype.itemsize == 1 else values.float()
    if len(values) != 3:
        values = values.mean(0, keepdim=True).expand(3, -1, -1)
    return Image.fromarray((255 * values.clamp(0, 1)).round().byte().permute(1, 2, 0).contiguous().numpy())


def facet_rows(made: MadeImages, *, side: int = 224) -> Image.Image:
    """A row a facet: its most typical photos, what the image began with, the feature image at each layer."""
    if not made.facets:
        return unit_rows(made, side=side)
    cells, rows = [], []
    seeds = sorted({image.seed for image in made})
    for b, facet in enumerate(made.facets):
        for seed in seeds:
            own = [
                next(image for image in made if (image.layer, image.facet, image.seed) == (at, b, seed))
                for at in made.layers
            ]
            photos = mosaic([made.photos[i] for i in facet.members[:4]], side)
            cells.append([photos, as_picture(own[0].snapshots[0][1]), *(as_picture(image.image) for image in own)])
            rows.append(_words(own, b, facet.size, made))
    begun = {"mean": "mean of photos", "photo": "one photo", "noise": "noise"}.get(
        str(made.parameters.get("start")), "start"
    )
    return grid(
        cells,
        columns=("most typical photos", f"start: {begun}", *made.layers),
        rows=rows,
        title=f"Feature images: what {made.model} sees in {count(len(made.photos), 'photo')}",
        caption=" ".join((EXPLAINED, *_alone(made), *(f"{note[:1].upper()}{note[1:]}." for note in made.notes))),
        side=side,
    )


EXPLAINED = (
    "Synthetic images (not photos), optimized to have the mean features of a facet's photos at a layer, with the "
    "strongest channels stronger. Gain: how much stronger these are than in the photos (1 = equal). Fit: cosine "
    "similarity of all features. Recall: share of the photos' strongest channels that are also the image's strongest."
)


def _alone(made: MadeImages) -> list[str]:
    """What to expect of facets that hold one photo."""
    alone = [f"{b + 1}" for b, facet in enumerate(made.facets) if len(facet.members) == 1]
    if not alone or made.parameters.get("start") == "noise":
        return []
    which = "The facet holds" if len(made.facets) == 1 else f"Facet{'s' * (len(alone) > 1)} {', '.join(alone)}: "
    own = " one photo" if len(made.facets) == 1 else "one photo each" if len(alone) > 1 else "one photo"
    return [f"{which}{own}, so its image starts as this photo and stays similar to it, with added patterns."]


def _words(own: Sequence[MadeImage], b: int, size: int, made: MadeImages) -> str:
    lines = [f"facet {b + 1}", count(size, "photo")]
    for image in own:
        prefix = f"{image.layer}: " if len(own) > 1 else ""
        lines.append(f"{prefix}{image.caption()}")
    i = next(k for k, image in enumerate(made) if image is own[-1])
    if len(made.facets) > 1:
        right = made.retrieved(i) == b
        lines.append("nearest target: its own" if right else f"nearest target: facet {made.retrieved(i) + 1}")
    return "\n".join(lines)


def unit_rows(made: MadeImages, *, side: int = 224, columns: int = 6) -> Image.Image:
    """Feature images of single units, in rows, each with its name."""
    pictures = [as_picture(image.image) for image in made]
    rows = range(0, len(pictures), columns)
    parts = [
        grid(
            [pictures[row : row + columns]],
            columns=[image.name for image in list(made)[row : row + columns]],
            title=f"What units of {made.model} respond to" if row == 0 else "",
            side=side,
        )
        for row in rows
    ]
    whole = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


def snapshot_rows(made: MadeImages, *, side: int = 192) -> Image.Image:
    """A row a feature image: the image after so many steps, the best last."""
    cells = [[*(as_picture(image) for _, image in entry.snapshots), as_picture(entry.image)] for entry in made]
    longest = max((image.snapshots for image in made), key=len)
    return grid(
        [
            row if len(row) == len(longest) + 1 else [*row[:-1], *[None] * (len(longest) + 1 - len(row)), row[-1]]
            for row in cells
        ],
        columns=[*(f"step {step}" for step, _ in longest), "best"],
        rows=[
            f"{image.name}\nobjective {image.curve[0][1]:.2f} to {image.loss:.2f}\nbest at step {image.step}"
            for image in made
        ],
        title=made.model,
        side=side,
    )


def mosaic(photos: Sequence[Photo], side: int) -> Image.Image:
    """Up to four photos as the network sees their frame, in a square."""
    whole = Image.new("RGB", (side, side), PAPER)
    if len(photos) == 1:
        return _seen(photos[0], side)
    half = (side - 2) // 2
    for k, photo in enumerate(photos[:4]):
        whole.paste(_seen(photo, half), ((k % 2) * (half + 2), (k // 2) * (half + 2)))
    return whole


def _seen(photo: Photo, side: int) -> Image.Image:
    """The part of a photo that the network was given, as a square."""
    (h, w), (sy, sx), (top, left) = photo.geometry.input_size, photo.geometry.scale, photo.geometry.offset
    box = (left / sx, top / sy, (left + w) / sx, (top + h) / sy)
    image = Image.fromarray(photo.pixels)
    inside = (max(0.0, box[0]), max(0.0, box[1]), min(float(image.width), box[2]), min(float(image.height), box[3]))
    return image.resize((side, side), Image.Resampling.LANCZOS, box=inside)


def channel_bars(image: MadeImage, *, count: int = 24, side: int = 640) -> Image.Image:
    """Attained beside target activation, channel by channel, the strongest first."""
    if image.target is None:
        raise ResultError(f"{image.name} was made for a unit, not for a set of images: it has no target to draw")
    shown = image.channels[:count]
    pairs = list(zip(shown.tolist(), image.target[shown].tolist(), image.attained[shown].tolist(), strict=True))
    size, line = 13, 20
    left, top = 70, 58
    picture = Image.new("RGB", (side, top + line * len(pairs) + 24), PAPER)
    draw = ImageDraw.Draw(picture)
    write(draw, (16, 10), f"{image.name}: {image.caption()}", size * 1.1, ink=INK)
    for x, color, words in ((16, TARGET, "target: mean of the photos"), (250, ATTAINED, "attained by the image")):
        draw.rectangle((x, 37, x + 12, 49), fill=color)
        write(draw, (x + 18, 43), words, size, ink=MUTED, anchor="lm")
    widest = max(max(a, u, 1e-12) for _, a, u in pairs)
    for row, (channel, a, u) in enumerate(pairs):
        y = top + row * line
        write(draw, (left - 8, y + line / 2), str(channel), size, ink=MUTED, anchor="rm")
        unit = (side - left - 90) / widest
        draw.rectangle((left, y + 3, left + max(0.0, a) * unit, y + 9), fill=TARGET)
        draw.rectangle((left, y + 10, left + max(0.0, u) * unit, y + 16), fill=ATTAINED)
        write(
            draw,
            (left + max(a, u, 0) * unit + 6, y + line / 2),
            f"{u / a:.2f}" if a else "",
            size * 0.9,
            ink=INK,
            anchor="lm",
        )
    return picture


def plane(
    made: MadeImages, points: Float[NDArray[np.floating], "n 2"], labels: Sequence[int], layer: str, *, side: int = 900
) -> Image.Image:
    """Photos as points, alike ones near each other; thumbnails of the most typical of each facet.

    Args:
        points: one a photo, from the features of a layer.
        labels: the facet of each.
    """
    if not made.facets:
        raise ResultError("these feature images are of single units: there is no set of images to draw in the plane")
    low, high = points.min(0), points.max(0)
    margin, thumb = 90, 96
    spread = np.where(high > low, high - low, 1)
    at = margin + (points - low) / spread * (side - 2 * margin)
    at = np.where(high > low, at, side / 2)
    picture = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(picture)
    for (x, y), label in zip(at, labels, strict=True):
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=FACETS[label % len(FACETS)], outline=PAPER)
    taken: list[tuple[float, float]] = []
    for b, facet in enumerate(made.facets):
        i = facet.members[0]
        x, y = _free(at[i], [*taken, *((float(a), float(c)) for a, c in at)], len(at), thumb, side)
        taken.append((x, y))
        color = FACETS[b % len(FACETS)]
        draw.line((x, y, *at[i]), fill=color, width=2)
        picture.paste(_seen(made.photos[i], thumb), (round(x - thumb / 2), round(y - thumb / 2)))
        draw.rectangle(
            (x - thumb / 2 - 2, y - thumb / 2 - 2, x + thumb / 2 + 1, y + thumb / 2 + 1), outline=color, width=3
        )
        draw.ellipse((at[i][0] - 4, at[i][1] - 4, at[i][0] + 4, at[i][1] + 4), fill=INK)
        write(draw, (x, y + thumb / 2 + 4), f"facet {b + 1}, {facet.size}", 14, ink=INK, anchor="ma")
    write(
        draw,
        (16, 12),
        f"{count(len(made.photos), 'photo')} in the feature space of {layer}, {made.model}",
        16,
        ink=INK,
    )
    return picture


def _free(
    point: Sequence[float], taken: Sequence[tuple[float, float]], points: int, thumb: int, side: int
) -> tuple[float, float]:
    """The nearest place for a thumbnail that covers no other and, of the last so many, no point."""
    others, dots = taken[: len(taken) - points], taken[len(taken) - points :]
    best, nearest = (float(point[0]), float(point[1])), np.inf
    edge = thumb / 2 + 6
    for r in range(0, side, 24):
        for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False):
            x, y = point[0] + r * np.cos(angle), point[1] + r * np.sin(angle)
            if not (edge <= x <= side - edge and edge + 24 <= y <= side - edge - 20):
                continue
            free = all(abs(x - a) > thumb + 8 or abs(y - b) > thumb + 26 for a, b in others)
            clear = all(abs(x - a) > thumb / 2 + 8 or not -thumb / 2 - 8 < b - y < thumb / 2 + 26 for a, b in dots)
            if free and clear and r < nearest:
                best, nearest = (float(x), float(y)), r
        if nearest < np.inf:
            break
    return best
