"""One forward, the activations on the way, the gradient back, and no trace."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveal.engine.capture import capture
from foveal.errors import LayerError, ModelError
from tests.networks import ARCHITECTURES, Frozen, Tiny, architecture, tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import NoTrace


def plainly(model: nn.Module, layer: str, x: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Activation and gradient the long way: everything with a graph, from the input on."""
    kept: list[Tensor] = []
    module = model.get_submodule(layer)
    hook = module.register_forward_hook(lambda _m, _i, output: kept.append(output.clone()) or kept[-1].clone())
    output = model(x.clone().requires_grad_())
    hook.remove()
    (gradient,) = torch.autograd.grad(output[:, index].sum(), kept[-1])
    return kept[-1].detach(), gradient


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_activations_and_gradients_are_the_plain_ones(name: str, no_trace: NoTrace) -> None:
    from foveal.engine.stages import describe

    model = architecture(name)
    side = ARCHITECTURES[name]
    x = torch.randn(2, 3, side, side)
    layers = [stage.name for stage in describe(model, x).stages]
    with no_trace(model), capture(model, layers) as run:
        output = run.forward(x)
        gradients = run.gradients(output[:, 5])
        seen = {layer: (run.activations[layer].detach(), gradients[layer]) for layer in layers}
    with torch.no_grad():
        assert torch.equal(model(x), output)
    for layer in layers:
        A, G = plainly(model, layer, x, 5)
        assert torch.equal(seen[layer][0], A)
        assert torch.allclose(seen[layer][1], G, rtol=1e-4, atol=1e-5 * float(G.abs().amax()))


def graph_size(tensor: Tensor) -> int:
    stack, seen = [tensor.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [parent for parent, _ in node.next_functions]
    return len(seen)


def test_nothing_before_the_first_layer_enters_the_graph() -> None:
    model = architecture("resnet50")
    x = torch.randn(1, 3, 64, 64)
    with capture(model, ["layer4"]) as run:
        last = graph_size(run.forward(x))
    with capture(model, ["layer1"]) as run:
        most = graph_size(run.forward(x))
    assert last < 10 < most


def test_the_forward_ends_at_the_layer() -> None:
    model = tiny()
    ran: list[str] = []
    for name, module in model.named_children():
        module.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name))
    with capture(model, ["relu1"], gradient=False) as run:
        assert run.forward(torch.randn(1, 3, 8, 8), stop=True) is None
        assert not run.activations["relu1"].requires_grad
    assert ran == ["conv1", "relu1"] or ran == ["conv1"]


def test_in_place_activations_cannot_overwrite_what_was_kept() -> None:
    plain, inplace = tiny(), tiny(inplace=True)
    x = torch.randn(2, 3, 8, 8)
    kept = []
    for model in (plain, inplace):
        with capture(model, ["conv1", "relu1", "conv2"]) as run:
            gradients = run.gradients(run.forward(x)[:, 0])
            kept.append(
                {**{k: v.detach() for k, v in run.activations.items()}, **{f"d{k}": v for k, v in gradients.items()}}
            )
    assert bool((kept[0]["conv1"] < 0).any())
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][key], kept[1][key]) for key in kept[0])


