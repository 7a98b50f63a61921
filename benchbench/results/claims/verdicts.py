"""Two sets of records against each other: a difference for each number, and what to make of it.

Pattern: every model of A stands against its counterpart in B on a dataset, and every number that both have under
equal conditions is asked of `testing`. What cannot be compared is kept and named: refused, failed, or only on one side.

What is tested together is what one decision hangs on: the headline of a task and direction alone, the rest of what is
said of the images by Holm, cost and speed by Holm. What only restates another number is shown without a test.

Verdicts. *better* or *worse*: p, corrected, is at most `LEVEL`. *equal*: the difference is shown to be less than a
stated margin (two one-sided tests). *cannot say*: neither is shown; the smallest difference that these runs would
have shown stands beside it. *differ as sets of images*: one run a side of models that are trained; another seed of
either is another model, so that nothing more can be said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from benchbench.core.errors import NothingComparable, listed
from benchbench.results.claims.conditions import COUNTED, NAMED, PEOPLE, full_task, together
from benchbench.results.claims.numbers import Asked, Number, Numbers, Unit, failures, family, numbers, pair
from benchbench.results.claims.spread import Pool, Pools, spreads
from benchbench.results.claims.testing import Difference, counted, difference, holm

LEVEL = 0.05
MARGIN = 0.1  # of the value of B, for "equal"; and a hundredth of the metric's range where it has two ends

Verdict = Literal[
    "better", "worse", "differs", "equal", "differ as sets of images", "cannot say", "not tested", "failed"
]


@dataclass(frozen=True)
class Line:
    """One number of A against the same of B.

    difference: A − B, None where nothing tells how sure it is. p: corrected, None where nothing was tested. smallest:
    the least difference for the worse that these runs would have shown with odds of 80%, None where nothing was tested.
    note: how this was found, or why not. a, b: without a value where the number failed.
    """

    task: str
    direction: str
    metric: str
    a: Number
    b: Number
    verdict: Verdict
    note: str
    difference: Difference | None = None
    p: float | None = None
    smallest: float | None = None

    @property
    def labels(self) -> Number:
        """The side that states aspect, unit and direction: either, where both have the number."""
        return self.a if self.a.aspect else self.b

    @property
    def family(self) -> str | None:
        """With which other lines of its pair it was tested (`numbers.family`)."""
        return family(Asked(self.task, self.direction, self.metric), self.labels)


@dataclass(frozen=True)
class Pair:
    """A unit of A and one of B. refused: why a number of both is not compared. a_only, b_only: the metrics that
    the other side does not have, with task and direction where another one has that metric too."""

    a: Unit
    b: Unit
    lines: tuple[Line, ...]
    refused: tuple[str, ...]
    a_only: tuple[str, ...]
    b_only: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """pairs: sorted. a_only, b_only: the units that have no counterpart. margin: of "equal", a share of B's value."""

    pairs: tuple[Pair, ...]
    a_only: tuple[Unit, ...]
    b_only: tuple[Unit, ...]
    margin: float = MARGIN


def compare(
    a: pd.DataFrame, b: pd.DataFrame, margin: float = MARGIN, known: pd.DataFrame | None = None
) -> Comparison:
    """Two tables from `load_results` against each other.

    known: all records at hand, whose models say how far seeds scatter on a dataset; None for those of A and B.

    Raises `NothingComparable`, which says why, where no number is left to compare, and `InputError` for records
    that contradict each other.
    """
    ours, theirs = numbers(a), numbers(b)
    pools = spreads([ours, theirs, *([] if known is None else [numbers(known)])])
    lost = [failures(rows) for rows in (a, b)]
    pairs = [
        _pair(left, right, ours, theirs, [side.get(unit, {}) for side, unit in zip(lost, (left, right), strict=True)],
              pools, margin)
        for left, right in _matches(ours, theirs)
    ]  # fmt: skip
    met = ({pair.a for pair in pairs}, {pair.b for pair in pairs})
    a_only, b_only = (
        tuple(sorted(side.keys() - seen)) for side, seen in zip((ours, theirs), met, strict=True)
    )
    comparison = Comparison(tuple(pairs), a_only, b_only, margin)
    if all(line.verdict == "failed" for pair in pairs for line in pair.lines):
        raise NothingComparable(_why_nothing(comparison))
    return comparison


def _matches(ours: Numbers, theirs: Numbers) -> Iterator[tuple[Unit, Unit]]:
    """The units of two tables that stand against each other, sorted.

    Where either side holds one model, it is this against that, whatever their names, dataset by dataset; with
    several variants there, those of the same name. Else model and variant are the same.
    """
    if len({unit.model for unit in ours}) > 1 or len({unit.model for unit in theirs}) > 1:
        yield from ((unit, unit) for unit in sorted(ours) if unit in theirs)
        return
    for dataset in sorted({unit.dataset for unit in ours} & {unit.dataset for unit in theirs}):
        left, right = ([unit for unit in sorted(side) if unit.dataset == dataset] for side in (ours, theirs))
        if len(left) == len(right) == 1:
            yield left[0], right[0]
        else:
            yield from ((x, y) for x in left for y in right if x.variant == y.variant)


def _why_nothing(comparison: Comparison) -> str:
    refused = [why for pair in comparison.pairs for why in pair.refused]
    failed = [f"{line.metric} of {pair.a}" for pair in comparison.pairs for line in pair.lines]
    if refused:
        return f"these numbers were not made the same way: {'; '.join(together(refused))}; run both alike"
    if failed:
        return f"the two share no number: {listed(failed, NAMED)} failed on either side"
    held = [
        listed([*map(str, units)], NAMED) or "nothing else"
        for units in (comparison.a_only, comparison.b_only)
    ]
    if comparison.pairs:
        held = [listed(only, NAMED) for pair in comparison.pairs[:1] for only in (pair.a_only, pair.b_only)]
    return (
        f"the two share no number: A has {held[0]}, B has {held[1]}; "
        "compare one model with one, or the same models, on the same dataset and metrics"
    )


