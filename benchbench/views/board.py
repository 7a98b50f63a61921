"""Boards: what the comparison tables show, before it is text of any format.

One board a (dataset, task, direction, aspect): models down, metrics across, the headline first. On one board every
metric was made under one set of conditions: rows that were made otherwise stand on a board of their own, whose title
names what differs. Models are ranked by the headline, each with the places that the numbers allow; controls stand
below a rule, as landmarks, and win nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchbench.results.claims.conditions import (
    BUSY,
    CONDITIONS,
    MEASURED,
    WORDS,
    Conditions,
    distinct_conditions,
    distinct_lines,
    short,
    short_name,
)
from benchbench.results.claims.numbers import Asked, Number, numbers
from benchbench.results.claims.ranks import Rank, pareto_front, rank_intervals
from benchbench.results.summary import MODEL, complete, summarise
from benchbench.views.choice import EVERYTHING, Choice, chosen, place_of
from benchbench.views.text import (
    arrow,
    by_aspect,
    heading,
    interval,
    model_name,
    number,
    plain,
    protocol,
    standing,
    task_words,
)

RATE = "sampling_rate"
DAGGER = "†"
NOT_CANONICAL = (
    "the pixels of the data are not the published ones (the copy went through JPEG, or is another one): numbers on "
    "them do not compare with published numbers"
)


INTERVALS = "intervals: "  # before the methods, in the notes of a board


@dataclass(frozen=True)
class Entry:
    """One place on a board. rank: 1 best, 2 second, 0 anything else; bounds: value, low and high as numbers; None where
    there are none."""

    text: str
    interval: str = ""
    rank: int = 0
    bounds: tuple[float, float | None, float | None] | None = field(default=None, compare=False)
    busy: bool = field(default=False, compare=False)


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
    """What stands behind a row of a board."""

    name: str
    n_seeds: int
    n_collapsed: int


@dataclass(frozen=True)
class Board:
    """aspect: "" where several share it; headline: whether it has a metric by which models are ranked; rows: a model's
    name and an `Entry` or None a column, of which the last `n_controls` are controls; runs: one a row; ranks: one a
    row, "" for a model without one, and none at all where nothing is ranked; protocols: how numbers were made; methods:
    of the intervals; notes: one line each for the protocols, by the number in the headings, for the methods, the ranks
    and whatever a reader has to know."""

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

    @property
    def headings(self) -> list[str]:
        """One a column."""
        return [measure.heading for measure in self.measures]


def boards(frame: pd.DataFrame, choice: Choice = EVERYTHING) -> Iterator[Board]:
    """The boards of a table from `load_results`, by dataset, task, direction and aspect; where columns are chosen, all
    aspects on one. Rows are ordered by the first column, best first; ties and models without a number there by name.

    Raises `InputError` where `choice` names what is not there.
    """
    frame = complete(chosen(frame, choice)).reset_index(drop=True)
    parts = list(_parts(frame, choice))
    # All boards are summed up at once: one by one it takes many times as long.
    number = np.full(len(frame), len(parts))
    for n, part in enumerate(parts):
        number[part.runs.index] = n
    lines = summarise(frame.assign(board=number), by=["board"])
    for n, part in enumerate(parts):
        yield _board(part, lines[lines["board"] == n].drop(columns="board"), choice)


class _Part(NamedTuple):
    """What stands on one board. front: the models that none beats, by name."""

    title: str
    aspect: str
    runs: pd.DataFrame
    front: list[str]


def _parts(frame: pd.DataFrame, choice: Choice) -> Iterator[_Part]:
    for which, asked in frame.groupby(["dataset", "task", "direction"], sort=True):
        dataset, task, direction = map(str, which)
        title = f"{plain(dataset)}: {task_words(task, direction)}"
        aspects: list[tuple[Any, pd.DataFrame]] = [((0, ""), asked)]
        if not choice.columns:
            aspects = list(asked.assign(place=by_aspect).groupby(["place", "aspect"], sort=True))
        for (_, aspect), rows in aspects:
            words = f": {plain(aspect).replace('_', ' ')}" if len(aspects) > 1 else ""
            parts = apart(rows)
            for told, part in parts:
                differs = f" ({told})" if told else ""
                front = _front(asked, part) if len(parts) == 1 else []
                yield _Part(f"{title}{words}{differs}", str(aspect), part, front)


_Made = dict[Asked, Conditions]  # how each number was made; one without a metric is for all of its task


def apart(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of one dataset in parts within which every metric has one set of conditions, each with the fields in
    which it differs from the others, in words.

    Cell by cell: one joins the first part that made all the metrics they share alike, on the same data.
    """
    cells = _alike(rows[rows["status"] == "ok"])
    parts: list[_Made] = []
    where: dict[str, int] = {}
    # Cells with the most metrics first, so that a record of few meets the part that it belongs to. Cells of which all
    # was made alike go together: the first one decides.
    for own, same in sorted(cells, key=lambda alike: (-len(alike[0]), alike[1][0])):
        fitting = (i for i, part in enumerate(parts) if all(part.get(m, c) == c for m, c in own.items()))
        place = next(fitting, len(parts))
        if place == len(parts):
            parts.append({})
        parts[place].update(own)
        where.update(dict.fromkeys(same, place))
    if len(parts) < 2:
        return [("", rows)]
    differ = _fields(parts)
    chosen = rows["cell"].map(lambda cell: where.get(str(cell), 0))
    found = [(_told(part, differ), rows[chosen == i]) for i, part in enumerate(parts)]
    return sorted(found, key=lambda named: named[0])