class Restless(Tiny):
    """Counts its calls in a buffer and draws random numbers, as models should not."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(3)
        return super().forward(x)  # type: ignore[no-any-return]


def test_even_a_restless_model_is_put_back(no_trace: NoTrace) -> None:
    model = Restless().train()
    model.conv1.weight.grad = torch.ones_like(model.conv1.weight)
    model.conv2.requires_grad_(False)
    model.pool.eval()
    with no_trace(model), capture(model, ["conv1"]) as run:
        run.gradients(run.forward(torch.randn(1, 3, 8, 8))[:, 0])
        assert not model.training


@pytest.mark.parametrize("blow", [ValueError("boom"), KeyboardInterrupt()])
def test_put_back_after_an_exception_in_the_middle(blow: BaseException, no_trace: NoTrace) -> None:
    model = tiny().train()

    def explode(*_: Any) -> None:
        raise blow

    with no_trace(model):
        hook = model.conv2.register_forward_hook(explode)
        with pytest.raises((ModelError, KeyboardInterrupt)), capture(model, ["conv1", "relu2"]) as run:
            run.forward(torch.randn(1, 3, 8, 8))
        hook.remove()


def test_put_back_when_a_layer_does_not_exist(no_trace: NoTrace) -> None:
    model = tiny().train()
    with no_trace(model), pytest.raises(LayerError, match="relu2"), capture(model, ["conv1", "relu22"]):
        pass


def test_nested_captures_remove_only_their_own_hooks(no_trace: NoTrace) -> None:
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    with no_trace(model), capture(model, ["relu1"]) as outer:
        with capture(model, ["relu2"]) as inner:
            inner.forward(x)
        score = outer.forward(x)[:, 0]
        assert outer.gradients(score)["relu1"].abs().amax() > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_callers_without_gradients(mode: Any) -> None:
    model = tiny().requires_grad_(False)
    with mode():
        x = torch.randn(1, 3, 8, 8)
        with capture(model, ["relu1"]) as run:
            inside = run.gradients(run.forward(x)[:, 0])["relu1"]
        assert not torch.is_grad_enabled()
    with capture(model, ["relu1"]) as run:
        outside = run.gradients(run.forward(x.clone())[:, 0])["relu1"]
    assert torch.equal(inside, outside)


def test_parameters_made_in_inference_mode() -> None:
    with torch.inference_mode():
        model = Tiny().eval()
    with pytest.raises(ModelError, match="inference_mode"), capture(model, ["relu1"]):
        pass
    assert not model.relu1._forward_hooks


def test_no_grad_blocks_inside_the_forward_can_be_seen_through() -> None:
    model, x = Frozen().eval(), torch.randn(1, 3, 8, 8)
    with capture(model, ["backbone.relu1"]) as run:
        score = run.forward(x)[:, 0]
        with pytest.raises(LayerError, match="differentiable"):
            run.gradients(score)
        score = run.forward(x, through_no_grad=True)[:, 0]
        G = run.gradients(score)["backbone.relu1"]
    A = run.activations["backbone.relu1"].detach().requires_grad_()
    features = model.backbone.relu2(model.backbone.conv2(model.backbone.pool(A)))
    (expected,) = torch.autograd.grad(model.head(features.mean((2, 3)))[:, 0].sum(), A)
    assert torch.allclose(G, expected, atol=1e-7)


class Many(nn.Module):
    """A block that returns a dict, one that returns a tuple, one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.split = Split()
        self.pair = Pair()
        self.twice = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        parts = self.split(x)
        a, _ = self.pair(parts["features"])
        return {"logits": self.twice(F.relu(self.twice(a))).mean((2, 3)), "extra": parts["mean"]}


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.conv(x)
        return {"features": features, "mean": features.mean((2, 3))}


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.relu(x), x.neg()


def test_parts_of_what_a_layer_returns() -> None:
    torch.manual_seed(0)
    model, x = Many().eval(), torch.randn(1, 3, 8, 8)
    with capture(model, ["split", "pair[0]", "twice#0", "twice"]) as run:
        gradients = run.gradients(run.forward(x)["logits"][:, 1])
    assert all(A.ndim == 4 for A in run.activations.values())
    assert run.calls["twice"] == 2
    assert not torch.equal(run.activations["twice#0"], run.activations["twice"])
    # The last call feeds the average; the first has all of the second above it.
    assert torch.allclose(gradients["twice"][:, 1], torch.full_like(gradients["twice"][:, 1], 1 / 36))
    assert gradients["twice#0"][:, 0].abs().amax() > 0


@dataclass(frozen=True)
class Features:
    map: Tensor
    mean: Tensor


@pytest.mark.parametrize(
    "pack",
    [
        lambda x: Features(x, x.mean((2, 3))),
        lambda x: {"map": x},
        lambda x: OrderedDict(map=x),
        lambda x: namedtuple("Out", "map mean")(x, x.mean((2, 3))),
        lambda x: [x, None],
        lambda x: (x,),
    ],
)
def test_whatever_a_layer_returns_goes_on_through_what_was_kept(pack: Any) -> None:
    class Packing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Any:
            return pack(self.conv(x))

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packing = Packing()

        def forward(self, x: Tensor) -> Any:
            packed = self.packing(x)
            found = getattr(packed, "map", None)
            return (packed["map"] if isinstance(packed, dict) else packed[0] if found is None else found).mean((2, 3))

    model, x = Reading().eval(), torch.randn(2, 3, 6, 6)
    with capture(model, ["packing"]) as run:
        output = run.forward(x)
        G = run.gradients(output[:, 2])["packing"]
    assert torch.equal(output, model(x))
    assert torch.allclose(G[:, 2], torch.full_like(G[:, 2], 1 / 16))
    assert float(G[:, :2].abs().amax()) == 0


