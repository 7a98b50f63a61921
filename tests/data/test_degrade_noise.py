"""Noise: its moments, its independence, and that it belongs to the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.seeds import ImageRng, image_generator
from benchbench.data.degrade.noise import NOISE, gaussian, poisson, salt_and_pepper

Degrade = Callable[[Tensor, float, np.random.Generator], Tensor]
KINDS: list[tuple[Degrade, float]] = [(gaussian, 25), (salt_and_pepper, 0.2), (poisson, 30)]


def own(i: int, seed: int = 0) -> np.random.Generator:
    return image_generator(seed, i, NOISE)


def flat(level: int, side: int = 256) -> Tensor:
    """All of one colour, and not grey: blue is one level above."""
    image = torch.full((3, side, side), level, dtype=torch.uint8)
    image[2] += 1
    return image


def grey() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    plane = torch.randint(256, (1, 30, 40), dtype=torch.uint8, generator=generator)
    return plane.expand(3, -1, -1).contiguous()


@pytest.mark.parametrize("sigma", [15.0, 50.0])
def test_gaussian_moments(sigma: float) -> None:
    """Mean 0, variance σ², no skew, kurtosis 3, neither clipped nor rounded, within five standard errors of 65,536
    draws a channel."""
    noisy = gaussian(flat(5), sigma, own(3))
    assert noisy.dtype == torch.float32
    noise = (noisy - flat(5)).double() / sigma
    n = noise[0].numel()
    for channel in noise:
        assert abs(float(channel.mean())) < 5 / math.sqrt(n)
        assert float(channel.square().mean()) == pytest.approx(1, abs=5 * math.sqrt(2 / n))
        assert abs(float(channel.pow(3).mean())) < 5 * math.sqrt(15 / n)
        assert float(channel.pow(4).mean()) == pytest.approx(3, abs=5 * math.sqrt(96 / n))
    assert float(noisy.min()) < 0
    assert not torch.equal(noisy, noisy.round())


def test_gaussian_independence() -> None:
    """Neighbours, channels and other images have no correlation: below five standard errors of n products."""
    noise = [(gaussian(flat(100), 25, own(i)) - flat(100)).double() / 25 for i in (0, 1)]
    first, other = noise
    n = first[0].numel()
    for product in (
        first[0] * first[1],
        first[1] * first[2],
        first[0] * other[0],
        first[0, 1:] * first[0, :-1],
        first[0, :, 1:] * first[0, :, :-1],
    ):
        assert abs(float(product.mean())) < 5.1 / math.sqrt(n)


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_salt_and_pepper_shares(density: float) -> None:
    """Half the density black, half white, the rest untouched, within five standard errors; channels apart."""
    noisy = salt_and_pepper(flat(100), density, own(0))
    n = noisy[0].numel()
    margin = 5 * math.sqrt(density / 2 * (1 - density / 2) / n)
    for channel, before in zip(noisy, flat(100), strict=True):
        assert float((channel == 0).double().mean()) == pytest.approx(density / 2, abs=margin)
        assert float((channel == 255).double().mean()) == pytest.approx(density / 2, abs=margin)
        kept = (channel != 0) & (channel != 255)
        assert torch.equal(channel[kept], before[kept])
    both = float(((noisy[0] == 0) & (noisy[1] == 0)).double().mean())
    assert both == pytest.approx((density / 2) ** 2, abs=margin)


@pytest.mark.parametrize("peak", [1.0, 100.0])
def test_poisson_moments(peak: float) -> None:
    """Of level 200: mean 200 and variance 255 · 200 / peak within five standard errors; whole photons; black stays."""
    noisy = poisson(flat(200), peak, own(0))[0].double()
    n, variance = noisy.numel(), 255 * 200 / peak
    assert float(noisy.mean()) == pytest.approx(200, abs=5 * math.sqrt(variance / n))
    fourth = (255 / peak) ** 4 * (200 * peak / 255) * (1 + 3 * (200 * peak / 255))
    assert float(noisy.var()) == pytest.approx(variance, abs=5 * math.sqrt((fourth - variance**2) / n))
    photons = noisy * peak / 255
    assert torch.allclose(photons, photons.round(), rtol=0, atol=1e-3)
    assert not poisson(torch.zeros(3, 4, 4, dtype=torch.uint8), peak, own(0)).any()


@pytest.mark.parametrize(("degrade", "parameter"), KINDS)
def test_it_belongs_to_the_image(degrade: Degrade, parameter: float) -> None:
    """By what it is for: the same again for the same number and seed, another for another; the global generators of
    torch and NumPy neither matter nor move."""
    image = flat(100, 16)
    found = degrade(image, parameter, own(7))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(degrade(image, parameter, own(7)), found)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(degrade(image, parameter, own(8)), found)
    assert not torch.equal(degrade(image, parameter, own(7, seed=1)), found)
    assert torch.equal(image, flat(100, 16))


@pytest.mark.parametrize(("degrade", "parameter"), KINDS)
def test_grey_stays_grey(degrade: Degrade, parameter: float) -> None:
    """One plane of noise for all three channels, that of the image with one channel."""
    found = degrade(grey(), parameter, own(0))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[:1], degrade(grey()[:1], parameter, own(0)))


def test_no_model_draws_the_noise() -> None:
    """A model's first draws for image 0 under the same seed are other numbers; stream 0 is its own."""
    noise = gaussian(torch.zeros(1, 1, 64, dtype=torch.uint8), 1, own(0)).flatten()
    drawn = ImageRng(0, [0]).normal(64)[0]
    assert not torch.isclose(noise, drawn).any()
    assert torch.equal(drawn, torch.from_numpy(image_generator(0, 0).standard_normal(64, dtype=np.float32)))


