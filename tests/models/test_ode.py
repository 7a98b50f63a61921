"""The solvers against closed forms and SciPy, and the density that goes along with a flow against known densities."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor, distributions

from benchbench.core.errors import InputError
from benchbench.models.diffusion import ode
from benchbench.models.diffusion.density import Way, log_density
from benchbench.models.diffusion.ode import dopri5, fixed, with_divergence

A = torch.tensor([[-0.5, 2.0], [-1.5, 0.1]], dtype=torch.float64)


def linear(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """dy/dt = A·y."""
    return y @ A.T


def starts(n: int = 3, d: int = 2) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.5), (1.5, 0.0)])
def test_order_of_convergence(solver: ode.Solver, order: int, start: float, end: float) -> None:
    """Against exp(A·(end - start))·y: with twice the steps the error is 2^order times smaller. At 160 steps the next
    order changes the ratio by a few in a hundred: the tolerance is a tenth of the exponent."""
    exact = starts() @ torch.linalg.matrix_exp(A * (end - start)).T
    errors = [(fixed(linear, starts(), start, end, n, solver) - exact).norm() for n in (160, 320)]
    assert float((errors[0] / errors[1]).log2()) == pytest.approx(order, abs=0.1)


def test_a_step_of_dopri5_is_of_fifth_order() -> None:
    """One step against the matrix exponential: the error falls 2^6 times with half the step (a local error of order
    6), and the estimate 2^5 times."""
    errors = []
    for h in (0.2, 0.1):
        y, rows = starts(), torch.arange(3)
        new, slope, estimate = ode._dopri5_step(
            linear, y.new_zeros(3), y.new_full((3,), h), y, linear(y, y, rows), rows
        )
        errors.append(((new - y @ torch.linalg.matrix_exp(A * h).T).norm(), estimate.norm()))
        assert torch.equal(slope, linear(y, new, rows))  # the first slope of the next step
    assert float((errors[0][0] / errors[1][0]).log2()) == pytest.approx(6, abs=0.3)
    assert float((errors[0][1] / errors[1][1]).log2()) == pytest.approx(5, abs=0.3)


def test_the_tables_of_dopri5_are_scipys() -> None:
    """`scipy.integrate.RK45` is the same pair; of its errors the sign is another. Fractions, so rounding only."""
    table = np.zeros((6, 6))
    for row, weights in enumerate(ode._STAGES[:-1], start=1):
        table[row, : len(weights)] = weights
    np.testing.assert_allclose(table[:, :5], integrate.RK45.A, atol=1e-15)
    np.testing.assert_allclose([0, *ode._TIMES[:-1]], integrate.RK45.C, atol=1e-15)
    np.testing.assert_allclose(ode._STAGES[-1], integrate.RK45.B, atol=1e-15)
    np.testing.assert_allclose(np.abs(ode._ERROR), np.abs(integrate.RK45.E), atol=1e-15)
    np.testing.assert_allclose(sum(ode._ERROR), 0, atol=1e-15)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize(("start", "end"), [(0.0, 4.0), (4.0, 0.0)])
def test_dopri5_keeps_its_tolerance(tolerance: float, start: float, end: float) -> None:
    """Against the matrix exponential. Errors of steps add up, and grow along with solutions that do: some tens of
    tolerances in units of 1 + |y|."""
    exact = starts() @ torch.linalg.matrix_exp(A * (end - start)).T
    found = dopri5(linear, starts(), start, end, tolerance)
    assert float(((found - exact).abs() / (1 + exact.abs())).max()) < 50 * tolerance


def test_rows_do_not_know_of_each_other() -> None:
    """Rows of very different speed: each gets the bits and the number of evaluations that it gets alone. The field is
    computed value by value, so nothing rounds otherwise."""
    speeds = torch.tensor([0.1, 1.0, 30.0], dtype=torch.float64)
    counts = torch.zeros(3, dtype=torch.int64)

    def field(own: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def of(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
            counts[own[rows]] += 1
            return (speeds[own[rows]] * t).cos()[:, None] * speeds[own[rows]][:, None] - 0.3 * y

        return of

    together = dopri5(field(torch.arange(3)), starts(), 0.0, 1.0, 1e-6)
    found = counts.clone()
    counts.zero_()
    alone = [dopri5(field(torch.tensor([i])), starts()[i : i + 1], 0.0, 1.0, 1e-6) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(found, counts)
    assert counts[2] > 2 * counts[0]  # the fast row took more steps, and the slow one did not wait for it


def test_it_asks_only_rows_that_have_not_arrived() -> None:
    """A stage of six evaluations is asked of a row until it is there: the last calls are of the slow row alone."""
    seen: list[list[int]] = []

    def field(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        seen.append(rows.tolist())
        return torch.where(rows[:, None] == 0, y, 40 * torch.cos(40 * t)[:, None])

    dopri5(field, starts(2), 0.0, 1.0, 1e-6)
    assert seen[0] == [0, 1]
    assert seen[-1] == [1]


def test_what_does_not_arrive_is_refused() -> None:
    """A field that is no number, and one that no step resolves, in one sentence with the way out."""
    noise = torch.Generator().manual_seed(0)
    with pytest.raises(InputError, match="the model's field is no number there; its training diverged"):
        dopri5(lambda t, y, rows: y * float("nan"), starts().float(), 0.0, 1.0, 1e-7)
    with pytest.raises(InputError, match=r"no step short enough for a tolerance of 1e-07; set a larger one"):
        dopri5(lambda t, y, rows: torch.randn(y.shape, generator=noise), starts().float(), 0.0, 1.0, 1e-7)


def test_steps_do_not_follow_rounding() -> None:
    """A field whose answers are off by 1e-7 of themselves, as those of a network in another batch are, is asked at the
    same times, bit by bit."""
    asked: list[list[float]] = []
    for off in (0.0, 1e-7):
        times: list[float] = []

        def field(t: Tensor, y: Tensor, rows: Tensor, off: float = off, times: list[float] = times) -> Tensor:
            times.append(float(t[0]))
            return (torch.cos(9 * t)[:, None] * y - y.sin()) * (1 + off)

        dopri5(field, starts(1), 0.0, 1.0, 1e-6)
        asked.append(times)
    assert asked[0] == asked[1]
    assert (
        len({round(b - a, 9) for a, b in itertools.pairwise(sorted(set(asked[0])))}) > 4
    )  # steps of several lengths


def twisted(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """Of (a, b, c); its divergence is cos(a) + t·a + 3c²."""
    a, b, c = y.unbind(1)
    return torch.stack([a.sin() + b, t * a * b, c**3 - a], 1)


def test_divergence() -> None:
    """By hand: cos(a) + t·a + 3c². Hutchinson's estimate over all eight vectors of signs is the trace exactly, for
    the products of different signs cancel; float64."""
    y, t = starts(4, 3), torch.linspace(0.1, 0.9, 4, dtype=torch.float64)
    state, rows = torch.cat([y, y.new_zeros(4, 1)], 1), torch.arange(4)
    expected = y[:, 0].cos() + t * y[:, 0] + 3 * y[:, 2] ** 2
    exact = with_divergence(twisted)(t, state, rows)
    torch.testing.assert_close(exact[:, :3], twisted(t, y, rows))
    torch.testing.assert_close(exact[:, 3], expected)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)
    probes = signs[:, None].expand(8, 4, 3)
    torch.testing.assert_close(with_divergence(twisted, probes)(t, state, rows)[:, 3], expected)
    some = with_divergence(twisted, probes[:, :2])(
        t[1:2], state[1:2], rows[1:2]
    )  # row 1 has probes of its own
    torch.testing.assert_close(some[:, 3], expected[1:2])


def mixture_velocity(means: Tensor, deviation: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """E[x₁ - x₀ | x_t] of the straight path to a mixture of Gaussians of one deviation, in closed form: within each
    part, x_t is Gaussian around t·mean with the variance t²·deviation² + (1 - t)²."""

    def velocity(t: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        time = t[:, None, None]
        variance = time**2 * deviation**2 + (1 - time) ** 2
        away = y[:, None] - time * means
        weights = (-away.square() / (2 * variance)).sum(2, keepdim=True).softmax(1)
        slope = (time * deviation**2 - (1 - time)) / variance
        return (weights * (means + slope * away)).sum(1)

    return velocity


MEANS = torch.tensor([[-0.9, 0.2], [0.6, -0.5]], dtype=torch.float64)


def mixture() -> distributions.Distribution:
    """Two modes in the plane, 0.3 wide."""
    return distributions.MixtureSameFamily(
        distributions.Categorical(torch.ones(2, dtype=torch.float64)),
        distributions.Independent(distributions.Normal(MEANS, 0.3), 1),
    )


def test_density_of_a_gaussian() -> None:
    """The straight path to N((−0.9, 0.2), 0.3²): log p by the equation is that of torch.distributions, with the exact
    trace and with two probes (whose estimate is exact, for the Jacobian is a multiple of the identity). At a
    tolerance of 1e-8 to 1e-6."""
    way = Way(mixture_velocity(MEANS[:1], 0.3), 1.0, 0.0, 1.0)
    y = MEANS[0] + 0.5 * starts(6)
    expected = distributions.Normal(MEANS[0], 0.3).log_prob(y).sum(1)
    signs = (torch.rand(2, 6, 2, generator=torch.Generator().manual_seed(0)) < 0.5).double() * 2 - 1
    for probes in (None, signs):
        torch.testing.assert_close(log_density(y, way, probes, 1e-8), expected, atol=1e-6, rtol=0)


def test_density_of_two_modes() -> None:
    """Two modes in the plane: log p of the equation on a grid is the mixture's own to 1e-3 (1e-5 at this tolerance),
    and its sum over the grid, a direct integration, is 1 to 1e-3: the grid reaches five deviations and its step is a
    third of one, where a sum over Gaussians is good to 1e-6."""
    x, y = (
        torch.arange(-2.4, 2.1, 0.1, dtype=torch.float64),
        torch.arange(-2.0, 1.7, 0.1, dtype=torch.float64),
    )
    grid = torch.cartesian_prod(x, y)
    found = log_density(grid, Way(mixture_velocity(MEANS, 0.3), 1.0, 0.0, 1.0), None, 1e-6)
    assert float((found - mixture().log_prob(grid)).abs().max()) < 1e-3
    assert float(found.exp().sum() * 0.1**2) == pytest.approx(1, abs=1e-3)


def test_samples_of_two_modes_lie_where_noise_sends_them() -> None:
    """There and back: noise to the plane and again to noise is where it began, to a hundred tolerances."""
    velocity = mixture_velocity(MEANS, 0.3)
    noise = starts(20)
    there = dopri5(velocity, noise, 0.0, 1.0, 1e-7)
    assert float((dopri5(velocity, there, 1.0, 0.0, 1e-7) - noise).abs().max()) < 1e-5
    assert math.isfinite(float(there.sum()))
