"""Places on a board, with how sure we are of them, and who is not beaten in everything.

A rank is a statement about all pairs at once. Two models change places only where `testing` finds their difference
at the stated level after Holm's correction over all pairs; a model's rank interval then runs from one more
than the number of models that are found better to the number that are not found worse (Mogstad, Romano,
Shaikh & Wilhelm 2024, "Inference for ranks", section 3, with pairwise tests over seeds).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from benchbench.results.claims.numbers import Number
from benchbench.results.claims.spread import Pool
from benchbench.results.claims.testing import difference, holm


class Rank(NamedTuple):
    """The best and the worst place that the numbers allow, 1 first."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"


def rank_intervals(
    numbers: Mapping[str, Number], higher_is_better: bool, confidence: float = 0.95
) -> dict[str, Rank]:
    """The rank interval of each model, simultaneous over all of them at `confidence`; controls are landmarks and get
    none."""
    kept = [name for name, number in numbers.items() if not number.control]
    better, worse = dict.fromkeys(kept, 0), dict.fromkeys(kept, 0)
    for first, last in told_apart(numbers, higher_is_better, confidence):
        better[last] += 1
        worse[first] += 1
    return {name: Rank(1 + better[name], len(kept) - worse[name]) for name in kept}


def told_apart(
    numbers: Mapping[str, Number], higher_is_better: bool, confidence: float = 0.95
) -> set[tuple[str, str]]:
    """The (better, worse) pairs of trained models that are found to differ, all of them at once at `confidence`.

    Two models of which nothing tells how far their seeds scatter, as with one run each, are not told apart: another
    seed of either is another model.
    """
    kept = {name: number for name, number in numbers.items() if not number.control}
    pairs = list(itertools.combinations(kept, 2))
    if not pairs:
        return set()
    pool = Pool.of(kept.values())
    found = [difference(kept[a], kept[b], pool=pool) for a, b in pairs]
    told = [None if pair is None or pair.kind == "images" else pair for pair in found]
    adjusted = holm([1.0 if pair is None else pair.p for pair in told])
    return {
        (a, b) if (pair.shift > 0) == higher_is_better else (b, a)
        for (a, b), pair, p in zip(pairs, told, adjusted, strict=True)
        if pair is not None and p < 1 - confidence
    }


def pareto_front(a: ArrayLike, b: ArrayLike) -> npt.NDArray[np.bool_]:
    """Which points no other point beats: none is at least as high in both and higher in one. (N,), higher is
    better in both; equal points stand or fall together."""
    points = np.stack([np.asarray(a, dtype=float), np.asarray(b, dtype=float)], axis=1)
    at_least = (points[:, None] >= points[None, :]).all(axis=2)
    higher = (points[:, None] > points[None, :]).any(axis=2)
    front: npt.NDArray[np.bool_] = np.logical_not((at_least & higher).any(axis=0))
    return front
