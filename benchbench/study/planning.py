"""How many raters and items a stated difference takes, planned before anybody answers.

Every rater is taken to answer every item. An answer that decides varies for three reasons: raters differ in taste,
items differ, and the rest is chance. Of its variance the first is worth ρ_r (`rater_spread`) and the second ρ_i
(`item_spread`), correlations of two answers of one rater, and about one item. With R raters, I items and a share t of
ties the mean of the answers that decide has σ² times

    D = ρ_r/R + ρ_i/I + (1/(1 − t) − ρ_r − ρ_i)/(R I)

(ties carry nothing about who is preferred). The design effect is D over what it would be without either spread. Where
ρ_r/R alone is too much, no number of items is enough.

Of K systems, each pair with I items, their strengths are compared by way of third ones too: the last two terms shrink
by 2/K, and the level is that of the first step of Holm's correction over all K(K − 1)/2 pairs. The difference of two
strengths is tested on its own scale, the log odds, by Student's t with as many degrees of freedom as the analysis
will have. A share (of errors or misses) is held against that of chance by the interval that the analysis uses,
Wilson's, whose variance is that of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scipy import special

from benchbench.core.errors import InputError
from benchbench.core.validation import is_number, shown
from benchbench.results.claims.statistics import shift_power
from benchbench.results.claims.testing import POWER
from benchbench.study.kinds import KINDS

LEVEL = 0.05
MOST = 1_000_000
"""Items a pair; beyond that the answer is "not by items"."""
CHANCE = {"pairwise": 0.5, "closer-to-source": 0.5, "real-or-fake": 0.5, "triplet": 2 / 3}
COMPARED = ("pairwise", "closer-to-source")
RATERS = (5, 10, 15, 20, 30, 50)
"""For which a plan is made where nobody says."""


@dataclass(frozen=True)
class Plan:
    """What is to be found, and in what answers.

    Attributes:
        share: Of two systems in how large a share of the answers that decide one is preferred; of one system how
            large a share of answers is wrong.
        kind: One of `KINDS`.
        systems: How many are compared pair by pair; for shares how many are held against chance.
        power: The odds of finding it.
        ties: The share of ties.
        rater_spread: ρ_r.
        item_spread: ρ_i.

    Raises:
        InputError: A number is out of its bounds, or the share is what chance gives.
    """

    share: float
    kind: str = "pairwise"
    systems: int = 2
    power: float = POWER
    ties: float = 0.0
    rater_spread: float = 0.02
    item_spread: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no kind of study {shown(self.kind)}; there are {', '.join(KINDS)}")
        for name, low, high in (("share", 0, 1), ("power", self.level, 1)):
            if not is_number(own := getattr(self, name)) or not low < own < high:
                raise InputError(f"{name}={shown(own)} does not lie between {low:g} and {high:g}")
        for name in ("ties", "rater_spread", "item_spread"):
            if not is_number(own := getattr(self, name)) or not 0 <= own < 1:
                raise InputError(f"{name}={shown(own)} is no share from 0 to below 1")
        if self.rater_spread + self.item_spread >= 1:
            raise InputError(
                "raters and items take less than all of the variance: their spreads add up to 1 or more"
            )
        if type(self.systems) is not int or not (2 if self.compared else 1) <= self.systems <= 100:
            raise InputError(
                f"systems={shown(self.systems)}: a study has 1 to 100 of them, and two to compare any"
            )
        if self.ties and not KINDS[self.kind].ties:
            raise InputError(f"a study of the kind {self.kind} has no ties")
        if abs(self.share - self.chance) < 1e-3:
            raise InputError(
                f"a share of {self.share:g} is what chance gives; say which difference is to be found"
            )

    @property
    def compared(self) -> bool:
        """Whether systems are held against each other."""
        return self.kind in COMPARED

    @property
    def chance(self) -> float:
        """The share that guessing gives."""
        return CHANCE[self.kind]

    @property
    def tests(self) -> int:
        """In the family that Holm's correction is over."""
        return self.systems * (self.systems - 1) // 2 if self.compared else self.systems

    @property
    def level(self) -> float:
        """Of the first of these tests, two-sided."""
        return LEVEL / max(self.tests, 1)


@dataclass(frozen=True)
class Needed:
    """raters: so many. items: a pair of systems, or a system; None where no number is enough. all_items: of all pairs
    or systems together, which is what each rater answers, check items apart. answers: of all raters together. effect:
    how many answers are worth one of raters and items that are all alike (the design effect)."""

    raters: int
    items: int | None
    all_items: int | None
    answers: int | None
    effect: float | None


def needed(plan: Plan, raters: int) -> Needed:
    """How many items so many raters have to answer."""
    if type(raters) is not int or not 2 <= raters <= MOST:
        raise InputError(f"raters={shown(raters)}: two raters at least, for one says nothing of others")
    groups = plan.tests

    def enough(items: int) -> bool:
        return power(plan, raters, items) >= plan.power

    items = _least(enough)
    if items is None:
        return Needed(raters, None, None, None, None)
    answers = raters * items * groups
    alone = replace(plan, rater_spread=0.0, item_spread=0.0)
    effect = _factor(plan, raters, items) / _factor(alone, raters, items)
    return Needed(raters, items, items * groups, answers, effect)


def power(plan: Plan, raters: int, items: int) -> float:
    """The odds that so many raters find the difference in so many items a pair of systems, or a system."""
    degrees = min(raters, items * plan.tests) - 1
    if degrees < 1:
        return 0.0
    p, chance = plan.share, plan.chance
    factor = _factor(plan, raters, items)
    if plan.compared:
        shift = abs(math.log(p / (1 - p))) * math.sqrt(p * (1 - p) / factor)
        return shift_power(shift, degrees, plan.level)
    critical = float(special.stdtrit(degrees, 1 - plan.level / 2))
    ahead = abs(p - chance) - critical * math.sqrt(chance * (1 - chance) * factor)
    return float(special.ndtr(ahead / math.sqrt(p * (1 - p) * factor)))


def _factor(plan: Plan, raters: int, items: int) -> float:
    """D."""
    rest = plan.item_spread / items
    rest += (1 / (1 - plan.ties) - plan.rater_spread - plan.item_spread) / (raters * items)
    return plan.rater_spread / raters + rest * (2 / plan.systems if plan.compared else 1)


def _least(enough: Callable[[int], bool]) -> int | None:
    """The least number from 1 that is enough; None beyond `MOST`."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
