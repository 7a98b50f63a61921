"""The leaderboard: boards as text for a README, a paper, a spreadsheet or a web page.

The same records give the same bytes. Names, reasons and units come from records that anybody may have
written, so each format escapes whatever it could take for its own syntax.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from benchbench.core.errors import InputError, unknown_name
from benchbench.results.summary import summarise
from benchbench.views.board import Board, Entry, boards
from benchbench.views.choice import EVERYTHING, Choice, chosen, for_paper
from benchbench.views.latex import Interval, latex_tables
from benchbench.views.layout import laid_out
from benchbench.views.text import escape_markdown


@dataclass(frozen=True)
class _Syntax:
    """How one format writes: text made safe, the best, the second best, and a whole board from its title, its cells,
    its notes and the number of controls at its end."""

    escape: Callable[[str], str]
    best: str
    second: str
    board: Callable[[str, list[list[str]], list[str], int], str]


def leaderboard(
    frame: pd.DataFrame,
    *,
    format: str = "markdown",
    choice: Choice = EVERYTHING,
    interval: Interval = "brackets",
) -> str:
    """All boards of a table from `load_results`, as "markdown", "latex" (booktabs, siunitx), "html" or "csv".

    One table an aspect. Means over seeds with their interval, the best of a column bold, the second underlined,
    controls below a rule. LaTeX is for a paper (`views.latex`): without what the machine had a part in, unless `choice`
    names it, and with `interval` as brackets, as ± or not at all. CSV is the tidy summary instead, every digit kept.
    Raises `InputError` for an unknown format, an empty table, and a name in `choice` that is not there.
    """
    if frame.empty:
        raise InputError("there are no numbers to rank: the results are empty")
    if format == "csv":
        return summarise(rows_chosen(frame, choice)).to_csv(index=False, lineterminator="\n")
    if format == "latex":
        kept, left_out = for_paper(frame, choice)
        return latex_tables(boards(kept, choice), left_out, interval=interval, transpose=choice.transpose)
    if format not in _SYNTAXES:
        raise unknown_name("format", format, ["csv", "latex", *_SYNTAXES])
    return "\n".join(_render(board, choice.transpose, _SYNTAXES[format]) for board in boards(frame, choice))


def rows_chosen(frame: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """For formats that are for programs, whose columns are always the same."""
    if choice.columns or choice.transpose:
        raise InputError(
            "csv and parquet have columns of their own, the same for every table; --metrics and --models choose lines"
        )
    return chosen(frame, choice)


def _render(board: Board, transpose: bool, syntax: _Syntax) -> str:
    def written(cell: Entry | str | None) -> str:
        if cell is None or isinstance(cell, str):
            return syntax.escape(cell or "")
        pattern = {1: syntax.best, 2: syntax.second}.get(cell.rank, "{}")
        return f"{pattern.replace('{}', syntax.escape(cell.text))} {syntax.escape(cell.interval)}".rstrip()

    layout = laid_out(board, transpose=transpose)
    header = [syntax.escape(text) for text in (layout.corner, *layout.heads)]
    rows = [[syntax.escape(name), *map(written, cells)] for name, cells in layout.rows]
    notes = [syntax.escape(note) for note in board.notes]
    return syntax.board(syntax.escape(board.title), [header, *rows], notes, layout.n_controls)


def _ruled(lines: list[str], n_controls: int, rule: str) -> list[str]:
    """`lines` with a rule above the controls, where there is anything above it."""
    place = len(lines) - n_controls
    return [*lines[:place], rule, *lines[place:]] if n_controls and place else lines


def _markdown(title: str, rows: list[list[str]], notes: list[str], n_controls: int) -> str:
    rule = "|".join([" --- ", *[" ---: "] * (len(rows[0]) - 1)])
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    # Markdown has no rule within a table; a row of dashes is read as one.
    body = _ruled(body, n_controls, f"| {' | '.join(['–'] * len(rows[0]))} |")
    return "\n".join(
        [f"### {title}", "", header, f"|{rule}|", *body, "", *[f"{note}  " for note in notes], ""]
    )


def _html(title: str, rows: list[list[str]], notes: list[str], n_controls: int) -> str:
    def line(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"

    header, *body = rows
    return "\n".join(
        [
            f"<table>\n<caption>{title}</caption>",
            f"<thead>{line(header, 'th')}</thead>\n<tbody>",
            *_ruled([line(row, "td") for row in body], n_controls, "</tbody>\n<tbody>"),
            f"</tbody>\n</table>\n<p>{'<br>'.join(notes)}</p>\n",
        ]
    )


_SYNTAXES = {
    "markdown": _Syntax(escape_markdown, "**{}**", "<u>{}</u>", _markdown),
    "html": _Syntax(html.escape, "<strong>{}</strong>", "<u>{}</u>", _html),
}
