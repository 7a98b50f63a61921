"""Boards: what the comparison tables show, before it is text of any format.

One board a (dataset, task): models down, metrics across. A column is a metric under one protocol, so that
numbers which may not be compared never share a column; the protocols are numbered notes below. Models are
ranked by the first column, each with the places that the numbers allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from benchbench.results.compare import PROTOCOL
from benchbench.results.ranks import Rank, Runs, pareto_front, rank_intervals
from benchbench.results.summary import MODEL, summarise
from benchbench.views.text import (
    arrow,
    by_aspect,
    heading,
    interval,
    model_name,
    not_leading,
    number,
    plain,
    protocol,
    task_words,
)

RATE = "sampling_rate"


@dataclass(frozen=True)
class Entry:
    """One place on a board. rank: 1 best, 2 second, 0 anything else; None where nothing was asked."""

    text: str
    interval: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Board:
    """headings and aspects: one a column; rows: a model's name and an `Entry` or None a column; ranks: one a row,
    "" for a model without one, and none at all where nothing is ranked; notes: one line each for the protocols,
    by the number in the headings, for the methods of the intervals, the ranks and the Pareto front."""

    title: str
    headings: list[str]
    aspects: list[str]
    rows: list[tuple[str, list[Entry | None]]]
    ranks: list[str]
    notes: list[str]


def by_aspects(board: Board) -> list[Board]:
    """The same board in parts that fit a page, one an aspect; a board of one aspect stays as it is.

    A part has the models that have something there, the ranks where their column is, and of the notes on protocols
    those that its headings point to.
    """
    aspects = list(dict.fromkeys(board.aspects))
    if len(aspects) == 1:
        return [board]
    parts = []
    for aspect in aspects:
        chosen = [place for place, own in enumerate(board.aspects) if own == aspect]
        kept = [
            place
            for place, (_, entries) in enumerate(board.rows)
            if any(entries[column] for column in chosen)
        ]
        headings = [board.headings[column] for column in chosen]
        leads = 0 in chosen
        parts.append(
            Board(
                f"{board.title}: {plain(aspect).replace('_', ' ')}",
                headings,
                [aspect] * len(chosen),
                [(board.rows[row][0], [board.rows[row][1][column] for column in chosen]) for row in kept],
                [board.ranks[row] for row in kept] if board.ranks and leads else [],
                [note for note in board.notes if _belongs(note, headings, leads)],
            )
        )
    return parts


def _belongs(note: str, headings: Sequence[str], leads: bool) -> bool:
    if note.startswith("["):
        return any(heading.endswith(note[: note.index("]") + 1]) for heading in headings)
    return leads or note.startswith("intervals:")


def boards(frame: pd.DataFrame) -> Iterator[Board]:
    """The boards of a table from `load_results`, by dataset and task. Rows are ordered by the first column,
    best first; ties and models without a number there by name."""
    summary = summarise(frame)
    runs = dict(iter(frame[frame["status"] == "ok"].groupby(["dataset", "task"])))
    for which, asked in summary.groupby(["dataset", "task"], sort=True):
        dataset, task = map(str, which)
        yield _board(f"{plain(dataset)}: {task_words(task)}", asked, runs.get(which, frame[:0]))


def _board(title: str, asked: pd.DataFrame, runs: pd.DataFrame) -> Board:
    """The board of one question. asked: its lines of a summary; runs: the rows behind them that hold a number."""
    asked = asked.assign(name=[model_name(*who) for who in asked[MODEL].itertuples(index=False)])
    numbers, failures = asked[asked["value"].notna()], asked[asked["value"].isna()]
    # Failures make no column of their own where others have a number: they stand beside those.
    lost = failures[~failures["metric"].isin(numbers["metric"])]
    placed = pd.concat([numbers, lost]).assign(place=by_aspect, lead=not_leading)
    key = ["place", "lead", "metric", *PROTOCOL]
    ordered = placed.sort_values(key, kind="stable")
    columns = [column for _, column in ordered.groupby(key, sort=False, dropna=False)]
    firsts = [column.iloc[0] for column in columns]
    protocols = sorted(dict.fromkeys(protocol(first) for first in firsts), key=lambda text: not text)
    numbered = {text: f" [{n}]" if text else "" for n, text in enumerate(protocols, start=1)}
    notes = [f"{mark.strip()} {text}" for text, mark in numbered.items() if text]
    if methods := sorted(set(numbers["interval"].dropna())):
        notes.append(plain(f"intervals: {'; '.join(methods)}"))
    seeds = asked.groupby("name")["n_seeds"].max()
    entries = [_entries(column, failures) for column in columns]
    names = sorted(set(asked["name"]), key=lambda name: (_place(columns[0], name), name))
    ranks = _ranks(columns[0], runs)
    if ranks:
        single = " (one run a model: noise of training is not in it)" if seeds.max() == 1 else ""
        notes.append(
            f"rank: by {_short(firsts[0])}, the places that 95% confidence in all of them allows{single}"
        )
    if front := _front(columns):
        notes.append(f"Pareto front of {_short(firsts[0])} and {RATE}: {', '.join(front)}")
    return Board(
        title,
        [_short(first) + numbered[protocol(first)] for first in firsts],
        [str(first["aspect"]) for first in firsts],
        [(_with_seeds(name, seeds[name]), [column.get(name) for column in entries]) for name in names],
        [str(ranks.get(name, "")) for name in names] if ranks else [],
        notes,
    )


def _ranks(column: pd.DataFrame, runs: pd.DataFrame) -> dict[str, Rank]:
    """The rank interval of each model that has a number in this column; none where no two can be told apart."""
    first = column.iloc[0]
    if len(column) < 2 or pd.isna(first["higher_is_better"]):
        return {}
    for name in ["metric", *PROTOCOL]:
        runs = runs[runs[name].isna() if pd.isna(first[name]) else (runs[name] == first[name]).fillna(False)]
    found = {}
    for who, own in runs.sort_values("cell").groupby(MODEL):
        low, high = own["low"].iloc[0], own["high"].iloc[0]
        interval = None if pd.isna(low) or pd.isna(high) else (float(low), float(high))
        by_seed = own.groupby("seed")["value"].mean()
        found[model_name(*map(str, who))] = Runs(
            dict(zip(map(int, by_seed.index), map(float, by_seed), strict=True)), interval
        )
    ranks = rank_intervals(found, bool(first["higher_is_better"]))
    return ranks if len(set(ranks.values())) > 1 else {}


def _front(columns: list[pd.DataFrame]) -> list[str]:
    """The models that none beats in both the first column and the rate of sampling, by name; none where either
    is missing."""
    rates = [column for column in columns if column.iloc[0]["metric"] == RATE and len(column) > 1]
    direction = columns[0].iloc[0]["higher_is_better"]
    if len(rates) != 1 or pd.isna(direction):
        return []
    both = (
        columns[0].merge(rates[0], on="name", suffixes=("", "_rate")).dropna(subset=["value", "value_rate"])
    )
    if len(both) < 2:
        return []
    quality = both["value"].astype(float) * (1 if direction else -1)
    front = pareto_front(quality, both["value_rate"].astype(float))
    return sorted(both["name"][front])


def _short(row: pd.Series) -> str:
    """The heading of a column; the extractor, which the numbered note names, is left out."""
    metric = (
        row["metric"] if pd.isna(row["extractor"]) else row["metric"].removesuffix(f"_{row['extractor']}")
    )
    return heading({**row, "metric": metric})


def _with_seeds(name: str, n_seeds: int) -> str:
    return f"{name} ({n_seeds} seeds)" if n_seeds > 1 else name


def _place(column: pd.DataFrame, name: str) -> float:
    """Where a model stands in a column, smaller is better; last without a number."""
    found = column.loc[column["name"] == name, "value"].dropna()
    sign = -1 if arrow(column.iloc[0]["higher_is_better"]) == "↑" else 1
    return math.inf if found.empty else sign * float(found.iloc[0])


def _entries(column: pd.DataFrame, failures: pd.DataFrame) -> dict[str, Entry]:
    """Model name -> what stands in this column. First and second share their rank with equal values."""
    first = column.iloc[0]
    entries = {name: Entry("failed") for name in failures.loc[failures["metric"] == first["metric"], "name"]}
    ranks: dict[float, int] = {}
    if not pd.isna(first["higher_is_better"]):
        values = sorted(set(column["value"].dropna()), reverse=bool(first["higher_is_better"]))
        ranks = {float(value): rank for rank, value in enumerate(values[:2], start=1)}
    for row in column[column["value"].notna()].to_dict("records"):
        failed = f" ({row['n_failed']} failed)" if row["n_failed"] else ""
        rank = ranks.get(float(row["value"]), 0)
        entries[row["name"]] = Entry(number(row["value"]) + failed, interval(row), rank)
    return entries
