"""Boards as the report shows them: models x metrics, an interval below its number, landmarks apart."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchbench.views.board import Board, Entry, boards


@dataclass(frozen=True)
class PageCell:
    """value: "" where nothing was asked; more: a median, or how many runs failed; mark: "best", "second" or ""."""

    value: str
    interval: str = ""
    more: str = ""
    mark: str = ""


@dataclass(frozen=True)
class PageRow:
    """variant: what tells the model from others of its name; seeds: how many, and how many collapsed."""

    model: str
    variant: str
    seeds: str
    cells: list[PageCell]


@dataclass(frozen=True)
class PageBoard:
    title: str
    heads: list[str]
    rows: list[PageRow]
    landmarks: list[PageRow]
    notes: list[str]


def page_boards(frame: pd.DataFrame) -> list[PageBoard]:
    """The boards of a table from `load_results`, the headline's first."""
    return [_page_board(board) for board in sorted(boards(frame), key=lambda board: not board.headline)]


def _page_board(board: Board) -> PageBoard:
    ranks = board.ranks or [""] * len(board.rows)
    rows = [
        _row(name, runs.name, [*([PageCell(rank)] if board.ranks else []), *map(_cell, entries)])
        for (name, entries), runs, rank in zip(board.rows, board.runs, ranks, strict=True)
    ]
    first = len(rows) - board.n_controls
    heads = [*(["rank"] if board.ranks else []), *board.headings]
    return PageBoard(board.title, heads, rows[:first], rows[first:], board.notes)


def _row(shown: str, name: str, cells: list[PageCell]) -> PageRow:
    model, _, variant = name.partition(" ")
    return PageRow(model, variant, shown.removeprefix(name).strip(" ()"), cells)


def _cell(entry: Entry | None) -> PageCell:
    if entry is None:
        return PageCell("")
    value, _, more = entry.text.partition(" (")
    mark = {1: "best", 2: "second"}.get(entry.rank, "")
    return PageCell(value, entry.interval, more.rstrip(")").replace(") (", ", "), mark)
