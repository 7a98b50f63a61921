"""Which automatic metrics rank systems as people do: Kendall's τ-b of each with the people's number.

A metric for which less is better is turned round first, so that 1 is always full agreement with people. The interval
is over systems (`results.claims.agreement`): it says what other systems of their kind would show. Only numbers that
were made under equal conditions are ranked together, and controls, which are landmarks, take no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from benchbench.core.progress import counted
from benchbench.results.claims.agreement import FEWEST, agreement
from benchbench.results.claims.conditions import MEASURED, PEOPLE, conditions_of
from benchbench.results.summary import complete


@dataclass(frozen=True)
class WithPeople:
    """metric: as records have it. n: systems that have both numbers. tau, low, high: of 95%; None where there are too
    few systems, or one side ties all of them. task, direction: of the metric's rows."""

    metric: str
    task: str
    direction: str
    n: int
    tau: float | None
    low: float | None
    high: float | None


def with_people(rows: pd.DataFrame, people: Mapping[str, float]) -> list[WithPeople]:
    """Each metric that has a better direction, by how far it agrees with people; those of which nothing can be said
    last.

    rows: a table from `load_results` that has the cells. people: the number of each cell, where more is better.
    """
    whole = complete(rows[rows["cell"].isin(list(people))])
    known = whole[
        (whole["status"] == "ok")
        & whole["higher_is_better"].notna()
        & ~whole["aspect"].isin([*MEASURED, PEOPLE])
        & ~whole["control"].astype(bool)
    ].reset_index(drop=True)
    return sorted(_each(known, people), key=lambda own: (own.tau is None, -(own.tau or 0.0), own.metric))


def _each(rows: pd.DataFrame, people: Mapping[str, float]) -> Iterator[WithPeople]:
    made = rows.assign(made=[repr(own) for own in conditions_of(rows)]) if len(rows) else rows
    for (task, direction, metric), asked in made.groupby(["task", "direction", "metric"], sort=True):
        sizes = asked.groupby("made")["cell"].nunique()
        alike = asked[asked["made"] == sizes.idxmax()].drop_duplicates("cell")
        sign = 1.0 if bool(alike.iloc[0]["higher_is_better"]) else -1.0
        values = sign * alike["value"].astype(float)
        found = agreement(values, [people[cell] for cell in alike["cell"]])
        yield WithPeople(str(metric), str(task), str(direction), found.n, found.tau, found.low, found.high)


def without_correlation(agreed: Sequence[WithPeople]) -> list[str]:
    """Why nothing is said of some metrics, a sentence a reason; none where something is said of all."""
    silent = [own for own in agreed if own.tau is None]
    reasons = Counter(
        f"{counted(own.n, 'system')} besides controls, fewer than {FEWEST}"
        if own.n < FEWEST
        else "people or the metric hold all systems alike"
        for own in silent
    )
    if len(silent) == len(agreed) and len(reasons) == 1:
        return [f"{why}: no correlation of metrics with people" for why in reasons]
    return [
        f"{why}: no correlation of {counted(n, 'metric')} with people" for why, n in sorted(reasons.items())
    ]
