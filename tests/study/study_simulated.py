"""Answers of simulated raters whose preferences are known."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from scipy import special

from benchbench.study.strengths import Compared

Floats = npt.NDArray[np.float64]
STRENGTHS = np.array([1.2, 0.6, 0.2, -0.2, -0.6, -1.2])
"""Of six systems; the first is preferred to the last in 92% of the answers that decide."""


def davidson(apart: Floats, ties: float) -> Floats:
    """(…, 3): the chances that the first, the second and neither is preferred, straight from Davidson (1970)."""
    first, second = np.exp(apart), np.ones_like(apart)
    tie = ties * np.sqrt(first * second)
    return np.stack([first, second, tie], -1) / (first + second + tie)[..., None]


def compared(
    rng: np.random.Generator,
    raters: int,
    per_pair: int,
    *,
    strengths: Floats = STRENGTHS,
    ties: float = 0.5,
    rater_spread: float = 0.0,
    item_spread: float = 0.0,
) -> Compared:
    """Every rater answers every item. Each answer alone has exactly the chances of Davidson's model; answers of one
    rater and about one item go together by a normal copula of these correlations, so that the strengths stay what
    they are."""
    pairs = np.array([*itertools.combinations(range(len(strengths)), 2)])
    first, second = np.repeat(pairs, per_pair, axis=0).T
    n = len(first)
    taste = rng.normal(size=(raters, len(strengths)))
    latent = np.sqrt(rater_spread / 2) * (taste[:, first] - taste[:, second])
    latent += np.sqrt(item_spread) * rng.normal(size=n)
    latent += np.sqrt(1 - rater_spread - item_spread) * rng.normal(size=(raters, n))
    drawn = special.ndtr(latent)
    chances = davidson(strengths[first] - strengths[second], ties)
    outcome = np.where(drawn < chances[:, 1], -1, np.where(drawn < chances[:, 1] + chances[:, 2], 0, 1))
    who, what = np.divmod(np.arange(raters * n), n)
    return Compared.of(
        np.tile(first, raters), np.tile(second, raters), outcome.ravel(), who, what, len(strengths)
    )


def alike(
    rng: np.random.Generator, share: float, raters: int, items: int, rater_spread: float, item_spread: float
) -> npt.NDArray[np.bool_]:
    """(raters, items) answers, each right with a chance of `share`, where two of one rater are correlated by
    `rater_spread` and two about one item by `item_spread`, exactly: with a chance of the root of it an answer repeats
    the rater's own draw, or the item's."""
    fresh, own, its = (rng.random(size) < share for size in ((raters, items), (raters, 1), (1, items)))
    which = rng.random((raters, items))
    a, b = np.sqrt(rater_spread), np.sqrt(item_spread)
    found: npt.NDArray[np.bool_] = np.where(which < a, own, np.where(which < a + b, its, fresh))
    return found