def _alike(good: pd.DataFrame) -> list[tuple[_Made, list[str]]]:
    """How the numbers of cells were made, with the cells that made theirs so, sorted."""
    cell, cells = distinct_lines([good["cell"]])
    asked, questions = distinct_lines([good[name] for name in Asked._fields])
    made, conditions = distinct_conditions(good)
    both = asked * len(conditions) + made
    order = np.lexsort([both, cell])
    ends = np.searchsorted(cell[order], range(len(cells) + 1)).tolist()
    alike: dict[bytes, list[int]] = {}
    for n in range(len(cells)):
        alike.setdefault(both[order[ends[n] : ends[n + 1]]].tobytes(), []).append(n)
    found = []
    for numbers_of in alike.values():
        lines = order[ends[numbers_of[0]] : ends[numbers_of[0] + 1]].tolist()
        own = {Asked(*questions[asked[line]]): conditions[made[line]] for line in lines}
        for task, direction, _ in list(own):
            # Two cells that share no metric share their data all the same.
            said = next(c for a, c in own.items() if a[:2] == (task, direction))
            data = tuple((name, x if name in ("data", "size") else "none") for name, x in said)
            own[Asked(task, direction, "")] = data
        found.append((own, [cells[n][0] for n in numbers_of]))
    return found


def _fields(parts: Sequence[_Made]) -> dict[str, set[Asked]]:
    """The conditions in which two parts made one metric differently, each with those metrics."""
    found: dict[str, set[Asked]] = {}
    for metric in {metric for part in parts for metric in part}:
        same = [dict(part[metric]) for part in parts if metric in part]
        for name in CONDITIONS:
            if len({conditions[name] for conditions in same}) > 1:
                found.setdefault(name, set()).add(metric)
    if "n_images" in found:  # a balanced metric then saw other numbers of reference images too
        found.pop("n_reference", None)
    return {name: found[name] for name in CONDITIONS if name in found}


def _told(part: _Made, fields: Mapping[str, set[Asked]]) -> str:
    """ "the reference data 1a2b3c4d, n_images 500"."""
    said = []
    for name, metrics in fields.items():
        made = [conditions for metric, conditions in part.items() if metric in metrics] or part.values()
        values = sorted({dict(conditions)[name] for conditions in made} - {"none"})
        said.append(
            f"{WORDS.get(name, name)} {' and '.join(short(name, value) for value in values) or 'not stated'}"
        )
    return plain(", ".join(said))


