"""Bradley–Terry strengths: closed forms, other implementations, what has no maximum, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import LogisticRegression
from study_simulated import STRENGTHS, compared, davidson

from benchbench.core.errors import InputError
from benchbench.results.claims.testing import holm
from benchbench.study.strengths import Compared, strengths

Triple = tuple[int, int, int]


def answered(*lines: Triple, times: int = 1, systems: int | None = None) -> Compared:
    """Comparisons (first, second, outcome), each by `times` raters about an item of its own."""
    first, second, outcome = np.array([*lines] * times).T
    who, what = np.divmod(np.arange(len(first)), len(lines))
    return Compared.of(first, second, outcome, who, what, systems or max(first.max(), second.max()) + 1)


def values(answers: Compared) -> list[float | None]:
    return [own.value for own in strengths(answers).systems]


def test_two_systems_without_ties() -> None:
    """Of two systems λ₀ − λ₁ is the log odds of wins, ln(30/10), exactly: the model is saturated."""
    found = strengths(answered(*[(0, 1, 1)] * 3, (0, 1, -1), times=10))
    assert found.pairs[0].difference.value == pytest.approx(np.log(3), abs=1e-9)
    assert found.systems[0].value == pytest.approx(np.log(3) / 2, abs=1e-9)
    assert found.ties == 0
    assert found.pairs[0].preferred == pytest.approx(0.75, abs=1e-9)


def test_two_systems_with_ties() -> None:
    """With ties the model of two systems is saturated too: λ₀ − λ₁ = ln(w/l) and ν = t/√(w l) (Davidson 1970, from
    2.2 and 2.3)."""
    found = strengths(answered(*[(0, 1, 1)] * 4, (0, 1, -1), *[(1, 0, 0)] * 3, times=5))
    assert found.pairs[0].difference.value == pytest.approx(np.log(4), abs=1e-9)
    assert found.ties == pytest.approx(3 / np.sqrt(4 * 1), abs=1e-9)
    assert [(own.n, own.wins, own.ties) for own in found.systems] == [(40, 20, 15), (40, 5, 15)]


def test_baseball() -> None:
    """The American League of 1987 (Agresti 2002, "Categorical Data Analysis", section 10.6.1), whose published log
    abilities against Baltimore's are 1.58, 1.44, 1.29, 1.25, 1.11 and 0.68, to two digits."""
    wins = [
        [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
    ]  # fmt: skip
    lines = [(i, j, 1) for i, row in enumerate(wins) for j, n in enumerate(row) for _ in range(n)]
    found = np.array(values(answered(*lines)), dtype=float)
    assert found[:6] - found[6] == pytest.approx([1.58, 1.44, 1.29, 1.25, 1.11, 0.68], abs=0.005)
    assert found.mean() == pytest.approx(0, abs=1e-12)


def test_against_logistic_regression() -> None:
    """Without ties the model is a logistic regression on differences of indicators: scikit-learn's without a penalty,
    whose own tolerance is 1e-8, gives the same strengths once their mean is taken off."""
    answers = compared(np.random.default_rng(5), 4, 6, ties=0.0)
    design = np.eye(6)[answers.first] - np.eye(6)[answers.second]
    fitted = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8, max_iter=1000)
    theirs = fitted.fit(design[:, 1:], answers.outcome == 1).coef_[0]
    theirs = np.append(0.0, theirs)
    assert values(answers) == pytest.approx((theirs - theirs.mean()).tolist(), abs=1e-5)


def test_against_a_likelihood_written_out() -> None:
    """With ties: the log-likelihood from Davidson's three chances, maximised by SciPy without derivatives of ours; it
    stops within 1e-4 of the maximum."""
    answers = compared(np.random.default_rng(6), 5, 4, ties=0.7)

    def loss(theta: np.ndarray) -> float:
        chances = davidson(theta[answers.first] - theta[answers.second], float(np.exp(theta[6])))
        chosen = np.select([answers.outcome == 1, answers.outcome == -1], [0, 1], 2)
        return -float(np.log(np.take_along_axis(chances, chosen[:, None], 1)).sum())

    best = optimize.minimize(loss, np.zeros(7), method="BFGS").x
    found = strengths(answers)
    assert [own.value for own in found.systems] == pytest.approx(
        (best[:6] - best[:6].mean()).tolist(), abs=1e-4
    )
    assert found.ties == pytest.approx(np.exp(best[6]), rel=1e-3)


def test_interval_of_two_systems_by_hand() -> None:
    """With one item a rater's answer is a cluster of its own and an item's answers are one, so that only raters tell:
    for w of n answers on as many items each by one rater, the variance of the log odds is (Σ (y − w/n)² n/(n − 1)) /
    (n (w/n)(1 − w/n))², which is n/(n − 1) times the textbook's 1/w + 1/(n − w); Student's t has n − 1 degrees."""
    n, w = 40, 26
    outcome = np.where(np.arange(n) < w, 1, -1)
    found = strengths(Compared.of([0] * n, [1] * n, outcome, range(n), range(n), 2)).pairs[0].difference
    assert found.error == pytest.approx(np.sqrt((1 / w + 1 / (n - w)) * n / (n - 1)), rel=1e-9)
    assert found.degrees == n - 1
    assert found.high - found.value == pytest.approx(2.0226909200 * found.error, rel=1e-6)  # t(0.975, 39)


