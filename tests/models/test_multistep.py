"""DPM-Solver++(2M) against the paper's own notation, the closed form of Gaussian data, and DDIM."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.protocols import ImageSpec
from benchbench.models.build import build_model
from benchbench.models.diffusion.samplers import chain, multistep
from benchbench.models.diffusion.schedules import SCHEDULES, Schedule, ddim, visited, visited_by_noise

MEAN, DEVIATION = 0.2, 0.25
KEPT = SCHEDULES["cosine"](1000).tolist()
NOISE = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def curved(x: Tensor, t: Tensor) -> Tensor:
    """A guess that is no line in anything."""
    return torch.tanh(x * (1 + t.double().view(-1, 1, 1, 1) / 700))


def test_algorithm_2_as_it_is_written() -> None:
    """Lu et al. 2022, Algorithm 2, in NumPy by its own names: α, σ, λ, h, r, and of the second step on
    x̃ᵢ = σᵢ/σᵢ₋₁ x̃ᵢ₋₁ - αᵢ(e^(-hᵢ) - 1)Dᵢ with Dᵢ = (1 + 1/(2rᵢ))·x_θ(x̃ᵢ₋₁) - 1/(2rᵢ)·x_θ(x̃ᵢ₋₂). Float64, 1e-10: the
    differences of logarithms are taken in another order."""
    times = visited(1000, 12)
    alpha, sigma = np.sqrt(KEPT), np.sqrt(1 - np.array(KEPT))
    lam = np.log(alpha / sigma)

    def guess(x: np.ndarray, t: int) -> np.ndarray:
        return np.asarray(np.tanh(x * (1 + t / 700)))

    x, old, h_old = NOISE.numpy(), np.zeros(()), math.nan
    for i in range(1, len(times)):
        s, t = times[i - 1], times[i]
        h, new = lam[t] - lam[s], guess(x, s)
        r = h_old / h
        d = new if i == 1 else (1 + 1 / (2 * r)) * new - 1 / (2 * r) * old
        x = sigma[t] / sigma[s] * x - alpha[t] * (np.exp(-h) - 1) * d
        old, h_old = new, h
    torch.testing.assert_close(multistep(curved, NOISE, KEPT, times), torch.from_numpy(x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("times", [[999], [999, 0], [400, 20]])
def test_with_one_guess_it_is_ddim(times: list[int]) -> None:
    """One or two times leave no guess before: the same steps as DDIM without noise; float64, 1e-12."""
    expected = chain(curved, NOISE, KEPT, times, ddim(0.0), NOISE.clone)
    found = curved(multistep(curved, NOISE, KEPT, times), torch.tensor(times[-1:]))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


LINEAR = SCHEDULES["linear"](1000).tolist()


def error(rule: str, times: list[int]) -> float:
    """The largest error of drawing from N(MEAN, DEVIATION²) pixels by the best guess. The equation carries every x_T
    along the quantiles of x_t (Gaussians all), and the last guess is of the exact x at the last time."""

    def spread(share: float) -> float:
        return math.sqrt(share * DEVIATION**2 + 1 - share)

    def best(x: Tensor, t: Tensor) -> Tensor:
        share = LINEAR[int(t[0])]
        return MEAN + math.sqrt(share) * (DEVIATION / spread(share)) ** 2 * (x - math.sqrt(share) * MEAN)

    start, end = LINEAR[times[0]], LINEAR[times[-1]]
    exact = math.sqrt(end) * MEAN + spread(end) * (NOISE - math.sqrt(start) * MEAN) / spread(start)
    expected = best(exact, torch.tensor([times[-1]]))
    if rule == "ddim":
        found = chain(best, NOISE, LINEAR, times, ddim(0.0), NOISE.clone)
    else:
        found = best(multistep(best, NOISE, LINEAR, times), torch.tensor([times[-1]]))
    return float((found - expected).abs().max())


def test_it_is_of_second_order() -> None:
    """Of 100 and 400 even times: with four times the steps the error falls by nearly sixteen (more than 12; the first
    step is of first order), that of DDIM by four (less than 5)."""
    few, many = visited(1000, 100), visited(1000, 400)
    assert error("multistep", few) > 12 * error("multistep", many)
    assert error("ddim", few) < 5 * error("ddim", many)


def test_by_noise_few_steps_are_enough() -> None:
    """Fifty times by noise levels are nearer than two hundred even ones, by either sampler."""
    spaced = error("multistep", visited_by_noise(LINEAR, 50))
    assert spaced < min(error(rule, visited(1000, 200)) for rule in ("multistep", "ddim"))


@given(st.sampled_from(["linear", "cosine"]), st.integers(2, 400), st.data())
@settings(max_examples=50, deadline=None)
def test_times_by_noise(schedule: Schedule, timesteps: int, data: st.DataObject) -> None:
    """As many as are asked for, falling, to the first; all of them where that is how many there are."""
    shares = SCHEDULES[schedule](timesteps).tolist()
    steps = data.draw(st.integers(2, timesteps))
    times = visited_by_noise(shares, steps)
    assert len(set(times)) == steps
    assert times == sorted(times, reverse=True)
    assert 0 <= times[-1] <= times[0] < timesteps
    assert times[-1] == 0
    assert visited_by_noise(shares, timesteps) == [*range(timesteps)][::-1]


@pytest.mark.parametrize(("schedule", "first"), [("linear", 930), ("cosine", 991)])
def test_times_are_the_nearest(schedule: Schedule, first: int) -> None:
    """Seven of a thousand, each by looking at all: nearest in log σ to (a + k/6·(b - a))⁷ with a and b the seventh
    roots of σ_max, 80 though both schedules have more, and σ_min."""
    kept = SCHEDULES[schedule](1000).numpy()
    sigma = np.sqrt((1 - kept) / kept)
    ends = 80.0, sigma[0]
    wanted = np.linspace(*np.power(ends, 1 / 7), 7) ** 7
    expected = [int(np.abs(np.log(sigma / level)).argmin()) for level in wanted]
    assert expected[0] == first
    assert visited_by_noise(kept.tolist(), 7) == expected


@pytest.mark.parametrize("sampler", ["ancestral", "dpm-solver++"])
def test_the_noise_of_another_sampler_is_refused(sampler: str) -> None:
    """`eta` says nothing to them: rows that differ in it would be one row twice."""
    settings = {"sampler": sampler, "eta": 0.5}
    words = rf"eta=0\.5 is the noise of ddim.* with {re.escape(sampler)}; leave it"
    with pytest.raises(InputError, match=words):
        build_model("ddpm", {"width": 2, "multiples": (1,)}, ImageSpec(8, 8, True, 0), settings)
