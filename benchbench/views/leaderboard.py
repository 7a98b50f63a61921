"""The leaderboard: boards as text for a README, a paper, a spreadsheet or a web page.

The same records give the same bytes. Names, reasons and units come from records that anybody may have
written, so each format escapes whatever it could take for its own syntax.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from benchbench.core.errors import InputError, unknown_name
from benchbench.results.summary import summarise
from benchbench.views.board import Board, Entry, boards
from benchbench.views.text import escape_markdown

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",  # the default font has other signs in these three places, and no ²
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "²": r"$^2$",
    "†": r"$\dagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{character: rf"\{character}" for character in "&%$#_{}"},
}


@dataclass(frozen=True)
class _Syntax:
    """How one format writes: text made safe, the best, the second best, and a whole board from its title, its cells,
    its notes and the number of controls at its end."""

    escape: Callable[[str], str]
    best: str
    second: str
    board: Callable[[str, list[list[str]], list[str], int], str]


def leaderboard(frame: pd.DataFrame, *, format: str = "markdown") -> str:
    """All boards of a table from `load_results`, as "markdown", "latex" (booktabs), "html" or "csv".

    One table an aspect, as wide as a page bears. Means over seeds with their interval, the best of a column bold,
    the second underlined, controls below a rule. CSV is the tidy summary instead, every digit kept. Raises
    `InputError` for an unknown format or an empty table.
    """
    if frame.empty:
        raise InputError("there are no numbers to rank: the results are empty")
    if format == "csv":
        return summarise(frame).to_csv(index=False, lineterminator="\n")
    if format not in _SYNTAXES:
        raise unknown_name("format", format, ["csv", *_SYNTAXES])
    return "\n".join(_render(board, _SYNTAXES[format]) for board in boards(frame))


def _render(board: Board, syntax: _Syntax) -> str:
    def cell(entry: Entry | None) -> str:
        if entry is None:
            return ""
        pattern = {1: syntax.best, 2: syntax.second}.get(entry.rank, "{}")
        return f"{pattern.replace('{}', syntax.escape(entry.text))} {syntax.escape(entry.interval)}".rstrip()

    ranked = ["rank"] if board.ranks else []
    header = [syntax.escape(text) for text in ("model", *ranked, *board.headings)]
    rows = [
        [syntax.escape(name), *map(syntax.escape, board.ranks[i : i + 1]), *map(cell, entries)]
        for i, (name, entries) in enumerate(board.rows)
    ]
    notes = [syntax.escape(note) for note in board.notes]
    return syntax.board(syntax.escape(board.title), [header, *rows], notes, board.n_controls)


def _escape_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)  # a minus, not a hyphen


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


def _latex(title: str, rows: list[list[str]], notes: list[str], n_controls: int) -> str:
    header, *body = [f"{' & '.join(row)} \\\\" for row in rows]
    # What follows \\ must not begin with a bracket or a star, which would be read as its arguments.
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            rf"\caption{{{title}. {'; '.join(notes)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(rows[0]) - 1)}}}",
            r"\toprule",
            header,
            r"\midrule",
            *_ruled(
                [f"{{}}{line}" if line.startswith(("[", "*")) else line for line in body],
                n_controls,
                r"\midrule",
            ),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
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
    "latex": _Syntax(_escape_latex, r"\textbf{{}}", r"\underline{{}}", _latex),
    "html": _Syntax(html.escape, "<strong>{}</strong>", "<u>{}</u>", _html),
}
