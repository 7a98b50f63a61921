"""How often people take made images for real ones.

Real or fake (Zhou et al. 2019, "HYPE: A Benchmark for Human eYe Perceptual Evaluation of Generative Models"): a rater
sees one image and says which it is. The **error rate** of a system is the share of its images that are called real.
By itself it rises with a rater's liking for the answer "real", so that **HYPE∞** counts errors over both: the share
of the system's images called real and the share of the real ones called fake, at equal weight, as there are as many
of either in the paper. Whoever can't tell the two apart errs in 50%, whatever answer they like. More than 50% is
possible: hyperrealism.

Three images, of which one is made, and the question which: the **miss rate** is the share of answers that name a real
one; guessing misses two thirds. No liking for an answer plays a part.

Intervals are Wilson's (1927) on Student's t, with the answers counted for as many independent ones as give the
variance over raters and items (`study.crossed`); for no fewer than the raters or the items, whichever are fewer, and
for no more than there are. So where all answers are alike an interval is as wide as so few raters or items warrant,
and never a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from benchbench.core.errors import InputError
from benchbench.results.claims.statistics import wilson_interval
from benchbench.study.crossed import METHOD, Crossed, Floats, Places, crossed, student

Bools = npt.NDArray[np.bool_]

CHANCE = {"error_rate": 0.5, "hype_infinity": 0.5, "miss_rate": 2 / 3}
"""What guessing gives."""


@dataclass(frozen=True)
class Judged:
    """Answers about images that are of one system or of none.

    systems: (N,), the number of the system that an answer is about, −1 for real images. wrong: (N,), whether it was:
    a made image called real, a real one called made, a triplet's made image missed. raters, items: (N,), numbers from
    0.
    """

    systems: Places
    wrong: Places
    raters: Places
    items: Places

    @classmethod
    def of(cls, systems: ArrayLike, wrong: ArrayLike, raters: ArrayLike, items: ArrayLike) -> Judged:
        """From arrays of one length; `InputError` for such as mean nothing."""
        columns = [np.asarray(x).astype(np.int64) for x in (systems, wrong, raters, items)]
        if any(x.ndim != 1 or len(x) != len(columns[0]) for x in columns):
            raise InputError(
                "answers are arrays of one length: a system, whether it was wrong, a rater and an item each"
            )
        if not np.isin(columns[1], (0, 1)).all() or any(
            (x < least).any() for x, least in zip(columns, (-1, 0, 0, 0), strict=True)
        ):
            raise InputError(
                "an answer is wrong or not, of a system from 0 or −1 for a real image, a rater and an item from 0"
            )
        return cls(*columns)

    def __len__(self) -> int:
        return len(self.systems)


@dataclass(frozen=True)
class Rate:
    """A share of errors. value: None where nobody answered, and then `why`. low, high: of 95%, None where one rater
    or one item tells nothing of others. n: answers. method: of the interval."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str | None = None
    why: str | None = None


def error_rate(answers: Judged, system: int) -> Rate:
    """The share of a system's images that are called real; of triplets the miss rate."""
    return _rate(answers, [answers.systems == system], "nobody judged an image of it")


def hype_infinity(answers: Judged, system: int | None = None) -> Rate:
    """Errors over made images and real ones at equal weight: of one system, or of all together."""
    real = answers.systems < 0
    made = ~real if system is None else answers.systems == system
    if made.any() and not real.any():
        return Rate(
            None,
            None,
            None,
            int(made.sum()),
            why="nobody judged a real image, so that errors on those are unknown",
        )
    return _rate(answers, [made, real], "nobody judged an image of it")


def _rate(answers: Judged, groups: list[Bools], nothing: str) -> Rate:
    """The mean over groups of answers of the shares that are wrong."""
    n = int(sum(int(group.sum()) for group in groups))
    if not all(group.any() for group in groups):
        return Rate(None, None, None, n, why=nothing)
    share, scores = influence(answers, groups)
    asked = np.logical_or.reduce(groups)
    spread = crossed(scores[asked, None], answers.raters[asked], answers.items[asked])
    if spread.degrees < 1:
        return Rate(share, None, None, n)
    low, high = wilson(share, spread, n)
    return Rate(share, low, high, n, f"95% Wilson {METHOD}")


def influence(answers: Judged, groups: Sequence[Bools]) -> tuple[float, Floats]:
    """The mean of the groups' shares, and what each answer adds to it beyond its expectation, (N,)."""
    scores = np.zeros(len(answers))
    shares = []
    for group in groups:
        share = float(answers.wrong[group].mean())
        scores += group * (answers.wrong - share) / (group.sum() * len(groups))
        shares.append(share)
    return float(np.mean(shares)), scores


def worth(share: float, spread: Crossed, n: int) -> float:
    """As how many independent answers n count."""
    fewest = min(spread.n_raters, spread.n_items)
    variance = float(spread.variance([[1.0]])[0])
    return float(np.clip(share * (1 - share) / variance if variance > 0 else fewest, fewest, n))


def wilson(share: float, spread: Crossed, n: int) -> tuple[float, float]:
    """The interval of 95% of a share of n answers."""
    low, high = wilson_interval(share, worth(share, spread, n), student(spread.degrees))
    return min(low, share), max(high, share)
