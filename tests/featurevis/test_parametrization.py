"""Canvases, views, mask and schedules (T7, T8, T11)."""

from __future__ import annotations

import math

import pytest
import torch

from foveal.errors import MethodError
from foveal.featurevis import STILL, Fourier, Phase, Pixels, Views
from foveal.featurevis.naturalness import naturalness
from foveal.featurevis.parametrization import at_size, color_matrix, frequencies, parametrization_of
from foveal.featurevis.published_code import (
    BLUR,
    SIGMA,
    blurred,
    center_mask,
    denoised,
    retouched,
    scheduled,
)  # fmt: skip

SHAPES = [(3, 16, 16), (3, 17, 24), (1, 15, 9)]


def picture(shape: tuple[int, int, int], seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return 0.1 + 0.8 * torch.rand(1, *shape, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["fourier", "pixel"])
def test_a_canvas_shows_any_picture(kind: str, shape: tuple[int, int, int]) -> None:
    surface = parametrization_of(kind, shape, torch.float64)  # type: ignore[arg-type]
    x = picture(shape)
    torch.testing.assert_close(surface.image(surface.parameters(x)), x)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_a_picture(shape: tuple[int, int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    for surface in (Fourier(shape), Pixels(shape), Phase.of(picture(shape).float(), torch.ones(1))):
        x = surface.image(surface.noise(random)[None])
        assert x.shape == (1, *shape)
        assert bool((x >= 0).all() & (x <= 1).all()) and float(x.std()) > 0


def test_colors_can_be_taken_back() -> None:
    mix = color_matrix(3, torch.float64)
    assert abs(float(torch.linalg.det(mix))) > 1e-3
    assert float(mix.norm(dim=0).max()) == pytest.approx(1)
    assert torch.equal(color_matrix(1), torch.eye(1))


def test_phases_keep_the_strength_of_photos() -> None:
    photos = picture((3, 16, 16))
    surface = Phase.of(photos, torch.ones(1))
    torch.testing.assert_close(surface.image(surface.parameters(photos)), photos, atol=1e-6, rtol=1e-6)
    noise = surface.image(surface.noise(torch.Generator().manual_seed(0))[None].double())
    planes = torch.einsum("cd,kdhw->kchw", surface.mix.inverse(), noise.logit())
    found = torch.fft.rfft2(planes, norm="ortho").abs()[0]
    inner = (slice(None), slice(1, 8), slice(1, 8))  # waves whose mirror image is not in the table
    torch.testing.assert_close(found[inner], surface.strength[inner])


def test_unknown_canvas() -> None:
    with pytest.raises(MethodError, match="choose fourier"):
        parametrization_of("oil", (3, 8, 8))  # type: ignore[arg-type]


def test_views_stay_in_range_and_still_views_are_the_image() -> None:
    x = picture((3, 20, 20)).float()
    random = [torch.Generator().manual_seed(3)]
    assert STILL(x, random) is x
    seen = Views(flip=True)(x, random)
    assert seen.shape == x.shape and not torch.equal(seen, x)
    assert float(seen.min()) >= 0 and float(seen.max()) <= 1
    gray = torch.full_like(x, 0.5)
    torch.testing.assert_close(Views()(gray, random), gray)


def test_a_view_moves_by_the_share_of_the_side_it_says() -> None:
    x = torch.full((1, 1, 32, 32), 0.5)
    x[0, 0, 16, 16] = 1
    moved = []
    for seed in range(20):
        seen = Views(1 / 8, (1.0, 1.0), 0.0)(x, [torch.Generator().manual_seed(seed)])[0, 0]
        moved += [abs(place - 16) for place in divmod(int(seen.argmax()), 32)]
    assert 2 <= max(moved) <= 5


def test_each_image_draws_for_itself() -> None:
    x = picture((3, 12, 12)).float().repeat(2, 1, 1, 1)
    both = Views()(x, [torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)])
    alone = Views()(x[1:], [torch.Generator().manual_seed(2)])
    torch.testing.assert_close(both[1:], alone)
    assert not torch.equal(both[0], both[1])


def test_schedules_end_where_they_say() -> None:
    for ends in (SIGMA, BLUR):
        assert scheduled(ends, 1, 2001) == ends[0]
        assert scheduled(ends, 2001, 2001) == pytest.approx(ends[1])
        assert scheduled(ends, 1001, 2001) == pytest.approx(sum(ends) / 2)
    assert scheduled(SIGMA, 1, 1) == SIGMA[0]


def test_the_mask_is_a_gaussian_six_times_narrower_than_its_number() -> None:
    """Fitted to the mask before it was brought to 0..1, whose border is not zero."""
    sigma = 420.0
    m = center_mask((513, 513), sigma)
    assert float(m.min()) == 0 and float(m.max()) == 1
    lowest = torch.finfo(torch.float64).eps ** (0.5 * ((256 * math.sqrt(2) - 1) / sigma) ** 2)
    row = m[256, 257:] * (1 - lowest) + lowest
    d = torch.arange(1, 257, dtype=torch.float64) - 1
    deviation = (d[1:].square() / (-2 * row[1:].log())).sqrt()
    torch.testing.assert_close(deviation, torch.full_like(deviation, sigma / 6.0036), rtol=1e-3, atol=0)


def test_blur_and_denoising_do_not_change_flat_images_and_calm_others() -> None:
    flat, noisy = torch.full((1, 3, 16, 16), 0.4), picture((3, 16, 16)).float()
    for change in (lambda x: blurred(x, 0.9), lambda x: denoised(x, 0.5)):
        torch.testing.assert_close(change(flat), flat)
        assert float(change(noisy).diff(dim=3).abs().mean()) < float(noisy.diff(dim=3).abs().mean())
        torch.testing.assert_close(change(noisy).mean(), noisy.mean(), atol=5e-3, rtol=0)
    assert bool((retouched(noisy, 50, 100, 16 / 512) <= 1).all())


def test_resizing_keeps_range_and_leaves_the_right_size_alone() -> None:
    x = picture((3, 16, 16)).float()
    assert at_size(x, (16, 16)) is x
    assert at_size(x, (32, 24)).shape == (1, 3, 32, 24)


def test_naturalness_of_known_images() -> None:
    random = torch.Generator().manual_seed(0)
    white = torch.rand(3, 64, 64, generator=random, dtype=torch.float64)
    f = frequencies(64, 64, torch.float64).clamp(min=1 / 64)
    waves = torch.fft.rfft2(torch.randn(64, 64, generator=random, dtype=torch.float64)) / f
    pink = torch.fft.irfft2(waves, s=(64, 64))
    pink = (0.5 + 0.1 * pink / pink.std()).clamp(0, 1)
    assert abs(naturalness(white).slope) < 0.3
    assert naturalness(pink[None]).slope == pytest.approx(-2, abs=0.3)
    assert naturalness(white.round()).saturated == 1
    assert naturalness(torch.full((1, 8, 8), 0.3)).variation == 0


@pytest.mark.parametrize("shape", [(2, 3, 12, 12), (1, 1, 9, 20)])
def test_views_and_their_gradient_are_those_of_torch_affine_grid(shape: tuple[int, int, int, int]) -> None:
    x = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    views = Views(flip=True)
    theta = torch.stack([views._draw(torch.Generator().manual_seed(i), shape[2] / shape[3]) for i in range(len(x))])
    grid = torch.nn.functional.affine_grid(theta, list(shape), align_corners=False)
    literal = torch.nn.functional.grid_sample(x - 0.5, grid, align_corners=False) + 0.5
    found = views(x, [torch.Generator().manual_seed(i) for i in range(len(x))])
    torch.testing.assert_close(found, literal, atol=1e-12, rtol=0)
    cotangent = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, theirs = (torch.autograd.grad(each, x, cotangent)[0] for each in (found, literal))
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_waves_are_drawn_as_complex_numbers_would_be(shape: tuple[int, int, int]) -> None:
    surface = Fourier(shape, torch.float64)
    waves = surface.noise(torch.Generator().manual_seed(0))[None].requires_grad_()
    scale = frequencies(*shape[1:], torch.float64).clamp(min=1 / max(shape[1:])) ** -1 / 4
    planes = torch.fft.irfft2(torch.view_as_complex(waves) * scale, s=shape[1:], norm="ortho")
    literal = torch.einsum("dc,kchw->kdhw", color_matrix(shape[0], torch.float64), planes).sigmoid()
    found = surface.image(waves)
    torch.testing.assert_close(found, literal, atol=1e-14, rtol=0)
    cotangent = torch.rand(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (torch.autograd.grad(each, waves, cotangent)[0] for each in (found, literal))
    torch.testing.assert_close(ours, theirs, atol=1e-14, rtol=0)
