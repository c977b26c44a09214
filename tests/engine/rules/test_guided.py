"""Guided rules follow the derivative silently only where an operation is linear; every other one is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import foveal
from foveal.errors import MethodError
from tests.engine.rules.test_spellings import Net, net, pictures
from tests.networks import ARCHITECTURES, SMOOTH, architecture

Act = Callable[[Tensor], Tensor]
NAMED = "followed by the derivative, because there is no rule for it: "


def gate(t: Tensor) -> Tensor:
    return (t > 0).float()


def pair(t: Tensor, dim: int = 0) -> Tensor:
    return torch.stack([t, torch.zeros_like(t)], dim)


def _written(t: Tensor) -> Tensor:
    both = torch.zeros(2, *t.shape)
    both[0] = t
    return both.amax(0)


def _marked(t: Tensor) -> Tensor:
    mask = torch.zeros_like(t)
    mask[t > 0] = 1
    return t * mask


def _pooled(t: Tensor) -> Tensor:
    n, c, h, w = t.shape
    return F.max_pool2d(pair(t, -1).view(n, c * h, w, 2), (1, 2)).view(t.shape)


def _by_diagonals(t: Tensor) -> Tensor:
    return (torch.diag_embed(gate(t).flatten(1)) @ t.flatten(1)[:, :, None]).view(t.shape)


def _gathered(t: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(t), t]).gather(0, (t > 0).long()[None])[0]


def _indexed(t: Tensor) -> Tensor:
    rows = torch.stack([torch.zeros_like(t), t], -1).flatten(0, 3)
    return rows[torch.arange(len(rows)), (t > 0).long().flatten()].view(t.shape)


def _chosen(t: Tensor) -> Tensor:
    return pair(t).take_along_dim(pair(t).argmax(0, keepdim=True), 0)[0]


EQUAL: dict[str, Act] = {
    "heaviside": lambda t: t * torch.heaviside(t.detach(), torch.zeros(())),
    "sign of a copy": lambda t: t * t.detach().sign().clamp(min=0),
    "einsum": lambda t: torch.einsum("nchw,nchw->nchw", t, gate(t)),
    "einsum of a list": lambda t: torch.einsum("nchw,nchw->nchw", [gate(t), t]),
    "product": lambda t: t * gate(t),
    "product, cast": lambda t: (t > 0).to(t) * t,
    "diagonals": _by_diagonals,
    "mask that was written": _marked,
    "where of a choice": lambda t: torch.where(pair(t.detach()).argmax(0) == 0, t, 0.0),
}

OTHER: dict[str, tuple[Act, str]] = {
    "less what is below": (lambda t: t - t.clamp(max=0), "clamp"),
    "less what is below, by keyword": (lambda t: t - F.hardtanh(t, -1e9, 0.0), "hardtanh"),
    "less what is below, without places": (
        lambda t: t - torch.clamp(input=t, max=0),
        "clamp",
    ),
    "turned": (lambda t: -(-t).clip(max=0), "clamp"),
    "bounded by itself": (lambda t: (t.clamp(min=-t) + t) / 2, "clamp"),
    "amax": (lambda t: pair(t).amax(0), "amax"),
    "amax of all axes but": (lambda t: pair(t, 3).amax(dim=3), "amax"),
    "max": (lambda t: pair(t).max(0)[0], "max"),
    "max, by name": (lambda t: torch.max(pair(t, 1), dim=1).values, "max"),
    "amin": (lambda t: -pair(-t, -1).amin(-1), "amin"),
    "topk": (lambda t: torch.stack([t, 0 * t], -1).topk(1, -1)[0][..., 0], "topk"),
    "sort": (lambda t: pair(t, -1).sort(-1, descending=True)[0][..., 0], "sort"),
    "written": (_written, "amax"),
    "widened": (lambda t: (t[..., None] * torch.tensor([1.0, 0.0])).amax(-1), "amax"),
    "padded": (lambda t: F.pad(t[..., None], (0, 1)).amax(-1), "amax"),
    "joined": (lambda t: torch.cat([t, 0 * t], 1).unflatten(1, (2, -1)).amax(1), "amax"),
    "with a copy": (lambda t: torch.stack([t, t.detach() * 0]).amax(0), "amax"),
    "pooled": (_pooled, "max_pool2d"),
    "pooled in depth": (lambda t: F.max_pool3d(pair(t, 2), (2, 1, 1))[:, :, 0], "max_pool3d"),
    "pooled adaptively": (
        lambda t: F.adaptive_max_pool1d(pair(t, -1).flatten(1, 3), 1).view(t.shape),
        "adaptive_max_pool1d",
    ),
    "gathered": (_gathered, "gather"),
    "indexed": (_indexed, "getitem"),
    "taken": (_chosen, "take_along_dim"),
    "maxout": (lambda t: t.unflatten(1, (2, -1)).amax(1).repeat(1, 2, 1, 1), "amax"),
    "maximum of channels": (lambda t: t - t.max(1, keepdim=True)[0], "max"),
    "quotient": (lambda t: t / t.detach().norm(), "div of two features"),
}


@pytest.mark.parametrize("spelling", EQUAL)
@pytest.mark.parametrize("method", ["guidedbackprop", "deconvnet"])
def test_a_relu_by_a_mask_is_a_relu(method: str, spelling: str) -> None:
    right = foveal.explain(net(F.relu), pictures(), 1, method=method, task="classes")
    why = foveal.explain(net(EQUAL[spelling]), pictures(), 1, method=method, task="classes")
    assert torch.allclose(why.map, right.map, atol=1e-6 * float(right.map.abs().max()), rtol=1e-4)
    assert why.notes == right.notes


@pytest.mark.parametrize("spelling", OTHER)
@pytest.mark.parametrize("method", ["guidedbackprop", "deconvnet"])
def test_what_is_not_linear_in_features_is_named(method: str, spelling: str) -> None:
    act, names = OTHER[spelling]
    try:
        why = foveal.explain(net(act), pictures(), 1, method=method, task="classes")
    except MethodError as error:
        assert method == "deconvnet" and "does not apply" in str(error)
        return
    assert [note for note in why.notes if note.startswith(NAMED)] == [NAMED + names]


def test_a_bound_from_above_goes_back_by_the_derivative() -> None:
    whys = [
        foveal.explain(net(act), pictures(), 1, method="guidedbackprop", task="classes")
        for act in (lambda t: t.clamp(max=0), lambda t: t.clamp_max(0))
    ]
    assert torch.equal(whys[0].map, whys[1].map)


def test_all_names_are_in_one_remark() -> None:
    why = foveal.explain(
        net(lambda t: pair(t - t.clamp(max=0)).amax(0).abs()), pictures(), 1, method="guidedbackprop", task="classes"
    )
    assert [note for note in why.notes if note.startswith(NAMED)] == [NAMED + "clamp, amax, abs"]


# --- what is linear, or a pooling -----------------------------------------------------------------------------------


def _tokens(t: Tensor) -> Tensor:
    """Tokens behind one of the class, mixed by a layer and pooled over."""
    tokens = t.flatten(2).transpose(1, 2)
    tokens = torch.cat([torch.zeros(len(t), 1, t.shape[1]), tokens], 1)
    tokens = tokens + F.linear(tokens, torch.eye(t.shape[1]))
    return tokens.max(1)[0][:, :, None, None]


def _unpooled(t: Tensor) -> Tensor:
    pooled, indices = F.max_pool2d(t, 2, return_indices=True)
    return F.max_unpool2d(pooled, indices, (2, 2))


def _shuffled(t: Tensor) -> Tensor:
    return F.max_pool2d(t.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2), 2)


def _normalized(t: Tensor) -> Tensor:
    return t * torch.ones(len(t), 1, 1, 1).expand_as(t) + torch.zeros(1).type_as(t) * torch.zeros_like(t)


SILENT: dict[str, Act] = {
    "pool": lambda t: F.max_pool2d(t, 2),
    "pool behind zeros": lambda t: F.max_pool2d(F.pad(t, (1, 1, 1, 1)), 3, 2),
    "pool behind a reflection": lambda t: F.max_pool2d(F.pad(t, (1, 1, 1, 1), mode="reflect"), 3, 2),
    "pool of joined maps": lambda t: F.max_pool2d(torch.cat([t, F.conv2d(t, torch.ones(3, t.shape[1], 1, 1))], 1), 2),
    "pool of maps in another order": _shuffled,
    "pool of a row at a time": lambda t: F.max_pool1d(t.flatten(0, 1), 2).view(*t.shape[:3], -1),
    "pool of the whole": lambda t: F.adaptive_max_pool2d(t, 1),
    "maximum of the whole": lambda t: t.amax((2, 3), keepdim=True),
    "maximum of a flat map": lambda t: t.flatten(2).max(2)[0][:, :, None, None],
    "maximum of rows and columns": lambda t: t.max(-1, keepdim=True)[0].max(-2, keepdim=True)[0],
    "maximum with channels last": lambda t: t.permute(0, 2, 3, 1).amax((1, 2))[:, :, None, None],
    "maximum of tokens": _tokens,
    "maximum of views": lambda t: torch.cat([t, t]).view(-1, 2, *t.shape[1:]).max(1)[0],
    "best places": lambda t: t.flatten(2).topk(3, -1)[0].mean(-1)[:, :, None, None],
    "places in order": lambda t: t.flatten(2).sort(-1)[0].mean(-1)[:, :, None, None],
    "unpooled": _unpooled,
    "dropped out": lambda t: t * torch.empty_like(t).bernoulli_(0.5, generator=torch.Generator().manual_seed(0)),
    "in the form of": _normalized,
    "numbers alone": lambda t: t.masked_fill(t.isnan(), 0),
    "fixed places": lambda t: t[:, torch.arange(t.shape[1]).flip(0)].index_select(2, torch.arange(3)),
    "bounded from both sides": lambda t: t.clamp(0, 6),
    "bounded from above behind a ReLU": lambda t: F.relu(t).clamp(max=6),
}


class Followed(Net):
    """The operation between ReLU layers, where a head of any size of map follows."""

    def forward(self, x: Tensor) -> Any:
        h = self.act(F.relu(self.a(x)) - 0.1 if "bounded" not in self.name else self.a(x))
        h = F.conv2d(h, self.b.weight[:, :1].expand(-1, h.shape[1], -1, -1), padding=1)
        return self.fc(F.relu(h).mean((2, 3)))

    def __init__(self, name: str) -> None:
        super().__init__(SILENT[name])
        self.name = name


@pytest.mark.parametrize("name", SILENT)
def test_what_is_linear_or_a_pooling_is_not_named(name: str) -> None:
    torch.manual_seed(0)
    why = foveal.explain(Followed(name).eval(), pictures(), 1, method="guidedbackprop", task="classes")
    assert not [note for note in why.notes if note.startswith(NAMED)]


GATED = {
    "mobilenet_v3_small": "hardsigmoid, mul of two features",
    "efficientnet_b0": "sigmoid, mul of two features",
    "regnet_y_400mf": "sigmoid, mul of two features",
}


@pytest.mark.parametrize("method", ["guidedbackprop", "deconvnet"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_networks_are_named_for_their_gates_alone(name: str, method: str) -> None:
    if method == "deconvnet" and name in SMOOTH:
        return
    x = torch.randn(1, 3, ARCHITECTURES[name], ARCHITECTURES[name], generator=torch.Generator().manual_seed(0))
    why = foveal.explain(architecture(name), x, 1, method=method, task="classes")
    said = [note for note in why.notes if note.startswith(NAMED)]
    assert said == ([NAMED + GATED[name]] if name in GATED else [])


def test_layers_whose_weights_depend_on_features_are_named() -> None:
    class Dynamic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.fc = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Any:
            h = F.relu(self.a(x))
            return self.fc(F.conv2d(h, h.detach().mean((0, 2, 3)).diag()[:, :, None, None]).mean((2, 3)))

    torch.manual_seed(0)
    why = foveal.explain(Dynamic().eval(), pictures(), 1, method="guidedbackprop", task="classes")
    assert any(note.startswith(NAMED) and "conv2d of two features" in note for note in why.notes)
