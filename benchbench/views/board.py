"""Boards: what the comparison tables show, before it is text of any format.

One board a (dataset, task, direction, aspect): models down, metrics across, the headline first. On one board every
metric was made under one set of conditions: rows that were made otherwise stand on a board of their own, whose title
names what differs. Models are ranked by the headline, each with the places that the numbers allow; controls stand
below a rule, as landmarks, and win nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchbench.results.claims.conditions import (
    BUSY,
    MEASURED,
    PEOPLE,
    Places,
    short_name,
)
from benchbench.results.claims.numbers import Number, numbers
from benchbench.results.claims.ranks import Rank, rank_intervals
from benchbench.results.summary import complete, summarise
from benchbench.views.board_notes import DAGGER, is_true, methods_of, notes, notes_on_choice, studies
from benchbench.views.board_parts import Line, Part, Table, parts_of
from benchbench.views.budget import MARK as BY_BUDGET
from benchbench.views.budget import stopped_by_budget
from benchbench.views.choice import EVERYTHING, Choice, place_of
from benchbench.views.choice import chosen as rows_of_choice
from benchbench.views.chosen import MARK, chosen_by
from benchbench.views.lacking import is_lacking, lost_runs, without_number
from benchbench.views.text import (
    arrow,
    interval,
    model_name,
    number,
    plain,
    protocol,
    standing,
)

AGREEMENT = "human_alpha"


@dataclass(frozen=True)
class Entry:
    """One place on a board. rank: 1 best, 2 second, 0 anything else; bounds: value, low and high as numbers; None where
    there are none; chosen: whether this metric chose the weights; lost: what the text says of runs without a number."""

    text: str
    interval: str = ""
    rank: int = 0
    bounds: tuple[float, float | None, float | None] | None = field(default=None, compare=False)
    busy: bool = field(default=False, compare=False)
    chosen: bool = field(default=False, compare=False)
    lost: str = field(default="", compare=False)


@dataclass(frozen=True)
class Measure:
    """A column of a board. protocol: its place among the board's `protocols`, from 1; 0 for none."""

    metric: str
    extractor: str
    unit: str
    arrow: str
    protocol: int

    @property
    def short(self) -> str:
        """The name without that of the extractor, which the numbered note names."""
        return short_name(self.metric, self.extractor or None)

    @property
    def heading(self) -> str:
        """`fd ↓ [1]`."""
        unit = f" ({self.unit})" if self.unit else ""
        mark = f"[{self.protocol}]" if self.protocol else ""
        return plain(" ".join(filter(None, [self.short + unit, self.arrow, mark])))


class Runs(NamedTuple):
    """What stands behind a row of a board. by_budget: whether any of the runs was still improving when it ended."""

    name: str
    n_seeds: int
    n_collapsed: int
    by_budget: bool = False


@dataclass(frozen=True)
class Board:
    """aspect: "" where several share it; headline: whether it has a metric by which models are ranked; rows: a model's
    name and an `Entry` or None a column, of which the last `n_controls` are controls; runs: one a row; ranks: one a
    row, "" for a model without one, and none at all where nothing is ranked; protocols: how numbers were made; methods:
    of the intervals; studies: what people were asked, which is a note, too; notes: one line each for the protocols, by
    the number in the headings, for the methods, the ranks and whatever a reader has to know."""

    title: str
    aspect: str
    headline: bool
    measures: list[Measure]
    rows: list[tuple[str, list[Entry | None]]]
    runs: list[Runs]
    n_controls: int = 0
    ranks: list[str] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)

    @property
    def headings(self) -> list[str]:
        """One a column."""
        return [measure.heading for measure in self.measures]


def boards(frame: pd.DataFrame, choice: Choice = EVERYTHING) -> Iterator[Board]:
    """The boards of a table from `load_results`, by dataset, task, direction and aspect; where columns are chosen, all
    aspects on one. Rows are ordered by the first column, best first; ties and models without a number there by name.

    Raises `InputError` where `choice` names what is not there.
    """
    frame = complete(_without_agreement(rows_of_choice(frame, choice), choice)).reset_index(drop=True)
    table = Table(frame)
    parts = list(parts_of(table, choice))
    # All boards are summed up at once: one by one it takes many times as long.
    board = np.full(len(frame), len(parts))
    for n, part in enumerate(parts):
        board[part.runs] = n
    summary = summarise(frame.assign(board=board), by=["board"]).assign(standing=standing)
    lines: list[list[Line]] = [[] for _ in [*parts, None]]
    for line in summary.to_dict("records"):
        lines[line["board"]].append({**line, "name": model_name(line["model"], line["variant"])})
    for part, own in zip(parts, lines, strict=False):
        yield _board(table, part, own, choice)


