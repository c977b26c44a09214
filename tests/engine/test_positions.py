"""Where the cells of maps lie on the picture: by hand, and measured in networks that weigh everything alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from foveal.engine.positions import Cells, place_of
from foveal.engine.receptive import FieldTracker
from foveal.engine.stages import describe
from foveal.images import Place
from tests.measured import even, linear, middle_of
from tests.networks import architecture

Forward = Callable[[Tensor], Tensor]


def place(forward: Forward, x: Tensor, layout: Any = "nchw") -> Cells | str:
    """Where the cells of what `forward` returns lie."""
    with FieldTracker(x) as tracker:
        y = forward(x)
    return place_of(tracker.where(y), y.shape, layout, x.shape[2:])


def conv(
    x: Tensor, kernel: int = 3, stride: int = 1, padding: int = 0, dilation: int = 1, out: int | None = None
) -> Tensor:
    weight = torch.ones(out or x.shape[1], x.shape[1], kernel, kernel)
    return F.conv2d(x, weight, None, stride, padding, dilation)


def at(offset: Any, step: Any, turned: bool = False) -> Cells:
    pair = lambda value: value if isinstance(value, tuple) else (float(value), float(value))  # noqa: E731
    return Cells(pair(offset), pair(step), turned)


def same(x: Tensor, kernel: int = 3, stride: int = 2) -> Tensor:
    """As TensorFlow pads: what is left over goes to the right and to the bottom."""
    total = [max((math.ceil(s / stride) - 1) * stride + kernel - s, 0) for s in x.shape[2:]]
    return F.pad(x, [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2])


def tokens(x: Tensor) -> Tensor:
    """Patches by 8×8, a class token in front, attention, and the map again."""
    n, c, h, w = x.shape
    t = x.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(n, h * w // 64, c * 64)
    t = t @ torch.ones(c * 64, 16)
    t = torch.cat([torch.zeros(n, 1, 16), t], 1) + torch.ones(1, h * w // 64 + 1, 16)
    t = t + F.scaled_dot_product_attention(t[:, None], t[:, None], t[:, None])[:, 0]
    t = t + ((t @ t.transpose(1, 2)) / 4).softmax(-1) @ t
    t = F.layer_norm(t, (16,))[:, 1:]
    return t.transpose(1, 2).reshape(n, 16, h // 8, w // 8)


def shifted_windows(x: Tensor) -> Tensor:
    """Rolled, cut into windows of 4×4, weighed there, put together and rolled back."""
    n, c, h, w = x.shape
    t = torch.roll(x.permute(0, 2, 3, 1), (-2, -2), (1, 2))
    t = t.view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
    t = (t @ t.transpose(1, 2)).softmax(-1) @ t
    t = t.view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
    return torch.roll(t, (2, 2), (1, 2)).permute(0, 3, 1, 2)


def by_hand(x: Tensor) -> Tensor:
    """Padding written into a buffer."""
    wide = torch.zeros(x.shape[0], x.shape[1], x.shape[2] + 3, x.shape[3] + 3)
    wide[:, :, 1:-2, 1:-2] = x
    return conv(wide, 4, 4)


def aligned(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def checkerboard(x: Tensor) -> Tensor:
    """Rows written back alternately: they are where they were."""
    y = torch.empty_like(x)
    y[:, :, ::2], y[:, :, 1::2] = x[:, :, ::2], x[:, :, 1::2]
    return y


KNOWN: dict[str, tuple[Forward, Cells]] = {
    "without padding": (lambda x: conv(F.max_pool2d(F.relu(conv(x, 5)), 2), 5), at(7, 2)),
    "odd kernel, stride and padding": (lambda x: conv(conv(x, 7, 2, 3), 3, 2, 1), at(0.5, 4)),
    "even kernel": (lambda x: conv(x, 4, 2, 1), at(1, 2)),
    "dilated": (lambda x: conv(x, 3, 1, 0, 3), at(3.5, 1)),
    "TensorFlow's same": (lambda x: conv(same(conv(same(x), 3, 2)), 3, 2), at(3.5, 4)),
    "one side padded": (lambda x: conv(F.pad(x, (3, 0, 0, 0)), 3), at((1.5, -1.5), 1)),
    "mirrored padding": (lambda x: conv(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5), at(0.5, 1)),
    "repeated padding": (lambda x: conv(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 2), at(0.5, 2)),
    "padding by hand": (by_hand, at(1, 4)),
    "cropped": (lambda x: x[:, :, 5:-3, 2:], at((5.5, 2.5), 1)),
    "negative padding": (lambda x: F.pad(x, (-4, -1, -2, -2)), at((2.5, 4.5), 1)),
    "every third": (lambda x: x[:, :, 1::3, ::2], at((1.5, 0.5), (3, 2))),
    "by index": (
        lambda x: x[:, :, torch.arange(1, 31, 2)].index_select(3, torch.arange(0, 40, 4)), at((1.5, 0.5), (2, 4))),
    "flipped": (lambda x: conv(x.flip(3), 3), at((1.5, 38.5), (1, -1))),
    "transposed": (lambda x: conv(x.transpose(2, 3), 3, 2), at(1.5, 2, turned=True)),
    "rotated": (lambda x: torch.rot90(x, 1, (2, 3))[:, :, ::2], at((0.5, 39.5), (1, -2), turned=True)),
    "channels last": (lambda x: (conv(x, 3, 2).permute(0, 2, 3, 1) @ torch.ones(3, 5)).permute(0, 3, 1, 2), at(1.5, 2)),
    "space to depth": (lambda x: conv(F.pixel_unshuffle(x, 4), 3), at(6, 4)),
    "focus": (lambda x: conv(torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1), 1), at(1, 2)),
    "depth to space": (lambda x: F.pixel_shuffle(conv(x, 1, 4, out=16), 2), at(-0.5, 2)),
    "nearest": (lambda x: F.interpolate(conv(x, 2, 2), scale_factor=2), at(0.5, 1)),
    "repeated": (lambda x: conv(x, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3), at(0.5, 1)),
    "bilinear": (lambda x: F.interpolate(conv(x, 2, 2), scale_factor=4, mode="bilinear"), at(0.25, 0.5)),
    "corners aligned": (lambda x: F.interpolate(x, (63, 79), mode="bilinear", align_corners=True), at(0.5, 0.5)),
    "smaller by nearest": (lambda x: F.interpolate(x, scale_factor=0.25), at(0.5, 4)),
    "transposed convolution": (
        lambda x: F.conv_transpose2d(conv(x, 2, 2), torch.ones(3, 3, 2, 2), stride=2), at(0.5, 1)),
    "with output padding": (
        lambda x: F.conv_transpose2d(conv(x, 3, 2, 1), torch.ones(3, 3, 3, 3), None, 2, 1, 1), at(0.5, 1)),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, (8, 5)), at((2, 4), (4, 8))),
    "pooled by reshaping": (lambda x: x.reshape(1, 3, 8, 4, 10, 4).mean((3, 5)), at(2, 4)),
    "unfolded": (lambda x: (torch.ones(5, 27) @ F.unfold(x, 3, stride=2)).view(1, 5, 15, 19), at(1.5, 2)),
    "tokens": (tokens, at(4, 8)),
    "shifted windows": (shifted_windows, at(0.5, 1)),
    "a gate": (lambda x: (y := conv(x, 3)) * y.mean((2, 3), keepdim=True).sigmoid(), at(1.5, 1)),
    "gates along rows and columns": (
        lambda x: (y := conv(x, 3)) * y.mean(2, keepdim=True) * y.amax(3, keepdim=True), at(1.5, 1)),
    "global context added": (
        lambda x: (y := conv(x, 3)) + F.interpolate(y.mean((2, 3), True), y.shape[2:]), at(1.5, 1)),
    "spatial attention": (
        lambda x: (y := conv(x, 3)) * conv(torch.cat([y.mean(1, True), y.amax(1, True)], 1), 3, 1, 1, out=1),
        at(1.5, 1)),
    "non-local": (
        lambda x: x + ((f := x.flatten(2).mT) @ f.mT).softmax(-1).matmul(f).mT.view(x.shape), at(0.5, 1)),
    "channels padded": (lambda x: conv(x, 3, 2, 1, out=6) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)), at(0.5, 2)),
    "half a cell apart": (lambda x: conv(x, 3, 2, 1) + F.avg_pool2d(x, 2), at(0.75, 2)),
    "a finer and a coarser": (
        lambda x: (y := conv(x, 3, 2, 1)) + F.interpolate(conv(y, 3, 2, 1), y.shape[2:]), at(0.5, 2)),
    "U-Net, corners aligned": (lambda x: torch.cat([x, aligned(F.max_pool2d(x, 2), x)], 1), at(0.5, 1)),
    "coordinates beside": (lambda x: conv(torch.cat([x, torch.ones(1, 2, 32, 40)], 1), 3), at(1.5, 1)),
    "written row by row": (checkerboard, at(0.5, 1)),
    "in place": (lambda x: conv(x, 3).relu_().mul_(2).add_(conv(x, 3)), at(1.5, 1)),
    "two pictures an example": (lambda x: conv(x.repeat(1, 2, 1, 1).reshape(2, 3, 32, 40), 3, 2), at(1.5, 2)),
    "shuffled channels": (lambda x: F.channel_shuffle(conv(x, 3, out=6), 2), at(1.5, 1)),
    "checkpointed": (lambda x: checkpoint(lambda y: conv(y, 3, 2), x, use_reentrant=False), at(1.5, 2)),
    "vectorized over a dimension": (lambda x: torch.stack(x.unbind(1), 1)[:, :, 2:], at((2.5, 0.5), 1)),
    "halves of channels": (lambda x: F.glu(conv(x, 3, out=4), 1), at(1.5, 1)),
    "channels sorted": (lambda x: conv(x, 3).sort(1).values.cumsum(1).topk(2, 1).values, at(1.5, 1)),
    "sums of neighbors": (lambda x: x[:, :, ::2] + x[:, :, 1::2], at((1, 0.5), (2, 1))),
    "wavelets": (lambda x: (x[..., ::2] + x[..., 1::2]) - (x[..., ::2] - x[..., 1::2]).abs(), at((0.5, 1), (1, 2))),
    "unpooled": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), at(0.5, 1)),
    "crops as a batch": (lambda x: conv(torch.cat([x[..., :20], x[..., :20]]), 3), at(1.5, 1)),
    "depthwise": (lambda x: F.conv2d(x, torch.ones(3, 1, 5, 5), groups=3), at(2.5, 1)),
    "normalized": (lambda x: F.group_norm(F.batch_norm(conv(x, 3), torch.zeros(3), torch.ones(3)), 3), at(1.5, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_places_found_by_hand(name: str) -> None:
    forward, expected = KNOWN[name]
    found = place(forward, torch.rand(1, 3, 32, 40) + 0.5)
    assert isinstance(found, Cells), found
    assert found.turned == expected.turned
    assert found.offset == pytest.approx(expected.offset, abs=1e-6)
    assert found.step == pytest.approx(expected.step, abs=1e-6)


UNKNOWN: dict[str, tuple[Forward, str]] = {
    "rolled": (lambda x: conv(x.roll(9, 3), 3), "roll"),
    "added to its mirror image": (lambda x: x + x.flip(3), "add"),
    "added to its transpose": (lambda x: x[:, :, :, :32] + x[:, :, :, :32].mT, "add"),
    "added a cell further": (lambda x: x[:, :, 1:] + x[:, :, :-1], "add"),
    "beside its mirror image": (lambda x: conv(torch.cat([x, x.flip(2)], 1), 3), "cat"),
    "warped": (lambda x: F.grid_sample(x, torch.zeros(1, 8, 8, 2), align_corners=False), "grid_sampler_2d"),
    "any order": (lambda x: x[:, :, torch.tensor([3, 1, 4, 1, 5, 9])], "index"),
    "an order that the picture decides": (lambda x: x.gather(2, x.argsort(2)), "sort"),
    "sorted": (lambda x: x.sort(2).values, "sort"),
    "wrapped padding": (lambda x: conv(F.pad(x, (2, 2, 2, 2), mode="circular"), 5), "cop"),
    "mixed by a matrix": (lambda x: x @ torch.rand(40, 20), "mm"),
    "Fourier's": (lambda x: torch.fft.ifft2(torch.fft.fft2(x)).real, "fft"),
    "picked at random": (lambda x: F.fractional_max_pool2d(x, 2, 8), "fractional_max_pool2d"),
    "moved in place": (lambda x: _moved(x.clone()), "cop"),
    "moved within a buffer": (lambda x: conv(_buffer(x), 3), "cop"),
    "tokens as a map of another shape": (lambda x: x.reshape(1, 3, 40, 32), "view"),
    "summed along the way": (lambda x: x.cumsum(3), "cumsum"),
    "crops of different places as a batch": (lambda x: conv(torch.cat([x[..., :20], x[..., 20:]]), 3), "cat"),
    "taps of different images": (lambda x: torch.cat([x[:, :, :16], x[:, :, 8:24]], 2), "cat"),
}  # fmt: skip


def _moved(x: Tensor) -> Tensor:
    x[:, :, 1:] = x[:, :, :-1].clone()
    return x


def _buffer(x: Tensor) -> Tensor:
    wide = torch.zeros(1, 3, 32, 40)
    wide[:, :, :, :20] = x[:, :, :, 20:]
    wide[:, :, :, 20:] = x[:, :, :, :20]
    return wide


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_said(name: str) -> None:
    forward, operation = UNKNOWN[name]
    found = place(forward, torch.rand(1, 3, 32, 40) + 0.5)
    assert isinstance(found, str)
    assert operation in found


def test_after_an_unknown_operation_nothing_is_known_again() -> None:
    found = place(lambda x: conv(x.cumsum(3), 3) + conv(x, 3), torch.rand(1, 3, 32, 40))
    assert isinstance(found, str)
    assert "cumsum" in found


def test_an_unknown_gate_takes_no_place_away() -> None:
    def forward(x: Tensor) -> Tensor:
        gate = x.flatten(2).sort(2).values[:, :, -5:].mean(2)
        return conv(x, 3) * gate[:, :, None, None]

    assert place(forward, torch.rand(1, 3, 32, 40)) == at(1.5, 1)


def test_what_does_not_depend_on_the_image_has_no_place() -> None:
    assert isinstance(place(lambda x: torch.ones(1, 3, 4, 4), torch.rand(1, 3, 8, 8)), str)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_single_cell_has_the_whole_picture(layout: str) -> None:
    found = place(lambda x: F.adaptive_avg_pool2d(x, 1) if layout == "nchw" else x.mean((2, 3))[:, None, None],
                  torch.rand(1, 3, 32, 40), layout)  # fmt: skip
    assert found == Cells((16, 20), (32, 40))


# --- measured ---


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 320), ("resnet50", 320), ("vgg11_bn", 192), ("densenet121", 320), ("googlenet", 331),
        ("inception_v3", 427), ("mobilenet_v2", 320), ("squeezenet1_1", 237), ("convnext_tiny", 256),
        ("regnet_y_400mf", 256),
    ],
)  # fmt: skip
def test_cells_of_real_architectures_lie_where_they_are_measured(name: str, side: int) -> None:
    model = even(architecture(name))
    x = torch.rand(1, 3, side, side).double() + 0.5
    checked = 0
    for stage in describe(model, x).stages:
        cell = (stage.shape[1] // 2, stage.shape[2] // 2)
        measured = middle_of(model, x, stage.name.split("#")[0], cell, stage.layout)
        assert stage.place is not None
        if measured is not None:
            found = Place(*stage.place).points(cell)[::-1]
            assert found == pytest.approx(measured, abs=0.05 * stage.stride[0]), stage.name
            checked += 1
    assert checked > 1


EXACT = st.one_of(
    st.builds(
        lambda k, s, p, d: nn.Conv2d(2, 2, k, s, p, d), st.integers(1, 4), st.integers(1, 2), st.integers(0, 2),
        st.integers(1, 2),
    ),
    st.builds(lambda k, s: nn.AvgPool2d(k, s), st.integers(1, 3), st.integers(1, 2)),
    st.builds(lambda k, ceil: nn.MaxPool2d(k, ceil_mode=ceil), st.integers(1, 3), st.booleans()),
    st.builds(lambda pad: nn.ZeroPad2d(pad), st.tuples(*[st.integers(-2, 3)] * 4)),
    st.builds(lambda dims: Do(lambda x: x.flip(dims)), st.sampled_from([(2,), (3,), (2, 3)])),
    st.builds(lambda: Do(lambda x: x.transpose(2, 3))),
    st.builds(lambda times: Do(lambda x: torch.rot90(x, times, (2, 3))), st.integers(0, 3)),
    st.builds(lambda a, b, s: Do(lambda x: x[:, :, a::s, b:]), st.integers(0, 3), st.integers(0, 3), st.integers(1, 2)),
    st.builds(
        lambda f, a: Do(lambda x: F.interpolate(x, scale_factor=f, mode="bilinear", align_corners=a)),
        st.sampled_from([1.5, 2.0]),
        st.booleans(),
    ),
    st.builds(lambda: Do(lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).mul_(2))),
    st.builds(lambda: Do(lambda x: x + F.avg_pool2d(x, 3, 1, 1))),
    st.builds(lambda: Do(lambda x: x * (0.5 + 0 * x.mean((2, 3), keepdim=True)))),
)  # fmt: skip


class Do(nn.Module):
    def __init__(self, function: Forward) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@settings(max_examples=80, deadline=None)
@given(st.lists(EXACT, min_size=1, max_size=6), st.integers(60, 77), st.integers(60, 77))
def test_stacks_of_operations_lie_where_they_are_measured(layers: list[nn.Module], height: int, width: int) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), *layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
    model = model.double()
    x = torch.rand(1, 1, height, width).double() + 0.5
    with torch.no_grad():
        try:
            size = model(x).shape
        except RuntimeError:
            return  # nothing was left
    if min(size[2:]) < 3 + 6 * sum(isinstance(layer, nn.ZeroPad2d) for layer in layers):
        return  # of two rows at least it must be known where they are
    found = place(model, x)
    assert isinstance(found, Cells)
    cell = (size[2] // 2, size[3] // 2)
    measured = middle_of(model, x, "", cell)
    if measured is not None and sees_no_padding(model, x, cell):
        assert Place(*found).points(cell)[::-1] == pytest.approx(measured, abs=1e-3)


def sees_no_padding(model: nn.Sequential, x: Tensor, cell: tuple[int, int]) -> bool:
    """Whether none of the cell's window lies beyond the picture: it weighs as much as far from all edges."""
    far = torch.ones(1, 1, 48, 48).double()
    with linear(), torch.no_grad():
        for layer in model:
            weight = layer(far) - layer(torch.zeros_like(far))
            far = weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2, None, None].expand(-1, -1, 48, 48)
        weight = model(torch.ones_like(x)) - model(torch.zeros_like(x))
    return bool(torch.allclose(weight[:, :, cell[0], cell[1]], far[:, :, 0, 0], rtol=1e-9))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["conv", "up", "skip"]), st.integers(1, 4), st.integers(1, 2)), max_size=5))
