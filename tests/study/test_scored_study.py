"""Whole studies, answered by simulated raters through the code that takes answers: numbers, careless raters, rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import make_study, rater
from studies_answered import answer, careful, careless
from study_simulated import STRENGTHS

from benchbench.study.folder import Study
from benchbench.study.manifest import Item
from benchbench.study.order import presented
from benchbench.study.recorded import people_of
from benchbench.study.scoring import score


@pytest.fixture
def six(tmp_path: Path) -> Study:
    """Six systems, 60 items, so that each pair of systems is shown 4 times, and 20 check items."""
    return make_study(tmp_path / "study", systems=6, n=60, checks=20)


def test_a_study_of_six_systems(six: Study) -> None:
    """Twenty raters, of whom three press whatever; these are named and nobody else is, and the strengths that the
    others answered by lie within their intervals (of six at 95%, five or more with a chance of 97%)."""
    rng = np.random.default_rng(11)
    careless_ones = {answer(six, who, careless, rng) for who in range(3)}
    for who in range(3, 20):
        answer(six, who, careful, rng)
    found = score(six)
    assert {own.rater for own in found.left_out} == careless_ones
    assert len(found.counted) == 17
    assert (found.answers, found.items) == (17 * 60, 60)
    assert found.strengths is not None
    held = [
        own.low <= true <= own.high
        for own, true in zip(found.strengths.systems, STRENGTHS, strict=True)
        if own.low is not None and own.high is not None
    ]
    assert sum(held) >= 5
    rows = [own for own in found.numbers if own.metric == "human_strength"]
    assert [(own.value, own.low, own.high) for own in rows] == [
        (own.value, own.low, own.high) for own in found.strengths.systems
    ]
    by_metric = {own.metric for own in found.numbers}
    assert by_metric == {"human_strength", "human_alpha"}


@pytest.mark.slow
def test_strengths_and_careless_raters_over_many_studies(tmp_path: Path) -> None:
    """The stated rates. Intervals of 95% hold 600 strengths of 100 studies in 91% to 99% (six of a study go together;
    the standard error is at most 2.2%). A rater who presses either of two sides is found with a chance of 99.4% (P(X
    ≤ 15) of 20 fair coins), so 294 of 300 or more; one who gets 97% of check items right is left out with 0.03%, so
    of 1,700 four at most (Poisson of 0.44: 99.98%)."""
    rng = np.random.default_rng(12)
    study = make_study(tmp_path / "study", systems=6, n=60, checks=20)
    held, found_ones, wronged = [], 0, 0
    for _ in range(100):
        careless_ones = {answer(study, who, careless, rng) for who in range(3)}
        for who in range(3, 20):
            answer(study, who, careful, rng)
        found = score(study)
        out = {own.rater for own in found.left_out}
        found_ones += len(out & careless_ones)
        wronged += len(out - careless_ones)
        assert found.strengths is not None
        for own, true in zip(found.strengths.systems, STRENGTHS, strict=True):
            assert own.low is not None
            assert own.high is not None
            held.append(own.low <= true <= own.high)
        for file in (study.folder / "answers").iterdir():
            file.unlink()
    assert 0.91 <= np.mean(held) <= 0.99
    assert found_ones >= 294
    assert wronged <= 4


def test_nobody_answered(six: Study) -> None:
    found = score(six)
    assert (found.raters, found.answers) == ((), 0)
    assert {own.value for own in found.numbers} == {None}
    assert all(own.why for own in found.numbers)


def test_one_rater(six: Study) -> None:
    """There are numbers, and nothing that bounds them."""
    answer(six, 0, careful, np.random.default_rng(0))
    found = score(six)
    assert {own.low for own in found.numbers} == {None}
    assert found.agreed.value is None


def test_one_answer(six: Study) -> None:
    answer(six, 0, careful, np.random.default_rng(0), upto=1)
    found = score(six)
    assert found.answers == 1
    assert {own.value for own in found.numbers if own.metric == "human_strength"} == {None}
    assert people_of(found, 0, "").words.endswith("ties allowed), 1 rater, 1 answer about 1 item")


def test_all_ties(six: Study) -> None:
    for who in range(3):
        answer(six, who, lambda item, rng: item.check or "tie", np.random.default_rng(0))
    found = score(six)
    assert {own.value for own in found.numbers} == {None}
    assert "every answer is a tie" in str(found.numbers[0].why)
    assert found.agreed.why == "all answers are the same, so that nothing could have differed"


def test_one_always_wins(six: Study) -> None:
    """It alone has no strength; the other five have theirs."""

    def choose(item: Item, rng: np.random.Generator) -> str:
        if item.check is None and 0 in item.systems:
            return str(item.systems.index(0))
        return careful(item, rng)

    rng = np.random.default_rng(1)
    for who in range(8):
        answer(six, who, choose, rng)
    found = score(six)
    strength = [own for own in found.numbers if own.metric == "human_strength"]
    assert "it won all its" in str(strength[0].why)
    assert all(own.low is not None for own in strength[1:])


def test_all_are_careless(six: Study) -> None:
    for who in range(4):
        answer(six, who, careless, np.random.default_rng(who))
    found = score(six)
    assert len(found.left_out) == 4
    assert (found.counted, found.answers) == ([], 0)
    assert {own.value for own in found.numbers} == {None}


def test_one_who_stopped_midway_counts(six: Study) -> None:
    """With what was answered; seven check items, all of them right, are no reason to doubt the rest."""
    rng = np.random.default_rng(2)
    for who in range(5):
        answer(six, who, careful, rng)
    before = score(six).answers
    answer(six, 5, careful, rng, upto=25)
    found = score(six)
    assert found.left_out == []
    checks = next(own.checks for own in found.raters if own.rater == rater(5))
    assert found.answers == before + 25 - checks


def test_two_systems(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", systems=2, n=20, checks=10)
    rng = np.random.default_rng(3)
    for who in range(6):
        answer(study, who, careful, rng)
    found = score(study)
    assert found.strengths is not None
    assert len(found.strengths.pairs) == 1
    values = [own.value for own in found.strengths.systems]
    assert values[0] == pytest.approx(-(values[1] or 0))


def test_no_overlap(six: Study) -> None:
    """Each item answered by one rater: strengths and their intervals are there, by raters alone; agreement is not."""
    rng = np.random.default_rng(4)
    for who in range(10):
        answer(
            six, who, careful, rng, lambda own, who=who: own.item.check or int(own.item.id, 16) % 10 == who
        )
    found = score(six)
    assert found.agreed.value is None
    assert found.agreed.low_overlap
    assert found.strengths is not None


def test_real_or_fake(tmp_path: Path) -> None:
    """Raters who call the first system's images real, the second's fake, and every fourth real image fake. By hand:
    100%, 0%, and with 25% of errors on the 12 real images HYPE∞ is 62.5%, 12.5% and, over 12 made ones half of which
    are the first system's, (50% + 25%)/2."""
    study = make_study(tmp_path / "study", kind="real-or-fake", systems=2, n=24, checks=6)
    real = [item.id for item in study.manifest.items if item.check is None and item.systems == (-1,)]
    assert len(real) == 12

    def choose(item: Item, rng: np.random.Generator) -> str:
        if item.check is not None:
            return item.check
        if item.id in real:
            return "fake" if real.index(item.id) % 4 == 0 else "real"
        return "real" if item.systems == (0,) else "fake"

    for who in range(4):
        answer(study, who, choose, np.random.default_rng(0))
    found = score(study)
    values = {(own.system, own.metric): own.value for own in found.numbers}
    assert values[0, "human_error_rate"] == 1.0
    assert values[1, "human_error_rate"] == 0.0
    assert values[0, "human_hype_infinity"] == pytest.approx(0.625)
    assert values[1, "human_hype_infinity"] == pytest.approx(0.125)
    assert found.overall is not None
    assert found.overall.value == pytest.approx(0.375)
    assert values[0, "human_alpha"] == 1.0


