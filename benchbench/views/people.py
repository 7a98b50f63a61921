"""What people said in a study, as a terminal and the report show it: numbers, how surely systems are told apart, who
is left out and why, and which automatic metrics rank systems as people do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Group
from rich.text import Text

from benchbench.results.claims.people import WithPeople, without_correlation
from benchbench.results.people import MAIN, People
from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.text import direction_words, number, percent, plain

LEVEL = 0.05
CHANCE = {
    "real-or-fake": "whoever can't tell errs in 50% (hype_infinity, which no liking for an answer moves)",
    "triplet": "whoever can't tell misses 67%",
}

RATES = (
    "difference: of rates. p is corrected over all pairs (Holm); “from”: the smallest difference that would have been "
    "found with odds of 80%."
)
GUESSING = "systems against guessing (p corrected over all systems, Holm)"
PAIRS = "systems against each other"
APART = (
    "difference: of strengths, the log odds of being preferred; preferred: in so many of the answers that decide. p is "
    "corrected over all pairs (Holm); “from”: the smallest difference that would have been found with odds of 80%, and "
    "the share of being preferred that it means."
)


def terminal(numbers: pd.DataFrame, people: Sequence[People], agreed: Sequence[WithPeople]) -> Group:
    """For a terminal of any width. numbers: the columns system, metric, value, low, high and reason; people: what
    each system's record says of the study, one at least; agreed: of the automatic metrics."""
    parts: list[Any] = [*map(Text, about(people[0])), Text(), _table("", numbers_table(numbers))]
    parts += map(Text, missing(numbers))
    for title, rows in (
        (PAIRS, apart(people)),
        (GUESSING, from_chance(people)),
        ("automatic metrics (Kendall's τ-b with people)", metrics(agreed)),
    ):
        if len(rows) > 1:
            parts += [Text(), _table(title, rows)]
            parts += [Text(RATES if people[0].kind in CHANCE else APART)] if title == PAIRS else []
    parts += [Text(plain(line)) for line in without_correlation(agreed)]
    parts += [Text(), *(Text(line) for line in excluded(people[0]))] if excluded(people[0]) else []
    return Group(*parts)


def about(people: People) -> Iterator[str]:
    """What was asked of whom, and how far they agree."""
    yield plain(people.words)
    if agreed := people.agreement.words:
        yield f"agreement of raters (Krippendorff's α): {agreed}"
    overall = people.hype_infinity
    if overall is not None and overall.value is not None:
        yield f"all systems together (HYPE∞): {_bounded(overall.value, overall.low, overall.high)}"
    if people.kind in CHANCE:
        yield CHANCE[people.kind]


def apart(people: Sequence[People]) -> list[list[str]]:
    """A row a pair of systems, each once, the first its heading; with no pair nothing else."""
    compared = people[0].kind not in CHANCE
    preferred = ["preferred"] if compared else []
    rows = [["systems", "difference", *preferred, "p", "told apart"]]
    for own in people:
        for other in own.apart:
            if other.value > 0 or (other.value == 0 and own.name < other.other):
                said = "yes" if other.p < LEVEL else _not_told(other.detectable, compared)
                rows.append(
                    [
                        plain(f"{own.name} over {other.other}"),
                        _bounded(other.value, other.low, other.high),
                        *([percent(_preferred(other.value))] if compared else []),
                        _p(other.p),
                        said,
                    ]
                )
    return rows


def from_chance(people: Sequence[People]) -> list[list[str]]:
    """A row a system, held against guessing, the first its heading; with none nothing else."""
    rows = [["system", "number", "guessing", "p", "told from real"]]
    for own in people:
        if (held := own.from_chance) is not None:
            said = "yes" if held.value < held.chance else "no: taken for real more often than by guessing"
            if held.p >= LEVEL:
                said = _not_told(held.detectable, False)
            rows.append([plain(own.name), number(held.value), percent(held.chance), _p(held.p), said])
    return rows


def _not_told(detectable: float | None, compared: bool) -> str:
    if detectable is None:
        return "no (none would have been)"
    share = f", {percent(_preferred(detectable))}," if compared else ""
    return f"no (from {number(detectable)}{share} on)"


def _preferred(apart: float) -> float:
    """The share of the deciding answers that a difference of strengths means."""
    return 1 / (1 + math.exp(-apart))


def _p(p: float) -> str:
    return "< 0.001" if p < 1e-3 else f"{p:.3f}"


def metrics(agreed: Sequence[WithPeople]) -> list[list[str]]:
    """A row a metric that can be correlated, the first its heading; with none nothing else."""
    rows = [["metric", "τ-b", "systems"]]
    for own in agreed:
        if own.tau is not None:
            name = plain(own.metric + direction_words(own.direction))
            rows.append([name, _bounded(own.tau, own.low, own.high), str(own.n)])
    return rows


def excluded(people: People) -> list[str]:
    """Who is left out and why, and what else is seen of raters."""
    said = [plain(f"left out: rater {own.rater}: {own.why}") for own in people.left_out]
    return [*said, *(plain(f"seen, not left out: rater {remark}") for remark in people.remarks)]


def _bounded(value: float, low: float | None, high: float | None) -> str:
    return number(value) + ("" if low is None or high is None else f" [{number(low)}, {number(high)}]")


def numbers_table(numbers: pd.DataFrame) -> list[list[str]]:
    """A row a system, best first, the first their heading: its numbers with their intervals. Agreement is of the study,
    and said above it."""
    shown = numbers[numbers["metric"] != "human_alpha"]
    main = shown[shown["metric"].isin(MAIN.values())].sort_values(
        "value", ascending=False, na_position="last", kind="stable"
    )
    by_metric = {
        str(metric): own.set_index("system").to_dict("index")
        for metric, own in shown.groupby("metric", sort=False)
    }
    body = [[plain(name), *(_cell(by[name]) for by in by_metric.values())] for name in main["system"]]
    return [["system", *by_metric], *body]


def missing(numbers: pd.DataFrame) -> list[str]:
    """Why a number is missing, a sentence each."""
    shown = numbers[(numbers["metric"] != "human_alpha") & numbers["reason"].notna()]
    return [
        plain(f"{row['system']} has no {row['metric']}: {row['reason']}") for row in shown.to_dict("records")
    ]


def _table(title: str, rows: Sequence[Sequence[str]]) -> Blocks:
    head, *body = rows
    columns = [
        Column(folded(name), [row[place] for row in body]) for place, name in enumerate(head[1:], start=1)
    ]
    return Blocks(title, Column(head[0], [row[0] for row in body]), columns)


def _cell(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["value"]):
        return "–"
    return _bounded(float(row["value"]), *ends_of(row))


def ends_of(row: Mapping[Any, Any]) -> tuple[float | None, float | None]:
    """Of its interval; None twice without one."""
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    return low, high