def test_an_ambiguous_part_lists_the_choices() -> None:
    with pytest.raises(LayerError, match=r"'pair\[0\]' \(1, 4, 6, 6\), 'pair\[1\]'"), capture(Many(), ["pair"]) as run:
        run.forward(torch.randn(1, 3, 8, 8))


def test_a_part_that_is_not_there() -> None:
    with pytest.raises(LayerError, match="features"), capture(Many(), ["split[nothing]"]) as run:
        run.forward(torch.randn(1, 3, 8, 8))


def test_a_layer_that_never_runs() -> None:
    model = tiny()
    model.unused = nn.Conv2d(1, 1, 1)
    with pytest.raises(LayerError, match="did not run"), capture(model, ["unused"]) as run:
        run.forward(torch.randn(1, 3, 8, 8))


def test_a_layer_beside_the_way_to_the_score() -> None:
    with pytest.raises(LayerError, match="does not depend"), capture(Many(), ["pair[1]"]) as run:
        run.gradients(run.forward(torch.randn(1, 3, 8, 8))["logits"][:, 0])


def test_a_failing_model_is_told_in_one_sentence() -> None:
    with (
        pytest.raises(ModelError, match=r"running Tiny on \(1, 4, 8, 8\) float32 failed"),
        capture(tiny(), ["relu1"]) as run,
    ):
        run.forward(torch.randn(1, 4, 8, 8))


def test_several_decisions_on_one_forward() -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    with capture(model, ["relu1", "relu2"]) as run:
        each = [run.gradients(score, keep_graph=True) for score in run.forward(x).T]
        for index, together in enumerate(each):
            alone = run.gradients(run.forward(x)[:, index])
            assert all(torch.equal(together[layer], alone[layer]) for layer in alone)


def test_double_precision() -> None:
    with capture(tiny().double(), ["relu1"]) as run:
        G = run.gradients(run.forward(torch.randn(1, 3, 7, 5).double())[:, 0])["relu1"]
    assert G.dtype == torch.float64


def test_data_parallel_is_unwrapped() -> None:
    model, x = tiny(), torch.randn(2, 3, 8, 8)
    with capture(nn.DataParallel(model), ["relu2"]) as run:
        assert torch.equal(run.forward(x), model(x))


@pytest.mark.slow
def test_compiled_models_run_as_the_original(no_trace: NoTrace) -> None:
    """Whole, in place, and in part: hooks added after compilation would otherwise never run."""
    x = torch.randn(1, 3, 8, 8)
    with capture(tiny(), ["relu2"]) as run:
        expected = run.gradients(run.forward(x)[:, 0])["relu2"]
    whole = torch.compile(tiny(), backend="eager")
    in_place = tiny()
    in_place.compile(backend="eager")
    holder = Holder(torch.compile(tiny(), backend="eager"))  # type: ignore[arg-type]
    for model, layer in ((whole, "relu2"), (in_place, "relu2"), (holder, "inner.relu2")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(x)  # compile it first: that is when hooks are frozen
        with no_trace(model), capture(model, [layer]) as run:
            assert torch.equal(run.gradients(run.forward(x)[:, 0])[layer], expected)


class Holder(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


def test_torchscript_is_refused_with_a_sentence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.trace(tiny(), torch.randn(1, 3, 8, 8))
    with pytest.raises(LayerError, match="TorchScript"), capture(scripted, ["relu1"]):
        pass


def test_nothing_is_left_alive(alive: Callable[[], int]) -> None:
    """No reference cycle keeps a graph after the block: memory stays flat with the collector off."""
    model, x = tiny(), torch.randn(1, 3, 8, 8)
    for round_ in range(30):
        with capture(model, ["relu1"]) as run:
            run.gradients(run.forward(x)[:, 0])
        del run
        if round_ == 2:
            before = alive()
    assert alive() <= before + 2
    assert not any(module._forward_hooks for module in model.modules())
