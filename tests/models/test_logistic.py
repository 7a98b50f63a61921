"""The discretised mixture of logistics: sums, edges, tails, and draws that follow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from benchbench.core.images import to_signed
from benchbench.models.autoregressive import logistic
from benchbench.models.autoregressive.logistic import choose, draw_pixels, mixture_nats
from benchbench.models.nn.discretized import logistic_level_logs

LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def parameters(seed: int, channels: int, mixtures: int, n: int = 1, spread: float = 2.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    size = logistic.n_parameters(channels, mixtures)
    return torch.randn(n, size, 1, 1, generator=rng, dtype=torch.float64) * spread


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.1, 30))
def test_256_levels_of_a_grey_pixel_add_up_to_one(seed: int, mixtures: int, spread: float) -> None:
    """Whatever the parameters, scales far below a level and means far outside among them: the levels' cells fill the
    line. float64: 256 sums of rounding errors."""
    given = parameters(seed, 1, mixtures, spread=spread)
    nats = mixture_nats(given.expand(256, -1, 1, 1), LEVELS.view(256, 1, 1, 1))
    assert (-nats).exp().sum().item() == pytest.approx(1, abs=1e-11)


def test_colours_depend_on_those_before() -> None:
    """Summed over all blues a colour has the probability of its red and green, by scipy's logistic component by
    component with the mean of green moved by the red (equation 3), at the edge of green. float64."""
    mixtures, red, green = 3, LEVELS[40], LEVELS[255]
    given = parameters(5, 3, mixtures, spread=1.0)
    blue = LEVELS.view(256, 1, 1)
    x = torch.stack([red.expand_as(blue), green.expand_as(blue), blue], 1)
    total = (-mixture_nats(given.expand(256, -1, 1, 1), x)).exp().sum().item()
    numbers = given.view(10, mixtures).numpy()
    weights = np.exp(numbers[0]) / np.exp(numbers[0]).sum()
    expected = 0.0
    for k in range(mixtures):
        scale = np.exp(np.clip(numbers[4:7, k], -7, 7))
        of_red = stats.logistic(numbers[1, k], scale[0])
        of_green = stats.logistic(numbers[2, k] + np.tanh(numbers[7, k]) * float(red), scale[1])
        r = of_red.cdf(float(red) + 1 / 255) - of_red.cdf(float(red) - 1 / 255)
        expected += weights[k] * r * of_green.sf(float(green) - 1 / 255)
    assert total == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("mean", [-3.0, -0.2, 0.0, 0.7, 1.5])
@pytest.mark.parametrize("log_scale", [-6.0, -2.0, 1.0])
def test_a_level_against_scipy(mean: float, log_scale: float) -> None:
    """The difference of two values of scipy's logistic distribution, of the survival function where that is the
    smaller number; levels whose probability is above 1e-280, the rest has no double. A relative 1e-6 in the
    probability is the rounding of their difference."""
    oracle = stats.logistic(mean, math.exp(log_scale))
    x = LEVELS.numpy()
    lower, upper = x - 1 / 255, x + 1 / 255
    lower[0], upper[-1] = -np.inf, np.inf
    right = x > mean
    expected = np.where(right, oracle.sf(lower) - oracle.sf(upper), oracle.cdf(upper) - oracle.cdf(lower))
    found = logistic_level_logs(LEVELS, *torch.tensor([[mean], [log_scale]], dtype=torch.float64))
    known = expected > 1e-280
    np.testing.assert_allclose(found.numpy()[known], np.log(expected[known]), atol=1e-6)


def test_far_tails_have_a_value_and_a_gradient() -> None:
    """A level 2 away at a scale of e^-7, 2,193 scales: log P ≈ -2/s + log(e^(1/255/s) - e^(-1/255/s)), in float32,
    where the difference of two sigmoids is 0. The gradient with respect to the mean is 1/s = e^7."""
    mean = torch.tensor([-1.0], requires_grad=True)
    found = logistic_level_logs(torch.tensor([1.0 - 2 / 255]), mean, torch.tensor([-7.0]))
    inverse = math.exp(7)
    distance = 2 - 2 / 255
    expected = -distance * inverse + math.log(2 * math.sinh(inverse / 255))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert mean.grad is not None
    assert mean.grad.item() == pytest.approx(inverse, rel=1e-4)


@pytest.mark.parametrize("log_scale", [-200.0, -7.0, 7.0, 99.0, 1000.0])
@pytest.mark.parametrize("mean", [-300.0, 0.0, 300.0])
def test_extreme_parameters_have_gradients(mean: float, log_scale: float) -> None:
    """Of every level, in float32: a training on black and white got to scales of e^99 in 19 steps of a large rate."""
    given = torch.tensor([0.0, mean, log_scale]).view(1, 3, 1, 1).expand(256, -1, -1, -1).requires_grad_()
    nats = mixture_nats(given, LEVELS.float().view(256, 1, 1, 1))
    (gradient,) = torch.autograd.grad(nats.sum(), given)
    assert nats.isfinite().all()
    assert gradient.isfinite().all()


def test_a_uniform_prediction_has_eight_bits() -> None:
    """256 equal weights of the sharpest logistics, one on each level, are the uniform distribution: log2 256 = 8
    bits, but for what a scale of e^-7 lets across to the neighbours, the same from every side. At the ends it stays:
    1e-5 next to them and 1e-3 in the mean are that."""
    given = torch.cat([torch.zeros(256), LEVELS, torch.full((256,), -7.0)]).view(1, -1, 1, 1)
    bits = mixture_nats(given.expand(256, -1, 1, 1), LEVELS.view(256, 1, 1, 1)) / math.log(2)
    assert bits[1:-1].flatten().tolist() == pytest.approx([8.0] * 254, abs=1e-5)
    assert bits.mean().item() == pytest.approx(8, abs=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_drawn_pixels_follow_the_likelihood(channels: int) -> None:
    """100,000 draws of one pixel. Of a grey one χ² over the levels, below its 1 - 1e-6 quantile. Of a colour one the
    ratio of another distribution's probabilities to these has the mean 1 under these draws, to 5 standard errors,
    which are below 0.05. They are levels as images have them. Seeded."""
    n = 100_000
    given = parameters(3, channels, 3, spread=1.0).float()
    given[:, -3 * channels :] -= 2 if channels == 1 else 0
    uniform = torch.rand(n, 1 + channels, generator=torch.Generator().manual_seed(1))
    x = draw_pixels(given.view(1, -1).expand(n, -1), uniform, 1.0)
    assert torch.equal(
        x, to_signed(((x + 1) * 127.5).round().to(torch.uint8).view(n, channels, 1, 1), channels)[..., 0, 0]
    )
    if channels == 1:
        nats = mixture_nats(given.double().expand(256, -1, 1, 1), LEVELS.view(256, 1, 1, 1)).flatten()
        expected = n * (-nats).exp().numpy()
        counts = np.bincount(((x[:, 0] + 1) * 127.5).round().long().numpy(), minlength=256)
        often = expected >= 5
        pairs = [
            *zip(counts[often], expected[often], strict=True),
            (counts[~often].sum(), expected[~often].sum()),
        ]
        chi2 = sum((c - e) ** 2 / e for c, e in pairs if e > 0)
        assert chi2 < stats.chi2(len(pairs) - 1).ppf(1 - 1e-6)
    else:
        other = given + parameters(4, 3, 3, spread=0.06).float()
        pixels = x.view(n, 3, 1, 1)
        ratio = (
            mixture_nats(given.expand(n, -1, 1, 1), pixels) - mixture_nats(other.expand(n, -1, 1, 1), pixels)
        ).exp()
        error = float(ratio.std()) / n**0.5
        assert abs(float(ratio.mean()) - 1) < 5 * error < 0.05


def test_temperature_sharpens() -> None:
    """Two components of weights 4 : 1 around ∓1/2 with scale s = e^-2. Above 0.2 lies what scipy's survival functions
    say, weighted, to 5 standard errors. At a tenth of the temperature the weights are 4^10 : 1, so that of 20,000
    draws none is of the second, and the standard deviation is π s/√3/10, to 5 per cent."""
    n = 20_000
    given = torch.tensor([math.log(4.0), 0.0, -0.5, 0.5, -2.0, -2.0]).expand(n, -1)
    uniform = torch.rand(n, 2, generator=torch.Generator().manual_seed(0))
    warm, cold = draw_pixels(given, uniform, 1.0), draw_pixels(given, uniform, 0.1)
    first, second = (stats.logistic(mean, math.exp(-2)).sf(0.2) for mean in (-0.5, 0.5))
    assert float((warm > 0.2).float().mean()) == pytest.approx(
        0.8 * first + 0.2 * second, abs=5 * (0.18 / n) ** 0.5
    )
    assert float(cold.max()) < 0
    assert float(cold.std()) == pytest.approx(math.pi * math.exp(-2) / 3**0.5 / 10, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6), st.floats(0, 1, exclude_max=True))
def test_a_number_falls_to_a_category(logits: list[float], u: float) -> None:
    """numpy's searchsorted in the cumulated probabilities is the oracle, away from the ends of the intervals."""
    weights = torch.tensor(logits, dtype=torch.float64).softmax(0)
    ends = weights.cumsum(0).numpy()
    if np.abs(ends - u).min() < 1e-9:
        return
    expected = min(int(np.searchsorted(ends, u, side="right")), len(logits) - 1)
    found = choose(torch.tensor([logits], dtype=torch.float64), torch.tensor([u], dtype=torch.float64))
    assert found.item() == expected
