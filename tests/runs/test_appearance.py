"""Images with the mean colors and the amplitude spectrum of others: what goes, and what stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveal.runs.appearance import with_appearance, with_appearance_of_others


def smooth(n: int, channels: int, height: int, width: int, seed: int) -> torch.Tensor:
    """Images with less of the high frequencies, as photos have."""
    noise = torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 3, 1, 1, count_include_pad=False)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 7, 10), (5, 9, 5)])
def test_it_is_the_formula(channels: int, height: int, width: int) -> None:
    x, others = smooth(5, channels, height, width, 0), smooth(9, channels, height, width, 1) + 2
    row, column = (np.exp(-2j * np.pi * np.outer(range(k), range(k)) / k) for k in (height, width))
    F, G = (np.einsum("uy,ncyx,xv->ncuv", row, images.double().numpy(), column) for images in (x, others))
    ratio = np.sqrt((np.abs(G) ** 2).mean(0) / (np.abs(F) ** 2).mean(0))
    wanted = F * ratio
    wanted[..., 0, 0] = F[..., 0, 0] + (G.mean(0) - F.mean(0))[..., 0, 0]
    by_hand = np.einsum("uy,ncyx,xv->ncuv", row.conj(), wanted, column.conj()) / (height * width)
    assert np.abs(by_hand.imag).max() < 1e-12
    altered = with_appearance(x, others)
    assert altered.shape == x.shape and np.abs(altered.numpy() - by_hand.real).max() < 1e-12
    assert (with_appearance(x, x) - x).abs().max() < 1e-12


def test_phases_stay_and_a_grating_goes() -> None:
    y, x = torch.meshgrid(torch.arange(16), torch.arange(15), indexing="ij")
    clean, others = smooth(12, 3, 16, 15, 0), smooth(24, 3, 16, 15, 1)
    grating = 2 * torch.cos(2 * torch.pi * (3 * y / 16 + 2 * x / 15))
    altered = with_appearance(clean + grating, others)
    before, after = (torch.fft.fft2(images.double()) for images in (clean + grating, altered))
    known = before.abs() > 1e-6
    known[..., 0, 0] = False
    turned = (after / before)[known]
    assert turned.imag.abs().max() < 1e-9 and turned.real.min() > 0
    left = after[..., 3, 2].abs().square().mean(0).sqrt()
    assert torch.allclose(left, torch.fft.fft2(others.double())[..., 3, 2].abs().square().mean(0).sqrt())
    assert (altered - clean).std() < 0.4 * grating.std()


def test_a_color_cast_goes_and_differences_in_brightness_stay() -> None:
    x, others = smooth(6, 3, 12, 12, 0), smooth(18, 3, 12, 12, 1)
    x += torch.linspace(-1, 1, 6)[:, None, None, None]
    cast = torch.tensor([0.4, -0.9, 0.2])[:, None, None]
    altered = with_appearance(x + cast, others)
    assert torch.allclose(altered.mean((0, 2, 3)), others.double().mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(altered, with_appearance(x, others), atol=1e-5)
    brightness = (x.mean((2, 3)) - x.mean((0, 2, 3))).double()
    assert torch.allclose(altered.mean((2, 3)) - altered.mean((0, 2, 3)), brightness, atol=1e-6)


def test_what_a_group_does_not_have_is_not_made() -> None:
    flat = torch.tensor([0.1, 0.7, 0.3, 0.2, 0.9])[:, None, None, None].expand(5, 2, 9, 10)
    others = smooth(7, 2, 9, 10, 0)
    moved = with_appearance(flat, others)
    assert torch.allclose(moved.std((2, 3)), torch.zeros(5, 2, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(moved.mean((0, 2, 3)), others.double().mean((0, 2, 3)), atol=1e-6)
    assert torch.equal(
        with_appearance_of_others(flat, 2, np.random.default_rng(0)).isfinite(), torch.ones_like(flat) > 0
    )


def test_each_image_gets_the_appearance_of_images_outside_of_its_part() -> None:
    x = torch.cat([smooth(5, 3, 8, 8, 0) + 3, smooth(13, 3, 8, 8, 1)]).clamp(-8, 8)
    altered = with_appearance_of_others(x, 5, np.random.default_rng(0))
    assert altered.dtype == x.dtype
    wide = with_appearance(x[:5], x[5:]).clamp(x.amin((0, 2, 3), keepdim=True), x.amax((0, 2, 3), keepdim=True))
    assert torch.allclose(altered[:5], wide.float(), atol=1e-6)
    dealt = np.array_split(np.random.default_rng(0).permutation(np.arange(5, 18)), 3)
    assert sorted(map(len, dealt)) == [4, 4, 5]
    for part in dealt:
        rest = [i for i in range(5, 18) if i not in part]
        low, high = (getattr(x, name)((0, 2, 3), keepdim=True) for name in ("amin", "amax"))
        assert torch.allclose(altered[part], with_appearance(x[part], x[rest]).clamp(low, high).float(), atol=1e-6)
    assert (altered <= x.amax((0, 2, 3), keepdim=True)).all() and (altered >= x.amin((0, 2, 3), keepdim=True)).all()
