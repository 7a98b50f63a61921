"""Ranks with their uncertainty, and Pareto fronts: by hand, by brute force, by simulation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from benchbench.results.ranks import Rank, Runs, pareto_front, rank_intervals


def over_seeds(*values: float) -> Runs:
    return Runs(dict(enumerate(values)), None)


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


def test_one_run_each_uses_the_intervals_of_the_numbers() -> None:
    """[0, 2] around 1 against [9, 11] around 10 is 9/√2 half widths apart; without intervals nothing is found."""
    runs = {"a": Runs({0: 1.0}, (0.0, 2.0)), "b": Runs({0: 10.0}, (9.0, 11.0)), "c": Runs({0: 99.0}, None)}
    assert rank_intervals(runs, higher_is_better=False) == {"a": Rank(1, 2), "b": Rank(2, 3), "c": Rank(1, 3)}


def test_an_interval_that_leaves_out_its_value_bounds_nothing() -> None:
    """A percentile interval may: then the pair is not compared, instead of failing the board."""
    runs = {"a": Runs({0: 1.0}, (2.0, 3.0)), "b": Runs({0: 10.0}, (9.0, 11.0))}
    assert set(rank_intervals(runs, higher_is_better=False).values()) == {Rank(1, 2)}


def test_equal_models_are_rarely_told_apart() -> None:
    """Four equal models, five seeds, 400 boards: the share of boards on which any pair is separated holds the
    level of 5% (Holm); the bound is the 99.9% quantile of Binomial(400, 0.05)."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        values = rng.normal(size=(4, 5))
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
