"""How many seeds, and how many images, a stated difference takes: planned before anybody looks at results.

What a run scores varies for two reasons: the training seed, and the images that happened to be drawn. The first does
not shrink with images, the second does, in proportion to their number. So the variance of a run on the metric's scale
is split into the part that the run's own interval states and the rest, and each answer says which of the two to
buy. An observed difference is no input: planning for it plans for its noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchbench.core.errors import NothingComparable
from benchbench.core.scales import to_scale, usable
from benchbench.results.claims.numbers import Asked, Number, Unit, family, numbers
from benchbench.results.claims.spread import Pool, sound, spreads
from benchbench.results.claims.statistics import seeds_needed
from benchbench.results.claims.testing import FEW, within_run

NEGLIGIBLE = 0.1  # share of the variance from which on more images buy nothing


@dataclass(frozen=True)
class Planned:
    """What one number of one unit takes.

    smallest: the difference to be found, in the metric's unit. spread: standard deviation of a run, as a share of
    the value (absolute where that is 0). of_images: the share of its variance that more images would remove.
    source: where the spread is from. seeds: a side, with the present number of images, None for more than a
    million. enough: images from which on more of them buy next to nothing, None where nobody knows their number;
    seeds_with_enough: with those.
    """

    unit: Unit
    asked: Asked
    headline: bool
    value: float
    smallest: float
    spread: float
    of_images: float
    source: str
    n_images: int | None
    seeds: int | None
    enough: int | None
    seeds_with_enough: int | None


def plan(tables: Sequence[pd.DataFrame], smallest: float, known: pd.DataFrame | None = None) -> list[Planned]:
    """For every number that a claim can be about, by unit and metric, headlines first.

    tables: from `load_results`, of what is to be planned. smallest: as a share of the value. known: all at hand.
    Raises `NothingComparable` where no number has a spread to plan with.
    """
    sides = [numbers(table) for table in tables]
    pools = spreads([*sides, *([] if known is None else [numbers(known)])])
    found = {}
    for side in sides:
        for unit, held in side.items():
            for asked, same in held.items():
                for number in same:
                    pool = pools(unit, asked, number)
                    if not number.control and family(asked, number) in ("headline", "quality"):
                        planned = _planned(unit, asked, number, smallest, pool)
                        if planned is not None:
                            found[unit, asked, number.conditions] = planned
    if not found:
        raise NothingComparable(
            "nothing here says how far seeds scatter; run one model under two seeds or more, then plan"
        )
    return sorted(found.values(), key=lambda p: (p.unit, not p.headline, p.asked))


def _planned(unit: Unit, asked: Asked, number: Number, smallest: float, pool: Pool) -> Planned | None:
    value = number.mean
    scale = usable(number.scale, min(number.values))
    own = len(number.by_seed) >= FEW
    prior = pool.prior(scale, number.ends, [sound(number)])
    moved = to_scale(number.values, scale, number.ends)
    seen = float(moved.var(ddof=1)) if len(moved) > 1 else 0.0
    if own or (prior is None and len(moved) > 1):
        variance, source = seen, f"{len(moved)} seeds of its own"
    elif prior is not None:
        variance, _ = prior.with_own(seen, len(moved) - 1)
        source = prior.source
    else:
        return None
    within = min(within_run(number, scale), variance)
    worse = value * (1 + smallest) if not number.higher_is_better else value * (1 - smallest)
    here, there, above = (float(x) for x in to_scale([value, worse, value * (1 + 1e-3)], scale, number.ends))
    if not math.isfinite(there) or there == here:
        return None
    slope = abs(above - here) / (abs(value) * 1e-3) if value and above != here else math.nan
    total = max(variance, within)
    n_images = number.protocol["n_images"]
    beyond = total - within
    enough = None
    if n_images and beyond:
        enough = max(n_images, math.ceil(n_images * within / beyond * (1 - NEGLIGIBLE) / NEGLIGIBLE))

    def seeds(images: int | None) -> int | None:
        share = 1.0 if images is None or n_images is None else n_images / images
        sd = math.sqrt(beyond + within * share)
        return seeds_needed(abs(there - here) / sd) if sd else 2

    return Planned(
        unit,
        asked,
        number.headline,
        value,
        abs(worse - value),
        math.sqrt(total) / slope / abs(value) if slope and math.isfinite(slope) else math.sqrt(total),
        within / total if total else 0.0,
        source,
        n_images,
        seeds(n_images),
        enough,
        seeds(enough) if enough else None,
    )
