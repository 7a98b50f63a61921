"""How many answers a study needs: closed forms, and the stated power by simulation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from study_simulated import alike

from benchbench.core.errors import InputError
from benchbench.study.discrimination import Judged, error_rate
from benchbench.study.drawing import DRAWING, Table
from benchbench.study.image_sets import ImageSet
from benchbench.study.manifest import REAL
from benchbench.study.planning import CHANCE, Plan, finds, needed, power
from benchbench.study.strengths import Compared, strengths


def textbook(share: float) -> float:
    """Independent answers that decide until `share` against the rest is found at 5% with odds of 80%, on the log
    odds."""
    return float((1.959964 + 0.841621) ** 2 / (share * (1 - share) * np.log(share / (1 - share)) ** 2))


def test_the_textbook_number() -> None:
    """60% against 40%: (1.96 + 0.8416)²/(0.24 ln²(1.5)) = 199 independent answers. With 117 raters and as many items,
    whose degrees of freedom move nothing by more than a per cent, the power of so many answers is 80%."""
    assert round(textbook(0.6)) == 199
    share = 0.512
    items = round(textbook(share) / 117)
    assert power(Plan(share, rater_spread=0, item_spread=0), 117, items) == pytest.approx(0.8, abs=0.01)
    found = needed(Plan(0.6, rater_spread=0, item_spread=0), 14)
    assert found.answers is not None
    assert textbook(0.6) < found.answers < 1.3 * textbook(0.6)  # a t of 13 degrees instead of a normal


def test_ties_carry_nothing() -> None:
    """With half of the answers ties it takes twice as many items."""
    plain, tied = (Plan(0.6, ties=ties, rater_spread=0, item_spread=0) for ties in (0.0, 0.5))
    assert power(plain, 20, 50) == pytest.approx(power(tied, 20, 100), abs=1e-9)


def test_more_items_do_not_replace_raters() -> None:
    """With ρ_r/R alone above what the difference allows no number of items is enough."""
    found = needed(Plan(0.55, rater_spread=0.1), 5)
    assert (found.items, found.answers, found.effect) == (None, None, None)


def test_systems_help_each_other_and_cost_tests() -> None:
    """In a balanced study of K systems with n answers a pair the information is n/4 (K·1 − J), so that λᵢ − λⱼ has
    the variance 8/(n K): a third for six systems of what it is for two. What is left is the level, 0.05 over 15
    pairs."""
    two, six = (Plan(0.6, systems=k, rater_spread=0, item_spread=0) for k in (2, 6))
    assert (two.tests, six.tests) == (1, 15)
    assert power(two, 21, 30) > power(six, 21, 10)
    items = needed(six, 21).items
    assert items is not None
    assert needed(six, 21).all_items == 15 * items
    assert items < (needed(two, 21).items or 0)


def test_the_design_effect() -> None:
    """D over what it would be without spreads: 1 + ρ_r (I − 1) + ρ_i (R − 1) for two systems without ties."""
    plan = Plan(0.6)
    found = needed(plan, 30)
    assert found.items is not None
    assert found.effect == pytest.approx(1 + 0.02 * (found.items - 1) + 0.1 * 29)
    assert power(plan, 30, found.items) >= 0.8 > power(plan, 30, found.items - 1)


@pytest.mark.parametrize("systems", [2, 3, 4])
@pytest.mark.parametrize("kind", [*CHANCE])
def test_what_is_planned_is_what_is_drawn(kind: str, systems: int) -> None:
    """`--n` of the plan, drawn by the code of `create` from as many images of each system as the plan says, holds the
    planned items of every pair of systems, or of every system; that many have the power, and one fewer has not. No
    image of a system comes twice in a kind that draws from no source (of one pair where there is one)."""
    plan = Plan(CHANCE[kind] - 0.12, kind=kind, systems=systems)
    found = needed(plan, 20)
    assert found.items is not None
    assert found.all_items is not None
    assert found.images is not None

    def images(n: int) -> ImageSet:
        return ImageSet(
            [f"{i}" for i in range(n)], [(4, 4)] * n, lambda row: torch.zeros(1, 3, 4, 4), "numbers"
        )

    real = found.images if kind == "closer-to-source" else found.all_items
    sets = [images(found.images) for _ in range(systems)]
    table = Table("abcd"[:systems], sets, images(real), np.random.default_rng(3))
    drawn = list(DRAWING[kind](table, found.all_items))
    about: Counter[tuple[int, ...]] = Counter()
    shown: Counter[tuple[object, ...]] = Counter()
    for item in drawn:
        made = tuple(sorted(ref.maker for ref in item.images if ref.maker != REAL))
        about.update([made] if made else [])
        pair = made if kind == "closer-to-source" else ()
        shown.update((pair, ref.maker, ref.row) for ref in item.images if ref.maker != REAL)
    assert set(about.values()) == {found.items}
    assert len(about) == plan.tests
    assert set(shown.values()) == {1}
    assert power(plan, 20, found.items) >= 0.8 > power(plan, 20, found.items - 1)
    assert found.answers == 20 * len(drawn)


def test_a_share_is_known_by_its_own_items() -> None:
    """The analysis counts the items of one system (`crossed`), whatever other systems the study has: with Holm's level
    set equal the power of a share does not depend on how many there are."""
    one = Plan(0.9, kind="triplet", systems=1)
    four = Plan(0.9, kind="triplet", systems=4)
    assert power(four, 30, 5) < power(one, 30, 5)
    assert power(four, 30, 1) == 0.0  # one item has no spread, though the study has four


def test_minutes_and_images() -> None:
    """By hand: 258 items and 26 check items at 5 seconds are 23.7 minutes; each of four systems meets three others in
    43 items each. Twice as many answers of real or fake, half of which are about real images."""
    found = needed(Plan(0.6, systems=4), 20)
    assert (found.items, found.all_items, found.images) == (43, 258, 129)
    assert found.minutes == pytest.approx(284 * 5 / 60)
    fake = needed(Plan(0.4, kind="real-or-fake", systems=4), 20)
    assert (fake.items, fake.all_items, fake.images, fake.answers) == (69, 552, 69, 11_040)


@pytest.mark.parametrize(
    ("kind", "share"), [("pairwise", 0.6), ("pairwise", 0.4), ("real-or-fake", 0.4), ("triplet", 0.7)]
)
def test_what_so_few_raters_find(kind: str, share: float) -> None:
    """In an hour of answers, 720 of which 72 are check items: the share has the power, one thousandth nearer to chance
    has not. Two raters, whose interval has one degree of freedom, find nothing between two systems."""
    plan = Plan(share, kind=kind)
    items = (720 - 72) // (2 * 2 if kind == "real-or-fake" else 1 if kind == "pairwise" else 2)
    found = finds(plan, 8)
    assert found is not None
    assert (found > plan.chance) == (share > plan.chance)
    nearer = found - 0.001 if share > plan.chance else found + 0.001
    assert power(Plan(found, kind=kind), 8, items) >= 0.8 > power(Plan(nearer, kind=kind), 8, items)
    if kind == "pairwise":
        assert finds(plan, 2) is None
        assert needed(plan, 2).finds is None


def test_no_more_items_than_a_study_holds() -> None:
    """4,950 pairs of a hundred systems leave two items a pair of the 10,000 that `create` takes."""
    assert needed(Plan(0.6, systems=100), 20).items is None


@pytest.mark.parametrize(
    "asked",
    [
        {"share": 0.5}, {"share": 0}, {"share": 1}, {"share": float("nan")}, {"share": 0.6, "power": 1},
        {"share": 0.6, "power": 0.01}, {"share": 0.6, "ties": 1}, {"share": 0.6, "ties": -0.1},
        {"share": 0.6, "rater_spread": 0.5, "item_spread": 0.5}, {"share": 0.6, "systems": 1},
        {"share": 0.6, "systems": 101}, {"share": 0.6, "kind": "best"}, {"share": 2 / 3, "kind": "triplet"},
        {"share": 0.4, "kind": "real-or-fake", "ties": 0.1},
    ],
)  # fmt: skip
def test_out_of_bounds(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Plan(**asked)


def test_one_rater_says_nothing_of_others() -> None:
    with pytest.raises(InputError, match="two raters at least"):
        needed(Plan(0.6), 1)


@pytest.mark.costly
@pytest.mark.parametrize(("raters", "ties"), [(20, 0.2), (10, 0.0)])
def test_the_stated_power_of_a_comparison(raters: int, ties: float) -> None:
    """In studies of the planned size, scored as `study score` scores them, the difference is found in 80%: over 200
    studies within 9%, three standard errors."""
    rng, plan = np.random.default_rng(8), Plan(0.6, ties=ties)
    items = needed(plan, raters).items
    assert items is not None
    who, what = np.divmod(np.arange(raters * items), items)
    found = 0
    for _ in range(200):
        first = alike(rng, 0.6, raters, items, 0.02, 0.1).ravel()
        outcome = np.where(rng.random(len(first)) < ties, 0, np.where(first, 1, -1))
        found += strengths(Compared.of(0 * who, 0 * who + 1, outcome, who, what, 2)).pairs[0].p < 0.05
    assert found / 200 == pytest.approx(0.8, abs=0.09)


@pytest.mark.costly
@pytest.mark.parametrize(("kind", "share"), [("real-or-fake", 0.4), ("triplet", 0.57)])
def test_the_stated_power_of_a_share(kind: str, share: float) -> None:
    """The same of a share against chance, by whether its interval leaves chance out."""
    rng, plan = np.random.default_rng(9), Plan(share, kind=kind, systems=1)
    items = needed(plan, 30).items
    assert items is not None
    who, what = np.divmod(np.arange(30 * items), items)
    found = 0
    for _ in range(200):
        rate = error_rate(Judged.of(0 * who, alike(rng, share, 30, items, 0.02, 0.1).ravel(), who, what), 0)
        assert rate.low is not None
        assert rate.high is not None
        found += not rate.low <= plan.chance <= rate.high
    assert found / 200 == pytest.approx(0.8, abs=0.09)
