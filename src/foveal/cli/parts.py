"""`foveal parts`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, progress
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from foveal.results.parts import Parts


@command
def parts(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="Number of parts. Default: 3.")
    ] = None,
    resolution: Annotated[
        int, typer.Option("--resolution", "-r", min=1, metavar="N", help="Maps at N times the resolution: 2, 4 or 8.")
    ] = 1,
    layer: options.Layers = None,
    audit: options.Audit = False,
    *,
    output: options.OutputOptions,
    work: OutputFolder,
) -> None:
    """Ranked parts: the regions with similar features, and what each adds to the score.

    \b
      foveal parts bird.jpg -m demo --resolution 2
      foveal parts bird.jpg -m timm:resnet50 --count 5 --resolution 4
      foveal parts bird.jpg -m timm:resnet50 --target "jay - crow"
      foveal parts bird.jpg -m parts          a network that decides by its parts

    The first part is the most active position and all similar positions; the next part comes from the rest, and so on.
    This needs no training and no parameters, and works with any network. --resolution makes the maps finer, with the
    same weights. --target and --layer as in `foveal explain`.

    Each photo gets a folder with parts.png (every part, and the evidence divided among them), ranks.png (all parts
    outlined on the photo), maps and vectors (maps.npz, parts.npz) and manifest.json. Prints the paths of parts.png.
    """
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.api.parts import parts as parts_of

    target = question.resolve(network)
    rows: list[dict[str, Any]] = []
    files, places = options.folders(photos, output.out)
    with pictures(network, json=output.json) as read, progress("dividing photos") as move:
        for i, batch in read.one_by_one(files):
            photo, folder = files[i], places[i]
            result = parts_of(
                network, batch, target, count=count, resolution=resolution, layer=options.layer_spec(layer)
            )
            result.save(folder)
            test = audited(network, batch, target, explanations=result)[0] if audit else None
            info(str(result), *([test.summary] if test else []))
            rows.append(_row(result, photo, folder) | {"hiding": test.to_dict() if test else None})
            move("dividing photos", i + 1, len(files), photo.name)
            work.done(len(rows), len(files))
        if output.json:
            print_json([*rows, *read.failures()])
        else:
            print_lines(*(row["picture"] for row in rows))


def _row(parts: Parts, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    groups = parts.groups
    columns = zip(
        groups.used[0].tolist(), groups.scores[0].tolist(), groups.sizes[0].tolist(), parts.evidence[0].tolist(),
        _places(parts), strict=True,
    )  # fmt: skip
    return {
        "photo": str(photo),
        "model": parts.model,
        "target": parts.target[0],
        "score": float(parts.score[0]) if parts.score is not None else None,
        "layer": parts.layer,
        "map": list(parts.map.shape[1:]),
        "parts": [
            {"rank": rank, "used": used, "activity": activity, "size": size, "evidence": evidence, "seed": seed}
            for rank, (used, activity, size, evidence, seed) in enumerate(columns, 1)
        ],
        "remainder": float(parts.remainder[0]),
        "offset": float(parts.offset[0]),
        "coverage": parts.coverage(),
        "notes": list(parts.notes),
        "seconds": parts.seconds,
        "picture": str(folder / "parts.png"),
    }


def _places(parts: Parts) -> list[list[float]]:
    """Where the seeds lie on the photo, x and y in its pixels; of signals the sample, of volumes slice, row, column."""
    import numpy as np

    from foveal.images.place import Place

    seeds = parts.groups.seeds[0].cpu().numpy()
    photo, sides = parts.photos[0], tuple(parts.groups.norm.shape[1:])
    if photo.values is not None:
        place = parts.where.get(parts.layer) or Place.covering(sides, photo.space)
        middles = [place.middles(axis, side) for axis, side in enumerate(sides)]
        at = np.unravel_index(seeds, sides)
        centers: list[list[float]] = np.stack([own[k] for own, k in zip(middles, at, strict=True)], 1).round(1).tolist()
        return centers
    h, w = sides
    cells = np.stack([seeds // w, seeds % w], 1)
    points = parts.photos[0].geometry.cells_to_photo(cells, (h, w), parts.where.get(parts.layer))
    places: list[list[float]] = points.round(1).tolist()
    return places