def _pair(
    a: Unit,
    b: Unit,
    ours: Numbers,
    theirs: Numbers,
    lost: Sequence[Mapping[Asked, Number]],
    pools: Pools,
    margin: float,
) -> Pair:
    lines: list[Line] = []
    refused: list[str] = []
    same_model = a == b
    for paired in pair(ours[a], theirs[b]):
        asked = paired.asked
        for x, y in paired.pairs:
            lines.append(_line(asked, x, y, same_model, pools(a, asked, x), lost))
        if paired.apart is not None:
            task = full_task(asked.task, asked.direction)
            refused.append(f"{asked.metric} of {task} on {a.dataset}: {paired.apart}")
        elif not paired.pairs and (any(asked in side for side in lost)):
            sides = [held[asked][0] if held[asked] else side.get(asked, Number({})) for held, side in
                     ((ours[a], lost[0]), (theirs[b], lost[1]))]  # fmt: skip
            lines.append(Line(*asked, sides[0], sides[1], "failed", _failed_note(lost, asked, sides)))
    often = Counter(asked.metric for asked in {*ours[a], *theirs[b]})
    a_only, b_only = (
        tuple(sorted(
            asked.metric if often[asked.metric] == 1
            else f"{asked.metric} ({full_task(asked.task, asked.direction)})"
            for asked in some if asked not in others and some[asked]
        ))
        for some, others in ((ours[a], theirs[b]), (theirs[b], ours[a]))
    )  # fmt: skip
    return Pair(a, b, tuple(_judged(sorted(lines, key=_place), margin)), tuple(refused), a_only, b_only)


def _place(line: Line) -> Asked:
    return Asked(line.task, line.direction, line.metric)


def _failed_note(lost: Sequence[Mapping[Asked, Number]], asked: Asked, sides: Sequence[Number]) -> str:
    """`1 of 3 runs of A failed: too few images`; nothing where none did."""
    said = []
    for name, side, number in zip("AB", lost, sides, strict=True):
        if (failed := side.get(asked)) is not None:
            n = len(failed.failed)
            said.append(
                f"{n} of {n + len(number.by_seed)} runs of {name} failed: {next(iter(failed.failed.values()))}"
            )
    return "; ".join(said)


def _line(
    asked: Asked, x: Number, y: Number, same_model: bool, pool: Pool, lost: Sequence[Mapping[Asked, Number]]
) -> Line:
    """The line of a number that both have, not judged yet."""
    if x.aspect == PEOPLE:
        # The same raters judged both: two intervals do not say how far apart they are, and would promise too much.
        found: Difference | None = None
    elif asked.metric in COUNTED:
        found = counted(x, y)
    else:
        # One run a side compares two sets of images, whatever other models do over seeds.
        several = len(x.by_seed) > 1 or len(y.by_seed) > 1
        found = difference(x, y, same_model=same_model and several, pool=pool)
    nothing = (
        "its study says how far apart" if x.aspect == PEOPLE else "nothing says how far its runs scatter"
    )
    said = nothing if found is None else found.method
    note = "; ".join(filter(None, [said, _failed_note(lost, asked, (x, y))]))
    return Line(*asked, x, y, "cannot say", note, found)


def _judged(lines: Sequence[Line], margin: float) -> Iterator[Line]:
    """The lines with p, verdict and the smallest difference that would have been seen."""
    asked: dict[tuple[str, ...], list[int]] = {}
    for i, line in enumerate(lines):
        if line.verdict != "failed" and line.difference is not None and line.family is not None:
            own = (line.task, line.direction) if line.family == "headline" else ()
            asked.setdefault((line.family, *own), []).append(i)
    adjusted: dict[int, tuple[float, int]] = {}
    for places in asked.values():
        raw = [found.p for i in places if (found := lines[i].difference) is not None]
        adjusted |= {i: (float(p), len(places)) for i, p in zip(places, holm(raw), strict=True)}
    for i, line in enumerate(lines):
        if line.verdict == "failed":
            yield line
        elif line.metric in COUNTED:
            yield replace(line, verdict=_counted(line))
        elif i not in adjusted:
            yield replace(line, verdict="cannot say" if line.family else "not tested")
        else:
            yield _verdict(line, *adjusted[i], margin)


def _counted(line: Line) -> Verdict:
    assert line.difference is not None
    if line.difference.p:
        return "equal"
    return _direction(line.difference.value, line.labels.higher_is_better)


def _verdict(line: Line, p: float, tests: int, margin: float) -> Line:
    found = line.difference
    assert found is not None
    higher = bool(line.labels.higher_is_better)
    smallest = found.detectable(LEVEL / 2 / tests, not higher)
    judged = replace(line, p=p, smallest=smallest)
    if found.kind == "images":
        return replace(
            judged, verdict="differ as sets of images" if p <= LEVEL else "cannot say", smallest=None
        )
    if p <= LEVEL:
        return replace(judged, verdict=_direction(found.shift, line.labels.higher_is_better))
    return replace(judged, verdict="equal" if found.within(_margin(line, margin)) else "cannot say")


def _margin(line: Line, share: float) -> float:
    """The difference that counts as none: a share of B's value, and at least a tenth of that of the metric's range."""
    low, high = line.b.ends
    width = 0.0 if low is None or high is None else high - low
    return max(share * abs(line.b.mean), share / 10 * width)


def _direction(value: float, higher_is_better: bool | None) -> Verdict:
    if higher_is_better is None:
        return "differs"
    return "better" if (value > 0) == higher_is_better else "worse"