def test_frozen_draws() -> None:
    """Frozen here once, so that no later version gives published rows other noise: image 3 under seed 0."""
    found = gaussian(torch.zeros(1, 1, 4, dtype=torch.uint8), 25, own(3)).flatten().tolist()
    assert found == pytest.approx(FROZEN, abs=1e-4)


FROZEN = [-35.75493621826172, 26.0311279296875, 36.38081741333008, -16.835426330566406]


@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_noisy_bsd68(shared_data: Path, sigma: int) -> None:
    """The mean PSNR of BSD68 with noise, not clipped: −20 log10(σ/255), 20.17 dB at 25 (Zhang et al. 2017)."""
    files = sorted((shared_data / "bsd68").glob("*.png"))
    if len(files) != 68:
        pytest.skip("BSD68 is not at hand (a folder bsd68 in BENCHBENCH_DATA)")
    decibel = []
    for i, file in enumerate(files):
        image = torch.from_numpy(np.array(Image.open(file)))[None]
        error = gaussian(image, sigma, own(i)) - image
        decibel.append(float(-10 * torch.log10(error.double().square().mean() / 255**2)))
    assert np.mean(decibel) == pytest.approx(-20 * math.log10(sigma / 255), abs=0.03)


@pytest.mark.parametrize(
    ("degrade", "parameter", "words"),
    [
        (gaussian, 0, "sigma 0 is not possible"),
        (gaussian, -5, "sigma -5 is not possible"),
        (gaussian, 256, "sigma 256 is not possible"),
        (gaussian, math.nan, "sigma nan is not possible"),
        (salt_and_pepper, 0, "density of 0 is not possible"),
        (salt_and_pepper, 1.1, "density of 1.1 is not possible"),
        (salt_and_pepper, math.nan, "density of nan is not possible"),
        (poisson, 0, "peak of 0 photons is not possible"),
        (poisson, math.inf, "peak of inf photons is not possible"),
    ],
)
def test_out_of_range(degrade: Degrade, parameter: float, words: str) -> None:
    """One sentence each."""
    with pytest.raises(InputError, match=words):
        degrade(grey(), parameter, own(0))


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 4, 4),
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 4, 4, dtype=torch.uint8),
        torch.zeros(3, 0, 4, dtype=torch.uint8),
    ],
)
@pytest.mark.parametrize(("degrade", "parameter"), KINDS)
def test_no_image(degrade: Degrade, parameter: float, image: Tensor) -> None:
    """Floats of an unknown scale, a batch, two channels, no pixel: one sentence."""
    with pytest.raises(InputError, match="an image that gets noise must be uint8"):
        degrade(image, parameter, own(0))


@pytest.mark.parametrize(("degrade", "parameter"), KINDS)
def test_one_pixel(degrade: Degrade, parameter: float) -> None:
    """The least there is."""
    assert degrade(torch.full((3, 1, 1), 9, dtype=torch.uint8), parameter, own(0)).shape == (3, 1, 1)
