"""A board as rows and columns, the one or the other way round, before a format writes them."""

from __future__ import annotations

from dataclasses import dataclass

from benchbench.views.board import Board, Entry


@dataclass(frozen=True)
class Layout:
    """corner: what the names of the rows are of; rows: a name and what stands in each column, a text where it is no
    number; n_controls: how many rows at the end are controls, below a rule."""

    corner: str
    heads: list[str]
    rows: list[tuple[str, list[Entry | str | None]]]
    n_controls: int = 0


def laid_out(board: Board, *, transpose: bool = False) -> Layout:
    """Models down and metrics across, ranks first; transposed metrics down and models across, ranks on top."""
    names = [name for name, _ in board.rows]
    columns: list[tuple[str, list[Entry | str | None]]] = []
    if board.ranks:
        columns.append(("rank", [*board.ranks]))
    for place, head in enumerate(board.headings):
        columns.append((head, [entries[place] for _, entries in board.rows]))
    if transpose:
        return Layout("metric", names, columns)
    rows = [(name, [cells[place] for _, cells in columns]) for place, name in enumerate(names)]
    return Layout("model", [head for head, _ in columns], rows, board.n_controls)
