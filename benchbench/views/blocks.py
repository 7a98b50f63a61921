"""Tables for a terminal of any width: eighty columns are what every pipe and every log of a CI job has.

Pattern: a table that does not fit is split into blocks that stand below each other, each with the names of the rows
again (`Blocks`). No number is broken or cut, whatever the width; where one is as wide as the terminal its interval goes
to a line of its own. What is said of names in words is `print_entries`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

NARROWEST = 8  # characters of a name, where numbers need all the rest


def folded(heading: str, width: int = 18) -> str:
    """`heading` in lines of about `width`, broken at spaces and after underscores and commas."""
    lines = [""]
    for piece in re.findall(r"[^_,\s]*[_,]\s*|[^_,\s]+\s*", heading):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Column:
    """A heading and a cell for each row, which may have several lines."""

    heading: str
    cells: Sequence[Text | str]
    right: bool = True

    @property
    def width(self) -> int:
        """Of the column and the space on its right, in characters."""
        return max(_cells_wide(cell) for cell in (self.heading, *self.cells)) + 2

    def narrow(self) -> Column:
        """The same with intervals and what stands in brackets on lines of their own."""
        return replace(self, cells=[_broken(cell) for cell in self.cells])


def _cells_wide(cell: Text | str) -> int:
    return max(map(cell_len, str(cell).splitlines()), default=0)


def _broken(cell: Text | str) -> Text | str:
    if isinstance(cell, str):
        return re.sub(r" (?=[\[(])", "\n", cell)
    pieces = cell.split(" [", include_separator=False)
    broken = Text(style=cell.style)
    for n, piece in enumerate(pieces):
        broken.append_text(Text("\n[") + piece if n else piece)
    return broken


@dataclass(frozen=True)
class Blocks:
    """A table. names: of the rows, repeated in each block. rules: places of rows above which a line is drawn."""

    title: str
    names: Column
    columns: Sequence[Column]
    rules: Collection[int] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, columns = options.max_width, self.columns
        if max(column.width for column in columns) + NARROWEST > width:
            columns = [column.narrow() for column in columns]
        widest = max(column.width for column in columns)
        whole = sum(column.width for column in columns)
        most = max(NARROWEST, min(max(20, width // 3, width - whole - 2), width - widest - 2))
        names = replace(
            self.names,
            cells=[
                Text(folded(str(name), most), style=name.style if isinstance(name, Text) else "")
                for name in self.names.cells
            ],
        )
        if self.title:  # not the table's own, which would be folded to the width of the table
            yield Text(self.title, style="table.title")
        for part, some in enumerate(_fitting(columns, width - min(names.width, most + 2))):
            if part:
                yield Text()
            yield self._table(names, some)

    def _table(self, names: Column, columns: Sequence[Column]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
        table.add_column(Text(names.heading), overflow="fold")
        for column in columns:
            justify = "right" if column.right else "left"
            table.add_column(Text(column.heading), justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for place, name in enumerate(names.cells):
            if place and place in self.rules:
                table.add_section()
            table.add_row(name, *(column.cells[place] for column in columns))
        return table


def _fitting(columns: Sequence[Column], room: int) -> Iterator[list[Column]]:
    """`columns` in runs of which each fits into `room` characters, where it is more than one column."""
    some: list[Column] = []
    for column in columns:
        if some and sum(own.width for own in [*some, column]) > room + 1:  # nothing follows the last one
            yield some
            some = []
        some.append(column)
    yield some


def print_entries(console: Console, title: str, entries: Sequence[tuple[str, str]], least: int = 40) -> None:
    """Print names and what is said of them: beside each other where `least` characters are left for the texts, else
    each text below its name. An address or a path is never broken, so that it can be copied."""
    beside = max((cell_len(name) for name, _ in entries), default=0) + 2
    if title:
        console.print(Text(title, style="table.title"), soft_wrap=True)
    below = beside + least > console.width
    indent = 2 if below else beside
    for name, text in entries:
        lines = textwrap.wrap(
            text, max(20, console.width - indent), break_long_words=False, break_on_hyphens=False
        )
        shown = Text(name, style="bold")
        if below:
            lines = ["", *lines]
        shown.append(" " * (indent - cell_len(name)) * (not below), style="not bold")
        shown.append(f"\n{' ' * indent}".join(lines), style="not bold")
        console.print(shown, soft_wrap=True)
