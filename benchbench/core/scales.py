"""The scale on which a metric is compared: where its spread is even, whatever its size.

A test or an interval assumes that a number scatters as much when it is large as when it is small. Distances and
rates scatter in proportion to their size, shares least near 0 and 1. So a metric names the scale on which that is
true, numbers are moved there, worked on, and moved back, and what comes back lies within the metric's range.

| scale | moves x to | for |
|---|---|---|
| linear | x | anything whose spread does not depend on its size |
| log | log x | positive distances, rates, counts: spread in proportion to size |
| sqrt | sign(x) √abs(x) | squared or counted quantities that reach 0, of either sign: divergences, MMD², density |
| arcsine | asin √u, u = (x − minimum) / (maximum − minimum) | shares and whatever has two ends (Anscombe 1948) |

The arcsine is the variance-stabilising scale of a binomial share: the standard error of asin √p is 1/(2√n) for every
p, at 0 and 1 too, where the logit is infinite.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

Scale = Literal["linear", "log", "sqrt", "arcsine"]
Range = tuple[
    float | None, float | None
]  # the smallest and the largest value there can be; None where there is none

_Floats = npt.NDArray[np.float64]


def to_scale(values: ArrayLike, scale: Scale, ends: Range = (None, None)) -> _Floats:
    """`values` moved to `scale`; `ends` is the metric's range, which the arcsine needs.

    Log of 0 is −inf, of a negative number NaN. Values beyond the ends count as the ends on the arcsine scale.
    """
    x = np.asarray(values, dtype=float)
    if scale == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(x), dtype=float)
    if scale == "sqrt":
        return np.asarray(np.sign(x) * np.sqrt(np.abs(x)), dtype=float)
    if scale == "arcsine":
        low, high = _both(ends)
        return np.asarray(np.arcsin(np.sqrt(np.clip((x - low) / (high - low), 0.0, 1.0))), dtype=float)
    return x


def from_scale(moved: ArrayLike, scale: Scale, ends: Range = (None, None)) -> _Floats:
    """The inverse of `to_scale`, clipped to the metric's range: any number on the scale is a possible value."""
    y = np.asarray(moved, dtype=float)
    if scale == "log":
        with np.errstate(over="ignore"):
            x = np.exp(y)
    elif scale == "sqrt":
        x = np.sign(y) * y**2
    elif scale == "arcsine":
        low, high = _both(ends)
        x = low + (high - low) * np.sin(np.clip(y, 0.0, math.pi / 2)) ** 2
    else:
        x = y
    if ends != (None, None):
        x = np.clip(x, ends[0], ends[1])
    return np.asarray(x, dtype=float)


def usable(scale: Scale, least: float) -> Scale:
    """`scale`, but a logarithm needs positive values: where the least is none, its neighbour that does not."""
    return "sqrt" if scale == "log" and least <= 0 else scale


def _both(ends: Range) -> tuple[float, float]:
    low, high = ends
    if low is None or high is None or not low < high:
        raise ValueError(f"the arcsine scale needs two ends, not {ends}")
    return low, high
