"""How sure sums over answers are, where both raters and items repeat.

Answers of one rater go together, for raters have habits; answers about one item go together, for some images are
good. A study that counted all of them as independent would promise too much. The covariance of a sum of scores over
answers is therefore taken over clusters of raters and over clusters of items at once (Cameron, Gelbach & Miller 2011,
equation 2.11): V = V_raters + V_items − V_both, where each sums the scores within its clusters first, and the last
takes each meeting of a rater with an item as a cluster. Each term is worth G/(G − 1) of itself for its G clusters.

That can come out too small, by chance even below 0; so the variance of what is asked is never taken to be less than
over raters alone, over items alone, or of independent answers. What is held against it is Student's t with one degree
of freedom less than there are raters or items, whichever are fewer. Tests hold the coverage by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import special

from benchbench.results.claims.testing import CONFIDENCE

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

METHOD = "over raters and items (clustered by both)"


@dataclass(frozen=True)
class Crossed:
    """Covariances of P sums of scores, (P, P) each, and by how many raters and items they are known."""

    of_raters: Floats
    of_items: Floats
    of_both: Floats
    n_raters: int
    n_items: int

    @property
    def degrees(self) -> int:
        """Of freedom; 0 where there is one rater or one item, of which no spread is seen."""
        return min(self.n_raters, self.n_items) - 1

    def variance(self, contrasts: ArrayLike) -> Floats:
        """Of sums weighted by `contrasts`, (M, P): their variances (M,)."""
        c = np.atleast_2d(np.asarray(contrasts, dtype=float))
        raters, items, both = (
            np.einsum("mp,pq,mq->m", c, v, c) for v in (self.of_raters, self.of_items, self.of_both)
        )
        most: Floats = np.maximum.reduce([raters + items - both, raters, items, both])
        return most


def crossed(scores: ArrayLike, raters: ArrayLike, items: ArrayLike) -> Crossed:
    """The covariance of the sums of `scores` over answers.

    scores: (N, P), what each answer adds, summing to about 0. raters, items: (N,), whose answer and about what,
    numbers from 0.
    """
    g, who, what = np.asarray(scores, dtype=float), *(np.asarray(x, dtype=np.int64) for x in (raters, items))
    n_items = int(what.max()) + 1
    return Crossed(
        _clustered(g, who),
        _clustered(g, what),
        _clustered(g, who * n_items + what),
        len(np.unique(who)),
        len(np.unique(what)),
    )


def student(degrees: float) -> float:
    """How many standard errors an interval of 95% reaches to either side."""
    return float(special.stdtrit(degrees, (1 + CONFIDENCE) / 2))


def _clustered(scores: Floats, clusters: Places) -> Floats:
    """Sum of outer products of the clusters' sums, times G/(G − 1); zeros for one cluster."""
    _, place = np.unique(clusters, return_inverse=True)
    n = int(place.max()) + 1
    sums = np.zeros((n, scores.shape[1]))
    np.add.at(sums, place, scores)
    found: Floats = sums.T @ sums * (n / (n - 1) if n > 1 else 0.0)
    return found
