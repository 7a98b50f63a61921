"""Ranks with their uncertainty, and Pareto fronts: by hand, by brute force, by simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from benchbench.results.claims.numbers import Number
from benchbench.results.claims.ranks import Rank, pareto_front, rank_intervals


def over_seeds(*values: float, **facts: Any) -> Number:
    """One value a seed of a metric that is compared as it is, unless something else is said."""
    return Number(dict(enumerate(values)), **facts)


def test_far_apart_models_have_one_place_each() -> None:
    """Differences of 10 with a spread of 0.1 over five seeds: every pair is found, in both directions."""
    spread = np.array([0.0, 0.1, -0.1, 0.05, -0.05])
    runs = {name: over_seeds(*(10 * k + np.roll(spread, k))) for k, name in enumerate("abc")}
    assert rank_intervals(runs, higher_is_better=False) == {"a": Rank(1, 1), "b": Rank(2, 2), "c": Rank(3, 3)}
    assert rank_intervals(runs, higher_is_better=True)["a"] == Rank(3, 3)


def test_two_close_models_share_their_places() -> None:
    """a and b overlap, both are far from c: 1–2, 1–2, 3."""
    runs = {
        "a": over_seeds(1.0, 1.3, 0.8, 1.1),
        "b": over_seeds(1.2, 0.9, 1.1, 1.0),
        "c": over_seeds(9.0, 9.1, 8.9, 9.2),
    }
    ranks = rank_intervals(runs, higher_is_better=False)
    assert {name: str(rank) for name, rank in ranks.items()} == {"a": "1–2", "b": "1–2", "c": "3"}


def test_one_run_each_is_no_rank() -> None:
    """Intervals of single runs are far apart, and speak of these images: another seed of either is another model.
    Between one run and five of another the five tell how seeds scatter."""
    one, ten = over_seeds(1.0, intervals={0: (0.9, 1.1)}), over_seeds(10.0, intervals={0: (9.9, 10.1)})
    assert set(rank_intervals({"a": one, "b": ten}, higher_is_better=False).values()) == {Rank(1, 2)}
    five = over_seeds(10.0, 10.1, 9.9, 10.05, 9.95)
    assert rank_intervals({"a": one, "b": five}, False) == {"a": Rank(1, 1), "b": Rank(2, 2)}


def test_controls_have_no_place() -> None:
    """The real images are better than both, and rank nowhere; of models alone the places are 1 and 2."""
    runs = {
        "real": over_seeds(0.1, 0.1, 0.1, control=True, intervals={0: (0.05, 0.15)}),
        "a": over_seeds(1.0, 1.1, 1.05),
        "b": over_seeds(9.0, 9.1, 9.05),
    }
    assert rank_intervals(runs, higher_is_better=False) == {"a": Rank(1, 1), "b": Rank(2, 2)}
    assert rank_intervals({"real": runs["real"]}, False) == {}
    assert rank_intervals({"real": runs["real"], "a": runs["a"]}, False) == {"a": Rank(1, 1)}


def test_three_seeds_of_real_models_are_told_apart() -> None:
    """Four models of digits with three seeds each, as published (FD 112 to 480): a rank test could never reach 5%
    with three a side, and paired t tests needed 50 standard errors. On the log scale with pooled spreads the best
    two and the last two have places of their own; a and b, 6% apart with spreads of 5%, share theirs."""
    log = {"scale": "log", "ends": (0.0, None)}
    runs = {
        "a": over_seeds(107.0, 112.0, 118.0, **log),
        "b": over_seeds(113.0, 119.0, 125.0, **log),
        "c": over_seeds(230.0, 245.0, 262.0, **log),
        "d": over_seeds(455.0, 478.0, 510.0, **log),
    }
    found = {name: str(rank) for name, rank in rank_intervals(runs, higher_is_better=False).items()}
    assert found == {"a": "1–2", "b": "1–2", "c": "3", "d": "4"}


@pytest.mark.costly
@pytest.mark.parametrize("n", [3, 5])
def test_equal_models_are_rarely_told_apart(n: int) -> None:
    """Four equal models, 400 boards: the share of boards on which any pair is separated holds the level of 5%
    (Holm); the bound is the 99.9% quantile of Binomial(400, 0.05)."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        values = rng.normal(size=(4, n))
        ranks = rank_intervals({str(i): over_seeds(*row) for i, row in enumerate(values)}, True)
        wrong += any(rank != Rank(1, 4) for rank in ranks.values())
    assert wrong <= binom.ppf(0.999, 400, 0.05)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_pareto_front_is_the_definition(points: list[tuple[int, int]]) -> None:
    """Brute force over all pairs; small integers make ties common."""
    a, b = zip(*points, strict=True)
    expected = [not any((x >= p and y >= q) and (x > p or y > q) for x, y in points) for p, q in points]
    assert pareto_front(a, b).tolist() == expected
