"""How far raters agree: Krippendorff's α for answers that are names.

α = 1 − D_o/D_e (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C; 2004): the observed
disagreement of answers about one item over what would be expected if the same answers were dealt out to items by
chance. 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement. Missing answers are no trouble;
items with fewer than two say nothing and are left out.

The interval is the percentile bootstrap over items: all answers about an item are drawn together. (Hayes &
Krippendorff 2007 draw pairs of answers against an expectation that is held fixed, as if pairs of one item were
independent.) It speaks of other items judged by these raters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchbench.core.errors import InputError
from benchbench.results.claims.statistics import RESAMPLES
from benchbench.results.people import FEW
from benchbench.study.crossed import Floats

METHOD = "95% percentile bootstrap over items"


@dataclass(frozen=True)
class Agreed:
    """value: α, None where it is not defined, and then `why`. low, high: None where one item tells nothing of others.
    n_items: with two answers or more. n: answers about these. low_overlap: whether there are too few of them to lean
    on."""

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    n: int
    why: str | None = None

    @property
    def low_overlap(self) -> bool:
        return self.n_items < FEW


def alpha(items: ArrayLike, answers: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Agreed:
    """Krippendorff's α of nominal answers.

    items, answers: (N,), about what each answer is and what it says, in any words or numbers; of one rater there is
    no more than one an item. Raises `InputError` for arrays of other shapes.
    """
    about, said = np.asarray(items), np.asarray(answers)
    if about.ndim != 1 or about.shape != said.shape:
        raise InputError("an agreement needs two arrays of one length: items, and the answers about them")
    counts = _counts(about, said)
    n = int(counts.sum())
    if not len(counts):
        return Agreed(None, None, None, 0, 0, why="no item was answered by two raters")
    own = np.column_stack([_alike(counts), counts])  # of each item: equal answers, then how many gave each
    value = float(_from_tallies(own.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Agreed(
            None,
            None,
            None,
            len(counts),
            n,
            why="all answers are the same, so that nothing could have differed",
        )
    if len(counts) < 2:
        return Agreed(value, None, None, 1, n)
    rng = np.random.default_rng(seed)
    found = _from_tallies(np.stack([_drawn_anew(own, rng) for _ in range(resamples)]))
    # A draw in which all answers are the same has no disagreement to explain.
    low, high = np.quantile(np.where(np.isnan(found), 1.0, found), [0.025, 0.975])
    return Agreed(value, min(float(low), value), max(float(high), value), len(counts), n)


def _counts(items: Floats, answers: Floats) -> Floats:
    """(items with two answers or more, different answers): how many gave each."""
    if not len(items):
        return np.zeros((0, 1))
    _, item = np.unique(items, return_inverse=True)
    names, answer = np.unique(answers, return_inverse=True)
    counts = np.zeros((int(item.max()) + 1, len(names)))
    np.add.at(counts, (item, answer), 1)
    overlapping: Floats = counts[counts.sum(axis=1) > 1]
    return overlapping


def _alike(counts: Floats) -> Floats:
    """Of each item the coincidences of equal answers: Σ_c n_c (n_c − 1)/(m − 1), of m answers in all."""
    m = counts.sum(axis=-1)
    alike: Floats = (counts * (counts - 1)).sum(axis=-1) / (m - 1)
    return alike


def _drawn_anew(items: Floats, rng: np.random.Generator) -> Floats:
    """The sum over as many items (I, P), each drawn by chance."""
    times = rng.multinomial(len(items), np.full(len(items), 1 / len(items)))
    total: Floats = times @ items
    return total


def _from_tallies(tallies: Floats) -> Floats:
    """α (B,) from (B, 1 + answers): α = ((n − 1) Σ o_cc − Σ n_c (n_c − 1)) / (n (n − 1) − Σ n_c (n_c − 1))."""
    alike, names = tallies[:, 0], tallies[:, 1:]
    n = names.sum(axis=1)
    chance = (names * (names - 1)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = ((n - 1) * alike - chance) / (n * (n - 1) - chance)
    return found
