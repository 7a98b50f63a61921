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
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
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

    @cached_property
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
            yield from self._table(names, some, console, width)

    def _table(
        self, names: Column, columns: Sequence[Column], console: Console, width: int
    ) -> Iterator[Segment]:
        """The lines of one block, `width` characters at most. As rich's Table has them, which takes ten times as long
        over a table of thousands of rows."""
        room = max(1, width - sum(column.width for column in columns) - 1)
        widths = [min(room, names.width - 2), *(column.width - 2 for column in columns)]
        bold = console.get_style("table.header")
        headings = [
            _folded_at(names.heading, widths[0], console),
            *(column.heading.split("\n") for column in columns),
        ]
        deepest = max(map(len, headings))
        headings = [
            [""] * (deepest - len(lines)) + [*lines] for lines in headings
        ]  # they stand on the line below
        rights = [False, *(column.right for column in columns)]
        yield from _row(headings, widths, rights, console, bold)
        across = sum(widths) + 2 * len(widths) - 1
        yield from (Segment("─" * across), Segment.line())
        for place, name in enumerate(names.cells):
            if place and place in self.rules:
                yield from (Segment(" " * across), Segment.line())
            cells = [_lines(column.cells[place]) for column in columns]
            yield from _row([_folded_at(name, widths[0], console), *cells], widths, rights, console)


def _lines(cell: Text | str) -> Sequence[Text | str]:
    return cell.split("\n") if isinstance(cell, str) else list(cell.split("\n", allow_blank=True))


def _folded_at(name: Text | str, width: int, console: Console) -> Sequence[Text | str]:
    """The lines of a name, none of them wider."""
    lines = _lines(name)
    if all(cell_len(str(line)) <= width for line in lines):
        return lines
    return list((Text(name) if isinstance(name, str) else name).wrap(console, width, overflow="fold"))


def _row(
    cells: Sequence[Sequence[Text | str]],
    widths: Sequence[int],
    rights: Sequence[bool],
    console: Console,
    style: Style | None = None,
) -> Iterator[Segment]:
    """A row of cells of some lines each, two characters between them and one at the end."""
    for n in range(max(map(len, cells))):
        for place, (lines, width, right) in enumerate(zip(cells, widths, rights, strict=True)):
            line = lines[n] if n < len(lines) else ""
            pad = " " * (width - cell_len(str(line)))
            yield Segment("  " * bool(place) + pad * right)
            if isinstance(line, Text):
                yield from line.render(console)
            else:
                yield Segment(line, style)
            yield Segment(pad * (not right))
        yield from (Segment(" "), Segment.line())


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
