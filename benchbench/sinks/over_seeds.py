"""Records of one model under several seeds as one: its numbers are means, with the interval over seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from benchbench.core.errors import InputError
from benchbench.results.load import Record, results_of
from benchbench.results.record import Row
from benchbench.results.rows import rows_of
from benchbench.results.summary import summarise
from benchbench.views.text import model_name

_WHO = ["dataset", "model", "variant"]
_WHAT = ["task", "direction", "metric"]


def by_model(found: Sequence[Record]) -> list[list[Record]]:
    """The records of each model on each dataset, as tables tell models apart, by seed; what people said of images
    comes behind the images' own record. Models in the order of their first record."""
    firsts = results_of(found).drop_duplicates("cell")
    whose = {
        str(cell): tuple(map(str, who)) for cell, *who in firsts[["cell", *_WHO]].itertuples(index=False)
    }
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in found:
        run = record[1]  # one without a row is in no table
        own = whose.get(run.cell, (run.dataset, run.name or run.model, run.variant or ""))
        groups.setdefault(own, []).append(record)
    return [sorted(own, key=_place) for own in groups.values()]


def _place(record: Record) -> tuple[int, bool]:
    run = record[1]
    return run.seed or 0, run.people is not None


def mean_rows(found: Sequence[Record]) -> list[Row]:
    """What is said of a model's images, over its seeds.

    Args:
        found: Its records, as `by_model` has them.

    Returns:
        A row a number, that of the first record which has it, with mean and interval of `results.summary` in it. Of one
        record its own rows.

    Raises:
        InputError: A number was made under several conditions, so that it has no mean.
    """
    rows = [row for folder, run in found for row in rows_of(folder, run)]
    if len(found) == 1:
        return rows
    frame = results_of(found)
    lines = summarise(frame[~frame["aspect"].isin(["throughput", "cost"])])
    if len(twice := lines[lines.duplicated(_WHAT)]):
        odd = twice.iloc[0]
        who = model_name(str(odd["model"]), str(odd["variant"]))
        raise InputError(
            f"{who} on {odd['dataset']} has {odd['metric']} of several kinds, which have no mean: benchbench "
            "leaderboard says how they differ; name records that were made alike"
        )
    means = {tuple(line[name] for name in _WHAT): line for line in lines.to_dict("records")}
    firsts: dict[tuple[str, ...], Row] = {}
    for row in rows:
        what = (row.task, row.direction, row.metric)
        if what in means and (what not in firsts or firsts[what].value is None):
            firsts[what] = row
    return [row if row.value is None else replace(row, **_mean(means[what])) for what, row in firsts.items()]


def _mean(line: Mapping[Hashable, Any]) -> dict[str, Any]:
    ends = {name: None if pd.isna(line[name]) else float(line[name]) for name in ("value", "low", "high")}
    return {**ends, "interval": None if ends["low"] is None else line["interval"]}
