"""Paths from noise to images, and which noise goes to which image."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.models.diffusion.paths import PATHS, SIGMA_MIN, PathName, at, optimal_coupling

every = pytest.mark.parametrize("name", list(PATHS))


@every
def test_ends(name: PathName) -> None:
    """Noise at 0; the image at 1, of Lipman et al.'s path with their σ_min of noise. float64: cos(π/2) is 6e-17."""
    x, noise = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64)
    start, _ = at(PATHS[name], x, noise, torch.zeros(3, dtype=torch.float64))
    end, _ = at(PATHS[name], x, noise, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(start, noise)
    left = SIGMA_MIN if name == "ot" else 0.0
    torch.testing.assert_close(end, x + left * noise, atol=1e-12, rtol=0)


@every
def test_velocity_is_the_derivative(name: PathName) -> None:
    """Of each coefficient by autograd, and of the whole by it; float64."""
    path, t = PATHS[name], torch.linspace(0.05, 0.95, 7, dtype=torch.float64, requires_grad=True)
    for value, slope in ((path.alpha, path.d_alpha), (path.sigma, path.d_sigma)):
        (expected,) = torch.autograd.grad(value(t).sum(), t)
        torch.testing.assert_close(slope(t), expected)
    x, noise = torch.randn(2, 7, 3, dtype=torch.float64)
    place, velocity = at(path, x, noise, t)
    (expected,) = torch.autograd.grad(place.sum(), t)
    torch.testing.assert_close(velocity.sum(1), expected)


def test_what_each_path_is_for() -> None:
    """Straight paths have one velocity all the way; the cosine one keeps the variance, α² + σ² = 1."""
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    x, noise = torch.randn(2, 1, 3, dtype=torch.float64).expand(2, 9, 3)
    for name in ("ot", "rectified"):
        _, velocity = at(PATHS[name], x, noise, t)
        torch.testing.assert_close(velocity, velocity[:1].expand_as(velocity))
    cosine = PATHS["cosine"]
    torch.testing.assert_close(cosine.alpha(t) ** 2 + cosine.sigma(t) ** 2, torch.ones_like(t))


@given(st.integers(1, 24), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_coupling_is_a_permutation_that_is_no_longer(n: int, seed: int) -> None:
    """Every noise is used once, and the ways are together at most as long as in the order in which they were drawn,
    and as in any other order tried."""
    g = torch.Generator().manual_seed(seed)
    x, noise = torch.randn(2, n, 1, 3, 3, generator=g)
    order = optimal_coupling(x, noise)
    assert sorted(order.tolist()) == list(range(n))

    def cost(of: torch.Tensor) -> float:
        return float((x - noise[of]).double().square().sum())

    for other in (torch.arange(n), torch.randperm(n, generator=g)):
        assert cost(order) <= cost(other) * (1 + 1e-9)


def test_coupling_is_the_best_of_all() -> None:
    """Of all 120 orders of five; and noise that is the images in another order is put in theirs."""
    g = torch.Generator().manual_seed(3)
    x, noise = torch.randn(2, 5, 4, generator=g)
    costs = [
        float((x - noise[list(order)]).double().square().sum()) for order in itertools.permutations(range(5))
    ]
    found = float((x - noise[optimal_coupling(x, noise)]).double().square().sum())
    assert found == pytest.approx(min(costs))
    assert found < sorted(costs)[60]
    mixed = torch.randperm(5, generator=g)
    assert torch.equal(x[mixed][optimal_coupling(x, x[mixed])], x)
