"""`foveal measure`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli import options
from foveal.cli.command import command
from foveal.cli.console import info, print_json, print_lines, print_text, progress
from foveal.cli.measured_photos import MeasuredPhotos, counted, measured_photo, save_tables
from foveal.cli.output_folder import OutputFolder
from foveal.cli.pictures import pictures
from foveal.cli.unfinished import KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence


@command
def measure(
    photos: options.Photos,
    source: options.ClassifierOptions,
    question: options.TargetOptions,
    method: options.Methods = None,
    metric: options.Metrics = None,
    layer: options.Layer = None,
    steps: options.Steps = 49,
    precision: options.Precision = "auto",
    baseline_maps: Annotated[
        bool,
        typer.Option(
            "--baseline-maps/--no-baseline-maps",
            help="Baseline maps to compare with: noise, center, edges …",
        ),
    ] = True,
    audit: options.Audit = False,
    *,
    output: options.OutputOptions,
    latex: options.Latex = False,
    work: OutputFolder,
) -> None:
    """Measure faithfulness: how the score changes when the areas that a map highlights are hidden or shown.

    \b
      foveal measure bird.jpg -m demo
      foveal measure photos/*.jpg -m timm:resnet50 --method gradcam --audit
      foveal measure bird.jpg -m timm:resnet50 --metric deletion --metric road
      foveal measure photos/ -m timm:resnet50 --method gradcam --latex > table.tex
      foveal measure query.jpg -m timm:resnet50 --like shelf.jpg --method fam

    --target as in `foveal explain`. --metric is one of deletion, insertion, drop, increase, gain, drop_in_deletion,
    road, infidelity, faithfulness, sensitivity … (`foveal help measure`), or its abbreviation in papers. An arrow shows
    which direction is better, * the best method, † a baseline map (in parentheses) that beats every method.

    Each row is printed as soon as it is measured. The folder gets scores.csv with one row per photo and method, the
    table to paste as scores.md, scores.tex and scores.html, and manifest.json. Prints the paths of the tables; --json
    adds intervals and the tests of all pairs of methods. After an interruption the same command goes on with the photos
    that are left. To add methods later, or for boxes of objects, see `foveal benchmark folder`.
    """
    options.one_format(json=output.json, latex=latex)
    work.goes_on(KEPT)
    network = source.load()
    from foveal.api.audit import audit as audited
    from foveal.api.map_sources import explained
    from foveal.images import pictures_in

    target = question.resolve(network, each_label=True)
    _measurable(metric or "usual")
    files = pictures_in(photos)
    done = MeasuredPhotos(files, network, work)
    with pictures(network, json=output.json) as read, progress("measuring photos") as move:
        left = [i for i in range(len(files)) if i not in done.parts]
        for number, batch in read.one_by_one([files[i] for i in left]):
            explanations, table = measured_photo(
                network,
                batch,
                target,
                method or ["gradcam"],
                lambda names: explained(network, batch, target, names, options.layer_spec(layer)),  # noqa: B023
                metrics=metric or "usual",
                baseline_maps=baseline_maps,
                steps=steps,
                precision=precision,
                layer=layer,
                move=counted(move, left[number], len(files)),
            )
            tests = audited(network, batch, target, explanations=explanations, progress=move) if audit else ()
            said = [f"{test.source}, {test.method}: {test.summary}" for test in tests]
            done.add(left[number], table, {"said": said, "tests": [test.to_dict() for test in tests]})
        read.need([*done.parts])
        scores = done.scores()
        tables = save_tables(scores, output.out)
        audits = [done.extras[i] for i in sorted(done.extras)]
        info(str(scores), *(line for each in audits for line in each["said"]))
        if output.json:
            facts = {
                "audit": [test for each in audits for test in each["tests"]],
                "table": str(output.out / "scores.csv"),
            }
            print_json({**scores.to_dict(), "scores": list(scores.rows()), **facts, "unread": read.failures()})
        elif latex:
            print_text(scores.to_latex(pairs=True))
        else:
            print_lines(*tables)
    done.end()


def _measurable(metrics: str | Sequence[str]) -> None:
    """That the metrics are known, and that some of them need no object: photos named one by one have no boxes."""
    from foveal.errors import MethodError
    from foveal.metrics.metric import find_metrics

    chosen = find_metrics(metrics)
    if all(metric.needs in ("object", "boxes") for metric in chosen.values()):
        raise MethodError(
            f"{', '.join(chosen)} need{'s' * (len(chosen) == 1)} the object: use `foveal benchmark folder`, whose "
            "index.csv holds boxes and masks"
        )
