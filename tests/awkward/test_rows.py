"""A row an image: layers with more rows than images, and networks that do not answer for each copy, say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.engine.capture import capture
from foveal.errors import FovealError, LayerError, ModelError
from foveal.methods import METHODS

if TYPE_CHECKING:
    from tests.conftest import NoTrace

ASKING = [name for name, method in METHODS.items() if method.needs == "forwards" and name != "gap"]


class Views(nn.Module):
    """Two pictures an example, which share a trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        f = self.trunk(x.reshape(len(x) * 2, 3, *x.shape[2:])).mean((2, 3))
        return self.fc(f.reshape(len(x), -1))  # type: ignore[no-any-return]


class Stemmed(Views):
    """The same behind a stem that has a row an image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.stem(x))


class Patches(nn.Module):
    """Cuts each picture into four."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        cut = x.view(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 1, 3, 5).reshape(4 * n, c, h // 2, w // 2)
        return self.fc(self.body(cut).mean((2, 3)).view(n, 4, 8).mean(1))  # type: ignore[no-any-return]


class Pooled(nn.Module):
    """Makes one of the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.mean = Mean()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        A = self.body(x)
        return self.fc((A + self.mean(A)).mean((2, 3)))  # type: ignore[no-any-return]


class Mean(nn.Module):
    def forward(self, A: Tensor) -> Tensor:
        return A.mean(0, keepdim=True)


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def pictures(n: int = 3, channels: int = 6, side: int = 32) -> Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(1))


VERBS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "explain": lambda net, x: foveal.explain(net, x, 1),
    "compare": lambda net, x: foveal.compare(net, x, 1, methods="fast", layer="trunk"),
    "match": lambda net, x: foveal.match(net, x[:1], x),
    "similar": lambda net, x: foveal.explain(net, x, foveal.Similar(x[:1])),
    "flow": lambda net, x: foveal.flow(net, x, 1),
    "decompose": lambda net, x: foveal.decompose(net, x[:1], 1),
    "parts": lambda net, x: foveal.parts(net, x, 1),
    "measure": lambda net, x: foveal.measure(net, x, 1, explanations=["gradcam"]),
    "audit": lambda net, x: foveal.audit(net, x, 1, explanations="gradcam"),
    "sanity": lambda net, x: foveal.sanity(net, x, 1),
    "visualize": lambda net, x: foveal.visualize(net, x, steps=1),
    "stages": lambda net, x: foveal.stages(net, x),
    "resolution": lambda net, x: foveal.explain(net, x, 1, resolution=2),
    "scales": lambda net, x: foveal.explain(net, x, 1, scales=(1, 2)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_one_sentence_of_rows_that_are_nobodys(verb: str, no_trace: NoTrace) -> None:
    net, x = built(Views), pictures()
    rows = "2 rows for 1 image" if verb in ("match", "decompose", "visualize") else "6 rows for 3 images"
    with no_trace(net), pytest.raises(LayerError, match=rf"^trunk has {rows}.*input"):
        VERBS[verb](net, x)


@pytest.mark.parametrize("method", METHODS)
def test_no_method_makes_a_map_of_such_a_layer(method: str) -> None:
    with pytest.raises(FovealError, match=r"6 rows for 3 images|does not apply|explains the input|similarities"):
        foveal.explain(built(Views), pictures(), 1, method=method, layer="trunk")


@pytest.mark.parametrize(("kind", "layer", "rows"), [(Stemmed, "trunk", 6), (Patches, "body", 12), (Pooled, "mean", 1)])
def test_siblings(kind: type[nn.Module], layer: str, rows: int) -> None:
    net, x = built(kind), pictures(channels=3 if kind is not Stemmed else 6)
    instead = {Stemmed: "such as 'stem'", Patches: "layer='input'", Pooled: "one image at a time"}[kind]
    with pytest.raises(LayerError, match=rf"{layer} has {rows} rows? for 3 images.*{instead}"):
        foveal.explain(net, x, 1, layer=layer)
    with pytest.raises(LayerError, match="for 3 images"), capture(net, [layer]) as run:
        run.forward(x)


def test_the_usual_layer_has_a_row_an_image() -> None:
    why = foveal.explain(built(Stemmed), pictures(), 1)
    assert why.layer == "stem"
    assert [stage.name for stage in foveal.stages(built(Stemmed), pictures())] == ["stem"]
    assert "trunk" not in foveal.explain(built(Stemmed), pictures(), 1, layer="all").layers


def test_methods_of_the_input_do_not_mind() -> None:
    net, x = built(Views), pictures(2, side=16)
    for method in ("inputxgradient", "occlusion", "lrp-epsilon"):
        together = foveal.explain(net, x, 1, method=method).map
        alone = torch.cat([foveal.explain(net, one[None], 1, method=method).map for one in x])
        assert torch.allclose(together, alone, atol=1e-5)


# --- networks that do not answer for each copy -----------------------------------------------------------------------


class Fixed(nn.Module):
    """Insists on a number of rows, whatever it is given."""

    def __init__(self, rows: int = 4) -> None:
        super().__init__()
        self.c, self.fc, self.rows = nn.Conv2d(3, 12, 3, 2, 1), nn.Linear(12, 4), rows

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.c(x)).view(self.rows, 12, -1).mean(2))  # type: ignore[no-any-return]


class Free(Fixed):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.c(x)).view(len(x), 12, -1).mean(2))  # type: ignore[no-any-return]


class First(Free):
    """Answers about the first image only."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:1]


