"""Tables for the terminal: the numbers of one run, and models side by side.

Names and reasons are put in as `rich.text.Text`, which knows no markup, so nothing in them can be taken for
a style or a link.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchbench.core.errors import InputError
from benchbench.views.board import Board, Entry, boards
from benchbench.views.text import (
    by_aspect,
    direction,
    heading,
    interval,
    model_name,
    not_leading,
    number,
    plain,
    protocol,
)


def metrics_table(frame: pd.DataFrame) -> Table:
    """Every number of a table from `load_results`, grouped by run and aspect.

    The last column points to notes below: how the number and its interval were made, or why there is none.
    """
    if frame.empty:
        raise InputError("there are no numbers to show: the results are empty")
    runs = [rows for _, rows in frame.groupby("cell", sort=False)]
    title = Text(_run_name(runs[0])) if len(runs) == 1 else None
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", caption_justify="left")
    table.add_column("metric", overflow="fold", min_width=16)  # the only column that may be too wide
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("note", no_wrap=True)
    notes: list[str] = []
    for rows in runs:
        if len(runs) > 1:
            table.add_row(Text(_run_name(rows), style="bold underline"))
        parts = rows.assign(place=by_aspect, way=rows["task"].map(direction)).groupby(
            ["place", "way"], sort=True
        )
        for (_, way), aspect in parts:
            table.add_row(Text(plain(aspect.iloc[0]["aspect"]).replace("_", " ") + str(way), style="bold"))
            ordered = aspect.assign(lead=not_leading).sort_values("lead", kind="stable")
            for row in ordered.to_dict("records"):
                note = _note(row)
                if note and note not in notes:
                    notes.append(note)
                table.add_row(*_line(row), Text(f"[{notes.index(note) + 1}]" if note else ""))
            table.add_section()
    table.caption = Text(
        "\n".join(f"[{n}] {note}" for n, note in enumerate(notes, start=1)), style="not italic"
    )
    return table


def frame_table(frame: pd.DataFrame) -> Group:
    """Models side by side, one table per dataset, task and aspect: mean over seeds, best in bold with a `*`.

    Only numbers made under one set of conditions share a table.
    """
    if frame.empty:
        raise InputError("there are no numbers to compare: the results are empty")
    parts: list[Any] = []
    for board in boards(frame):
        parts += [_board_table(board), *map(Text, board.notes)]
    return Group(*parts)


def _board_table(board: Board) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(board.title), title_justify="left")
    table.add_column("model", overflow="fold", min_width=9)
    if board.ranks:
        table.add_column("rank", justify="right", no_wrap=True)
    for heading_ in board.headings:
        table.add_column(Text(folded(heading_)), justify="right", overflow="fold")
    for place, (name, entries) in enumerate(board.rows):
        if place and place == len(board.rows) - board.n_controls:
            table.add_section()
        table.add_row(Text(name), *map(Text, board.ranks[place : place + 1]), *map(_entry, entries))
    return table


def _entry(entry: Entry | None) -> Text:
    if entry is None:
        return Text("")
    return Text(f"{entry.text} *", style="bold") if entry.rank == 1 else Text(f"{entry.text}  ")


def folded(heading: str, width: int = 18) -> str:
    """`heading` in lines of about `width`, broken at spaces and after underscores."""
    lines = [""]
    for piece in re.findall(r"[^_\s]*_|[^_\s]+\s*", heading):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _run_name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    return (
        f"{model_name(first['model'], first['variant'])} on {plain(first['dataset'])}, seed {first['seed']}"
    )


def _line(row: dict[Any, Any]) -> list[Text]:
    name = Text(heading(row))
    if row["status"] != "ok":
        return [name, Text(row["status"], style="red"), Text("")]
    return [name, Text(number(row["value"])), Text(interval(row))]


def _note(row: dict[Any, Any]) -> str:
    if row["status"] != "ok":
        return plain(f"{row['metric']} is {row['status']}: {row['reason']}")
    parts = [protocol(row), "" if pd.isna(row["interval"]) else f"interval: {plain(row['interval'])}"]
    return "; ".join(filter(None, parts))