def test_triplets(tmp_path: Path) -> None:
    """The first system's image is never found, the second's always."""
    study = make_study(tmp_path / "study", kind="triplet", systems=2, n=24, checks=6)

    def choose(item: Item, rng: np.random.Generator) -> str:
        if item.check is not None:
            return item.check
        place = next(k for k, system in enumerate(item.systems) if system >= 0)
        return str(place if item.systems[place] == 1 else (place + 1) % 3)

    for who in range(4):
        answer(study, who, choose, np.random.default_rng(0))
    values = {(own.system, own.metric): own.value for own in score(study).numbers}
    assert (values[0, "human_miss_rate"], values[1, "human_miss_rate"]) == (1.0, 0.0)


def test_presses_are_places_and_not_choices(six: Study) -> None:
    """One who always presses the left side chooses either image, for sides are dealt; that is what is remarked on."""

    name = rater(0)
    left = {own.item.id: own.choice(0) for own in presented(six, name)}
    answer(six, 0, lambda item, rng: left[item.id], np.random.default_rng(0), ms=200)
    (found,) = score(six).raters
    assert found.left_out is not None
    assert found.remarks == (
        "left in 80 of 80 answers",
        "80 of 80 answers within 300 ms, faster than people look",
    )


def test_closer_to_source(tmp_path: Path) -> None:
    """Scored as a comparison: raters who always find the first system closer leave it without a bound, and the other
    two with their own strengths; its check items, two real images, compare no systems."""
    study = make_study(tmp_path / "study", kind="closer-to-source", systems=3, n=36, checks=6)

    def choose(item: Item, rng: np.random.Generator) -> str:
        if item.check is not None:
            return item.check
        return str(item.systems.index(0)) if 0 in item.systems else str(rng.integers(2))

    for who in range(6):
        answer(study, who, choose, np.random.default_rng(who))
    found = score(study)
    assert found.answers == 6 * 36
    assert found.strengths is not None
    first, *others = found.strengths.systems
    assert first.why == f"it won all its {first.n} comparisons: its strength has no upper bound"
    assert [own.value is not None for own in others] == [True, True]