def _board(part: _Part, asked: pd.DataFrame, choice: Choice) -> Board:
    """asked: a line a model and number, as `summarise` has them."""
    runs = part.runs
    asked = asked.assign(name=[model_name(*who) for who in asked[MODEL].itertuples(index=False)])
    good, failures = asked[asked["value"].notna()], asked[asked["value"].isna()]
    # Failures make no column of their own where others have a number: they stand beside those.
    lost = failures[~failures["metric"].isin(good["metric"])]
    placed = pd.concat([good, lost]).assign(standing=standing)
    placed["place"] = [place_of(row, choice.order) for _, row in placed.iterrows()] if choice.order else 0
    columns = [column for _, column in placed.groupby(["place", "standing", "metric"], sort=True)]
    firsts = [column.iloc[0] for column in columns]
    protocols = sorted(dict.fromkeys(protocol(first) for first in firsts), key=lambda text: not text)
    numbered = {text: n if text else 0 for n, text in enumerate(protocols, start=1)}
    controls = set(asked.loc[asked["control"].fillna(False).astype(bool), "name"])
    entries = [_entries(column, failures) for column in columns]
    places = _places(columns[0])
    names = sorted(set(asked["name"]), key=lambda name: (name in controls, places.get(name, math.inf), name))
    lead = next((column for column in columns if column.iloc[0]["headline"]), columns[0])
    ranks = _ranks(lead, runs) if choice.ranked else {}
    seeds = asked.groupby("name")[["n_seeds", "n_collapsed"]].max()
    own = [Runs(name, *map(int, seeds.loc[name])) for name in names]
    marked = [f"[{number}] {text}" for text, number in numbered.items() if number]
    return Board(
        part.title,
        part.aspect,
        bool(lead.iloc[0]["headline"]),
        [measure_of(first, numbered[protocol(first)]) for first in firsts],
        [(_with_seeds(run), [column.get(run.name) for column in entries]) for run in own],
        own,
        len(controls),
        [str(ranks.get(name, "")) for name in names] if ranks else [],
        [text for text in protocols if text],
        sorted(set(asked["interval"].dropna())),
        marked + list(_notes(asked, runs, lead.iloc[0], ranks, controls, part.front)),
    )


def _notes(
    asked: pd.DataFrame,
    runs: pd.DataFrame,
    first: pd.Series,
    ranks: Mapping[str, Rank],
    controls: set[str],
    front: Sequence[str],
) -> Iterator[str]:
    """What a reader of the board has to know."""
    if methods := sorted(set(asked["interval"].dropna())):
        yield plain(f"{INTERVALS}{'; '.join(methods)}")
    if controls:
        yield plain(f"landmarks, not ranked: {', '.join(sorted(controls))}; intervals of a run")
    if ranks:
        yield (
            f"rank: by {_short(first)}, the ranks that are possible at 95% confidence, all of them taken together; "
            "the spread over seeds is pooled over the models where a model has fewer than five"
        )
    elif bool(first["headline"]) and len(set(asked.loc[asked["value"].notna(), "name"]) - controls) > 1:
        alone = asked["n_seeds"].max() == 1
        why = "one run a model does not tell what another seed would do" if alone else "no two are told apart"
        yield f"no ranks: {why}"
    if first["aspect"] not in MEASURED:
        for name, said in _collapses(runs):
            yield plain(f"collapsed: {name}: {said}")
    if (runs["aspect"] == "throughput").any() and (runs["busy"].fillna(0) > BUSY).any():
        yield (f"{DAGGER} timed while other programs took more than {BUSY:.0%} of the machine: not ranked")
    if runs["interval"].fillna("").str.contains("rank-deficient").any():
        yield "fewer images than the network has features: distances are too large, even between real images"
    if (~runs["canonical"].fillna(True).astype(bool)).any():
        yield NOT_CANONICAL
    if front:
        yield plain(f"Pareto front of {_short(first)} and {RATE}: {', '.join(front)}")


