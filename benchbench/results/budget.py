"""The budget rule: had a training stopped improving when it ended, or did its budget end it?

A benchmark row is trained until what was watched of its headline has not improved by `LEAST`, 2%, over the last third
of its training. What is watched is a column of `curves.csv`: the distance that the monitor saw; of restorers, which
have none, the PSNR of held-out pieces or of their holes, as the mean squared error that it states (0.088 dB are 2% of
it).

The rule, a pure function of that column. Its logarithm is fitted by a line over the scans of the last third of the
steps. The fall of the line over this third, 1 − exp(slope · third), is the improvement. Its bounds, one-sided 95% each
(together 90%), are Student's of the slope; where neighbouring residuals are alike the variance is raised by
(1 + r)/(1 − r), with r their autocorrelation (Bartlett 1946), since scans of averaged weights wander. Then:

- converged: even the upper bound is below 2%;
- stopped by budget: the improvement is 2% or more, and the lower bound above nothing;
- rising: it became worse by 2% or more, and the upper bound is below nothing;
- undecided: the scans scatter too much to tell; how much improvement they leave possible stands beside it;
- unknown: nobody watched, or fewer than `FEWEST` scans in the last third.

A claim that nothing improves any more thus needs scans that would have shown it. How far a scan scatters by itself
(a monitor draws the same noise each time, but other weights make other samples of it) is in the residuals, and so in
the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

LEAST = 0.02
"""Of the distance: an improvement of less is none."""
PART = 3
"""The last one of so many equal parts of the training is looked at."""
FEWEST = 3
"""Scans in it: a line through two has no spread."""
CONFIDENCE = 0.95
"""Of each bound by itself."""
MOST_ALIKE = 0.9
"""Of the autocorrelation of residuals, which few scans may show as 1."""
DISTANCE = "monitor_distance"
PSNR, PSNR_HOLE = "held_out_psnr", "held_out_psnr_hole"
WATCHED = (DISTANCE, PSNR, PSNR_HOLE)
"""Columns that tell the headline; the first that is there is looked at."""

Verdict = Literal["converged", "stopped by budget", "rising", "undecided", "unknown"]


class Ended(NamedTuple):
    """How a training ended.

    Attributes:
        verdict: As the module says it.
        scans: In the last third of the steps.
        improvement: Over this third, as a share; negative where it became worse; None where it is unknown.
        low: Its lower bound.
        high: Its upper bound.
        slope: Improvement per 1,000 steps, as a share.
        watched: The column that was looked at; None without one.
    """

    verdict: Verdict
    scans: int = 0
    improvement: float | None = None
    low: float | None = None
    high: float | None = None
    slope: float | None = None
    watched: str | None = None

    @property
    def words(self) -> str:
        """What was seen, as half a sentence."""
        if self.improvement is None or self.low is None or self.high is None or self.slope is None:
            if self.watched is None:
                return "nobody watched it"
            return f"scans in the last third: {self.scans}, which tells nothing"
        return (
            f"improvement over the last third {_per_cent(self.improvement)} [{_per_cent(self.low)}, "
            f"{_per_cent(self.high)}], {_per_cent(self.slope)} per 1,000 steps, {self.scans} scans"
        )


def _per_cent(share: float) -> str:
    return f"{100 * share:.2g}%" if abs(share) < 0.1 else f"{100 * share:.3g}%"


def ended(steps: Sequence[float], values: Sequence[float], watched: str = DISTANCE) -> Ended:
    """The budget rule on one curve.

    Args:
        steps: Optimiser steps done at each row of the curves, rising; the last one is the length of the training.
        values: What was watched, lower is better and above 0; not a number where a row has none.
        watched: What to call it.

    Returns:
        The verdict with what it rests on. Values that are not finite or not above 0 count as not seen.

    >>> ended(range(100, 1000, 100), [9, 8, 7, 6, 5, 4, 4, 4, 4]).verdict
    'converged'
    >>> ended([100, 200, 300], [9, 8, 7]).words
    'scans in the last third: 1, which tells nothing'
    """
    x, y = np.asarray(steps, float), np.asarray(values, float)
    if not len(x):
        return Ended("unknown", watched=watched)
    length = float(x.max())
    with np.errstate(invalid="ignore"):
        there = np.isfinite(y) & (y > 0) & (x > length * (1 - 1 / PART))
    x, y = x[there], np.log(y[there])
    n = len(x)
    if n < FEWEST or len(set(x.tolist())) < FEWEST:
        return Ended("unknown", n, watched=watched)
    slope, error = _line(x, y)
    third = length / PART
    reach = float(special.stdtrit(n - 2, CONFIDENCE)) * error
    improvement, low, high = (_fall(third * s) for s in (slope, slope + reach, slope - reach))
    return Ended(_verdict(improvement, low, high), n, improvement, low, high, _fall(1000 * slope), watched)


def _line(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The slope of the line of least squares, and its standard error."""
    moved = x - x.mean()
    spread = float(moved @ moved)
    slope = float(moved @ (y - y.mean())) / spread
    residuals = y - y.mean() - slope * moved
    left = float(residuals @ residuals)
    # Rounding leaves residuals of a straight line that are alike and mean nothing.
    if left <= len(x) * (1e-12 * (1 + float(np.abs(y).max()))) ** 2:
        return slope, 0.0
    alike = min(max(float(residuals[1:] @ residuals[:-1]) / left, 0.0), MOST_ALIKE)
    return slope, math.sqrt(left / (len(x) - 2) / spread * (1 + alike) / (1 - alike))


def _fall(log_change: float) -> float:
    """A change of the logarithm as an improvement; what rises beyond any number stays one."""
    return -math.expm1(min(log_change, 100.0))


def _verdict(improvement: float, low: float, high: float) -> Verdict:
    if improvement <= -LEAST and high < 0:
        return "rising"
    if high < LEAST:
        return "converged"
    return "stopped by budget" if improvement >= LEAST and low > 0 else "undecided"


def ended_by(rows: Iterable[Mapping[str, str | None]]) -> Ended:
    """The budget rule on the rows of a `curves.csv`, texts by column; "unknown" where no column tells the headline."""
    rows = list(rows)
    steps = [_number(row.get("step")) for row in rows]
    for column in WATCHED:
        values = [_number(row.get(column)) for row in rows]
        if not any(math.isfinite(value) for value in values):
            continue
        if column != DISTANCE:
            values = [math.exp(-math.log(10) / 10 * min(max(x, -1e3), 1e3)) for x in values]
        kept = [(step, value) for step, value in zip(steps, values, strict=True) if math.isfinite(step)]
        return ended([step for step, _ in kept], [value for _, value in kept], column)
    return Ended("unknown")


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
