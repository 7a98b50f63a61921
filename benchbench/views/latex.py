r"""Boards as tables of a paper: booktabs' rules, siunitx' alignment, the papers' names, no wider than a column.

A table is what the text of a NeurIPS paper bears, 397 pt; columns that have no room stand in a second tabular below the
first, with the names again. How wide a column will be is estimated (`tex_width`). All digits of a column stand for
something: so many decimals as give the median of its models three digits. What the caption has no room for, methods of
intervals and how models collapsed, is a comment above the table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchbench.views.board import Board, Runs
from benchbench.views.board_notes import DAGGER
from benchbench.views.budget import STOPPED
from benchbench.views.chosen import MARK
from benchbench.views.paper_names import escape_tex, paper_name
from benchbench.views.tex_width import tex_width
from benchbench.views.text import plain

Interval = Literal["brackets", "pm", "none"]
WIDTH = 397.0  # pt: the text of a NeurIPS paper, 5.5 in
SIZE, SCRIPT = 9.0, 7.0  # pt: \small and \scriptsize of a text of 10 pt
SPACE = 8.0  # pt between columns, twice \tabcolsep
WIDEST_NAME = 130.0  # pt: a longer one is broken
MOST_DECIMALS = 6
USES = "% needs \\usepackage{booktabs,siunitx}"


@dataclass(frozen=True)
class _Cell:
    """value: what an S column aligns, or a text in braces; tail: what stands beside it, in small type."""

    value: str = "{}"
    tail: str = ""


@dataclass(frozen=True)
class _Column:
    """spec: as tabular has it; head and cells: TeX, with a & where it is two columns."""

    spec: str
    head: str
    cells: list[str]
    width: float


def latex_tables(
    boards: Iterable[Board],
    left_out: Sequence[str],
    *,
    interval: Interval = "brackets",
    transpose: bool = False,
) -> str:
    """The tables. left_out: metrics that the boards are without, which a comment names."""
    start = [USES]
    if left_out:
        start.append(f"% left out: {', '.join(left_out)}; --metrics or --columns names what to show")
    return "\n".join(["\n".join(start) + "\n", *(_table(board, interval, transpose) for board in boards)])


def _table(board: Board, interval: Interval, transpose: bool) -> str:
    names, corner = _names(board), "model"
    cells = [list(_numbers(board, place, interval)) for place in range(len(board.measures))]
    heads = [_head(board, place) for place in range(len(board.measures))]
    ranks = [_Cell(f"{{{escape_tex(rank)}}}") for rank in board.ranks]
    rule = len(names) - board.n_controls
    if transpose:
        across, down, corner, rule = names, heads, "metric", 0
        grid = [list(row) for row in zip(*cells, strict=True)]
        if ranks:
            down, grid = ["rank", *heads], [[rank, *row] for rank, row in zip(ranks, grid, strict=True)]
        columns = [_column(head, own) for head, own in zip(across, grid, strict=True)]
    else:
        down = names
        columns = [_column(head, own) for head, own in zip(heads, cells, strict=True)]
        if ranks:
            width = max(tex_width(cell.value, SIZE) for cell in (*ranks, _Cell("rank")))
            columns = [_Column("c", "rank", [cell.value.strip("{}") for cell in ranks], width), *columns]
    body = [_tabular(corner, down, some, rule) for some in _panels(down, columns)]
    label = re.sub(r"[^a-z0-9]+", "-", board.title.lower()).strip("-")
    return "\n".join(
        [
            *(f"% {note}" for note in board.notes[len(board.protocols) :]),
            *_medians(board),
            r"\begin{table}",
            r"\centering\small\setlength{\tabcolsep}{4pt}\sisetup{detect-weight,mode=text}",
            rf"\caption{{{_caption(board, interval, transpose)}}}",
            rf"\label{{tab:{label}}}",
            "\n\n\\medskip\n".join(body),
            r"\end{table}",
            "",
        ]
    )


def _medians(board: Board) -> Iterator[str]:
    """Comments on means in which seeds count that collapsed."""
    for run, (_, entries) in zip(board.runs, board.rows, strict=True):
        for measure, entry in zip(board.measures, entries, strict=True):
            if entry is not None and "(median" in entry.text:
                yield plain(f"% {run.name}, {measure.short}: {entry.text}")


def _names(board: Board) -> list[str]:
    """Of the models, with marks where runs collapsed or their budget ended them, and the number of seeds where it
    differs between them."""
    said = []
    for run in board.runs:
        seeds = "" if _seeds(board) is not None else f" ({run.n_seeds})"
        said.append(escape_tex(run.name + seeds) + _raised_beside(run))
    return said


def _raised_beside(run: Runs) -> str:
    """What is raised beside a name: a star where seeds collapsed, a mark where the budget ended a training."""
    signs = [r"\ast"] * bool(run.n_collapsed) + [r"\S"] * run.by_budget
    return f"$^{{{''.join(signs)}}}$" if signs else ""


def _seeds(board: Board) -> int | None:
    """The number of seeds of every model, None where they differ; controls do not count."""
    models = board.runs[: len(board.runs) - board.n_controls] or board.runs
    numbers = {run.n_seeds for run in models if run.n_seeds}
    return next(iter(numbers)) if len(numbers) == 1 else None


def _head(board: Board, place: int) -> str:
    measure = board.measures[place]
    name, _ = paper_name(measure)
    mark = rf"\textsuperscript{{{measure.protocol}}}" if measure.protocol and len(board.protocols) > 1 else ""
    return (
        " ".join(filter(None, [name, f"${escape_tex(measure.arrow).strip('$')}$" if measure.arrow else ""]))
        + mark
    )


def _numbers(board: Board, place: int, interval: Interval) -> Iterator[_Cell]:
    """A cell for each model."""
    _, divisor = paper_name(board.measures[place])
    entries = [own[place] for _, own in board.rows]
    known = [entry.bounds[0] / divisor if entry and entry.bounds else None for entry in entries]
    models = known[: len(known) - board.n_controls]
    decimals = _decimals(
        [x for x in (models if any(x is not None for x in models) else known) if x is not None]
    )
    for entry in entries:
        if entry is None:
            yield _Cell()
        elif entry.bounds is None:
            yield _Cell(f"{{{escape_tex(entry.text)}}}")
        else:
            bounds = [None if x is None else x / divisor for x in entry.bounds]
            value = _rounded(bounds[0] or 0.0, decimals)
            tails = [
                *(_raised(sign) for sign, holds in ((DAGGER, entry.busy), (MARK, entry.chosen)) if holds),
                _bounds(bounds, decimals, interval),
                entry.lost,
            ]
            yield _Cell(f"\\bfseries {value}" if entry.rank == 1 else value, " ".join(filter(None, tails)))


def _raised(sign: str) -> str:
    return rf"$^{{{escape_tex(sign).strip('$')}}}$"


def _decimals(values: Sequence[float]) -> int:
    """So many that the median has three digits; none of whole numbers.

    >>> _decimals([23.56, 37.3, 768.3]), _decimals([0.0669, 0.0054]), _decimals([10.0, 9.0]), _decimals([])
    (1, 4, 0, 0)
    """
    sizes = [abs(value) for value in values if value]
    if not sizes or all(value == int(value) for value in values):
        return 0
    return min(MOST_DECIMALS, max(0, 2 - math.floor(math.log10(float(f"{median(sizes):.2e}")))))


def _rounded(value: float, decimals: int) -> str:
    """What is not nothing never looks like it.

    >>> _rounded(0.0412, 3), _rounded(0.0, 3), _rounded(0.0004, 3), _rounded(-0.0004, 3)
    ('0.041', '0.000', '{$<$0.001}', '{$>$$-$0.001}')
    """
    text = f"{value:.{decimals}f}"
    if value == 0 or float(text) != 0:
        return text
    least = f"{10.0**-decimals:.{decimals}f}"
    return f"{{$<${least}}}" if value > 0 else f"{{$>$$-${least}}}"


def _bounds(bounds: Sequence[float | None], decimals: int, interval: Interval) -> str:
    """An interval as brackets, or as distances from the value, one where both are alike."""
    value, low, high = bounds
    if value is None or low is None or high is None or interval == "none":
        return ""
    if interval == "brackets":
        ends = ", ".join(_in_text(f"{end:.{decimals}f}") for end in (low, high))
        return f"[{ends}]"
    below, above = (f"{distance:.{decimals}f}" for distance in (value - low, high - value))
    return rf"$\pm${below}" if below == above else f"$^{{+{above}}}_{{-{below}}}$"


def _in_text(figures: str) -> str:
    return f"$-${figures[1:]}" if figures.startswith("-") else figures


def _column(head: str, cells: Sequence[_Cell]) -> _Column:
    """Values aligned at their points, with what belongs to them in a column of its own."""
    numbers = [cell.value.removeprefix("\\bfseries ") for cell in cells if not cell.value.startswith("{")]
    whole = max((len(number.partition(".")[0].lstrip("-")) for number in numbers), default=1)
    parts = max((len(number.partition(".")[2]) for number in numbers), default=0)
    sign = "-" if any(number.startswith("-") for number in numbers) else ""
    widest = f"{sign}{'0' * whole}{'.' if parts else ''}{'0' * parts}"
    grouped = (max(0, whole - 2) // 3 + max(0, parts - 2) // 3) * SIZE / 6  # siunitx sets thin spaces
    texts = [tex_width(cell.value, SIZE) for cell in cells if cell.value.startswith("{")]
    width = max([tex_width(widest, SIZE) + grouped, *texts])
    spec = f"S[table-format={sign}{whole}.{parts}]"
    tails = any(cell.tail for cell in cells)
    if tails:
        width += max(tex_width(cell.tail, SCRIPT) for cell in cells) + SIZE / 6
        spec += r"@{\,}l"
    lines = _stacked(head)
    shown = lines[0] if len(lines) == 1 else r"\shortstack{" + r"\\{}".join(lines) + "}"
    return _Column(
        spec,
        rf"\multicolumn{{{2 if tails else 1}}}{{c}}{{{shown}}}",
        [f"{cell.value}{f' & {_small(cell.tail)}' if tails else ''}" for cell in cells],
        max([width, *(tex_width(line, SIZE) for line in lines)]),
    )


def _small(tail: str) -> str:
    return rf"{{\scriptsize {tail}}}" if tail else ""


def _stacked(head: str) -> list[str]:
    """The head of a column in lines, a variant and a unit each below the name where it would be wide."""
    if tex_width(head, SIZE) < 60:
        return [head]
    name, _, rest = head.partition(" ")
    return [name, *re.split(r"(?<=,)", rest)] if "=" in rest else [name, rest] if rest else [head]


def _panels(names: Sequence[str], columns: Sequence[_Column]) -> list[list[_Column]]:
    """Columns in as few runs as fit into the width beside the names, all about as wide."""
    room = WIDTH - min(WIDEST_NAME, max(tex_width(name, SIZE) for name in [*names, "metric"]))
    fewest = len(_runs(columns, room))
    least = sum(column.width + SPACE for column in columns) / fewest
    tried = (_runs(columns, least + (room - least) * step / 20) for step in range(21))
    return next(runs for runs in tried if len(runs) <= fewest)


def _runs(columns: Sequence[_Column], room: float) -> list[list[_Column]]:
    runs: list[list[_Column]] = [[]]
    for column in columns:
        if runs[-1] and sum(own.width + SPACE for own in [*runs[-1], column]) > room:
            runs.append([])
        runs[-1].append(column)
    return runs


def _tabular(corner: str, names: Sequence[str], columns: Sequence[_Column], rule: int) -> str:
    # What follows \\ must not begin with a bracket or a star, which would be read as its arguments.
    wide = max(tex_width(name, SIZE) for name in names) > WIDEST_NAME
    first = rf">{{\raggedright\arraybackslash}}p{{{WIDEST_NAME:.0f}pt}}" if wide else "l"
    shown = (
        [name.replace(",", r",\allowbreak{}").replace(r"\_", r"\_\allowbreak{}") for name in names]
        if wide
        else names
    )
    starts = ["{}" if name.startswith(("[", "*")) else "" for name in shown]
    rows = [
        rf"{start}{name} & {' & '.join(column.cells[place] for column in columns)} \\"
        for place, (start, name) in enumerate(zip(starts, shown, strict=True))
    ]
    if 0 < rule < len(rows):
        rows.insert(rule, r"\midrule")
    return "\n".join(
        [
            rf"\begin{{tabular}}{{@{{}}{first}{''.join(column.spec for column in columns)}@{{}}}}",
            r"\toprule",
            rf"{corner} & {' & '.join(column.head for column in columns)} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _caption(board: Board, interval: Interval, transpose: bool) -> str:
    """One sentence: what the numbers are, how they were made, and what marks mean."""
    seeds = _seeds(board)
    said = [
        "mean over the seeds whose number stands in parentheses"
        if seeds is None
        else "one run a model"
        if seeds == 1
        else f"means over {seeds} seeds"
    ]
    alike = all(method.startswith("95%") for method in board.methods)
    kind = "95% intervals" if alike else "intervals"
    if board.methods and interval != "none":
        said[0] += (
            f" with {kind} {'in brackets' if interval == 'brackets' else 'as distances to either side'}"
        )
    if len(board.protocols) == 1:
        said[0] += f", of {board.protocols[0]}"
    tex = [escape_tex(", ".join(said))]
    if len(board.protocols) > 1:
        marked = [
            rf"\textsuperscript{{{n}}}{escape_tex(text)}" for n, text in enumerate(board.protocols, start=1)
        ]
        tex[0] += ", of " + "; ".join(marked)
    entries = [entry for _, own in board.rows for entry in own if entry is not None]
    if any(entry.rank == 1 for entry in entries):
        tex.append(f"the best of a {'row' if transpose else 'column'} is bold")
    if board.ranks:
        tex.append(r"ranks are those possible at 95\% confidence")
    controls = (
        [run.name for run in board.runs[len(board.runs) - board.n_controls :]] if board.n_controls else []
    )
    if controls:
        tex.append(escape_tex(f"landmarks without a rank: {', '.join(controls)}"))
    tex += [escape_tex(study).replace("α", r"$\alpha$") for study in board.studies]
    if any(entry.busy for entry in entries):
        tex.append(rf"{escape_tex(DAGGER)} timed on a busy machine")
    if any(entry.chosen for entry in entries):
        tex.append(rf"{escape_tex(MARK)} weights chosen by this metric, on validation images")
    if dead := [run for run in board.runs if run.n_collapsed]:
        of = ", ".join(f"{run.name} in {run.n_collapsed} of {run.n_seeds}" for run in dead)
        tex.append(rf"$^{{\ast}}$ seeds that collapsed count in the mean: {escape_tex(of)}")
    if any(run.by_budget for run in board.runs):
        tex.append(rf"$^{{\S}}$ {STOPPED}, while it still improved")
    return f"{escape_tex(board.title.replace(': ', ', '))}: {'; '.join(tex)}."
