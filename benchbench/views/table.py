"""Tables for the terminal: the numbers of one run, and models side by side.

Names and reasons are put in as `rich.text.Text`, which knows no markup, so nothing in them can be taken for
a style or a link.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.segment import Segment
from rich.text import Text

from benchbench.core.errors import InputError
from benchbench.results.older import directed
from benchbench.views.blocks import Blocks, Column, folded
from benchbench.views.board import Board, Entry, boards
from benchbench.views.board_notes import INTERVALS
from benchbench.views.choice import EVERYTHING, Choice
from benchbench.views.layout import Layout, laid_out
from benchbench.views.text import (
    by_aspect,
    direction_words,
    heading,
    interval,
    model_name,
    number,
    plain,
    protocol,
    standing,
)


def metrics_table(frame: pd.DataFrame) -> Group:
    """Every number of a table from `load_results`, grouped by run, aspect and direction.

    The last column points to notes below: how the number and its interval were made, or why there is none, each reason
    once. No address in a note is broken, however long it is: print with `crop=False`.
    """
    own = listed_numbers(frame)
    names, values, intervals, marks = ([line[place] for line in own.lines] for place in range(4))
    columns = [
        Column("value", values),
        Column("interval", intervals, right=False),
        Column("note", marks, right=False),
    ]
    shown = Blocks(own.title, Column("metric", names), columns, own.rules)
    return Group(shown, *(_Note(f"[{n}] {note}") for n, note in enumerate(own.notes, start=1)))


class Listed(NamedTuple):
    """Every number of a table, before a format writes it. lines: metric, value, interval and the mark of a note, or a
    heading and nothing; rules: places of lines above which a rule is drawn."""

    title: str
    lines: list[list[Text]]
    rules: list[int]
    notes: list[str]


def listed_numbers(frame: pd.DataFrame) -> Listed:
    """What `metrics_table` shows."""
    if frame.empty:
        raise InputError("there are no numbers to show: the results are empty")
    runs = [rows for _, rows in directed(frame).groupby("cell", sort=False)]
    title = _run_name(runs[0]) if len(runs) == 1 else ""
    lines: list[list[Text]] = []
    rules: list[int] = []
    notes: list[str] = []
    lost = _lost(frame)
    for rows in runs:
        if len(runs) > 1:
            lines.append([Text(_run_name(rows), style="bold underline"), *_EMPTY])
        for (_, direction), aspect in rows.assign(place=by_aspect).groupby(["place", "direction"], sort=True):
            name = plain(aspect.iloc[0]["aspect"]).replace("_", " ") + direction_words(str(direction))
            lines.append([Text(name, style="bold"), *_EMPTY])
            ordered = aspect.assign(standing=standing).sort_values("standing", kind="stable")
            twice = set(aspect.loc[aspect["metric"].duplicated(), "metric"])  # of several tasks: say which
            for row in ordered.to_dict("records"):
                note = _note(row, lost)
                if note and note not in notes:
                    notes.append(note)
                task = row["task"] if row["metric"] in twice else ""
                lines.append([*_line(row, task), Text(f"[{notes.index(note) + 1}]" if note else "")])
            rules.append(len(lines))
    return Listed(title, lines, rules, notes)


@dataclass(frozen=True)
class _Note:
    """A line broken at its blanks alone: an address or a path in it can be copied."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in textwrap.wrap(
            self.text, options.max_width, break_long_words=False, break_on_hyphens=False
        ):
            yield Segment(line)
            yield Segment.line()


_EMPTY = (Text(""), Text(""), Text(""))


def frame_table(frame: pd.DataFrame, choice: Choice = EVERYTHING) -> Group:
    """Models side by side, one board per dataset, task, direction and aspect: mean over seeds, best in bold with a `*`.

    Only numbers made under one set of conditions share a board. A board takes the width that it is given: columns
    that have no room beside the names stand below, with the names again, and no number is ever broken.
    """
    if frame.empty:
        raise InputError("there are no numbers to compare: the results are empty")
    parts: list[Any] = []
    for board in boards(frame, choice):
        shown = _blocks(board.title, laid_out(board, transpose=choice.transpose))
        parts += [*([Text()] if parts else []), shown, Text(), *map(Text, _remarks(board, choice.transpose))]
    return Group(*parts)


def _remarks(board: Board, transposed: bool) -> Iterator[str]:
    """The notes of a board, without the methods of intervals, which the terminal has no room for; what `*` means."""
    yield from (note for note in board.notes if not note.startswith(INTERVALS))
    if any(entry is not None and entry.rank == 1 for _, entries in board.rows for entry in entries):
        yield f"* the best of its {'row' if transposed else 'column'}"


HEADING = 13  # characters a line of a board's heading; "efficientnet_", the longest piece of common names


def _blocks(title: str, layout: Layout) -> Blocks:
    columns = [
        Column(folded(head, HEADING), [_cell(cells[place]) for _, cells in layout.rows])
        for place, head in enumerate(layout.heads)
    ]
    names = Column(layout.corner, [name for name, _ in layout.rows])
    return Blocks(title, names, columns, (len(layout.rows) - layout.n_controls,))


def _cell(cell: Entry | str | None) -> Text | str:
    """With a median, or how many runs failed, on a line of its own."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    value, *more = re.split(r" (?=\()", cell.text)
    text = Text(f"{value} *" if cell.rank == 1 else f"{value}  ", style="bold" if cell.rank == 1 else "")
    for said in more:
        text.append(f"\n{said}", style="not bold")
    return text


def _run_name(rows: pd.DataFrame) -> str:
    """With what the task was, where it has variants: numbers at x2 and at x4 have the same names."""
    first = rows.iloc[0]
    variants = [task for task in rows["task"].unique() if ":" in str(task)]
    asked = f", {plain(variants[0])}" if len(variants) == 1 else ""
    name = model_name(first["model"], first["variant"])
    return f"{name} on {plain(first['dataset'])}{asked}, seed {first['seed']}"


def _line(row: dict[Any, Any], task: str) -> list[Text]:
    name = Text(" ".join(filter(None, [heading(row), plain(task)])))
    if row["status"] != "ok":
        return [name, Text(row["status"], style="red"), Text("")]
    return [name, Text(number(row["value"])), Text(interval(row))]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lost(frame: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """The metrics without a number, by status and reason."""
    rows = frame[frame["status"] != "ok"].drop_duplicates(["status", "reason", "metric"])
    return {
        (str(status), str(reason)): sorted(some)
        for (status, reason), some in rows.groupby(["status", "reason"])["metric"]
    }


def _note(row: dict[Any, Any], lost: dict[tuple[str, str], list[str]]) -> str:
    if row["status"] != "ok":
        names = lost[str(row["status"]), str(row["reason"])]
        return plain(
            f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {row['status']}: {row['reason']}"
        )
    parts = [protocol(row), "" if pd.isna(row["interval"]) else f"interval: {plain(row['interval'])}"]
    return "; ".join(filter(None, parts))
