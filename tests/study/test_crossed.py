"""Covariances over raters and items at once."""

from __future__ import annotations

import numpy as np
import pytest
from study_simulated import alike

from benchbench.study.crossed import crossed


def test_against_sums_over_pairs_of_answers() -> None:
    """Another way to write Cameron, Gelbach & Miller's (2011) equation 2.11: the sum over all pairs of answers of the
    product of their scores, where they share a rater, or an item, or both, each with its factor G/(G − 1)."""
    rng = np.random.default_rng(0)
    who, what = rng.integers(0, 5, 60), rng.integers(0, 7, 60)
    g = rng.normal(size=(60, 2))
    found = crossed(g, who, what)

    def summed(share: np.ndarray, n: int) -> np.ndarray:
        return np.einsum("ip,ij,jq->pq", g, share, g) * n / (n - 1)

    rater, item = who[:, None] == who, what[:, None] == what
    assert found.of_raters == pytest.approx(summed(rater, 5))
    assert found.of_items == pytest.approx(summed(item, 7))
    both = len({*zip(who.tolist(), what.tolist(), strict=True)})
    assert found.of_both == pytest.approx(summed(rater & item, both))


def test_never_less_than_any_of_them() -> None:
    """Of two raters who say opposite things of either item all sums within raters and within items are 0, and
    V = −V_both: it is taken to be that of four independent answers, 4 × 4/3."""
    found = crossed([[1.0], [-1.0], [-1.0], [1.0]], [0, 0, 1, 1], [0, 1, 0, 1])
    assert found.of_raters == found.of_items == 0
    assert found.variance([[1.0]])[0] == pytest.approx(16 / 3)
    assert found.degrees == 1


@pytest.mark.costly
def test_the_variance_of_a_mean() -> None:
    """Of the mean of 12 × 15 answers of a share of 0.4 with correlations of 0.1 within raters and within items the
    variance is 0.24 (ρ_r/R + ρ_i/I + (1 − ρ_r − ρ_i)/(R I)). The mean estimate over 400 studies is that, within 10%:
    its own standard error is some 2%, and the maximum over three estimates pushes it up by a few per cent."""
    rng, raters, items = np.random.default_rng(1), 12, 15
    who, what = np.divmod(np.arange(raters * items), items)
    found = []
    for _ in range(400):
        y = alike(rng, 0.4, raters, items, 0.1, 0.1).ravel()
        found.append(crossed(((y - y.mean()) / len(y))[:, None], who, what).variance([[1.0]])[0])
    true = 0.24 * (0.1 / raters + 0.1 / items + 0.8 / (raters * items))
    assert np.mean(found) == pytest.approx(true, rel=0.1)


def test_one_rater_has_no_degrees() -> None:
    assert crossed([[1.0], [-1.0]], [0, 0], [0, 1]).degrees == 0
