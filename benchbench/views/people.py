"""What people said in a study, as a terminal and the report show it: numbers, how surely systems are told apart, who
is left out and why, and which automatic metrics rank systems as people do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.results.claims.people import FEW_ITEMS, WithPeople, too_few, with_people
from benchbench.results.manifest import RunManifest
from benchbench.results.people import People
from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.text import direction_words, number, percent, plain

LEVEL = 0.05
MAIN = ("human_strength", "human_error_rate", "human_miss_rate")
CHANCE = {
    "real-or-fake": "whoever can't tell errs in 50% (hype_infinity, which no liking for an answer moves)",
    "triplet": "whoever can't tell misses 67%",
}


APART = (
    "difference: of strengths, the log odds of being preferred; preferred: in so many of the answers that decide. p is "
    "corrected over all pairs (Holm); “from”: the smallest difference that would have been found with odds of 80%."
)


@dataclass(frozen=True)
class PagePeople:
    """A study in the report. lines: sentences; apart, metrics: rows of cells, the first its heading; left_out:
    sentences."""

    title: str
    lines: list[str]
    apart: list[list[str]]
    metrics: list[list[str]]
    left_out: list[str]
    apart_words: str = APART


def terminal(numbers: pd.DataFrame, people: Sequence[People], agreed: Sequence[WithPeople]) -> Group:
    """For a terminal of any width. numbers: the columns system, metric, value, low, high and reason; people: what
    each system's record says of the study, one at least; agreed: of the automatic metrics."""
    parts: list[Any] = [Text(line) for line in about(people[0])]
    parts += [Text(), *_numbers(numbers)]
    for title, rows in (
        ("apart", apart(people)),
        ("automatic metrics (Kendall's τ-b with people)", metrics(agreed)),
    ):
        if len(rows) > 1:
            head, *body = rows
            columns = [
                Column(folded(name), [row[place] for row in body])
                for place, name in enumerate(head[1:], start=1)
            ]
            parts += [Text(), Blocks(title, Column(head[0], [row[0] for row in body]), columns)]
            parts += [Text(APART)] if title == "apart" else []
    parts += [Text(), *(Text(line) for line in excluded(people[0]))] if excluded(people[0]) else []
    return Group(*parts)


def about(people: People) -> Iterator[str]:
    """What was asked of whom, and how far they agree."""
    yield plain(people.words)
    own = people.agreement
    if own.alpha is not None:
        low = (
            f"; only {own.items} items have two answers, so this says little" if own.items < FEW_ITEMS else ""
        )
        yield f"agreement of raters (Krippendorff's α): {_bounded(own.alpha, own.low, own.high)}{low}"
    overall = people.hype_infinity
    if overall is not None and overall.value is not None:
        yield f"all systems together (HYPE∞): {_bounded(overall.value, overall.low, overall.high)}"
    if people.kind in CHANCE:
        yield CHANCE[people.kind]


def apart(people: Sequence[People]) -> list[list[str]]:
    """A row a pair of systems, each once, the first its heading; with no pair nothing else."""
    rows = [["systems", "difference", "preferred", "p", "told apart"]]
    for own in people:
        for other in own.apart:
            if other.value > 0 or (other.value == 0 and own.name < other.other):
                said = "yes" if other.p < LEVEL else _not_told(other.detectable)
                rows.append(
                    [
                        plain(f"{own.name} over {other.other}"),
                        _bounded(other.value, other.low, other.high),
                        percent(1 / (1 + math.exp(-other.value))),
                        _p(other.p),
                        said,
                    ]
                )
    return rows


def _not_told(detectable: float | None) -> str:
    return "no" if detectable is None else f"no (from {number(detectable)} on)"


def _p(p: float) -> str:
    return "< 0.001" if p < 1e-3 else f"{p:.3f}"


def metrics(agreed: Sequence[WithPeople]) -> list[list[str]]:
    """A row a metric, the first its heading; with no metric nothing else."""
    rows = [["metric", "τ-b", "systems"]]
    for own in agreed:
        said = too_few(own) if own.tau is None else _bounded(own.tau, own.low, own.high)
        rows.append([plain(own.metric + direction_words(own.direction)), said, str(own.n)])
    return rows


def excluded(people: People) -> list[str]:
    """Who is left out and why, and what else is seen of raters."""
    said = [plain(f"left out: rater {own.rater}: {own.why}") for own in people.left_out]
    return [*said, *(plain(f"seen, not left out: rater {remark}") for remark in people.remarks)]


def _bounded(value: float, low: float | None, high: float | None) -> str:
    return number(value) + ("" if low is None or high is None else f" [{number(low)}, {number(high)}]")


def _numbers(numbers: pd.DataFrame) -> Iterator[Any]:
    """The table, a system a row, best first, and why a number is missing. Agreement is of the study, and said above
    it."""
    shown = numbers[numbers["metric"] != "human_alpha"]
    main = shown[shown["metric"].isin(MAIN)].sort_values(
        "value", ascending=False, na_position="last", kind="stable"
    )
    names = list(main["system"])
    columns = []
    for metric, own in shown.groupby("metric", sort=False):
        by_name = own.set_index("system").to_dict("index")
        columns.append(Column(folded(str(metric)), [_cell(by_name[name]) for name in names]))
    yield Blocks("", Column("system", [plain(name) for name in names]), columns)
    for row in shown.to_dict("records"):
        if row["reason"] is not None and not pd.isna(row["reason"]):
            yield Text(plain(f"{row['system']} has no {row['metric']}: {row['reason']}"))


def _cell(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["value"]):
        return "–"
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    return _bounded(float(row["value"]), low, high)


def page_people(runs: Sequence[RunManifest], frame: pd.DataFrame) -> list[PagePeople]:
    """The studies that records of a report are from, in the order of their ids. frame: all its rows."""
    studies: dict[str, list[tuple[RunManifest, People]]] = {}
    for run in runs:
        if run.people is not None:
            studies.setdefault(run.people.study, []).append((run, run.people))
    return [_page(own, frame) for _, own in sorted(studies.items())]


def _page(runs: Sequence[tuple[RunManifest, People]], frame: pd.DataFrame) -> PagePeople:
    people = [own for _, own in runs]
    source = {run.cell: own.cell for run, own in runs}
    said = frame[frame["cell"].isin(list(source)) & (frame["status"] == "ok")]
    main = said[said["metric"].str.startswith(MAIN)]
    values = {source[cell]: float(value) for cell, value in zip(main["cell"], main["value"], strict=True)}
    return PagePeople(
        plain(f"What people said ({people[0].kind})"),
        list(about(people[0])),
        apart(people),
        metrics(with_people(frame, values)),
        excluded(people[0]),
    )
