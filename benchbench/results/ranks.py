"""Places on a board, with how sure we are of them, and who is not beaten in everything.

A rank is a statement about all pairs at once. Two models change places only where their difference is found
at the stated level after Holm's correction over all pairs; a model's rank interval then runs from one more
than the number of models that are found better to the number that are not found worse (Mogstad, Romano,
Shaikh & Wilhelm 2024, "Inference for ranks", section 3, with pairwise tests over seeds).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from benchbench.results.statistics import Difference, difference, difference_from_intervals, holm


@dataclass(frozen=True)
class Runs:
    """What one model scored: a value by seed, and (low, high) of the number itself where it has an interval."""

    by_seed: Mapping[int, float]
    interval: tuple[float, float] | None


class Rank(NamedTuple):
    """The best and the worst place that the numbers allow, 1 first."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"


def rank_intervals(
    runs: Mapping[str, Runs], higher_is_better: bool, confidence: float = 0.95
) -> dict[str, Rank]:
    """The rank interval of each model, simultaneous over all of them at `confidence`.

    A pair is compared over seeds where both have two or more (paired where they are the same), else by the
    intervals of the two numbers, else not at all: then neither is found better.
    """
    pairs = list(itertools.combinations(runs, 2))
    if not pairs:
        return dict.fromkeys(runs, Rank(1, 1))
    found = [_compare(runs[a], runs[b], confidence) for a, b in pairs]
    adjusted = holm([1.0 if pair is None else pair.p for pair in found])
    better, worse = dict.fromkeys(runs, 0), dict.fromkeys(runs, 0)
    for (a, b), pair, p in zip(pairs, found, adjusted, strict=True):
        if pair is not None and p < 1 - confidence:
            first, last = (a, b) if (pair.value > 0) == higher_is_better else (b, a)
            better[last] += 1
            worse[first] += 1
    return {name: Rank(1 + better[name], len(runs) - worse[name]) for name in runs}


def pareto_front(a: ArrayLike, b: ArrayLike) -> npt.NDArray[np.bool_]:
    """Which points no other point beats: none is at least as high in both and higher in one. (N,), higher is
    better in both; equal points stand or fall together."""
    points = np.stack([np.asarray(a, dtype=float), np.asarray(b, dtype=float)], axis=1)
    at_least = (points[:, None] >= points[None, :]).all(axis=2)
    higher = (points[:, None] > points[None, :]).any(axis=2)
    front: npt.NDArray[np.bool_] = np.logical_not((at_least & higher).any(axis=0))
    return front


def _compare(a: Runs, b: Runs, confidence: float) -> Difference | None:
    if min(len(a.by_seed), len(b.by_seed)) > 1:
        shared = sorted(a.by_seed.keys() & b.by_seed.keys())
        if len(shared) == len(a.by_seed) == len(b.by_seed):
            x, y = ([runs.by_seed[seed] for seed in shared] for runs in (a, b))
            return difference(x, y, paired=True, confidence=confidence)
        return difference(
            list(a.by_seed.values()), list(b.by_seed.values()), paired=False, confidence=confidence
        )
    own = [(next(iter(runs.by_seed.values())), *(runs.interval or ())) for runs in (a, b)]
    if any(len(x) != 3 or not x[1] <= x[0] <= x[2] for x in own):
        return None  # a percentile interval need not hold its value; it then bounds no difference
    return difference_from_intervals(own[0], own[1], confidence)
