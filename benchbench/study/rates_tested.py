"""Whether rates of errors differ: two systems from each other, and each from guessing.

**Two systems.** The difference of two rates (errors, or misses) with its own error, of the covariance over raters and
items (`study.crossed`), on Student's t. A rater's liking for an answer is in both rates and cancels. Where all answers
about a system are alike the covariance says 0, which so few raters do not warrant: the variance of either rate is
taken to be no less than what its Wilson interval means.

**Guessing.** The rate less that of guessing, whose error is that of guessing in as many independent answers as the
answers are worth: the test that Wilson's interval inverts. Of real or fake HYPE∞ is held against 50%, for an error
rate by itself moves with a liking for an answer.

p is corrected (Holm) over all pairs of systems, and over all systems; the two are families of their own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchbench.results.claims.testing import Difference, estimated, in_one_family
from benchbench.study.crossed import Crossed, Floats, crossed, student
from benchbench.study.discrimination import CHANCE, Bools, Judged, influence, wilson, worth
from benchbench.study.strengths import Apart


@dataclass(frozen=True)
class FromChance:
    """A system held against guessing. metric: without "human_". chance: what guessing gives. difference: the number
    less that. p: after Holm's correction over all systems. detectable: the smallest distance below chance that
    the strictest step would have found with odds of 80%; None where there is none."""

    system: int
    metric: str
    chance: float
    difference: Difference
    p: float
    detectable: float | None


def rates_apart(answers: Judged, n_systems: int) -> tuple[Apart, ...]:
    """All pairs of systems that somebody judged; none where one rater or one item tells nothing of others."""
    groups = {k: answers.systems == k for k in range(n_systems)}
    known = [k for k, group in groups.items() if group.any()]
    found = [
        (a, b, own)
        for a, b in itertools.combinations(known, 2)
        if (own := _pair(answers, groups[a], groups[b]))
    ]
    family = in_one_family([own for *_, own in found], higher=True)
    return tuple(Apart(a, b, own, *tested) for (a, b, own), tested in zip(found, family, strict=True))


def rates_from_chance(answers: Judged, n_systems: int, *, real: bool) -> tuple[FromChance, ...]:
    """Each system that somebody judged; none where one rater or one item tells nothing of others. real: whether real
    images were judged, too, so that errors are counted over both."""
    metric = "hype_infinity" if real else "miss_rate"
    found = []
    for system in range(n_systems):
        groups = [answers.systems == system, *([answers.systems < 0] if real else [])]
        if (
            all(group.any() for group in groups)
            and (own := _against(answers, groups, CHANCE[metric])) is not None
        ):
            found.append((system, own))
    family = in_one_family([own for _, own in found], higher=False)
    return tuple(
        FromChance(system, metric, CHANCE[metric], own, *tested)
        for (system, own), tested in zip(found, family, strict=True)
    )


def _pair(answers: Judged, a: Bools, b: Bools) -> Difference | None:
    """The difference of two shares."""
    shares, scores = zip(*(influence(answers, [group]) for group in (a, b)), strict=True)
    alone = [_spread(answers, [own], group) for own, group in zip(scores, (a, b), strict=True)]
    degrees = min(own.degrees for own in alone)
    if degrees < 1:
        return None
    variance = float(_spread(answers, scores, a | b).variance([[1.0, -1.0]])[0])
    t = student(degrees)
    for share, own, group in zip(shares, alone, (a, b), strict=True):
        low, high = wilson(share, own, int(group.sum()))
        variance += max(0.0, ((high - low) / 2 / t) ** 2 - float(own.variance([[1.0]])[0]))
    return _within(
        estimated(shares[0] - shares[1], math.sqrt(variance), degrees, "t over raters and items"), -1.0, 1.0
    )


def _against(answers: Judged, groups: Sequence[Bools], chance: float) -> Difference | None:
    """The share less that of guessing."""
    share, scores = influence(answers, groups)
    asked = np.logical_or.reduce(groups)
    spread = _spread(answers, [scores], asked)
    if spread.degrees < 1:
        return None
    independent = worth(share, spread, int(asked.sum()))
    error = math.sqrt(chance * (1 - chance) / independent)
    found = estimated(share - chance, error, spread.degrees, "t of guessing, over raters and items")
    return _within(found, -chance, 1 - chance)


def _spread(answers: Judged, scores: Sequence[Floats], asked: Bools) -> Crossed:
    return crossed(np.column_stack(scores)[asked], answers.raters[asked], answers.items[asked])


def _within(found: Difference, least: float, most: float) -> Difference:
    """No bound of a difference of shares lies where none can be, and none is detectable there."""
    return replace(found, low=max(least, found.low), high=min(most, found.high), ends=(least, most))
