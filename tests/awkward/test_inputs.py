"""Models whose forward takes more than the image."""

from __future__ import annotations

from collections import namedtuple
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.attribution.method import Method
from foveal.engine.arguments import Arguments, extra_inputs
from foveal.engine.capture import capture
from foveal.engine.stages import describe
from foveal.errors import ModelError
from tests.networks import Tiny, tiny

if TYPE_CHECKING:
    from foveal.attribution.perturbation import PerturbationScorer
    from tests.conftest import NoTrace

Both = namedtuple("Both", ["a", "b"])
PICTURES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
FACTS = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.2]])


class Informed(Tiny):
    """Scores from the picture, gated by two facts about it; `scale` is common to all pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(2, 12)

    def forward(self, x: Tensor, facts: Tensor, *, scale: Any = 1.0) -> Any:
        return scale * self.fc((self.features(x) * self.gate(facts).sigmoid()[:, :, None, None]).mean((2, 3)))


def informed() -> Informed:
    torch.manual_seed(0)
    return Informed().eval()


class Fixed(nn.Module):
    """The same with facts built in, so that it takes the picture alone."""

    def __init__(self, inner: Informed, facts: Tensor, **keywords: Any) -> None:
        super().__init__()
        self.inner, self.facts, self.keywords = inner, facts, keywords

    def forward(self, x: Tensor) -> Any:
        return self.inner(x, self.facts, **self.keywords)


class Pair(nn.Module):
    """Two pictures in whatever holds them, the second of which counts half."""

    def __init__(self, look: Any) -> None:
        super().__init__()
        self.trunk, self.look = tiny(), look

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        a, b = self.look(*args, **kwargs)
        joined = self.trunk.features(a).mean((2, 3)) + 0.5 * self.trunk.features(b).mean((2, 3))
        return self.trunk.fc(joined)


OTHERS = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
PLACES: dict[str, tuple[Any, dict[str, Any]]] = {
    "in a list": (lambda xs: xs, {"inputs": ([..., OTHERS],)}),
    "in a tuple": (lambda xs: xs, {"inputs": ((..., OTHERS),)}),
    "second in a list": (lambda xs: xs[::-1], {"inputs": ([OTHERS, ...],)}),
    "in a dict": (lambda d: (d["a"], d["b"]), {"inputs": ({"b": OTHERS, "a": ...},)}),
    "by name": (lambda *, xs: xs, {"keywords": {"xs": [..., OTHERS]}}),
    "deep": (
        lambda k, d: (d["views"][0]["left"][1], d["views"][1]),
        {"inputs": (1, {"views": ({"left": [None, ...]}, OTHERS)})},
    ),
    "named tuple": (lambda p: p, {"inputs": (Both(..., OTHERS),)}),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_image_may_stand_inside_of_what_is_passed(place: str, no_trace: NoTrace) -> None:
    look, given = PLACES[place]
    net = Pair(look).eval()
    with no_trace(net):
        why = foveal.explain(net, PICTURES, 1, layer="trunk.relu2#0", **given)
    # Grad-CAM by hand, at the trunk of the image: the gradient of the score averaged, times the activation.
    A = net.trunk.features(PICTURES).detach().requires_grad_()
    joined = A.mean((2, 3)) + 0.5 * net.trunk.features(OTHERS).mean((2, 3))
    (G,) = torch.autograd.grad(net.trunk.fc(joined)[:, 1].sum(), A)
    assert torch.allclose(why.map, torch.einsum("nchw,nc->nhw", A.detach(), G.mean((2, 3))), atol=1e-6)
    # One at a time, and asked again about copies.
    alone = [
        foveal.explain(net, PICTURES[i : i + 1], 1, layer="trunk.relu2#0", **_rows(given, i)).map for i in range(3)
    ]
    assert torch.allclose(torch.cat(alone), why.map, atol=1e-6)
    asked = foveal.explain(net, PICTURES, 1, method="occlusion", **given)
    assert torch.allclose(asked.score, why.score, atol=1e-5)  # type: ignore[arg-type]


def _rows(given: Any, i: int) -> Any:
    from torch.utils._pytree import tree_map

    return tree_map(lambda leaf: leaf[i : i + 1] if isinstance(leaf, Tensor) else leaf, given)


def test_an_image_that_cannot_be_placed_is_said() -> None:
    holder: list[Any] = [...]
    holder.append(holder)
    for inputs, words in (
        (([..., [...]],), "write it once"),
        ((..., {"a": [...]}), "write it once"),
        (({..., 1},), "lists, tuples and dicts"),
        ((MappingProxyType({"a": ...}),), "lists, tuples and dicts"),
        ((holder,), "contain themselves"),
    ):
        with pytest.raises(ModelError, match=words):
            foveal.explain(tiny(), PICTURES, 1, inputs=inputs)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "eigencam"])
def test_further_inputs_are_part_of_the_function(method: str, no_trace: NoTrace) -> None:
    model = informed()
    with no_trace(model):
        why = foveal.explain(model, PICTURES, 1, method=method, inputs=(FACTS,), keywords={"scale": 3.0})
    for i in range(3):
        alone = foveal.explain(
            Fixed(model, FACTS[i : i + 1], scale=3.0), PICTURES[i], 1, method=method, layer="inner.relu2"
        )
        assert torch.allclose(alone.map[0], why.map[i], atol=1e-6)
    assert why.layer == "relu2"


def test_a_tensor_alone_is_one_input() -> None:
    one, other = (foveal.explain(informed(), PICTURES, 1, inputs=facts) for facts in (FACTS, (FACTS,)))
    assert torch.equal(one.map, other.map)


def test_the_image_may_stand_anywhere() -> None:
    class Later(Informed):
        def forward(self, facts: Tensor, pixels: Tensor) -> Any:  # type: ignore[override]
            return super().forward(pixels, facts)

    torch.manual_seed(0)
    model = Later().eval()
    expected = foveal.explain(informed(), PICTURES, 1, inputs=(FACTS,)).map
    assert torch.equal(foveal.explain(model, PICTURES, 1, inputs=(FACTS, ...)).map, expected)
    assert torch.equal(foveal.explain(model, PICTURES, 1, keywords={"pixels": ..., "facts": FACTS}).map, expected)
    assert torch.equal(foveal.explain(model, PICTURES, 1, inputs=(FACTS,), keywords={"pixels": ...}).map, expected)
    with pytest.raises(ModelError, match="once"):
        foveal.explain(model, PICTURES, 1, inputs=(..., ...))


def test_further_inputs_are_copied_also_inside_containers() -> None:
    class Writing(Informed):
        def forward(self, x: Tensor, given: Any) -> Any:  # type: ignore[override]
            return super().forward(x, given["facts"].mul_(2))

    torch.manual_seed(0)
    model, facts = Writing().eval(), FACTS.clone()
    first, second = (foveal.explain(model, PICTURES, 1, inputs=({"facts": facts},)) for _ in range(2))
    assert torch.equal(facts, FACTS)
    assert torch.equal(first.map, second.map)


def test_stages_are_traced_with_the_rows_of_the_first_image() -> None:
    seen: list[int] = []

    class Watching(Informed):
        def forward(self, x: Tensor, facts: Tensor, *, scale: Any = 1.0) -> Any:
            seen.append(len(facts))
            assert len(x) == len(facts)
            return super().forward(x, facts, scale=scale)

    model = Watching().eval()
    assert [stage.name for stage in foveal.stages(model, PICTURES, inputs=(FACTS,))] == ["relu1", "relu2"]
    foveal.explain(model, PICTURES, inputs=(FACTS,))
    assert seen == [1, 3]  # traced once, then one forward


def test_structure_follows_what_else_goes_in() -> None:
    class Deep(Tiny):
        def forward(self, x: Tensor, deep: bool = True) -> Any:
            return self.fc(self.features(x).mean((2, 3))) if deep else self.relu1(self.conv1(x)).mean((2, 3))

    model, x = Deep().eval(), PICTURES
    layers = [foveal.explain(model, x, inputs=(deep,)).layer for deep in (True, False, True)]
    assert layers == ["relu2", "relu1", "relu2"]


def test_copies_of_one_picture_take_its_rows_along() -> None:
    def asking(probe: PerturbationScorer) -> Tensor:
        scores = probe.scores(lambda start, stop: probe.x.repeat(stop - start, 1, 1, 1), 20)
        assert torch.allclose(scores, torch.full((20,), probe.score), atol=1e-6)
        return probe.x[0, 0]

    method = Method("asking", "Asking", asking, "forwards", "", "", place="input")
    for target in (1, foveal.Neuron("conv2", 3)):
        why = foveal.explain(informed(), PICTURES, target, method=method, inputs=(FACTS,), layer="input")
        assert torch.equal(why.map, PICTURES[:, 0])


def test_the_input_as_a_layer_is_the_image() -> None:
    model = informed()
    why = foveal.explain(model, PICTURES, 1, method="hirescam", layer="input", inputs=(FACTS,))
    x = PICTURES.clone().requires_grad_()
    (G,) = torch.autograd.grad(model(x, FACTS)[:, 1].sum(), x)
    assert torch.allclose(why.map, (G * PICTURES).sum(1), atol=1e-6)


def test_what_does_not_fit_is_told_with_all_shapes() -> None:
    with pytest.raises(ModelError, match=r"running Informed on \(1, 3, 8, 8\) float32, \(1, 3\) float32 failed"):
        foveal.explain(informed(), PICTURES[:1], layer="relu2", inputs=(torch.zeros(1, 3),))


def test_rows_follow_images_and_the_rest_goes_in_as_it_is() -> None:
    table, word = torch.arange(4.0), "word"
    given = extra_inputs(3, (FACTS, table, word), {"none": None})
    row = given.row(1)
    (x, facts, same, text), keywords = row.bind(torch.zeros(5, 3, 2, 2))
    assert x.shape == (5, 3, 2, 2) and torch.equal(facts, FACTS[1:2].expand(5, 2))
    assert same is table and text is word and keywords == {"none": None}


def test_capture_and_describe_take_them_too() -> None:
    model, given = informed(), Arguments(3, (FACTS,))
    assert describe(model, PICTURES, given).stages[-1].name == "relu2"
    with capture(model, ["relu2"]) as run:
        output = run.forward(PICTURES, given)
    assert torch.equal(output, model(PICTURES, FACTS))


def test_two_images_into_one_network() -> None:
    """A siamese pair: the first is explained, given the second."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tiny()

        def forward(self, a: Tensor, b: Tensor) -> Any:
            return nn.functional.cosine_similarity(self.inner(a), self.inner(b))

    why = foveal.explain(
        Pair().eval(), PICTURES, lambda score: score, inputs=(PICTURES.flip(0),), layer="inner.relu2#0"
    )
    assert float(why.map.abs().amax()) > 0
