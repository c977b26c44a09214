"""`foveal parts`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foveal.cli import options
from foveal.cli.console import answer_json, answer_lines, info, progress
from foveal.cli.errors import reported
from foveal.cli.pictures import pictures

if TYPE_CHECKING:
    from foveal.results.parts import Parts


@reported
def parts(
    photos: options.Photos,
    model: options.ModelOption,
    target: options.TargetOption = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="How many parts; 3 if left out.")
    ] = None,
    resolution: Annotated[
        int, typer.Option("--resolution", "-r", min=1, metavar="TIMES", help="Finer maps: 2 or 4, mostly.")
    ] = 1,
    layer: options.Layer = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Say what hiding the places with most evidence costs, and hiding others.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where the results go.")] = Path("out"),
    weights: options.Weights = None,
    pretrained: options.Pretrained = True,
    labels: options.Labels = None,
    preprocessing: options.PreprocessingOption = None,
    task: options.TaskOption = None,
    device: options.Device = None,
    json: options.Json = False,
) -> None:
    """Which parts, ranked by their activity, and what each does to the decision.

    \b
      foveal parts bird.jpg --model demo --resolution 2
      foveal parts bird.jpg -m timm:resnet50 --count 5 --resolution 4
      foveal parts bird.jpg -m timm:resnet50 --target "jay - crow"
      foveal parts bird.jpg -m parts                        a network that decides by its parts

    \b
    The most active place and what resembles it is the first part, what is left the next, and so on: no training,
    no parameters, any network. --resolution makes the map finer in place, with the same weights.
    --target and --layer as in `foveal explain`.

    Each photo gets a folder with parts.png (every part, and the evidence divided among them), ranks.png (the first
    three in red, green and blue), maps and vectors (maps.npz, parts.npz) and manifest.json. Prints the pictures' paths.
    """
    network = options.loaded(
        model,
        weights=weights,
        pretrained=pretrained,
        labels=labels,
        preprocessing=preprocessing,
        task=task,
        device=device,
    )
    from foveal.api.audit import audit as audited
    from foveal.api.parts import parts as found_parts
    from foveal.cli.target import parse_target

    decision = parse_target(target, network.labels)
    answers: list[dict[str, Any]] = []
    files, places = options.folders(photos, out)
    with pictures(network.preprocessing, json=json) as read, progress("finding parts") as move:
        for i, batch in read.each(files):
            photo, folder = files[i], places[i]
            found = found_parts(
                network, batch, decision, count=count, resolution=resolution, layer=options.layer_spec(layer)
            )
            found.save(folder)
            hiding = audited(network, batch, found, decision)[0] if audit else None
            info(str(found), *([hiding.summary] if hiding else []))
            answers.append(_answer(found, photo, folder) | {"hiding": hiding.to_dict() if hiding else None})
            move("finding parts", i + 1, len(files), photo.name)
        if json:
            answer_json([*answers, *read.facts()])
        else:
            answer_lines(*(one["picture"] for one in answers))


def _answer(found: Parts, photo: Path, folder: Path) -> dict[str, Any]:
    """The same for machines."""
    groups = found.groups
    columns = zip(
        groups.used[0].tolist(), groups.scores[0].tolist(), groups.sizes[0].tolist(), found.evidence[0].tolist(),
        _places(found), strict=True,
    )  # fmt: skip
    return {
        "photo": str(photo),
        "model": found.model,
        "target": found.target[0],
        "score": float(found.score[0]) if found.score is not None else None,
        "layer": found.layer,
        "map": list(found.map.shape[1:]),
        "parts": [
            {"rank": rank, "used": used, "activity": activity, "size": size, "evidence": evidence, "seed": seed}
            for rank, (used, activity, size, evidence, seed) in enumerate(columns, 1)
        ],
        "remainder": float(found.remainder[0]),
        "offset": float(found.offset[0]),
        "coverage": found.coverage(),
        "notes": list(found.notes),
        "seconds": found.seconds,
        "picture": str(folder / "parts.png"),
    }


def _places(found: Parts) -> list[list[float]]:
    """Where the seeds lie on the photo, x and y in its pixels."""
    import numpy as np

    h, w = found.groups.norm.shape[1:]
    seeds = found.groups.seeds[0].cpu().numpy()
    cells = np.stack([seeds // w, seeds % w], 1)
    points = found.photos[0].geometry.cells_to_photo(cells, (h, w), found.where.get(found.layer))
    places: list[list[float]] = points.round(1).tolist()
    return places
