"""What switching channels off costs, beside what runs after the layer anyway.

    python -m benchmarks.studio_switch
    python -m benchmarks.studio_switch --photo photos/cat.jpg --rounds 30

"after": the modules of a ResNet that come after the layer, on its activation, without anything around them.
"switched": the studio's answer to a switch whose layer was looked at before: scores of all classes included.
The ratio is taken within each round; its median and range are printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

import foveal
from benchmarks.timing import Action, measure, ratios, spread
from foveal.images.preprocessing import Preprocessing
from foveal.models import Model
from foveal.models.extras import import_torchvision
from foveal.webapp.asks import switched as asks
from foveal.webapp.studio import Studio
from foveal.webapp.switchboard import Switch

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = ("layer1", "layer2", "layer3", "layer4")


def main(
    model: Annotated[str, typer.Option(help="as foveal loads it; none: ResNet-50 with random weights")] = "",
    photo: Annotated[str, typer.Option(help="any photo; none: noise")] = "",
    rounds: Annotated[int, typer.Option(help="measurements of each")] = 20,
) -> None:
    """Print a line for each layer."""
    subject = foveal.load_model(model) if model else _random()
    studio = Studio({"model": subject})
    noise = torch.randint(0, 256, (256, 256, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    studio.add_photos([photo or noise.numpy()])
    table = Table(box=None)
    for column in ("layer", "after, ms", "switched, ms", "ratio"):
        table.add_column(column)
    for layer in LAYERS:
        seconds = measure(_actions(studio, subject.module, layer), rounds, tidy=lambda: None)
        after, switched = (spread([1000 * value for value in seconds[name]]) for name in ("after", "switched"))
        table.add_row(layer, after, switched, spread(ratios(seconds["switched"], seconds["after"])))
    Console().print(table)


def _random() -> Model:
    return Model(import_torchvision().models.resnet50().eval(), "ResNet-50", Preprocessing.named("imagenet"))


def _actions(studio: Studio, network: nn.Module, layer: str) -> dict[str, Action]:
    (photo,) = studio.photos

    def switched() -> None:
        query = asks.SwitchedQuery(photo=photo.hash, model="model", switch=Switch(layer=layer, channels=[7]))
        asks.switched(studio, query, lambda what, done, total: None)

    seen: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda module, given, output: seen.append(output))
    with torch.no_grad():
        network(torch.randn(1, 3, 224, 224))
    handle.remove()
    later = [network.get_submodule(name) for name in LAYERS[LAYERS.index(layer) + 1 :]]
    rest = nn.Sequential(*later, network.get_submodule("avgpool"), nn.Flatten(), network.get_submodule("fc"))

    def after() -> None:
        with torch.no_grad():
            rest(seen[0])

    return {"after": after, "switched": switched}


if __name__ == "__main__":
    typer.run(main)