def _without_agreement(frame: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Without how far raters agree, which is of a study and the same for all systems: a note says it. Whoever asks for
    it by name has the column."""
    if any(name.casefold().startswith(AGREEMENT) for name in (*choice.metrics, *choice.order)):
        return frame
    return frame[~frame["metric"].astype(str).str.startswith(AGREEMENT)]


def _board(table: Table, part: Part, lines: Sequence[Line], choice: Choice) -> Board:
    columns = _columns(lines, choice)
    firsts = [column[0] for column in columns]
    protocols = sorted(dict.fromkeys(protocol(first) for first in firsts), key=lambda text: not text)
    numbered = {text: n if text else 0 for n, text in enumerate(protocols, start=1)}
    controls = {line["name"] for line in lines if is_true(line["control"])}
    failures = [line for line in lines if pd.isna(line["value"])]
    trained = table.trainings(part.runs)
    chosen = chosen_by(trained)
    entries = [_entries(column, failures, chosen.get(column[0]["metric"], set())) for column in columns]
    places = _places(columns[0])
    names = sorted(
        {line["name"] for line in lines},
        key=lambda name: (name in controls, places.get(name, math.inf), name),
    )
    lead = next((column for column in columns if column[0]["headline"]), columns[0])
    ranks = _ranks(lead[0], table, part.runs) if choice.ranked else {}
    still = set() if lead[0]["aspect"] in MEASURED else stopped_by_budget(trained)
    own = [_runs(name, [line for line in lines if line["name"] == name], name in still) for name in names]
    marked = [f"[{number}] {text}" for text, number in numbered.items() if number]
    return Board(
        part.title,
        part.aspect,
        bool(lead[0]["headline"]),
        [measure_of(first, numbered[protocol(first)]) for first in firsts],
        [(_with_seeds(run), [column.get(run.name) for column in entries]) for run in own],
        own,
        len(controls),
        [str(ranks.get(name, "")) for name in names] if ranks else [],
        [text for text in protocols if text],
        methods_of(lines),
        marked
        + list(notes(lines, table, part, lead[0], ranks, controls))
        + list(notes_on_choice(trained, lead, columns, controls)),
        studies(table, part.runs),
    )


def _columns(lines: Sequence[Line], choice: Choice) -> list[list[Line]]:
    """The lines of each metric, the headline first. What something has to be fetched for has no column, unless
    somebody asked for it or there is no other: a note says why."""
    good = [line for line in lines if not pd.isna(line["value"])]
    known = {line["metric"] for line in good}
    # Failures make no column of their own where others have a number: they stand beside those.
    lost = [line for line in lines if pd.isna(line["value"]) and line["metric"] not in known]
    if not (choice.metrics or choice.order):
        told = {line["metric"] for line in lost if not is_lacking(line)}
        lost = [line for line in lost if line["metric"] in told or not (good or told)]
    columns: dict[tuple[int, int, str], list[Line]] = {}
    for line in [*good, *lost]:
        place = place_of(line, choice.order) if choice.order else 0
        columns.setdefault((place, line["standing"], line["metric"]), []).append(line)
    return [columns[which] for which in sorted(columns)]


def _runs(name: str, lines: Sequence[Line], by_budget: bool) -> Runs:
    n_seeds, n_collapsed = (max(int(line[count]) for line in lines) for count in ("n_seeds", "n_collapsed"))
    return Runs(name, n_seeds, n_collapsed, by_budget)


def _ranks(first: Line, table: Table, runs: Places) -> dict[str, Rank]:
    """The rank interval of each model that has a headline in the column of this line; none where no two can be told
    apart."""
    if pd.isna(first["higher_is_better"]) or not first["headline"]:
        return {}
    found = numbers_by_name(table.frame.iloc[runs[table.metric[runs] == first["metric"]]])
    ranks = rank_intervals(found, bool(first["higher_is_better"]))
    return ranks if len(set(ranks.values())) > 1 else {}


def numbers_by_name(rows: pd.DataFrame) -> dict[str, Number]:
    """The number of each model in the rows of one metric, by the name that views show."""
    return {
        model_name(unit.model, unit.variant): same[0]
        for unit, held in numbers(rows).items()
        for same in held.values()
        if same
    }


def measure_of(row: Mapping[Any, Any] | pd.Series, protocol: int = 0) -> Measure:
    """The column that a line of a summary stands in. protocol: its place among those of the board."""
    extractor = "" if pd.isna(row["extractor"]) else str(row["extractor"])
    return Measure(str(row["metric"]), extractor, str(row["unit"]), arrow(row["higher_is_better"]), protocol)


def _with_seeds(run: Runs) -> str:
    name, n_seeds, n_collapsed, by_budget = run
    said = [f"{n_seeds} seeds"] if n_seeds > 1 else []
    said += [f"{n_collapsed} collapsed" if n_seeds > 1 else "collapsed"] if n_collapsed else []
    said += [BY_BUDGET] if by_budget else []
    return f"{name} ({', '.join(said)})" if said else name


def _places(column: Sequence[Line]) -> dict[str, float]:
    """Where models stand in a column, smaller is better; one without a number nowhere."""
    sign = -1 if arrow(column[0]["higher_is_better"]) == "↑" else 1
    found: dict[str, float] = {}
    for line in column:
        if not pd.isna(line["value"]):
            found.setdefault(line["name"], sign * float(line["value"]))
    return found


def _entries(column: Sequence[Line], failures: Sequence[Line], chosen: Collection[str]) -> dict[str, Entry]:
    """Model name -> what stands in this column. First and second share their rank with equal values. chosen: the models
    whose weights this metric chose."""
    metric = column[0]["metric"]
    entries = {line["name"]: Entry(without_number(line)) for line in failures if line["metric"] == metric}
    good = [line for line in column if not pd.isna(line["value"])]
    busy = [is_busy(line) for line in good]
    marks = _marks(
        [
            line
            for line, doubtful in zip(good, busy, strict=True)
            if not (doubtful or is_true(line["control"]))
        ]
    )
    for line, doubtful in zip(good, busy, strict=True):
        rank = 0 if doubtful or is_true(line["control"]) else marks.get(float(line["value"]), 0)
        median = f" (median {median})" if (median := dead_median(line)) else ""
        lost = lost_runs(line)
        favoured = line["name"] in chosen
        marks_of = DAGGER * doubtful + MARK * favoured
        text = number(line["value"]) + marks_of + median + (f" {lost}" if lost else "")
        ends = [None if pd.isna(line[end]) else float(line[end]) for end in ("low", "high")]
        bounds = (float(line["value"]), ends[0], ends[1])
        entries[line["name"]] = Entry(text, interval(line), rank, bounds, doubtful, favoured, lost)
    return entries


def dead_median(row: Mapping[Any, Any]) -> str:
    """Of a line of `summarise` the median over seeds, which a dead one does not move; "" where none collapsed, or where
    it reads like the mean."""
    if not row["n_collapsed"] or row["n_seeds"] < 2 or row["aspect"] in MEASURED:
        return ""
    median = number(row["median"])
    return "" if median == number(row["value"]) else median


def is_busy(row: Mapping[Any, Any]) -> bool:
    """Whether this is what a clock said while other programs were at work."""
    return bool(row["aspect"] == "throughput" and not pd.isna(row["busy"]) and row["busy"] > BUSY)


def _marks(contest: Sequence[Line]) -> dict[float, int]:
    """Value -> 1 for the best, 2 for the second. Nothing wins without a rival, nor where more than half tie; nor by
    what people said, whose study alone tells systems apart."""
    if not contest or pd.isna(contest[0]["higher_is_better"]) or contest[0]["aspect"] == PEOPLE:
        return {}
    often = Counter(float(line["value"]) for line in contest)
    if 2 * max(often.values()) > len(contest):
        return {}
    values = sorted(often, reverse=bool(contest[0]["higher_is_better"]))
    return {value: rank for rank, value in enumerate(values[:2], start=1)}
