"""Schedules, the steps of a discrete chain, and the terms of its bound, each against another way to compute it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import distributions

from benchbench.models.diffusion.elbo import discretized_gaussian_nats, gaussian_kl, prior_nats, step_terms
from benchbench.models.diffusion.schedules import (
    SCHEDULES,
    ancestral,
    cosine,
    ddim,
    linear,
    posterior,
    visited,
)

shares = st.floats(1e-4, 0.999)


def test_linear_schedule() -> None:
    """β_t = 1e-4 + (t - 1)·(0.02 - 1e-4)/999 in NumPy, float64. A chain of 100 has β ten times as large, and none of
    ten steps destroys everything though β would be 2."""
    betas = np.linspace(1e-4, 0.02, 1000)
    np.testing.assert_allclose(linear(1000), np.cumprod(1 - betas), rtol=1e-12)
    assert 1 - float(linear(100)[0]) == pytest.approx(1e-3)
    assert float(linear(10).min()) > 0


def test_cosine_schedule() -> None:
    """Equation 17 of Nichol & Dhariwal: f(t)/f(0) with f = cos²; the last step alone is cut, at β = 0.999."""
    t = np.arange(1001) / 1000
    f = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
    found = cosine(1000)
    np.testing.assert_allclose(found[:-1], f[1:-1] / f[0], rtol=1e-9)
    assert 1 - float(found[-1] / found[-2]) == pytest.approx(0.999)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("timesteps", [2, 10, 1000])
def test_schedules_fall(schedule: str, timesteps: int) -> None:
    """What is kept falls from step to step and stays between 0 and 1."""
    kept = SCHEDULES[schedule](timesteps)  # type: ignore[index]
    assert kept.shape == (timesteps,)
    assert kept.dtype == torch.float64
    assert float(kept[-1]) > 0
    assert float(kept[0]) < 1
    assert bool((kept.diff() < 0).all())


@given(st.integers(2, 400), st.data())
@settings(max_examples=50, deadline=None)
def test_times_visited(timesteps: int, data: st.DataObject) -> None:
    """As many as are asked for, falling, from the last; with more than one, to the first."""
    steps = data.draw(st.integers(1, timesteps))
    times = visited(timesteps, steps)
    assert len(set(times)) == steps
    assert times == sorted(times, reverse=True)
    assert times[0] == timesteps - 1
    assert times[-1] == (0 if steps > 1 else timesteps - 1)
    assert visited(timesteps, timesteps) == list(range(timesteps))[::-1]


@given(shares, shares, st.floats(-2, 2), st.floats(-2, 2))
@settings(max_examples=50, deadline=None)
def test_posterior_is_bayes_rule(a: float, b: float, clean: float, noisy: float) -> None:
    """q(x_s | x_t, x₀) ∝ q(x_t | x_s)·q(x_s | x₀): precisions add, means weigh by them. float64."""
    now, then = min(a, b) * 0.99, max(a, b)
    alpha = now / then
    prior, seen = 1 / (1 - then), alpha / (1 - alpha)
    mean = (prior * math.sqrt(then) * clean + seen * noisy / math.sqrt(alpha)) / (prior + seen)
    step = posterior(now, then)
    assert step.clean * clean + step.noisy * noisy == pytest.approx(mean, abs=1e-9)
    assert step.sigma**2 == pytest.approx(1 / (prior + seen), rel=1e-9)


@given(shares, shares)
@settings(max_examples=50, deadline=None)
def test_ddim_between_none_and_all_of_the_noise(a: float, b: float) -> None:
    """η = 1 is the ancestral step with β̃ (Song et al. 2021, section 4.1), between any two times; η = 0 draws
    nothing. Whatever η is, a step keeps the marginals: from x_t = √ᾱ_t·x₀ + √(1 - ᾱ_t)·ε, x_s has the mean √ᾱ_s·x₀
    and the variance 1 - ᾱ_s (their lemma 1). float64; squares of differences of shares near 1 leave 1e-7."""
    now, then = min(a, b) * 0.99, max(a, b)
    np.testing.assert_allclose(ddim(1.0)(now, then), ancestral("fixed-small")(now, then), atol=1e-7)
    assert ddim(0.0)(now, then).sigma == 0
    for eta in (0.0, 0.3, 1.0):
        step = ddim(eta)(now, then)
        assert step.clean + step.noisy * math.sqrt(now) == pytest.approx(math.sqrt(then), abs=1e-7)
        assert step.noisy**2 * (1 - now) + step.sigma**2 == pytest.approx(1 - then, abs=1e-7)


def test_both_variances() -> None:
    """β_t and β̃_t by hand for the second step of a chain with β = 0.1, 0.2: 0.2 and 0.2·0.1/(1 - 0.72)."""
    large, small = ancestral("fixed-large")(0.72, 0.9), ancestral("fixed-small")(0.72, 0.9)
    assert large.sigma**2 == pytest.approx(0.2)
    assert small.sigma**2 == pytest.approx(0.2 * 0.1 / 0.28)
    assert large[:2] == small[:2]


@pytest.mark.parametrize("rule", [ancestral("fixed-large"), ancestral("fixed-small"), ddim(0.0), ddim(1.0)])
def test_the_last_step_is_the_guess(rule: object) -> None:
    """At s = 0, where nothing is noise: x₀ itself."""
    step = rule(0.3, 1.0)  # type: ignore[operator]
    assert step.clean == pytest.approx(1)
    assert step.noisy == pytest.approx(0, abs=1e-12)


LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.3, 3.0])
@pytest.mark.parametrize("mean", [-1.4, -0.3, 0.999])
def test_discretized_gaussian(mean: float, sigma: float) -> None:
    """The probabilities of all 256 levels sum to 1 (to rounding), and each is SciPy's difference of distribution
    functions, or of survival functions above the mean, where those of a level are above 1e-200."""
    nats = discretized_gaussian_nats(LEVELS, torch.full_like(LEVELS, mean), sigma)
    assert float((-nats).exp().sum()) == pytest.approx(1, abs=1e-10)
    low, high = (LEVELS - 1 / 255 - mean).numpy() / sigma, (LEVELS + 1 / 255 - mean).numpy() / sigma
    low[0], high[-1] = -np.inf, np.inf
    expected = np.where(
        low > 0, stats.norm.sf(low) - stats.norm.sf(high), stats.norm.cdf(high) - stats.norm.cdf(low)
    )
    sure = expected > 1e-200
    np.testing.assert_allclose(nats.numpy()[sure], -np.log(expected[sure]), rtol=1e-6)
    assert bool(nats.isfinite().all())


def test_terms_of_the_bound() -> None:
    """Each is torch.distributions' KL of the Gaussians that it is of, for one value with a wrong guess; float64."""
    kept = linear(20).tolist()
    x, guess, noisy = 0.4, -0.1, 0.7
    for variance in ("fixed-large", "fixed-small"):
        constants, weights = step_terms(kept, ancestral(variance))  # type: ignore[arg-type]
        for i, (then, now) in enumerate(itertools.pairwise(kept)):
            true, model = posterior(now, then), ancestral(variance)(now, then)  # type: ignore[arg-type]
            q = distributions.Normal(torch.tensor(true.clean * x + true.noisy * noisy).double(), true.sigma)
            p = distributions.Normal(
                torch.tensor(model.clean * guess + model.noisy * noisy).double(), model.sigma
            )
            expected = float(distributions.kl_divergence(q, p))
            assert float(constants[i] + weights[i] * (x - guess) ** 2) == pytest.approx(expected, rel=1e-5)
    last = distributions.Normal(torch.tensor(math.sqrt(kept[-1]) * x).double(), math.sqrt(1 - kept[-1]))
    standard = distributions.Normal(torch.zeros(1).double(), 1.0)
    expected = float(distributions.kl_divergence(last, standard))
    assert float(prior_nats(torch.tensor(x).double(), kept[-1])) == pytest.approx(expected, rel=1e-6)
    assert float(gaussian_kl(torch.zeros(1), 0.7, 0.7)) == 0
