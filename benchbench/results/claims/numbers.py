"""Numbers over seeds, and which of them stand against each other: what every claim begins with.

A `Number` is what one unit (a model on a dataset) scored on one metric under one set of conditions: a value a seed, and
the interval of each run. Two numbers are a pair where question and conditions are the same. `compare`, `check`, the
ranks and the boards read numbers from here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, NamedTuple

import pandas as pd

from benchbench.core.scales import Range, Scale
from benchbench.results.claims.conditions import (
    COUNTED,
    MEASURED,
    PROTOCOL,
    SAME,
    Conditions,
    conditions_of,
    contradiction,
    differences,
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
    found: Numbers = {}
    for unit, asked, same in _grouped(rows):
        of_unit = found.setdefault(unit, {})
        held = of_unit.setdefault(asked, [])
        by_conditions: dict[Conditions, list[dict[str, Any]]] = {}
        for row in same:
            if row["status"] == "ok":
                by_conditions.setdefault(row["conditions"], []).append(row)
        failed = {int(row["seed"]): str(row["reason"]) for row in same if row["status"] != "ok"}
        held += [_number(unit, asked, made, failed) for _, made in sorted(by_conditions.items())]
    return found


def failures(rows: pd.DataFrame) -> dict[Unit, dict[Asked, Number]]:
    """The runs without a number, by unit and question, as a `Number` that has no value."""
    found: dict[Unit, dict[Asked, Number]] = {}
    for unit, asked, same in _grouped(rows[rows["status"] != "ok"]):
        reasons = {int(row["seed"]): str(row["reason"]) for row in same}
        lacking = frozenset(int(row["seed"]) for row in same if row["status"] == "unavailable")
        found.setdefault(unit, {})[asked] = _labelled({}, same[0], failed=reasons, unavailable=lacking)
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
    what is no claim of its own: counted, restated, or without a better direction.
    """
    if asked.metric in COUNTED or not number.gated or number.higher_is_better is None:
        return None
    if number.headline:
        return "headline"
    return "cost" if number.aspect in MEASURED else "quality"


_KEPT = [
    "cell", "seed", "aspect", "unit", "higher_is_better", "value", "low", "high", "interval", "status", "reason",
    "scale", "minimum", "maximum", "headline", "gated", "control", "collapse", "busy",
]  # fmt: skip


def _grouped(rows: pd.DataFrame) -> Iterable[tuple[Unit, Asked, list[dict[str, Any]]]]:
    rows = directed(rows)
    whole = rows.reindex(columns=_KEPT)
    columns: dict[str, Iterable[Any]] = {
        name: whole[name].astype(object).where(whole[name].notna(), None).to_numpy(object) for name in _KEPT
    }
    columns["conditions"] = conditions_of(rows)
    who = zip(*(rows[name].to_numpy(object) for name in [*Unit._fields, *Asked._fields]), strict=True)
    groups: dict[tuple[Unit, Asked], list[dict[str, Any]]] = {}
    for which, values in zip(who, zip(*columns.values(), strict=True), strict=True):
        texts = [str(text) for text in which]
        groups.setdefault((Unit(*texts[:3]), Asked(*texts[3:])), []).append(
            dict(zip(columns, values, strict=True))
        )
    for (unit, asked), same in sorted(groups.items(), key=lambda group: group[0]):
        yield unit, asked, same


def _number(unit: Unit, asked: Asked, rows: Sequence[dict[str, Any]], failed: Mapping[int, str]) -> Number:
    values: dict[int, list[float]] = {}
    intervals: dict[int, tuple[float, float]] = {}
    for row in sorted(rows, key=lambda row: (row["seed"], row["cell"])):
        seed, value = int(row["seed"]), float(row["value"])
        values.setdefault(seed, []).append(value)
        low, high = row["low"], row["high"]
        if (
            str(row["interval"] or "").startswith("95%")
            and low is not None
            and high is not None
            and low <= value <= high
        ):
            intervals.setdefault(seed, (float(low), float(high)))
    if rows[0]["aspect"] not in MEASURED:
        for seed, same in values.items():
            if max(same) - min(same) > SAME * max(map(abs, same)):
                cells = [str(row["cell"]) for row in rows if row["seed"] == seed]
                raise contradiction(str(unit), asked.metric, f"seed {seed}", cells)
    shares = [float(row["busy"]) for row in rows if row["busy"] is not None]
    return _labelled(
        {seed: fmean(same) for seed, same in values.items()},
        rows[0],
        intervals=intervals,
        failed={seed: reason for seed, reason in failed.items() if seed not in values},
        collapsed=tuple(sorted({int(row["seed"]) for row in rows if row["collapse"] is not None})),
        busy=max(shares, default=None),
    )


def _labelled(by_seed: dict[int, float], row: Mapping[str, Any], **facts: Any) -> Number:
    ends = tuple(None if row[name] is None else float(row[name]) for name in ("minimum", "maximum"))
    direction = row["higher_is_better"]
    return Number(
        by_seed,
        aspect=str(row["aspect"]),
        unit=str(row["unit"]),
        higher_is_better=None if direction is None else bool(direction),
        scale=row["scale"] or "linear",
        ends=(ends[0], ends[1]),
        conditions=row["conditions"],
        headline=bool(row["headline"]),
        gated=row["gated"] is None or bool(row["gated"]),
        control=bool(row["control"]),
        **facts,
    )


def _typed(name: str, text: str) -> Any:
    if text == "none":
        return None
    return int(text) if name in ("n_images", "n_reference", "metric_version") else text