class Constant(Free):
    """Answers with as many rows as it was built for."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[torch.arange(4) % len(x)]


class Insisting(Free):
    """Refuses any other number of images than one."""

    def forward(self, x: Tensor) -> Tensor:
        assert len(x) == 1, "one image, please"
        return super().forward(x)


@pytest.mark.parametrize("kind", [Fixed, Constant])
@pytest.mark.parametrize("method", ASKING)
def test_methods_that_ask_again_count_the_answers(kind: type[nn.Module], method: str, no_trace: NoTrace) -> None:
    net, x = built(kind), pictures(4, 3)
    with no_trace(net), pytest.raises(ModelError, match=r"for \d+ cop(y|ies).*returned 4 scores"):
        foveal.explain(net, x, 1, method=method)


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].needs == "gradients"])
def test_methods_that_do_not_ask_give_the_map_of_the_free_network(method: str) -> None:
    x = pictures(4, 3)
    try:
        why = foveal.explain(built(Free), x, 1, method=method)
    except FovealError:
        return
    assert torch.allclose(foveal.explain(built(Fixed), x, 1, method=method).map, why.map, atol=1e-5)


@pytest.mark.parametrize("verb", [foveal.measure, foveal.audit])
def test_measures_count_the_answers(verb: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="returned 4 scores"):
        verb(built(Fixed), pictures(4, 3), 1, explanations="gradcam")


def test_one_answer_for_many_images() -> None:
    with pytest.raises(FovealError, match="1 score came out for 3 images"):
        foveal.explain(built(First), pictures(3, 3), 1)
    with pytest.raises(ModelError, match="returned 1 score"):
        foveal.shortcuts(built(First), pictures(8, 3), [0, 1] * 4, task="classes")


@pytest.mark.parametrize(
    "method", ["occlusion", "rise", "integratedgradients", "gradientshap", "smoothgrad", "scorecam"]
)
def test_networks_of_one_image_at_a_time_are_asked_so(method: str) -> None:
    x = pictures(1, 3, 16)
    for net in (built(Insisting), Fixed(1).eval()):
        free = built(Free)
        free.load_state_dict(net.state_dict())
        why, expected = (foveal.explain(one, x, 1, method=method) for one in (net, free))
        assert torch.allclose(why.map, expected.map, atol=1e-5)
        assert any("one image at a time" in note for note in why.notes)


def test_measures_ask_one_at_a_time_too() -> None:
    free, x = built(Free), pictures(1, 3, 16)
    net = built(Insisting)
    net.load_state_dict(free.state_dict())
    values = [
        foveal.measure(one, x, 1, explanations="gradcam", baseline_maps=False).values["gradcam"] for one in (net, free)
    ]
    for metric, (value,) in values[0].items():
        assert value == pytest.approx(values[1][metric][0], abs=1e-4, nan_ok=True)


def test_structure_is_traced_with_all_images_where_one_alone_does_not_do() -> None:
    class Pairs(Free):
        def forward(self, x: Tensor) -> Tensor:
            assert len(x) == 4
            return super().forward(x)

    net, x = built(Pairs), pictures(4, 3)
    assert torch.equal(foveal.explain(net, x, 1).map, foveal.explain(built(Free), x, 1).map)