def _collapses(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Model and what happened, a line a model whose alarm fired."""
    fired = runs[runs["collapse"].notna()].drop_duplicates("cell")
    for who, own in fired.groupby(MODEL, sort=True):
        told = [
            f"seed {seed}: {words}" for seed, words in sorted(zip(own["seed"], own["collapse"], strict=True))
        ]
        yield model_name(*map(str, who)), "; ".join(told)


def _ranks(column: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Rank]:
    """The rank interval of each model that has a headline in this column; none where no two can be told apart."""
    first = column.iloc[0]
    if pd.isna(first["higher_is_better"]) or not first["headline"]:
        return {}
    found = numbers_by_name(runs[runs["metric"] == first["metric"]])
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


def _front(asked: pd.DataFrame, part: pd.DataFrame) -> list[str]:
    """The models that none beats in both the headline and the rate of sampling, by name; none where either is missing,
    or rates were taken on several machines or a busy one. Controls take no part."""
    if not part["headline"].fillna(False).any():
        return []
    rates = asked[(asked["metric"] == RATE) & (asked["status"] == "ok")]
    if rates.empty or len(apart(rates)) > 1 or (rates["busy"].fillna(0) > BUSY).any():
        return []
    lines = summarise(pd.concat([part[part["headline"].fillna(False)], rates]))
    lines = lines[lines["value"].notna() & ~lines["control"].fillna(False)]
    lines = lines.assign(name=[model_name(*who) for who in lines[MODEL].itertuples(index=False)])
    lead, speed = (
        lines[lines["headline"].fillna(False) == led].drop_duplicates("name") for led in (True, False)
    )
    both = lead.merge(speed, on="name", suffixes=("", "_rate"))
    if len(both) < 2 or pd.isna(both.iloc[0]["higher_is_better"]):
        return []
    quality = both["value"].astype(float) * (1 if both.iloc[0]["higher_is_better"] else -1)
    front = pareto_front(quality, both["value_rate"].astype(float))
    return sorted(both["name"][front])


def _short(row: pd.Series) -> str:
    """The heading of a column; the extractor, which the numbered note names, is left out."""
    return heading({**row, "metric": short_name(row["metric"], row["extractor"])})


def measure_of(row: pd.Series, protocol: int = 0) -> Measure:
    """The column that a line of a summary stands in. protocol: its place among those of the board."""
    extractor = "" if pd.isna(row["extractor"]) else str(row["extractor"])
    return Measure(str(row["metric"]), extractor, str(row["unit"]), arrow(row["higher_is_better"]), protocol)


def _with_seeds(run: Runs) -> str:
    name, n_seeds, n_collapsed = run
    said = [f"{n_seeds} seeds"] if n_seeds > 1 else []
    said += [f"{n_collapsed} collapsed" if n_seeds > 1 else "collapsed"] if n_collapsed else []
    return f"{name} ({', '.join(said)})" if said else name


def _places(column: pd.DataFrame) -> dict[str, float]:
    """Where models stand in a column, smaller is better; one without a number nowhere."""
    found = column[column["value"].notna()].drop_duplicates("name")
    sign = -1 if arrow(column.iloc[0]["higher_is_better"]) == "↑" else 1
    return {name: sign * float(value) for name, value in zip(found["name"], found["value"], strict=True)}


_SHOWN = [
    "name",
    "value",
    "low",
    "high",
    "median",
    "n_seeds",
    "n_failed",
    "n_collapsed",
    "aspect",
    "control",
    "busy",
]
"""What an entry is made of."""


def _entries(column: pd.DataFrame, failures: pd.DataFrame) -> dict[str, Entry]:
    """Model name -> what stands in this column. First and second share their rank with equal values."""
    first = column.iloc[0]
    entries = {name: Entry("failed") for name in failures.loc[failures["metric"] == first["metric"], "name"]}
    good = column[column["value"].notna()]
    lines = good[_SHOWN].to_dict("records")
    busy = [is_busy(row) for row in lines]
    marks = _marks(good[~good["control"].fillna(False) & ~pd.Series(busy, good.index, dtype=bool)])
    for row, doubtful in zip(lines, busy, strict=True):
        rank = 0 if doubtful or row["control"] else marks.get(float(row["value"]), 0)
        median = f" (median {median})" if (median := dead_median(row)) else ""
        failed = f" ({row['n_failed']} failed)" if row["n_failed"] else ""
        text = number(row["value"]) + (DAGGER if doubtful else "") + median + failed
        low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
        bounds = (float(row["value"]), low, high)
        entries[row["name"]] = Entry(text, interval(row), rank, bounds, doubtful)
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


def _marks(contest: pd.DataFrame) -> dict[float, int]:
    """Value -> 1 for the best, 2 for the second. Nothing wins without a rival, nor where more than half tie."""
    first = None if contest.empty else contest.iloc[0]
    if first is None or pd.isna(first["higher_is_better"]):
        return {}
    often = contest["value"].astype(float).value_counts()
    if 2 * often.max() > len(contest):
        return {}
    values = sorted(often.index, reverse=bool(first["higher_is_better"]))
    return {value: rank for rank, value in enumerate(values[:2], start=1)}
