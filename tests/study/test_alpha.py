"""Krippendorff's α: the published example, closed forms, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.study.alpha import alpha


def test_the_published_example() -> None:
    """Krippendorff (2011), section C: four observers, twelve units, five categories, missing data; nominal α = 0.743,
    from 40 pairable values: unit 12 has one value and says nothing."""
    said = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    cells = [(item, own) for line in said for item, own in enumerate(line) if own != "."]
    items, answers = zip(*cells, strict=True)
    found = alpha(items, answers)
    assert round(found.value or 0, 3) == 0.743
    assert (found.n, found.n_items) == (40, 11)
    assert found.low_overlap


def test_binary_without_gaps() -> None:
    """Krippendorff (2011), section A: two observers, ten units, α = 0.095."""
    one, other = "0100000010", "1110010000"
    assert round(alpha([*range(10)] * 2, [*one, *other]).value or 0, 3) == 0.095


def test_perfect_and_worst() -> None:
    """Agreement in every item is 1. Two raters who always differ, of two answers: D_o = 1, D_e = n/(2(n − 1)) of n
    values in all, so that α = 1 − 2(n − 1)/n = −1 + 2/n."""
    items = [*range(10)] * 2
    assert alpha(items, [0, 1] * 5 + [0, 1] * 5).value == pytest.approx(1.0)
    assert alpha(items, [0, 1] * 5 + [1, 0] * 5).value == pytest.approx(-1 + 2 / 20)


def test_not_defined() -> None:
    assert "no item was answered by two" in str(alpha([0, 1, 2], ["a", "b", "a"]).why)
    assert "all answers are the same" in str(alpha([0, 0, 1, 1], ["a"] * 4).why)
    assert alpha([], []).value is None
    single = alpha([0, 0, 0], ["a", "b", "a"])
    assert single.value is not None
    assert single.low is None
    with pytest.raises(InputError):
        alpha([0], ["a", "b"])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_against_pairs_counted_one_by_one(seed: int) -> None:
    """The definition: 1 − D_o/D_e, with D_o the share of unlike pairs within items, each item's pairs worth 1/(m −
    1), and D_e that of all pairs of values."""
    rng = np.random.default_rng(seed)
    items, answers = rng.integers(0, 6, 25), rng.integers(0, 3, 25)
    sizes = np.bincount(items, minlength=6)
    kept = sizes[items] > 1
    who, said = items[kept], answers[kept]
    n = len(said)
    unlike = said[:, None] != said
    within = (who[:, None] == who) / (sizes[who] - 1)
    observed = (unlike * within).sum() / n
    expected = unlike.sum() / (n * (n - 1))
    found = alpha(items, answers, resamples=2).value
    assert found is None if not expected else found == pytest.approx(1 - observed / expected)


@pytest.mark.costly
def test_coverage() -> None:
    """Eight raters of 60 items: an item has an answer of its own of two, fair, and each rater gives it with a chance
    of 80%, else the other one. Two answers agree with 0.8² + 0.2² = 0.68, by chance with 0.5: α = 1 − 0.32/0.5 =
    0.36. The intervals of 95% hold it in 90% of 150 studies or more (standard error 1.8%)."""
    rng = np.random.default_rng(7)
    items = np.tile(np.arange(60), 8)
    held = []
    for _ in range(150):
        own = rng.random(60) < 0.5
        answers = np.where(rng.random((8, 60)) < 0.8, own, ~own).ravel()
        found = alpha(items, answers, resamples=400)
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= 0.36 <= found.high)
    assert np.mean(held) >= 0.90
