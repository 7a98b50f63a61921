"""What people said in a study, as the report shows it: systems with intervals first, drawn and in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from benchbench.results.claims.conditions import short_name
from benchbench.results.claims.people import with_people, without_correlation
from benchbench.results.manifest import RunManifest
from benchbench.results.people import MAIN, People
from benchbench.views.figures import Point, forest
from benchbench.views.people import (
    APART,
    CHANCE,
    GUESSING,
    RATES,
    about,
    apart,
    ends_of,
    excluded,
    from_chance,
    metrics,
    missing,
    numbers_table,
)  # fmt: skip
from benchbench.views.report_model import ReportFigure
from benchbench.views.text import model_name, plain

DRAWN = {
    "human_strength": (0.0, "0 is the mean of the systems."),
    "human_hype_infinity": (0.5, "Whoever can't tell errs in 50%, the line."),
    "human_miss_rate": (2 / 3, "Whoever can't tell misses 67%, the line."),
}
"""What is drawn of each kind, by metric: the landmark, and what it means."""


@dataclass(frozen=True)
class PagePeople:
    """A study in the report. lines: sentences; numbers, apart, from_chance, metrics: rows of cells, the first its
    heading; missing: why a number is; silent: why metrics have no correlation; left_out: sentences."""

    title: str
    lines: list[str]
    figures: list[ReportFigure]
    numbers: list[list[str]]
    missing: list[str]
    apart: list[list[str]]
    metrics: list[list[str]]
    silent: list[str]
    left_out: list[str]
    from_chance: list[list[str]]
    apart_words: str
    guessing_words: str = GUESSING


def page_people(
    runs: Sequence[RunManifest], frame: pd.DataFrame, looks: Mapping[str, int]
) -> list[PagePeople]:
    """The studies that records of a report are from, in the order of their ids. frame: all its rows. looks: the number
    of each model's colour and marker."""
    studies: dict[str, list[tuple[RunManifest, People]]] = {}
    for run in runs:
        if run.people is not None:
            studies.setdefault(run.people.answers_sha256, []).append((run, run.people))
    ordered = sorted(studies.values(), key=lambda own: (own[0][1].study, own[0][1].answers_sha256))
    return [_page(own, frame, looks) for own in ordered]


def _page(
    runs: Sequence[tuple[RunManifest, People]], frame: pd.DataFrame, looks: Mapping[str, int]
) -> PagePeople:
    people = [own for _, own in runs]
    numbers = _numbers(runs, frame)
    source = {own.name: own.cell for own in people}
    main = numbers[numbers["metric"].isin(MAIN.values()) & numbers["value"].notna()]
    values = {source[name]: float(x) for name, x in zip(main["system"], main["value"], strict=True)}
    agreed = with_people(frame, values)
    own_looks = {own.name: looks.get(model_name(run.model, run.variant or ""), 0) for run, own in runs}
    return PagePeople(
        plain(f"What people said ({people[0].kind})"),
        list(about(people[0])),
        _figures(numbers, own_looks),
        numbers_table(numbers),
        missing(numbers),
        apart(people),
        metrics(agreed),
        without_correlation(agreed),
        excluded(people[0]),
        from_chance(people),
        RATES if people[0].kind in CHANCE else APART,
    )


def _numbers(runs: Sequence[tuple[RunManifest, People]], frame: pd.DataFrame) -> pd.DataFrame:
    """As `study score` has them, from the rows."""
    names = {run.cell: own.name for run, own in runs}
    rows = frame[frame["cell"].isin(list(names))]
    short = [short_name(*own) for own in rows[["metric", "extractor"]].itertuples(index=False)]
    return rows.assign(system=[names[cell] for cell in rows["cell"]], metric=short)[
        ["system", "metric", "value", "low", "high", "reason"]
    ].reset_index(drop=True)


def _figures(numbers: pd.DataFrame, looks: Mapping[str, int]) -> list[ReportFigure]:
    found = []
    for metric, (landmark, meaning) in DRAWN.items():
        own = numbers[(numbers["metric"] == metric) & numbers["value"].notna()]
        ordered = own.sort_values("value", ascending=False, kind="stable").to_dict("records")
        points = {str(row["system"]): _point(row) for row in ordered}
        if points:
            label = (
                f"{metric} of {len(points)} system{'' if len(points) == 1 else 's'}, with intervals of 95%"
            )
            svg = Markup(forest(points, metric, looks, landmark))
            found.append(ReportFigure(f"{label}: right is better. {meaning}", svg, label))
    return found


def _point(row: Mapping[Any, Any]) -> Point:
    return Point(float(row["value"]), *ends_of(row))
