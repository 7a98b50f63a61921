"""Tables of numbers as a notebook shows them: what the terminal says, as HTML that takes the page's own colours.

A verb returns an ordinary table of pandas that knows how to show itself. What somebody makes of it, a filter or a join,
is shown as pandas shows it.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from benchbench.results.record import COLUMNS
from benchbench.views.board import Board, Entry, boards
from benchbench.views.choice import Choice, chosen
from benchbench.views.layout import laid_out
from benchbench.views.table import listed_numbers
from benchbench.views.text import heading, interval, model_name, number, plain

MOST_RUNS = 3  # beyond that the numbers of all are one list
MOST_LINES = 60

_TABLE = '<table style="border-collapse:collapse;font-size:90%">'
_LEFT, _RIGHT = "text-align:left", "text-align:right"
_RULED = "border-top:1px solid currentColor"


class NumbersFrame(pd.DataFrame):
    """One line a number, as `load_results` has it; a notebook shows each run as the terminal does."""

    def _repr_html_(self) -> str:
        if self.empty or not set(COLUMNS) <= set(self.columns):
            return str(super()._repr_html_())  # type: ignore[misc]
        frame = pd.DataFrame(self)
        return numbers_html(frame) if frame["cell"].nunique() <= MOST_RUNS else many_html(frame)


class BoardFrame(pd.DataFrame):
    """Means over seeds, as `leaderboard` returns them; a notebook shows the boards."""

    @classmethod
    def of(cls, summary: pd.DataFrame, rows: pd.DataFrame, choice: Choice) -> BoardFrame:
        """The table of a summary, with the boards of the rows that it was made from."""
        made = cls(summary)
        object.__setattr__(made, "_boards", lambda: boards_html(rows, choice))  # which is no column
        return made

    def _repr_html_(self) -> str:
        shown: Callable[[], str] | None = getattr(self, "_boards", None)
        return str(super()._repr_html_()) if shown is None or self.empty else shown()  # type: ignore[misc]


def numbers_html(frame: pd.DataFrame) -> str:
    """Every number of a few runs."""
    own = listed_numbers(frame)
    lines = [_row(["metric", "value", "interval", "note"], "th")]
    for place, (name, value, bounds, mark) in enumerate(own.lines):
        rule = _RULED if place in own.rules else ""
        if "bold" in str(name.style):
            lines.append(f'<tr><th colspan="4" style="{_LEFT};{rule}">{html.escape(name.plain)}</th></tr>')
        else:
            lines.append(_row([cell.plain for cell in (name, value, bounds, mark)], "td", rule))
    return _framed(own.title, lines, [f"[{n}] {note}" for n, note in enumerate(own.notes, start=1)])


def many_html(frame: pd.DataFrame) -> str:
    """The first numbers of many runs, and how many there are."""
    lines = [_row(["model", "dataset", "seed", "metric", "value", "interval"], "th")]
    for row in frame.head(MOST_LINES).to_dict("records"):
        value = plain(row["status"]) if pd.isna(row["value"]) else number(row["value"])
        name = model_name(str(row["model"]), str(row["variant"]))
        lines.append(
            _row([name, plain(row["dataset"]), str(row["seed"]), heading(row), value, interval(row)], "td")
        )
    n = len(frame)
    whole = f"{n:,} numbers of {frame['cell'].nunique():,} records" + (
        f", the first {MOST_LINES}" if n > MOST_LINES else ""
    )
    return _framed(whole, lines, [])


def boards_html(rows: pd.DataFrame, choice: Choice) -> str:
    """All boards, those without a headline folded away."""
    shown: list[str] = []
    for board in sorted(boards(chosen(rows, choice), choice), key=lambda own: not own.headline):
        text = _board(board, transpose=choice.transpose)
        if not board.headline and shown:
            text = f"<details><summary>{html.escape(board.title)}</summary>{text}</details>"
        shown.append(text)
    return "".join(shown)


def _board(board: Board, *, transpose: bool) -> str:
    layout = laid_out(board, transpose=transpose)
    lines = [_row([layout.corner, *layout.heads], "th")]
    first = len(layout.rows) - layout.n_controls
    for place, (name, cells) in enumerate(layout.rows):
        rule = f";{_RULED}" if place == first and place else ""
        lines.append(
            f'<tr><th style="{_LEFT}{rule}">{html.escape(name)}</th>{"".join(_cell(own, rule) for own in cells)}</tr>'
        )
    return _framed(board.title, lines, board.notes)


def _cell(cell: Entry | str | None, rule: str) -> str:
    """The interval below its number, so that a board stays narrow."""
    if cell is None or isinstance(cell, str):
        return f'<td style="{_RIGHT}{rule}">{html.escape(cell or "")}</td>'
    mark = {1: "strong", 2: "u"}.get(cell.rank, "span")
    below = f"<br><small>{html.escape(cell.interval)}</small>" if cell.interval else ""
    return f'<td style="{_RIGHT}{rule}"><{mark}>{html.escape(cell.text)}</{mark}>{below}</td>'


def _row(cells: Sequence[str], tag: str, rule: str = "") -> str:
    written = (
        f'<{tag} style="{_LEFT if place == 0 else _RIGHT};{rule}">{html.escape(cell)}</{tag}>'
        for place, cell in enumerate(cells)
    )
    return f"<tr>{''.join(written)}</tr>"


def _framed(title: str, lines: Sequence[str], notes: Sequence[str]) -> str:
    """A table that scrolls by itself where it is too wide, with its notes below."""
    return "".join(_frame(title, lines, notes))


def _frame(title: str, lines: Sequence[str], notes: Sequence[str]) -> Iterator[str]:
    yield f'<div style="overflow-x:auto">{_TABLE}'
    if title:
        yield f'<caption style="{_LEFT};font-weight:bold">{html.escape(title)}</caption>'
    yield f"<thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"
    if notes:
        yield f'<small style="opacity:.8">{"<br>".join(map(html.escape, notes))}</small>'
    yield "</div>"
