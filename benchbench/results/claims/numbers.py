"""Numbers over seeds, and which of them stand against each other: what every claim begins with.

A `Number` is what one unit (a model on a dataset) scored on one metric under one set of conditions: a value a seed, and
the interval of each run. Two numbers are a pair where question and conditions are the same. `compare`, `check`, the
ranks and the boards read numbers from here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchbench.core.scales import Range, Scale
from benchbench.results.claims.conditions import (
    COUNTED,
    MEASURED,
    PEOPLE,
    PROTOCOL,
    SAME,
    Conditions,
    Places,
    contradiction,
    differences,
    distinct_conditions,
    distinct_lines,
)
from benchbench.results.older import directed


class Unit(NamedTuple):
    """A model on a dataset."""

    dataset: str
    model: str
    variant: str

    def __str__(self) -> str:
        return f"{self.model} {self.variant}".rstrip() + f" on {self.dataset}"


class Asked(NamedTuple):
    """What a number answers about its unit."""

    task: str
    direction: str
    metric: str


@dataclass(frozen=True)
class Number:
    """One metric of one unit under one set of conditions.

    by_seed: the value of each run; runs that share a seed (done again with more metrics) count as one. intervals:
    the (low, high) of 95% that a run states of itself, by seed, where it does. failed: the reasons of runs of this
    number that have none, by seed; unavailable: those among them that only lack what they need. gated: whether it is a
    claim of its own and not another number restated. control: a landmark, whose seeds are no trainings. collapsed: the
    seeds whose alarm fired. busy: share of the machine that others took, the most over the runs.
    """

    by_seed: Mapping[int, float]
    intervals: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    aspect: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    scale: Scale = "linear"
    ends: Range = (None, None)
    conditions: Conditions = ()
    headline: bool = False
    gated: bool = True
    control: bool = False
    failed: Mapping[int, str] = field(default_factory=dict)
    unavailable: frozenset[int] = frozenset()
    collapsed: tuple[int, ...] = ()
    busy: float | None = None

    @property
    def values(self) -> list[float]:
        """By seed, ascending."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return fmean(self.values)

    @property
    def median(self) -> float:
        """Over seeds: what one dead run does not move."""
        return median(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """A single run's own, where it states one that holds its value."""
        if len(self.by_seed) != 1 or not self.intervals:
            return None
        return next(iter(self.intervals.values()))

    @property
    def protocol(self) -> dict[str, Any]:
        """The conditions that a view's note on how a number was made speaks of; a null is None."""
        stated = dict(self.conditions)
        return {name: _typed(name, stated.get(name, "none")) for name in [*PROTOCOL, "extractor_weights"]}


Numbers = dict[Unit, dict[Asked, list[Number]]]
"""Of each unit the numbers by question, one for each set of conditions; none where every run of it failed."""


def numbers(rows: pd.DataFrame) -> Numbers:
    """Every number of a table from `load_results`, by unit and question.

    A question that no run could answer has an empty list, whose reasons are in `failures`. Raises `InputError` for one
    seed with two values under equal conditions.
    """
    lines, found = _Lines(rows), Numbers()
    for unit, asked, good, bad in lines.questions():
        held = found.setdefault(unit, {}).setdefault(asked, [])
        failed = lines.reasons(bad)
        held += [lines.number(unit, asked, some, failed) for some in lines.by_conditions(good)]
    return found


def failures(rows: pd.DataFrame) -> dict[Unit, dict[Asked, Number]]:
    """The runs without a number, by unit and question, as a `Number` that has no value."""
    lines = _Lines(rows[rows["status"] != "ok"])
    found: dict[Unit, dict[Asked, Number]] = {}
    for unit, asked, _, bad in lines.questions():
        lost = [i for i in bad.tolist() if lines.status[i] == "unavailable"]
        lacking = frozenset(int(lines.seed[i]) for i in lost)
        found.setdefault(unit, {})[asked] = lines.labelled(
            bad[0], {}, failed=lines.reasons(bad), unavailable=lacking
        )
    return found


@dataclass(frozen=True)
class Paired:
    """One question to two units: `pairs` under equal conditions, and where one side has numbers under others, which
    conditions differ (`apart`)."""

    asked: Asked
    pairs: list[tuple[Number, Number]]
    apart: str | None


def pair(a: Mapping[Asked, Sequence[Number]], b: Mapping[Asked, Sequence[Number]]) -> list[Paired]:
    """The questions that both units answer, sorted."""
    found = []
    for asked in sorted(a.keys() & b.keys()):
        pairs, only_a, only_b = meet(a[asked], b[asked])
        apart = differences(only_a, only_b) if only_a and only_b else None
        found.append(Paired(asked, pairs, apart))
    return found


def meet(
    ours: Sequence[Number], theirs: Sequence[Number]
) -> tuple[list[tuple[Number, Number]], list[Conditions], list[Conditions]]:
    """Two answers to one question: the numbers made under equal conditions, and the conditions that only one side has,
    all sorted by conditions."""
    a, b = ({number.conditions: number for number in side} for side in (ours, theirs))
    pairs = [(a[made], b[made]) for made in sorted(a.keys() & b.keys())]
    return pairs, sorted(a.keys() - b.keys()), sorted(b.keys() - a.keys())


def family(asked: Asked, number: Number) -> str | None:
    """With which numbers of its unit one is tested: those that one decision hangs on.

    "headline"; "quality" for what else is said of the images; "cost" for what the clock and the memory say. None for
    what is no claim of its own: counted, restated, or without a better direction. None for what people said as well:
    the numbers of one study go together, for the same raters judged all systems, and their intervals do not say how
    surely two are told apart; the study does (`results.people`).
    """
    if (
        asked.metric in COUNTED
        or not number.gated
        or number.higher_is_better is None
        or number.aspect == PEOPLE
    ):
        return None
    if number.headline:
        return "headline"
    return "cost" if number.aspect in MEASURED else "quality"


class _Lines:
    """The lines of a table as columns, in groups: by unit and question, then by conditions.

    There may be hundreds of thousands of lines and thousands of groups, so nothing is done line by line.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        rows = directed(rows).reset_index(drop=True)
        whole = rows.reindex(columns=[*_LABELS, *_NUMBERS, "cell", "reason", "interval", "collapse"])
        self.cell, self.reason = whole["cell"].array, whole["reason"].array
        self.who, self.names = distinct_lines([rows[name] for name in [*Unit._fields, *Asked._fields]])
        self.made, self.conditions = distinct_conditions(rows)
        self.value, self.low, self.high, self.busy = (
            whole[name].astype("Float64").to_numpy(float, na_value=np.nan) for name in _NUMBERS
        )
        self.seed = rows["seed"].to_numpy(np.int64)
        self.status = rows["status"].to_numpy(object)
        self.collapsed = whole["collapse"].notna().to_numpy(bool)
        stated = whole["interval"].astype("string").str.startswith("95%").fillna(False).to_numpy(bool)
        self.bounded = stated & (self.low <= self.value) & (self.value <= self.high)
        # The first line of those that were made alike speaks for all.
        kinds = (self.who * len(self.conditions) + self.made) * 2 + (self.status == "ok")
        firsts = (~pd.Series(kinds).duplicated()).to_numpy(bool).nonzero()[0]
        first: Any = whole[_LABELS].take(firsts)
        said = [first[name].to_numpy(object, na_value=None) for name in _LABELS]
        self.said = dict(zip(firsts.tolist(), zip(*said, strict=True), strict=True))

    def questions(self) -> Iterator[tuple[Unit, Asked, Places, Places]]:
        """Of each unit and question, sorted, the lines with a number, by conditions, seed and cell, and those without
        one, in their order."""
        good = self.status == "ok"
        cell, _ = distinct_lines([pd.Series(self.cell)])
        first = [good.nonzero()[0], (~good).nonzero()[0]]
        first[0] = first[0][np.lexsort([own[good] for own in (cell, self.seed, self.made, self.who)])]
        first[1] = first[1][np.argsort(self.who[~good], kind="stable")]
        ends = [np.searchsorted(self.who[some], range(len(self.names) + 1)).tolist() for some in first]
        for n, name in enumerate(self.names):
            own = (some[places[n] : places[n + 1]] for some, places in zip(first, ends, strict=True))
            yield Unit(*name[:3]), Asked(*name[3:]), *own

    def by_conditions(self, good: Places) -> Iterator[Places]:
        """Lines of one question, those of each set of conditions."""
        return iter(np.split(good, np.flatnonzero(np.diff(self.made[good])) + 1)) if len(good) else iter(())

    def reasons(self, bad: Places) -> dict[int, str]:
        """Why runs have no number, by seed."""
        told = (
            (seed, self.reason[line])
            for seed, line in zip(self.seed[bad].tolist(), bad.tolist(), strict=True)
        )
        return {seed: str(None if pd.isna(why) else why) for seed, why in told}

    def number(self, unit: Unit, asked: Asked, some: Places, failed: Mapping[int, str]) -> Number:
        """That of lines which were made alike."""
        seeds, values = self.seed[some].tolist(), self.value[some].tolist()
        by_seed = dict(zip(seeds, values, strict=True))
        first = int(some.min())
        if len(by_seed) < len(seeds):
            by_seed = self._means(unit, asked, some, str(self.labels(first)["aspect"]))
        bounded = some[self.bounded[some]][::-1]  # of one seed's the first one counts
        ends = zip(self.low[bounded].tolist(), self.high[bounded].tolist(), strict=True)
        intervals = dict(zip(self.seed[bounded].tolist(), ends, strict=True))
        shares = self.busy[some][~np.isnan(self.busy[some])]
        return self.labelled(
            first,
            by_seed,
            intervals={seed: intervals[seed] for seed in by_seed if seed in intervals},
            failed={seed: reason for seed, reason in failed.items() if seed not in by_seed},
            collapsed=tuple(sorted(set(self.seed[some[self.collapsed[some]]].tolist()))),
            busy=float(shares.max()) if len(shares) else None,
        )

    def _means(self, unit: Unit, asked: Asked, some: Places, aspect: str) -> dict[int, float]:
        """Of runs that share a seed."""
        values: dict[int, list[float]] = {}
        for seed, value in zip(self.seed[some].tolist(), self.value[some].tolist(), strict=True):
            values.setdefault(seed, []).append(value)
        for seed, same in values.items():
            if aspect not in MEASURED and max(same) - min(same) > SAME * max(map(abs, same)):
                cells = [str(self.cell[line]) for line in some[self.seed[some] == seed].tolist()]
                raise contradiction(str(unit), asked.metric, f"seed {seed}", cells)
        return {seed: fmean(same) for seed, same in values.items()}

    def labels(self, line: int) -> dict[str, Any]:
        """What a line says that is the first of its kind."""
        return dict(zip(_LABELS, self.said[int(line)], strict=True))

    def labelled(self, line: int, by_seed: dict[int, float], **facts: Any) -> Number:
        """A number with what the first of its lines says of all."""
        row = self.labels(line)
        ends = tuple(None if row[name] is None else float(row[name]) for name in ("minimum", "maximum"))
        direction = row["higher_is_better"]
        return Number(
            by_seed,
            aspect=str(row["aspect"]),
            unit=str(row["unit"]),
            higher_is_better=None if direction is None else bool(direction),
            scale=row["scale"] or "linear",
            ends=(ends[0], ends[1]),
            conditions=self.conditions[self.made[line]],
            headline=bool(row["headline"]),
            gated=row["gated"] is None or bool(row["gated"]),
            control=bool(row["control"]),
            **facts,
        )


_LABELS = [
    "aspect",
    "unit",
    "higher_is_better",
    "scale",
    "minimum",
    "maximum",
    "headline",
    "gated",
    "control",
]
_NUMBERS = ["value", "low", "high", "busy"]


def _typed(name: str, text: str) -> Any:
    if text == "none":
        return None
    return int(text) if name in ("n_images", "n_reference", "metric_version") else text
