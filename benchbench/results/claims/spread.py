"""How far the runs of a model scatter over seeds, as the other models of its dataset tell it.

A side of a claim often has three seeds, whose own spread is a guess. The models at hand know more together, as far as
they scatter alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from benchbench.core.scales import Range, Scale, to_scale
from benchbench.results.claims.numbers import Asked, Number, Numbers, Unit

CAUTION = 1.5  # standard errors
LEAST = 1e-4  # of the mean variance: what one of agreeing runs counts as among the others


@dataclass(frozen=True)
class Pool:
    """The spread over seeds of the models of one dataset, on one metric under one set of conditions.

    groups: the values of each model of which two seeds or more did not collapse. assumed: the relative spread that is
    taken where nobody knows any, None for none.
    """

    groups: tuple[tuple[float, ...], ...] = ()
    assumed: float | None = None

    @classmethod
    def of(cls, numbers: Iterable[Number], assumed: float | None = None) -> Pool:
        """What these numbers say; controls are no trainings, a run that collapsed is no scatter, and numbers that are
        there twice count once."""
        values = {sound(n) for n in numbers if not n.control}
        return cls(tuple(sorted(group for group in values if len(group) > 1)), assumed)

    def prior(self, scale: Scale, ends: Range, without: Sequence[Sequence[float]] = ()) -> Prior | None:
        """What the models but those of `without` say of the spread of another; None with fewer than two.

        Empirical Bayes (Smyth 2004, section 6.2): log variances scatter by chance, as their degrees of freedom say, and
        beyond it as models differ. The more they differ, the fewer degrees of freedom the prior is worth.
        """
        known = {tuple(values) for values in without}
        moved = [to_scale(values, scale, ends) for values in self.groups if values not in known]
        kept = [values for values in moved if np.isfinite(values).all()]
        if len(kept) < 2:
            return None
        degrees = np.array([len(values) - 1 for values in kept], dtype=float)
        variances = np.array([values.var(ddof=1) for values in kept])
        total = float(degrees.sum())
        if not variances.any():
            return Prior(0.0, total, len(kept), 0.0)
        # Runs that happen to agree have no logarithm; they count as little, not as nothing.
        variances = np.maximum(variances, LEAST * float(np.mean(variances)))
        logs = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
        # How much models differ is itself seen in few of them: some standard errors more, to be on the safe side.
        seen = float(logs.var(ddof=1)) * (1 + CAUTION * math.sqrt(2 / (len(kept) - 1)))
        beyond = seen - float(special.polygamma(1, degrees / 2).mean())
        worth = min(2 * _inverse_trigamma(beyond), total) if beyond > 0 else total
        centre = float(logs.mean()) + float(special.digamma(worth / 2)) - math.log(worth / 2)
        return Prior(math.exp(centre), worth, len(kept), float((variances * degrees).sum()) / total)


@dataclass(frozen=True)
class Prior:
    """The variance of one run over seeds that models of a dataset have, and how many degrees of freedom it is worth.
    average: their mean variance, which overstates the calm ones and understates the wild ones."""

    variance: float
    degrees: float
    n_models: int
    average: float

    def with_own(self, variance: float, degrees: float) -> tuple[float, float]:
        """(variance, degrees of freedom) of a model whose own seeds say so much: Smyth's (2004) moderated variance."""
        total = self.degrees + degrees
        return (self.degrees * self.variance + degrees * variance) / total, total

    @property
    def source(self) -> str:
        """In words."""
        return f"pooled with {self.n_models} models"


def sound(number: Number) -> tuple[float, ...]:
    """The values of the runs whose collapse alarm was silent."""
    return tuple(number.by_seed[seed] for seed in sorted(number.by_seed) if seed not in number.collapsed)


Pools = Callable[[Unit, Asked, Number], Pool]


def spreads(known: Sequence[Numbers], assumed: float | None = None) -> Pools:
    """What the models of a dataset say of the spread over seeds, by unit, question and number."""
    gathered: dict[Any, list[Number]] = {}
    for side in known:
        for unit, held in side.items():
            for asked, same in held.items():
                for number in same:
                    gathered.setdefault((unit.dataset, asked, number.conditions), []).append(number)
    pools = {which: Pool.of(same, assumed) for which, same in gathered.items()}
    return lambda unit, asked, number: pools.get((unit.dataset, asked, number.conditions), Pool((), assumed))


def _inverse_trigamma(y: float) -> float:
    """x with trigamma(x) = y > 0, by Newton's method on 1/trigamma, which is convex (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(50):
        first = float(special.polygamma(1, x))
        step = first * (1 - first / y) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
