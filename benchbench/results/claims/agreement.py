"""How far two rankings of the same models agree: Kendall's τ-b, with an interval over models.

τ-b (Kendall 1945) is the share of pairs of models that both rank alike less the share that they rank the other way
round, corrected for ties. Models are taken for a random choice of models: the interval says what others of their kind
would show, not what other seeds of the same would.

The interval is Wilson's (1927) for the share of pairs that are ranked alike, on Student's t with n − 2 degrees of
freedom. Pairs share models, so they count for fewer than there are: for as many as give the variance that the jackknife
finds (Arvesen 1969), but for no fewer than n/2, the bound that holds for every distribution, and no more than two
rankings that have nothing to do with each other would have, 9n(n − 1)/2(2n + 5) (Kendall 1938). So it never shrinks to
a point where all pairs agree, as an interval from an estimated variance alone would. A test holds its coverage by
simulation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from benchbench.core.errors import InputError
from benchbench.results.claims.statistics import wilson_interval

FEWEST = 4
"""Models; of fewer nothing can be said."""

METHOD = "Wilson's interval over models, pairs counted by the jackknife"


class Agreement(NamedTuple):
    """n: models. tau: -1 (one ranking is the other, reversed) to 1 (they are the same); low, high: between which it is
    at the stated confidence. All None where there are fewer than `FEWEST` models, or one side ties all of them."""

    n: int
    tau: float | None = None
    low: float | None = None
    high: float | None = None


def agreement(a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = 0.95) -> Agreement:
    """How far two numbers of the same models rank them alike.

    a, b: (n,), finite, one value a model in the same order. Raises `InputError` for arrays of other shapes or values.
    """
    x, y = (np.asarray(values, dtype=float) for values in (a, b))
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("two rankings are compared by one finite number a model each, in the same order")
    n = len(x)
    tau = tau_b(x, y)
    if n < FEWEST or tau is None:
        return Agreement(n)
    low, high = wilson_interval(
        (1 + tau) / 2, _pairs(x, y, tau), float(special.stdtrit(n - 2, (1 + confidence) / 2))
    )
    return Agreement(n, tau, min(tau, 2 * low - 1), max(tau, 2 * high - 1))  # min and max: of a rounding


def tau_b(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float | None:
    """Kendall's τ-b of two arrays (n,) (Kendall 1945); None where all of one side are equal."""
    first, second = (np.sign(values[:, None] - values[None, :]) for values in (x, y))
    told = np.count_nonzero(first) * np.count_nonzero(second)
    # A rounding must not carry a perfect agreement beyond 1.
    return float(np.clip((first * second).sum() / np.sqrt(told), -1, 1)) if told else None


def _pairs(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], tau: float) -> float:
    """For how many independent pairs those of n models count."""
    n = len(x)
    fewest, most = n / 2, 9 * n * (n - 1) / (2 * (2 * n + 5))
    others = [tau_b(np.delete(x, i), np.delete(y, i)) for i in range(n)]
    known = [other for other in others if other is not None]
    if len(known) < n:  # without one of them a side is all ties: there is no spread to estimate
        return fewest
    variance = (n - 1) * float(np.var(known)) / 4  # of the share (1 + τ)/2
    share = (1 + tau) / 2
    return float(np.clip(share * (1 - share) / variance, fewest, most)) if variance > 0 else most
