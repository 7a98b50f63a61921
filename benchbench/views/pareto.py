"""Variants of a model side by side: what each keeps of its quality, and how fast it answers.

Quality is the headline of a cell, speed the best rate of its profile; a variant stands on the front where no other is
at least as good in both and better in one. Rates that were taken while other programs were at work are marked, and then
there is no front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.text import Text

from benchbench.core.errors import InputError
from benchbench.results.claims.conditions import BUSY
from benchbench.results.claims.ranks import pareto_front
from benchbench.views import figures
from benchbench.views.blocks import Blocks, Column
from benchbench.views.board_notes import DAGGER
from benchbench.views.figures import Point
from benchbench.views.text import arrow, model_name, number, plain

RATE = "best_rate"
BESIDE = {"latency_p50": "ms an image", "weights": "MiB of weights"}


@dataclass(frozen=True)
class Standing:
    """A variant. rate: images/s at its best batch. quality: its headline. beside: what else the table shows, by metric.
    front: whether no other beats it; None where nobody can say."""

    name: str
    rate: Point
    quality: Point
    beside: Mapping[str, float]
    busy: bool
    front: bool | None = None


@dataclass(frozen=True)
class Pareto:
    """All variants, fastest first, and what their quality is measured by. lost: why others have no place, by name."""

    metric: str
    higher: bool
    log: bool
    standings: list[Standing]
    lost: dict[str, str]


def pareto(frame: pd.DataFrame) -> Pareto:
    """The variants in a table from `load_results` that holds cells and their profiles.

    Args:
        frame: Of one dataset, one seed.

    Returns:
        The variants that have both a headline and a rate.

    Raises:
        InputError: None has both.
    """
    names = [model_name(str(m), str(v)) for m, v in zip(frame["model"], frame["variant"], strict=True)]
    frame = frame.assign(name=names)
    lead = frame[frame["headline"].fillna(False).astype(bool)]
    if len(lead):
        lead = lead[lead["metric"] == lead.iloc[0]["metric"]]
    rates = frame[frame["metric"] == RATE]
    found, lost = [], {}
    for name in dict.fromkeys(names):
        own = [_row(rows[rows["name"] == name]) for rows in (rates, lead)]
        missing = next((row for row in own if row is not None and row["status"] != "ok"), None)
        if missing is not None:
            lost[name] = str(missing["reason"])
        elif own[0] is not None and own[1] is not None:
            beside = {metric: _value(frame, name, metric) for metric in BESIDE}
            busy = bool(pd.notna(own[0]["busy"]) and own[0]["busy"] > BUSY)
            known = {metric: value for metric, value in beside.items() if value is not None}
            found.append(Standing(name, _point(own[0]), _point(own[1]), known, busy))
    if not found:
        raise InputError(
            "no variant has both a headline and a rate, so there is nothing to set against each other"
        )
    first = lead.iloc[0]
    higher = bool(first["higher_is_better"])
    if not any(own.busy for own in found):
        sign = 1 if higher else -1
        kept = pareto_front([own.rate.value for own in found], [sign * own.quality.value for own in found])
        found = [
            Standing(own.name, own.rate, own.quality, own.beside, own.busy, bool(on))
            for own, on in zip(found, kept, strict=True)
        ]
    found.sort(key=lambda own: -own.rate.value)
    return Pareto(str(first["metric"]), higher, str(first["scale"]) == "log", found, lost)


def pareto_table(table: Pareto) -> Blocks:
    """For a terminal."""
    shown = table.standings

    def with_range(point: Point, mark: str = "") -> str:
        ends = [number(end) for end in (point.low, point.high) if end is not None]
        return f"{number(point.value)}{mark}" + (f" [{', '.join(ends)}]" if len(ends) == 2 else "")

    columns = [
        Column("images/s ↑", [with_range(own.rate, DAGGER * own.busy) for own in shown]),
        Column(f"{plain(table.metric)} {arrow(table.higher)}", [with_range(own.quality) for own in shown]),
        *(
            Column(words, [number(own.beside[metric]) if metric in own.beside else "" for own in shown])
            for metric, words in BESIDE.items()
        ),
        Column("front", [{True: "yes", False: "", None: "?"}[own.front] for own in shown], right=False),
    ]
    return Blocks("", Column("variant", [Text(plain(own.name)) for own in shown]), columns)


def pareto_notes(table: Pareto) -> list[str]:
    """What a reader of the table has to know."""
    notes = [plain(f"{name}: {reason}") for name, reason in table.lost.items()]
    if any(own.busy for own in table.standings):
        notes.append(
            f"{DAGGER} timed while other programs took more than {BUSY:.0%} of the machine: there is no front"
        )
    return notes


def pareto_plot(table: Pareto) -> str:
    """The plane of both numbers with their intervals, as SVG."""
    points = {own.name: (own.rate, own.quality) for own in table.standings}
    looks = {name: place for place, name in enumerate(points)}
    log = table.log and all(own.quality.value > 0 for own in table.standings)
    front: Sequence[str] = [own.name for own in table.standings if own.front]
    y_name = f"{table.metric} {arrow(table.higher)}"
    return figures.plane(points, "images/s ↑", y_name, looks, log_x=True, log_y=log, front=front)


def _row(rows: pd.DataFrame) -> Mapping[Any, Any] | None:
    found = rows.to_dict("records")
    return found[0] if found else None


def _value(frame: pd.DataFrame, name: str, metric: str) -> float | None:
    rows = frame[(frame["name"] == name) & (frame["metric"] == metric) & (frame["task"] == "profile")]
    value = rows["value"].dropna()
    return float(value.iloc[0]) if len(value) else None


def _point(row: Mapping[Any, Any]) -> Point:
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    return Point(float(row["value"]), low, high)
