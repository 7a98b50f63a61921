"""Rates of errors against each other and against guessing: closed forms, and the level and power by simulation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special
from study_simulated import alike

from benchbench.study.discrimination import Judged, error_rate
from benchbench.study.planning import Plan, needed
from benchbench.study.rates_tested import rates_apart, rates_from_chance


def independent(*groups: tuple[int, int, int]) -> Judged:
    """(system, answers, of which wrong), each answer by a rater of its own about an item of its own."""
    systems = np.concatenate([np.full(n, system) for system, n, _ in groups])
    wrong = np.concatenate([np.arange(n) < k for _, n, k in groups])
    return Judged.of(systems, wrong, np.arange(len(systems)), np.arange(len(systems)))


def studied(rng: np.random.Generator, shares: list[float], raters: int, items: int) -> Judged:
    """Systems of these shares of errors, `items` of their own each, answered by all raters."""
    wrong = np.hstack([alike(rng, share, raters, items, 0.02, 0.1) for share in shares])
    who, what = np.divmod(np.arange(wrong.size), wrong.shape[1])
    return Judged.of(what // items, wrong.ravel(), who, what)


def test_two_shares_of_independent_answers() -> None:
    """30 of 100 and 50 of 100: the difference −0.2, and by the textbook its error √(0.3·0.7/99 + 0.5·0.5/99) to the
    half per cent that small-sample factors move it (clusters of one answer)."""
    (pair,) = rates_apart(independent((0, 100, 30), (1, 100, 50)), 2)
    assert pair.difference.value == pytest.approx(-0.2)
    assert pair.difference.error == pytest.approx(np.sqrt((0.21 + 0.25) / 99), rel=5e-3)
    assert pair.difference.degrees == 99


def test_guessing_is_what_its_interval_leaves_out() -> None:
    """40 of 100 answers miss where guessing misses 2/3: the score test, (0.4 − 2/3)/√(2/9/100) = −5.657 on 99
    degrees of freedom."""
    (own,) = rates_from_chance(independent((0, 100, 40)), 1, real=False)
    t = (0.4 - 2 / 3) / np.sqrt(2 / 9 / 100)
    assert own.p == pytest.approx(2 * special.stdtr(99, t), rel=1e-6)
    assert own.chance == 2 / 3


def test_a_liking_for_an_answer_is_no_error() -> None:
    """Raters who call 80% of everything real cannot tell: HYPE∞ is 50%, p is 1, though the error rate is 80%."""
    (own,) = rates_from_chance(independent((0, 100, 80), (-1, 100, 20)), 1, real=True)
    assert own.metric == "hype_infinity"
    assert own.difference.value == pytest.approx(0.0, abs=1e-12)
    assert own.p == pytest.approx(1.0)


def test_all_alike_is_not_certain() -> None:
    """Of one system every image fools three raters, of the other none: p is not 0, for three raters do not warrant
    that; bounds stay where differences of shares can be."""
    who, what = np.divmod(np.arange(3 * 20), 20)
    (pair,) = rates_apart(Judged.of(what // 10, what < 10, who, what), 2)
    assert pair.difference.value == 1.0
    assert 0.001 < pair.p < 0.5
    assert -1 <= pair.difference.low < pair.difference.high <= 1


def test_no_difference_beyond_one_is_detectable() -> None:
    """Two raters, whose t has one degree of freedom (12.7 at 5%), find no difference that two shares can have: none is
    stated, where the formula alone would give more than 1."""
    found = rates_apart(studied(np.random.default_rng(1), [0.5, 0.5], 2, 10), 2)
    assert [own.detectable for own in found] == [None]


def test_nothing_to_test() -> None:
    """Nobody, one rater, one system: no pairs, and of one rater nothing against guessing."""
    one = Judged.of([0, 0, 1, 1], [1, 0, 1, 0], [0] * 4, [0, 1, 2, 3])
    assert rates_apart(one, 2) == ()
    assert rates_from_chance(one, 2, real=False) == ()
    assert rates_apart(Judged.of([], [], [], []), 3) == ()
    assert rates_from_chance(independent((0, 10, 5)), 1, real=True) == ()  # nobody judged a real image


@pytest.mark.costly
@pytest.mark.parametrize("shares", [[0.3, 0.3, 0.3], [0.05, 0.05, 0.05]])
def test_the_level_of_pairs(shares: list[float]) -> None:
    """Three systems alike: in 300 studies of ten raters some pair is told apart in 5% at most, and three standard
    errors (3.8%) more. Rates near 0 are rarer told apart, for the bounds of their variance."""
    rng = np.random.default_rng(3)
    found = [min(own.p for own in rates_apart(studied(rng, shares, 10, 20), 3)) < 0.05 for _ in range(300)]
    assert np.mean(found) <= 0.05 + 0.038


@pytest.mark.costly
@pytest.mark.parametrize(("kind", "share"), [("real-or-fake", 0.4), ("triplet", 0.57)])
def test_the_planned_study_finds_it(kind: str, share: float) -> None:
    """A study of the planned size of three systems finds the stated share with odds of 80% at least, over 150 studies
    within three standard errors (10%); of real or fake, where errors on real images (as many) count too, more often.
    And Holm's p says so wherever the interval at 1 − 5%/3 does."""
    rng, plan = np.random.default_rng(4), Plan(share, kind=kind, systems=3)
    items = needed(plan, 30).items
    assert items is not None
    real = kind == "real-or-fake"
    hits: list[npt.NDArray[np.bool_]] = []
    for _ in range(150):
        own = studied(rng, [share] * 6 if real else [share] * 3, 30, items)
        systems = np.where(own.systems > 2, -1, own.systems)
        judged = Judged.of(systems, own.wrong, own.raters, own.items)
        assert error_rate(judged, 0).value is not None
        hits.append(np.array([held.p < 0.05 for held in rates_from_chance(judged, 3, real=real)]))
    assert np.mean(hits) >= 0.8 - 0.1