def test_repeats_of_a_rater_are_not_independent() -> None:
    """Twenty raters who each say one thing about 50 items have said 20 things: the error is that of 20 answers, not
    of 1,000, which were √50 less. Exactly: sums of a rater are 50 times an answer's."""
    said = np.where(np.arange(20) < 13, 1, -1)
    who, what = np.divmod(np.arange(1000), 50)
    found = strengths(Compared.of([0] * 1000, [1] * 1000, said[who], who, what, 2)).pairs[0].difference
    assert found.error == pytest.approx(np.sqrt((1 / 13 + 1 / 7) * 20 / 19), rel=1e-9)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_names_and_sides_mean_nothing(seed: int) -> None:
    """The likelihood does not know which system has which number, nor which of two is called the first: strengths go
    along, up to the rounding of Newton's last step."""
    rng = np.random.default_rng(seed)
    answers = compared(rng, 4, 3, strengths=np.array([0.5, 0.1, -0.6]))
    new = rng.permutation(3)
    turned = rng.random(len(answers)) < 0.5
    first, second = new[answers.first], new[answers.second]
    other = Compared.of(
        np.where(turned, second, first),
        np.where(turned, first, second),
        np.where(turned, -answers.outcome, answers.outcome),
        answers.raters,
        answers.items,
        3,
    )
    ours, theirs = strengths(answers).systems, strengths(other).systems
    for system, own in enumerate(ours):
        there = theirs[new[system]]
        assert (own.value is None) == (there.value is None)
        if own.value is not None and own.high is not None:
            assert [there.value, there.low, there.high] == pytest.approx(
                [own.value, own.low, own.high], abs=1e-6
            )


def test_one_that_always_wins_gets_no_number() -> None:
    """The likelihood grows with λ₀ without end. The others keep the strengths that they have among themselves: λ₁ −
    λ₂ = ln 2, as of two systems."""
    lines = [(0, 1, 1), (0, 2, 1), (1, 2, 1), (1, 2, 1), (2, 1, 1)]
    found = strengths(answered(*lines, times=6))
    assert found.systems[0].value is None
    assert found.systems[0].why == "it won all its 12 comparisons: its strength has no upper bound"
    assert [own.value for own in found.systems[1:]] == pytest.approx(
        [np.log(2) / 2, -np.log(2) / 2], abs=1e-9
    )
    assert [(own.a, own.b) for own in found.pairs] == [(1, 2)]


def test_one_that_always_loses_gets_no_number() -> None:
    lines = [(0, 1, 1), (2, 1, 1), (0, 2, 1), (2, 0, 1)]
    found = strengths(answered(*lines, times=6))
    assert found.systems[1].why == "it lost all its 12 comparisons: its strength has no lower bound"
    assert found.systems[0].value == pytest.approx(0, abs=1e-9)


def test_one_tie_bounds_it() -> None:
    """A system that lost nothing but tied once is bounded: its ties grow less likely with λ."""
    lines = [(0, 1, 1)] * 5 + [(0, 2, 1)] * 5 + [(0, 1, 0), (1, 2, 1), (2, 1, 1), (1, 2, 0), (0, 2, 0)]
    found = strengths(answered(*lines, times=3))
    assert all(own.value is not None for own in found.systems)
    assert found.systems[0].value == max(own.value for own in found.systems if own.value is not None)


def test_two_that_always_win_over_two() -> None:
    """Which of two equally large groups the numbers were of nobody could say: none has any."""
    lines = [(0, 1, 1), (1, 0, 1), (2, 3, 1), (3, 2, 1), (0, 2, 1), (1, 3, 1)]
    found = strengths(answered(*lines, times=4))
    assert [own.value for own in found.systems] == [None] * 4
    why = "it and another one won or lost all comparisons with the rest: how far they are apart has no bound"
    assert {own.why for own in found.systems} == {why}
    assert found.ties is None


def test_not_connected() -> None:
    lines = [(0, 1, 1), (1, 0, 1), (1, 2, 1), (2, 0, 1), (3, 4, 1), (4, 3, 1)]
    found = strengths(answered(*lines, times=4, systems=6))
    assert all(own.value is not None for own in found.systems[:3])
    apart = "it was not compared with all of the others, not even by way of third ones"
    assert [own.why for own in found.systems[3:]] == [apart, apart, "nobody compared it with another system"]


def test_all_ties() -> None:
    found = strengths(answered((0, 1, 0), (1, 2, 0), times=5))
    assert {own.why for own in found.systems} == {
        "every answer is a tie, so that no strength is larger than another by any number"
    }
    rest = strengths(answered((0, 1, 1), (0, 2, 1), (1, 2, 0), times=5))  # ties alone are left
    assert [own.why for own in rest.systems][1:] == [
        "among those that can be compared every answer is a tie"
    ] * 2