def test_decoders_lie_within_half_a_cell_of_where_they_are_measured(steps: list[tuple[str, int, int]]) -> None:
    layers: list[nn.Module] = [nn.Conv2d(1, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, 2, 1)]
    for kind, kernel, stride in steps:
        if kind == "conv":
            layers.append(nn.Conv2d(2, 2, kernel, 1, kernel // 2))
        elif kind == "up":
            layers.append(nn.ConvTranspose2d(2, 2, max(kernel, stride), stride, (max(kernel, stride) - stride) // 2))
        else:
            layers.append(Do(lambda x: x + F.interpolate(F.avg_pool2d(x, 2, ceil_mode=True), x.shape[2:])))
    model = even(nn.Sequential(*layers))
    x = torch.rand(1, 1, 64, 64).double() + 0.5
    found = place(model, x)
    assert isinstance(found, Cells)
    with torch.no_grad():
        h, w = model(x).shape[2:]
    measured = middle_of(model, x, "", (h // 2, w // 2))
    if measured is not None:
        assert Place(*found).points((h // 2, w // 2))[::-1] == pytest.approx(
            measured, abs=4
        )  # cells of 4 pixels are the coarsest


# --- what networks are made of ---

ACTIVATIONS = [
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid,
    nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink,
    nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Dropout, nn.Dropout2d, nn.Identity, lambda: nn.Threshold(0.1, 0),
    lambda: nn.Softmax(1),
    lambda: nn.LogSoftmax(1), nn.Softmax2d, lambda: nn.BatchNorm2d(4), lambda: nn.InstanceNorm2d(4),
    lambda: nn.GroupNorm(2, 4), lambda: nn.LocalResponseNorm(2), lambda: nn.ChannelShuffle(2),
    lambda: nn.LayerNorm([4, 14, 18]), lambda: nn.RMSNorm([4, 14, 18]),
]  # fmt: skip


@pytest.mark.parametrize("make", ACTIVATIONS, ids=lambda make: str(make().eval())[:12])
def test_activations_and_norms_leave_cells_where_they_are(make: Callable[[], nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5, 2), make()).eval()
    assert place(model, torch.rand(1, 3, 32, 40)) == at(2.5, 2)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_precision_makes_no_difference(half: torch.dtype) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.ZeroPad2d((1, 0, 2, 0)), nn.AvgPool2d(3)).to(half)
    assert place(model, torch.rand(1, 3, 99, 99).to(half)) == at((0.5, 2.5), 6)


class Several(nn.Module):
    """A module that runs twice, one that returns several maps, one whose weights come from a call."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(3, 3, 3, 2)
        self.pair = Do(lambda x: {"fine": x, "flipped": x.flip(2), "vector": x.mean((2, 3))})
        self.called = nn.Conv2d(3, 3, 2, 2)
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found = self.pair(self.twice(self.twice(x)))
        weights = {name: weight * 2 for name, weight in self.called.named_parameters()}
        y = torch.func.functional_call(self.called, weights, (found["flipped"],))
        return self.fc(y.mean((2, 3)) + found["vector"] + found["fine"].mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("twice", at(3.5, 4)), ("twice#0", at(1.5, 2)), ("twice#1", at(3.5, 4)), ("twice#1.input", None),
        ("pair[fine]", at(3.5, 4)), ("pair[flipped]", at((59.5, 3.5), (-4, 4))), ("called", at((57.5, 5.5), (-8, 8))),
        ("called.input", at((59.5, 3.5), (-4, 4))), ("pair", None), ("fc", None),
    ],
)  # fmt: skip
def test_layers_as_people_write_them_have_places(layer: str, expected: Cells | None) -> None:
    model, x = Several().eval(), torch.rand(2, 3, 64, 64)
    structure = describe(model, x)
    if layer == "twice#1.input":
        layer = "twice.input#1"
        expected = at(1.5, 2)
    found = structure.place(model, layer)
    assert isinstance(found, str) if expected is None else found == expected


def test_stages_know_their_places() -> None:
    model = architecture("resnet18")
    places = [stage.place for stage in describe(model, torch.rand(1, 3, 224, 224)).stages]
    assert places == [at(0.5, step) for step in (2, 4, 8, 16, 32)]


def test_fields_reach_what_was_padded_by_hand() -> None:
    with FieldTracker(x := torch.rand(1, 3, 32, 40)) as tracker:
        y = by_hand(x)
    field = tracker.field(y)
    assert field is not None
    assert field.stride == (4, 4)
    assert field.size == (4, 4)
