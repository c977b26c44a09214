"""Re-identification: does the evidence lie on the person? 38 persons before two cameras, whose backgrounds differ.

    python -m benchmarks.real_persons ../shared/data

Queries before one camera, the gallery before the other; then with photos of other persons before the query's camera
in the gallery, too, which have the query's background; and with the background or the person hidden (in the mean
color). Then the maps of right first matches (columns: `benchmarks.decisions`), and the lines of `foveal.match`.

There are no true silhouettes: those here are GrabCut's (OpenCV), from an upright ellipse in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

import foveal
from benchmarks.decisions import Decision, embedded, maps_of, network, report, said
from benchmarks.real_photos import rows_of
from benchmarks.verdicts import cell
from foveal.images import load_images

METHODS = ("fam", "fam:weights=linear", "gradcam", "hirescam", "lrp-gamma")


def silhouette(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """GrabCut from an upright ellipse: (height, width) of the crop, True on the person."""
    import cv2

    h, w = pixels.shape[:2]
    y, x = np.mgrid[:h, :w]
    dx, dy = (x + 0.5 - w / 2) / (w / 2), (y + 0.5 - h / 2) / (h / 2)
    mask = np.full((h, w), cv2.GC_PR_BGD, np.uint8)
    mask[(dx / 0.72) ** 2 + (dy / 0.98) ** 2 < 1] = cv2.GC_PR_FGD
    mask[(dx / 0.2) ** 2 + ((dy + 0.1) / 0.75) ** 2 < 1] = cv2.GC_FGD
    mask[np.abs(dx) > 0.93] = cv2.GC_BGD
    mask[(dy < -0.64) & (np.abs(dx) > 0.55)] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels[..., ::-1].copy(), mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    return np.asarray((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD))


def first_is_right(similarity: Tensor, right: Tensor, counts: Tensor) -> Tensor:
    """(n,): the most similar of the references that count is right; of equals the wrong one comes first."""
    best = similarity.masked_fill(~(right & counts), -torch.inf).amax(1)
    worst = similarity.masked_fill(right | ~counts, -torch.inf).amax(1)
    return best > worst


def main(data: Path, count: int = 40, threads: int = 1) -> None:
    torch.set_num_threads(threads)
    model, folder = network("osnet"), data / "images" / "persons"
    rows = rows_of(folder)
    who, camera = (torch.tensor([int(row[name]) for row in rows]) for name in ("person", "camera"))
    x = load_images([folder / row["file"] for row in rows], model.preprocessing).tensor
    own = [silhouette(_resized(folder / row["file"], x.shape[2:])) for row in rows]
    inside = torch.from_numpy(np.stack(own))
    q, g = camera == 1, camera == 2
    found = foveal.retrieve(model, x[q], x[g], query_labels=who[q], reference_labels=who[g], show=0)
    print(found.summary, flush=True)
    black = {"as they are": x, "background hidden": x * inside[:, None], "person hidden": x * ~inside[:, None]}
    unit = {name: functional.normalize(embedded(model, images), dim=1) for name, images in black.items()}
    for name, v in unit.items():
        alike, right = v[q] @ v.T, who[q][:, None] == who[None]
        before_other = g.expand(len(alike), -1)
        distracted = before_other | ~right
        said(f"{name}, gallery of the other camera", first_is_right(alike, right & g, before_other).tolist())
        said(f"{name}, and other persons before the same camera", first_is_right(alike, right & g, distracted).tolist())
        other = ~right
        same, across = (alike[other & at.expand_as(other)].mean() for at in (q, g))
        print(f"    cosine of different persons: same camera {float(same):.3f}, other camera {float(across):.3f}")
    v = unit["as they are"]
    hits = first_is_right(v[q] @ v[g].T, who[q][:, None] == who[g][None], torch.ones(int(q.sum()), int(g.sum())) > 0)
    numbers = q.nonzero()[:, 0][hits].tolist()
    report([_person(model, x, v, who, g, inside, i) for i in numbers[:: max(1, len(numbers) // count)][:count]])
    lines(model, x, v, who, g, inside, numbers[:: max(1, len(numbers) // count)][:count])


def _person(model: foveal.Model, x: Tensor, v: Tensor, who: Tensor, g: Tensor, inside: Tensor, i: int) -> Decision:
    def stays(copies: Tensor) -> Tensor:
        return (who[g][(embedded(model, copies) @ v[g].T).argmax(1)] == who[i]).float()

    reference = x[g][int((v[i] @ v[g].T).argmax())][None]
    return Decision(x[i : i + 1], stays, maps_of(model, x[i : i + 1], foveal.Similar(reference), METHODS), inside[i])


def lines(
    model: foveal.Model, x: Tensor, v: Tensor, who: Tensor, g: Tensor, inside: Tensor, numbers: Sequence[int]
) -> None:
    """`foveal.match`: the eight strongest pairs of positions; do both ends lie on the persons?"""
    ends = []
    gallery = g.nonzero()[:, 0]
    for i in numbers:
        j = int(gallery[int((v[i] @ v[g].T).argmax())])
        pair = foveal.match(model, x[i : i + 1], x[j : j + 1], lines=8)
        h, w = pair.query_maps.shape[-2:]
        for row in pair.places[0, 0]:
            if bool(torch.isfinite(row).all()):
                points = (row[:2], inside[i]), (row[2:4], inside[j])
                ends.append([_at(mask, point, (h, w)) for point, mask in points])
    print(
        f"\n{len(ends)} lines of {len(numbers)} matches: "
        f"on the query's person {cell([a for a, _ in ends], percent=True)} %, "
        f"on the reference's {cell([b for _, b in ends], percent=True)} %, "
        f"both {cell([float(a and b) for a, b in ends], percent=True)} %"
    )


def _at(mask: Tensor, point: Tensor, cells: tuple[int, int]) -> float:
    y, x = ((int((k + 0.5) * side / n)) for k, side, n in zip(point.tolist(), mask.shape, cells, strict=True))
    return float(mask[y, x])


def _resized(file: Path, size: Sequence[int]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(file).convert("RGB").resize((size[1], size[0]), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    typer.run(main)
