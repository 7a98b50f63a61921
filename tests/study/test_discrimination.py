"""Error rates: closed forms, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from study_simulated import alike

from benchbench.core.errors import InputError
from benchbench.results.claims.statistics import wilson_interval
from benchbench.study.discrimination import Judged, Rate, error_rate, hype_infinity


def judged(*groups: tuple[int, int, int]) -> Judged:
    """(system, answers, of which wrong), each answer by a rater of its own about an item of its own."""
    systems = np.concatenate([np.full(n, system) for system, n, _ in groups])
    wrong = np.concatenate([np.arange(n) < k for _, n, k in groups])
    return Judged.of(systems, wrong, np.arange(len(systems)), np.arange(len(systems)))


def test_shares_of_both_sides() -> None:
    """30 of 100 made images called real, 10 of 50 real ones called fake: 30%, and (30% + 20%)/2 = 25%."""
    answers = judged((0, 100, 30), (-1, 50, 10), (1, 40, 40))
    assert error_rate(answers, 0).value == pytest.approx(0.3)
    assert hype_infinity(answers, 0).value == pytest.approx(0.25)
    assert hype_infinity(answers).value == pytest.approx((70 / 140 + 0.2) / 2)
    assert error_rate(answers, 1).value == 1.0


def test_liking_for_an_answer_cancels() -> None:
    """Raters who call 80% of everything real, whatever it is, err in 80% of made images and 20% of real ones: they
    can't tell, and HYPE∞ says 50%."""
    found = hype_infinity(judged((0, 100, 80), (-1, 100, 20)))
    assert found.value == pytest.approx(0.5)


def test_interval_of_independent_answers() -> None:
    """Where each answer has a rater and an item of its own all count: Wilson's with 100 and t(0.975, 99) =
    1.984217."""
    found = error_rate(judged((0, 100, 30)), 0)
    low, high = wilson_interval(0.3, 100, 1.9842169515)
    assert [found.low, found.high] == pytest.approx([low, high], rel=1e-6)


def test_all_alike_is_no_point() -> None:
    """Nobody was fooled by 5 items in 20 raters: the interval is that of no error in 5, 0 to t²/(5 + t²) with
    t(0.975, 4) = 2.776."""
    who, what = np.divmod(np.arange(100), 5)
    found = error_rate(Judged.of([0] * 100, [False] * 100, who, what), 0)
    assert found.value == 0.0
    assert found.low == 0.0
    assert found.high == pytest.approx(2.776445**2 / (5 + 2.776445**2), rel=1e-5)


def test_nothing_there() -> None:
    answers = judged((0, 10, 3))
    assert error_rate(answers, 1) == Rate(None, None, None, 0, why="nobody judged an image of it")
    assert hype_infinity(answers, 0).value is None
    assert "real image" in str(hype_infinity(answers, 0).why)
    assert error_rate(Judged.of([], [], [], []), 0).value is None
    assert hype_infinity(Judged.of([], [], [], [])).value is None


def test_one_rater_and_one_answer() -> None:
    """There is a share, and nothing that bounds it."""
    for n in (1, 5):
        found = error_rate(Judged.of([0] * n, [True] + [False] * (n - 1), [0] * n, range(n)), 0)
        assert found.value == pytest.approx(1 / n)
        assert (found.low, found.high, found.method) == (None, None, None)


def test_what_means_nothing() -> None:
    for systems, wrong, raters in (([-2], [1], [0]), ([0], [2], [0]), ([0], [1], [-1]), ([0, 1], [1], [0])):
        with pytest.raises(InputError):
            Judged.of(systems, wrong, raters, [0])


@pytest.mark.costly
@pytest.mark.parametrize(
    ("share", "spread", "least"), [(0.3, 0.1, 0.91), (0.5, 0.05, 0.91), (0.06, 0.05, 0.87)]
)
def test_coverage(share: float, spread: float, least: float) -> None:
    """Intervals of 95% hold the share that answers were drawn with. Over 300 studies the standard error of that is
    1.3%: from 91% on. Near an end, where of 15 raters about one is of those who err always alike, fewer:
    docs/human-study.md says so."""
    rng, raters, items = np.random.default_rng(3), 15, 30
    who, what = np.divmod(np.arange(raters * items), items)
    held = []
    for _ in range(300):
        wrong = alike(rng, share, raters, items, spread, spread).ravel()
        found = error_rate(Judged.of(np.zeros(len(wrong)), wrong, who, what), 0)
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= share <= found.high)
    assert np.mean(held) >= least


@pytest.mark.costly
def test_coverage_of_both_sides() -> None:
    """The same of HYPE∞, of 20 made images of which 40% are called real and 20 real ones of which 25% are called
    fake."""
    rng, raters = np.random.default_rng(5), 15
    who, what = np.divmod(np.arange(raters * 40), 40)
    systems = np.where(what < 20, 0, -1)
    held = []
    for _ in range(300):
        sides = [alike(rng, share, raters, 20, 0.05, 0.05) for share in (0.4, 0.25)]
        found = hype_infinity(Judged.of(systems, np.concatenate(sides, axis=1).ravel(), who, what), 0)
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= 0.325 <= found.high)
    assert np.mean(held) >= 0.91
