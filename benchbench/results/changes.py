"""What is new, gone and changed between two sets of records: for who looks at a pull request that adds some.

It says what stands on either side and whether a mean moved beyond the interval that stood beside it. Whether that could
be nothing is another question, which `compare` answers by a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from benchbench.results.agree import SCALED, STATED
from benchbench.results.claims.conditions import COUNTED, MEASURED, SAME, differences, measured
from benchbench.results.claims.numbers import Asked, Number, Unit, failures, meet, numbers
from benchbench.results.claims.testing import over_seeds
from benchbench.results.select_records import Selection

Kind = Literal["new", "gone", "changed", "more seeds", "made otherwise"]


@dataclass(frozen=True)
class Change:
    """One number of one model that the two sides do not have alike.

    Attributes:
        unit: The model on its dataset.
        asked: The number.
        kind: What became of it. "more seeds": those of A say the same, and others came beside them; "made otherwise":
            both have one, under conditions that differ.
        before: On side A; None where it had none.
        after: On side B; None where it has none.
        why: Why B has none, or what differs in how it was made; "" where that says all.
    """

    unit: Unit
    asked: Asked
    kind: Kind
    before: Number | None = None
    after: Number | None = None
    why: str = ""

    @property
    def beyond(self) -> bool | None:
        """Whether the mean of B lies outside the interval of A; None where one of them has no number or A states no
        interval."""
        if self.kind != "changed" or self.before is None or self.after is None:
            return None
        interval = over_seeds(self.before)
        return None if interval is None else not interval[0] <= self.after.mean <= interval[1]

    @property
    def of_machine(self) -> bool:
        """Whether the clock or the memory said it, which never say the same twice."""
        known = self.before or self.after
        return known is not None and known.aspect in MEASURED and self.asked.metric not in COUNTED

    @property
    def weighs(self) -> bool:
        """Whether a reader must look: a number is gone, or moved beyond its interval or without one."""
        return not self.of_machine and (
            self.kind == "gone" or (self.kind == "changed" and self.beyond is not False)
        )


@dataclass(frozen=True)
class Changes:
    """What differs between two sets of records.

    Attributes:
        a: The text that named side A.
        b: The text that named side B.
        new: Models on datasets that only B has, each with its numbers.
        gone: Models on datasets that only A has.
        changed: What differs of those that both have, in their order.
        same: How many numbers are the same on both sides.
        cells: How many records only A has, both have, and only B has.
        rewritten: The keys of cells that both sides have and that do not say the same, of values, intervals and what
            they were made of: one experiment, two answers.
    """

    a: str
    b: str
    new: Mapping[Unit, Mapping[Asked, list[Number]]]
    gone: Mapping[Unit, Mapping[Asked, list[Number]]]
    changed: list[Change]
    same: int
    cells: tuple[int, int, int]
    rewritten: list[str]

    @property
    def exit_code(self) -> int:
        """1 where something is gone, moved beyond its interval, or was written anew under its key; else 0."""
        return int(bool(self.gone or self.rewritten or any(change.weighs for change in self.changed)))


def changes(a: Selection, b: Selection) -> Changes:
    """What differs between two selections of records.

    Args:
        a: What was before.
        b: What is now.

    Returns:
        Everything that is new, gone or changed.

    Raises:
        InputError: A side holds one seed with two values under equal conditions.
    """
    before, after = numbers(a.rows), numbers(b.rows)
    reasons = failures(b.rows)
    found: list[Change] = []
    same = 0
    for unit in sorted(before.keys() & after.keys()):
        for change in _of_unit(unit, before[unit], after[unit], reasons.get(unit, {})):
            if change is None:
                same += 1
            else:
                found.append(change)
    ours, theirs = ({str(cell) for cell in side.rows["cell"].unique()} for side in (a, b))
    return Changes(
        a.name,
        b.name,
        {unit: after[unit] for unit in sorted(after.keys() - before.keys())},
        {unit: before[unit] for unit in sorted(before.keys() - after.keys())},
        found,
        same,
        (len(ours - theirs), len(ours & theirs), len(theirs - ours)),
        sorted(_rewritten(a, b, ours & theirs)),
    )


def _of_unit(
    unit: Unit,
    before: Mapping[Asked, list[Number]],
    after: Mapping[Asked, list[Number]],
    reasons: Mapping[Asked, Number],
) -> Iterator[Change | None]:
    """What became of each number of a model; None for one that stayed."""
    for asked in sorted(before.keys() | after.keys()):
        pairs, only_a, only_b = meet(before.get(asked, ()), after.get(asked, ()))
        for one, other in pairs:
            if one.by_seed.keys() <= other.by_seed.keys() and _equal(one, other):
                grown = one.by_seed.keys() < other.by_seed.keys()
                yield Change(unit, asked, "more seeds", one, other) if grown else None
            else:
                yield Change(unit, asked, "changed", one, other)
        ours, theirs = (
            {number.conditions: number for number in side.get(asked, ())} for side in (before, after)
        )
        if only_a and only_b:
            why = differences(only_a, only_b)
            yield Change(unit, asked, "made otherwise", ours[only_a[0]], theirs[only_b[0]], why)
            continue
        for conditions in only_a:
            failed = reasons.get(asked)
            why = next(iter(failed.failed.values())) if failed is not None and not after.get(asked) else ""
            yield Change(unit, asked, "gone", before=ours[conditions], why=why)
        for conditions in only_b:
            yield Change(unit, asked, "new", after=theirs[conditions])


def _equal(one: Number, other: Number) -> bool:
    """Whether the second says the same of every seed of the first."""
    return all(
        abs(value - other.by_seed[seed]) <= SAME * max(abs(value), abs(other.by_seed[seed]))
        for seed, value in one.by_seed.items()
    )


def _rewritten(a: Selection, b: Selection, shared: Iterable[str]) -> Iterator[str]:
    """Of cells that both sides have those that say something else of a number that no clock said: another value or
    interval, or that it was made of other images or otherwise."""
    keys, sizes, stated = (
        ["cell", "task", "direction", "metric"],
        ["value", "low", "high"],
        [*STATED, *SCALED],
    )
    tables = []
    for side in (a, b):
        rows = side.rows[side.rows["cell"].isin(list(shared))]
        tables.append(rows[[*keys, "status", *sizes, *stated]].assign(timed=measured(rows)))
    both = tables[0].merge(tables[1], on=keys, how="outer", suffixes=("_a", "_b"))
    both = both[~(both["timed_a"].fillna(True).astype(bool) & both["timed_b"].fillna(True).astype(bool))]
    other = (both["status_a"] != both["status_b"]).fillna(True)
    scored = (both["status_a"] == "ok").fillna(False) & (both["status_b"] == "ok").fillna(False)
    largest = both[[f"{name}_{side}" for name in sizes for side in "ab"]].astype("Float64").abs().max(axis=1)
    for name in (*sizes, *stated):
        ours, theirs = both[f"{name}_a"], both[f"{name}_b"]
        apart = (ours - theirs).abs() > SAME * largest if name in sizes else ours != theirs
        other |= scored & (apart.fillna(False).astype(bool) | (ours.isna() != theirs.isna()))
    yield from (str(cell) for cell in both.loc[other, "cell"].unique())
