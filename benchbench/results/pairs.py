"""Who stands against whom: models of A and B on a dataset, and their numbers over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from benchbench.results.compare import PROTOCOL
from benchbench.results.summary import summarise


class Unit(NamedTuple):
    """A model on a dataset."""

    dataset: str
    model: str
    variant: str

    def __str__(self) -> str:
        return f"{self.model} {self.variant}".rstrip() + f" on {self.dataset}"


@dataclass(frozen=True)
class Side:
    """One number of one unit: the mean over seeds with its interval (None where there is none), and each seed's.

    `reason` is that of a run which has no number, of which there are `n_failed`.
    """

    aspect: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)  # by the names of `results.compare.PROTOCOL`
    n_failed: int = 0
    reason: str | None = None
    by_seed: Mapping[int, float] = field(default_factory=dict)


Numbers = Mapping[tuple[str, str], Side]  # (task, metric) -> number


def matches(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[tuple[Unit, Unit]]:
    """The units of two tables that stand against each other, sorted.

    Where either side holds one model, it is this against that, whatever their names, dataset by dataset; with
    several variants there, those of the same name. Else model and variant are the same.
    """
    ours, theirs = units(a), units(b)
    if len({unit.model for unit in ours}) > 1 or len({unit.model for unit in theirs}) > 1:
        yield from ((unit, unit) for unit in ours if unit in theirs)
        return
    for dataset in sorted({unit.dataset for unit in ours} & {unit.dataset for unit in theirs}):
        left, right = ([unit for unit in side if unit.dataset == dataset] for side in (ours, theirs))
        if len(left) == len(right) == 1:
            yield left[0], right[0]
        else:
            yield from ((x, y) for x in left for y in right if x.variant == y.variant)


def units(rows: pd.DataFrame) -> list[Unit]:
    """What a table holds, sorted."""
    return sorted({Unit(*map(str, who)) for who in zip(*(rows[name] for name in Unit._fields), strict=True)})


def numbers(rows: pd.DataFrame) -> dict[Unit, Numbers]:
    """Every number of every unit over seeds, failed ones too.

    Of a number under several protocols, which nobody may compare, one. Raises `InputError` as `summarise` does.
    """
    key = [*Unit._fields, "task", "metric"]
    means = rows[rows["status"] == "ok"].groupby([*key, "seed"])["value"].mean().reset_index()
    by_seed: dict[Any, dict[int, float]] = {}
    for *question, seed, value in means.itertuples(index=False, name=None):
        by_seed.setdefault(tuple(question), {})[int(seed)] = float(value)
    reasons = rows[rows["status"] != "ok"].groupby(key)["reason"].first().to_dict()
    found: dict[Unit, dict[tuple[str, str], Side]] = {}
    shown = ["aspect", "unit", "higher_is_better", "value", "low", "high", "interval", "n_failed"]
    for line in summarise(rows).to_dict("records"):
        fact: dict[Any, Any] = {name: None if pd.isna(x) else x for name, x in line.items()}
        which = tuple(fact[name] for name in key)
        side = Side(
            **{name: fact[name] for name in shown},
            protocol={name: fact[name] for name in PROTOCOL},
            reason=reasons.get(which),
            by_seed=by_seed.get(which, {}),
        )
        found.setdefault(Unit(*which[:3]), {})[which[3], which[4]] = side
    return dict(found)
