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
Wilson's, whose variance is that of chance; I counts the items of one system. Of real or fake half of the items are
real, which are no system's, so that a rater answers twice as many.
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
from benchbench.study.check_count import SHARE, how_many
from benchbench.study.kinds import KINDS
from benchbench.study.manifest import MOST_ITEMS
from benchbench.study.minutes import SECONDS

LEVEL = 0.05
HOUR = 3600.0
"""Of answers of a rater, for which it is said what they can find."""
EDGE = 0.9
"""The largest share that is looked for where systems are compared: beyond it log odds are harder to tell apart."""
CHANCE = {"pairwise": 0.5, "closer-to-source": 0.5, "real-or-fake": 0.5, "triplet": 2 / 3}
COMPARED = ("pairwise", "closer-to-source")
MOST_RATERS = 1_000_000
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

    @property
    def rater_items(self) -> int:
        """What a rater answers for one item of each pair of systems, or of each system."""
        return self.tests * (2 if self.kind == "real-or-fake" else 1)


@dataclass(frozen=True)
class Needed:
    """raters: so many. items: a pair of systems, or a system; None where no number that a study holds is enough.
    all_items: of all pairs or systems together, and of real images where those are asked about: what each rater
    answers, check items apart, and `--n` of `study create`. images: of each system, so that none is shown twice (where
    a source is shown, not twice of one pair). answers: of all raters together, check items apart. minutes: of a rater,
    check items among them, at `SECONDS` an answer. effect: how many answers are worth one of raters and items that are
    all alike (the design effect). finds: the share nearest to that of chance, on the side of what was asked, that so
    many raters find in `HOUR`; None where they find none."""

    raters: int
    items: int | None
    all_items: int | None
    images: int | None
    answers: int | None
    minutes: float | None
    effect: float | None
    finds: float | None


def needed(plan: Plan, raters: int) -> Needed:
    """How many items so many raters have to answer."""
    if type(raters) is not int or not 2 <= raters <= MOST_RATERS:
        raise InputError(
            f"raters={shown(raters)}: two raters at least, for one says nothing of others, and at most {MOST_RATERS:,}"
        )

    def enough(items: int) -> bool:
        return power(plan, raters, items) >= plan.power

    found = finds(plan, raters)
    items = _least(enough, MOST_ITEMS // plan.rater_items)
    if items is None:
        return Needed(raters, None, None, None, None, None, None, found)
    alone = replace(plan, rater_spread=0.0, item_spread=0.0)
    effect = _factor(plan, raters, items) / _factor(alone, raters, items)
    n = items * plan.rater_items
    images = items * (plan.systems - 1 if plan.kind == "pairwise" else 1)
    minutes = (n + how_many(n, SHARE)) * SECONDS / 60
    return Needed(raters, items, n, images, raters * n, minutes, effect, found)


def finds(plan: Plan, raters: int) -> float | None:
    """The share nearest to that of chance, on the side of the plan's, that so many raters find in an hour each; None
    where they find none."""
    answers = int(HOUR / SECONDS)
    items = (answers - how_many(answers, SHARE)) // plan.rater_items
    if not items:
        return None
    side = 1 if plan.share > plan.chance else -1
    start = math.ceil(1000 * plan.chance) if side > 0 else math.floor(1000 * plan.chance)
    edge = EDGE if plan.compared else 1.0
    end = 1000 * edge if side > 0 else 1000 * (1 - edge)

    def at(thousandths: int) -> float:
        return (start + side * thousandths) / 1000

    def enough(thousandths: int) -> bool:
        return power(replace(plan, share=at(thousandths)), raters, items) >= plan.power

    found = _least(enough, abs(round(end) - start) - 1)
    return None if found is None else at(found)


def power(plan: Plan, raters: int, items: int) -> float:
    """The odds that so many raters find the difference in so many items a pair of systems, or a system."""
    degrees = min(raters, items * plan.tests if plan.compared else items) - 1
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


def _least(enough: Callable[[int], bool], most: int) -> int | None:
    """The least number from 1 to `most` that is enough; None where none is."""
    if most < 1 or not enough(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