def test_ties_and_wins_that_run_off_together() -> None:
    """A over B, and C tied with both: each is bounded against each, but with d = (1, −1, 0) and log ν rising by 1
    every answer gets likelier for ever. SciPy's search on the likelihood itself shows it: it rises along that line
    towards 2 ln ½, which nothing reaches."""
    lines = [(0, 1, 1), (1, 2, 0), (2, 0, 0)]
    found = strengths(answered(*lines, times=4))
    assert [own.value for own in found.systems] == [None] * 3
    assert found.systems[0].why is not None
    assert "without end" in found.systems[0].why


def test_nothing_answered() -> None:
    found = strengths(Compared.of([], [], [], [], [], 3))
    assert [own.why for own in found.systems] == ["nobody compared it with another system"] * 3
    assert found.pairs == ()


def test_one_rater_has_strengths_and_no_intervals() -> None:
    found = strengths(answered((0, 1, 1), (0, 1, 1), (0, 1, -1)))
    assert found.systems[0].value == pytest.approx(np.log(2) / 2, abs=1e-9)
    assert found.systems[0].low is None
    assert found.pairs == ()
    assert found.note == "one rater says nothing of others, so there are no intervals"


def test_one_answer() -> None:
    """It is a win, and so a strength without an end."""
    assert values(answered((0, 1, 1))) == [None, None]


def test_corrected_over_all_pairs() -> None:
    """All fifteen pairs are one family, corrected by the engine of claims."""
    found = strengths(compared(np.random.default_rng(0), 6, 3))
    assert len(found.pairs) == 15
    assert [own.p for own in found.pairs] == pytest.approx(
        holm([own.difference.p for own in found.pairs]).tolist()
    )


@pytest.mark.parametrize(
    ("first", "second", "outcome", "words"),
    [
        ([0], [0], [1], "two different systems"),
        ([0], [1], [2], "two different systems"),
        ([0], [2], [1], "numbers from 0 to 1"),
        ([-1], [1], [1], "numbers from 0 to 1"),
        ([0, 1], [1], [1], "one length"),
    ],
)
def test_what_means_nothing(first: list[int], second: list[int], outcome: list[int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Compared.of(first, second, outcome, [0], [0], 2)


@pytest.mark.costly
@pytest.mark.parametrize(
    ("raters", "per_pair", "spreads", "studies"),
    [(17, 13, (0.1, 0.1), 100), (8, 8, (0.05, 0.2), 100), (17, 6, (0.0, 0.0), 60)],
)
def test_coverage(raters: int, per_pair: int, spreads: tuple[float, float], studies: int) -> None:
    """Intervals of 95% hold the strengths that answers were drawn from, and so do those of differences. Six strengths
    of one study go together, so that the standard error of the share over 100 studies is at most √(0.05 × 0.95/100) =
    2.2%: from 90% on, more than two of these below. Where raters and items are all alike the intervals are wide by
    design."""
    rng = np.random.default_rng(20)
    held, apart = [], []
    for _ in range(studies):
        answers = compared(rng, raters, per_pair, rater_spread=spreads[0], item_spread=spreads[1])
        found = strengths(answers)
        for own, true in zip(found.systems, STRENGTHS, strict=True):
            assert own.low is not None
            assert own.high is not None
            held.append(own.low <= true <= own.high)
        for pair in found.pairs:
            true = STRENGTHS[pair.a] - STRENGTHS[pair.b]
            apart.append(pair.difference.low <= true <= pair.difference.high)
    assert np.mean(held) >= 0.90
    assert np.mean(apart) >= 0.90
    if any(spreads):
        assert np.mean(held) <= 0.985


@pytest.mark.costly
def test_independent_answers_would_promise_too_much() -> None:
    """Why it is clustered: with spreads of 0.1 the intervals that take all 15 × 8 × 17 answers as independent, from
    the inverse of the information, hold the true strengths in far less than 95%. One over each rater and item alone,
    which is what `of_both` sums, is the same to first order."""
    from benchbench.study import strengths as own

    rng = np.random.default_rng(2)
    held = []
    for _ in range(40):
        answers = compared(rng, 17, 8, rater_spread=0.1, item_spread=0.1)
        lam, log_ties = own._fitted(answers)
        spread = own._covariance(answers, lam, log_ties)
        error = np.sqrt(np.diag(spread.of_both))
        held += (np.abs(lam - STRENGTHS) < 1.96 * error).tolist()
    assert np.mean(held) < 0.85


@pytest.mark.costly
def test_the_family_of_pairs_errs_in_one_study_of_twenty_at_most() -> None:
    """Six equal systems, all fifteen pairs tested in each of 100 studies: some pair is told apart in 5% of the
    studies or fewer; of 100, 10 or fewer with a chance of 99% (binomial of 100 and 0.05)."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(100):
        answers = compared(rng, 12, 6, strengths=np.zeros(6), rater_spread=0.1, item_spread=0.1)
        wrong += any(own.p < 0.05 for own in strengths(answers).pairs)
    assert wrong <= 10
