"""The rule for careless raters, and what is only reported."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchbench.study.raters import LEVEL, Given, fewest_right, looked_at


def given(right: list[bool | None], pressed: list[str] | None = None, ms: list[float] | None = None) -> Given:
    n = len(right)
    return Given(
        "0" * 16, right, pressed or ["left", "right"] * (n // 2) + ["left"] * (n % 2), ms or [2000] * n
    )


@pytest.mark.parametrize("n", [*range(2, 31)])
def test_one_slip_costs_nobody_their_answers(n: int) -> None:
    """Of two check items or more one wrong answer is never too few, and of one none is: P(X ≤ n − 1) = 1 − 0.9ⁿ ≥
    19%, and P(X = 0) = 10%."""
    assert looked_at(given([False] + [True] * (n - 1)), 0.9).left_out is None
    assert looked_at(given([False]), 0.9).left_out is None


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 5, 10, 20, 40])
def test_the_bound_is_the_exact_one(n: int, share: float) -> None:
    """A rater is left out exactly where the upper Clopper–Pearson bound of the share right (95%, one-sided; the beta
    quantile) lies below `pass_checks`."""
    for k in range(n + 1):
        bound = 1.0 if k == n else float(stats.beta.ppf(1 - LEVEL, k + 1, n - k))
        found = looked_at(given([True] * k + [False] * (n - k)), share)
        assert (found.left_out is not None) == (bound < share)
        assert (found.left_out is None) == (k >= fewest_right(n, share))


def test_what_it_says() -> None:
    found = looked_at(given([True] * 10 + [False] * 10 + [None] * 5), 0.9)
    assert (found.answers, found.checks, found.passed) == (5, 20, 10)
    assert found.left_out is not None
    assert found.left_out.startswith(
        "10 of 20 check items right; a rater who gets 90% right has so few with a chance of "
    )


def test_who_is_found() -> None:
    """With 20 check items of two choices, and a rater who guesses: P(X ≤ 15) of a fair coin is 99.4%; of one who gets
    97% right it is 0.03%. Exact tails of the binomial; simulated in `test_scored_study`."""
    needed = fewest_right(20, 0.9)
    assert stats.binom.cdf(needed - 1, 20, 0.5) == pytest.approx(0.994, abs=5e-4)
    assert stats.binom.cdf(needed - 1, 20, 0.97) < 0.0005


def test_only_reported() -> None:
    always = looked_at(given([None] * 20, ["left"] * 19 + ["right"]), 0.9)
    assert always.left_out is None
    assert always.remarks == ("no check item was answered", "left in 19 of 20 answers")
    fast = looked_at(given([None, True, None], ms=[100, 150, 4000]), 0.9)
    assert fast.remarks == ("2 of 3 answers within 300 ms, faster than people look",)
    assert fast.median_ms == 150
    assert looked_at(given([None] * 19, ["left"] * 19), 0.9).remarks == ("no check item was answered",)


def test_nothing_answered() -> None:
    found = looked_at(given([]), 0.9)
    assert (found.left_out, found.remarks, found.checks) == (None, (), 0)


def test_fair_sides_are_seldom_remarked() -> None:
    """Of 20 answers by a fair coin 18 or more on one side have a chance of 2 × 211/2²⁰ = 0.04%: of 1,000 raters fewer
    than 5, with a chance of 99.99%."""
    rng = np.random.default_rng(0)
    sides = np.where(rng.random((1000, 20)) < 0.5, "left", "right").tolist()
    assert sum(len(looked_at(given([True, *[None] * 19], own), 0.9).remarks) for own in sides) < 5
