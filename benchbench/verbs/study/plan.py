"""`benchbench.study.plan`: how many answers a difference takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.study.planning import RATERS, Plan, needed


def plan(
    share: float,
    *,
    kind: str = "pairwise",
    systems: int = 2,
    raters: int | Sequence[int] = RATERS,
    power: float = 0.8,
    ties: float = 0.0,
    rater_spread: float = 0.02,
    item_spread: float = 0.1,
) -> pd.DataFrame:
    """Say how many items so many raters have to answer until a stated difference is found.

    Args:
        share: Where systems are compared the share of the answers that decide in which one is preferred to another,
            0.6 for instance; else the share of answers about a system that are wrong, which is held against that of
            chance.
        kind: "pairwise", "closer-to-source", "real-or-fake" or "triplet".
        systems: How many there are.
        raters: How many raters, or several numbers of them.
        power: The odds of finding it, at 5% after Holm's correction over all pairs (or systems).
        ties: The share of ties.
        rater_spread: The correlation of two answers of one rater.
        item_spread: The correlation of two answers about one item.

    Returns:
        A line a number of raters, with the columns raters, items (of each pair of systems, or of each system),
        all_items (which every rater answers, beside check items: `n` of `create`), images (of each system, so that
        none is shown twice), answers, minutes (of a rater, at 5 seconds an answer), effect (the design effect) and
        finds (the smallest such share that so many raters find in an hour each); null where no number of items that a
        study holds is enough.

    Raises:
        InputError: A number is out of its bounds.

    >>> benchbench.study.plan(0.6, raters=20)["items"].tolist()  # doctest: +SKIP
    """
    asked = Plan(share, kind, systems, power, ties, rater_spread, item_spread)
    several = [raters] if isinstance(raters, int) else list(raters)
    if not several:
        raise InputError("name at least one number of raters")
    frame = pd.DataFrame([asdict(needed(asked, own)) for own in several])
    whole, parts = ["raters", "items", "all_items", "images", "answers"], ["minutes", "effect", "finds"]
    return frame.astype({**dict.fromkeys(whole, "Int64"), **dict.fromkeys(parts, "Float64")})
