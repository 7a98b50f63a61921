"""Who is left out: the stated rule for careless raters, and what else is seen of raters and only reported.

**The rule.** Check items have an answer that nobody who looks can miss. A careful rater gets a share of `pass_checks`
of them right, at least; a slip is human. A rater is left out where so few right answers would come from a careful one
in less than 5% of cases: P(X ≤ right) < 0.05 for X binomial of as many check items as were answered, with
`pass_checks` (exact, one-sided; the upper Clopper–Pearson bound of 95% lies below `pass_checks`). So one slip never
costs anybody their answers once two check items were answered, and a rater who stopped early is not left out for what
was not seen. All or none of a rater's answers count.

**Reported, not excluded**: one place pressed nearly always, though sides are dealt anew for every rater and item; one
answer nearly always, where answers are no places; answers faster than anybody can look. People differ, and a rule
made after seeing the answers could be bent until they please; whoever wants to leave such raters out takes their
files away and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
"""In so many cases at most a rater who gets `pass_checks` right is left out."""
FOUND = 0.95
"""Odds with which a study should find somebody who does not look."""
MOST_LOOKED_AT = 200
"""Check items; of so many the odds are one for any rule that lets slips pass."""
FAST_MS = 300
"""Choosing between two things that are seen takes people longer (Luce 1986, "Response Times")."""
ALWAYS, ENOUGH = 0.9, 20
"""So large a share of so many answers or more is nearly always."""


@dataclass(frozen=True)
class Rater:
    """What is known of a rater.

    rater: the id. answers: to items that are no check items. checks, passed: check items answered, and rightly.
    chance: of so few right ones or fewer from a careful rater. median_ms: of all answers. left_out: why, None for one
    who counts. remarks: what else is seen, a sentence each.
    """

    rater: str
    answers: int
    checks: int
    passed: int
    chance: float
    median_ms: float
    left_out: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """The answers of one rater, in their order. right: of each whether it was right, None for an item that is no
    check item. pressed: the place or the word that was pressed. ms: how long each took."""

    rater: str
    right: Sequence[bool | None]
    pressed: Sequence[str]
    ms: Sequence[float]


def looked_at(given: Given, pass_checks: float) -> Rater:
    """Hold a rater to the rule."""
    checks = [own for own in given.right if own is not None]
    passed, n = sum(checks), len(checks)
    chance = float(stats.binom.cdf(passed, n, pass_checks)) if n else 1.0
    left_out = None
    if chance < LEVEL:
        left_out = (
            f"{passed} of {n} check items right; a rater who gets {pass_checks:.0%} right has so few with a chance of "
            f"{chance:.2g}"
        )
    median = float(np.median(given.ms)) if len(given.ms) else 0.0
    return Rater(
        given.rater, len(given.right) - n, n, passed, chance, median, left_out, tuple(_remarks(given, n))
    )


def fewest_right(n: int, pass_checks: float) -> int:
    """How many of n check items a rater must get right to be counted.

    >>> fewest_right(1, 0.9), fewest_right(10, 0.9), fewest_right(20, 0.9)
    (0, 7, 16)
    """
    return int(np.argmax(stats.binom.cdf(np.arange(n + 1), n, pass_checks) >= LEVEL))


def found_without_looking(n: int, pass_checks: float, images: int) -> float:
    """The odds that the rule leaves out who presses one place always: places are dealt anew, so that each of `n` check
    items is right with one in as many as places.

    Args:
        n: Check items, all of them answered.
        pass_checks: Of the study.
        images: Places of an item, or other answers, of which one is right.

    Returns:
        Odds, exact.

    >>> round(found_without_looking(4, 0.9, 2), 2), round(found_without_looking(20, 0.9, 2), 3)
    (0.31, 0.994)
    """
    return float(stats.binom.cdf(fewest_right(n, pass_checks) - 1, n, 1 / images))


def checks_that_find(pass_checks: float, images: int) -> int:
    """The least number of check items by which such a rater is found with odds of `FOUND`, as with every larger one.

    >>> checks_that_find(0.9, 2), checks_that_find(0.9, 3)
    (16, 7)
    """
    short = [n for n in range(1, MOST_LOOKED_AT) if found_without_looking(n, pass_checks, images) < FOUND]
    return max(short, default=0) + 1


def _remarks(given: Given, checks: int) -> list[str]:
    said = []
    n = len(given.pressed)
    if n and not checks:
        said.append("no check item was answered")
    if n >= ENOUGH:
        names, counts = np.unique(np.array([*given.pressed]), return_counts=True)
        if counts.max() >= ALWAYS * n:
            said.append(f"{names[counts.argmax()]} in {counts.max()} of {n} answers")
    fast = int((np.asarray(given.ms) < FAST_MS).sum())
    if 2 * fast > n:
        said.append(f"{fast} of {n} answers within {FAST_MS} ms, faster than people look")
    return said
