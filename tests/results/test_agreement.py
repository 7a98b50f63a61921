"""Kendall's τ-b beside SciPy's, and its interval by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from benchbench.core.errors import InputError
from benchbench.results.claims.agreement import FEWEST, Agreement, agreement


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=FEWEST, max_size=20))
def test_tau_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """Small whole numbers, so that there are ties of all kinds; SciPy has NaN where a side is all ties. 1e-12: sums of
    whole numbers and one root."""
    a, b = zip(*pairs, strict=True)
    found, theirs = agreement(a, b), kendalltau(a, b, variant="b").statistic
    if np.isnan(theirs):
        assert found == Agreement(len(a))
        return
    assert found.tau == pytest.approx(theirs, abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.tau <= found.high <= 1
    assert found.high - found.low > 0.1


def test_what_it_depends_on() -> None:
    """The order alone, on either side; exchanged sides are the same, a reversed one the opposite."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 9))
    found = agreement(a, b)
    assert agreement(np.exp(a), b**3) == found
    assert agreement(b, a) == pytest.approx(found)
    turned = agreement(a, -b)
    assert (turned.tau, turned.low, turned.high) == pytest.approx((-found.tau, -found.high, -found.low))  # type: ignore[operator]


def test_all_alike_is_no_certainty() -> None:
    """Of n models that both rank the same way the lower end is below 1, and the nearer the more there are: by Wilson's
    formula n'/(n' + t²) as the share, here with n' = 9n(n − 1)/2(2n + 5) = 6 and t of 3 degrees of freedom, n = 5."""
    low = agreement(range(5), range(5)).low
    assert low == pytest.approx(2 * 6 / (6 + 3.182446305**2) - 1, abs=1e-9)
    lows = [agreement(range(n), range(n)).low for n in (4, 5, 8, 20, 100)]
    assert lows == sorted(lows)  # type: ignore[type-var]
    assert lows[-1] > 0.9  # type: ignore[operator]


def test_nothing_to_say_and_nothing_to_compare() -> None:
    """Too few models, and a side of equal values; arrays that are no two rankings are refused."""
    assert agreement([1, 2, 3], [1, 2, 3]) == Agreement(3)
    assert agreement([], []) == Agreement(0)
    assert agreement([1, 1, 1, 1, 1], range(5)) == Agreement(5)
    for a, b in (([1, 2], [1, 2, 3]), ([1, np.nan, 2, 3], range(4)), ([[1, 2]], [[1, 2]])):
        with pytest.raises(InputError, match="one finite number a model"):
            agreement(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 5, 8, 15, 30])
@pytest.mark.parametrize("tau", [0.0, 0.4, 0.7, 0.9])
@pytest.mark.parametrize("heavy", [False, True])
def test_coverage(n: int, tau: float, heavy: bool) -> None:
    """The true τ of normal values of correlation sin(πτ/2), and of a Student copula of 2 degrees of freedom, which has
    the same τ and twice the variance: in at least 95% of 1,500 draws, less 1.5 points, which is 2.7 standard errors."""
    rng = np.random.default_rng([n, round(10 * tau), heavy])
    r = np.sin(np.pi * tau / 2)
    hits = 0
    for _ in range(1500):
        x = rng.standard_normal(n)
        y = r * x + np.sqrt(1 - r * r) * rng.standard_normal(n)
        w = 1 / np.sqrt(rng.chisquare(2, n)) if heavy else np.ones(n)
        found = agreement(x * w, y * w)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= tau <= found.high
    assert hits / 1500 >= 0.935
