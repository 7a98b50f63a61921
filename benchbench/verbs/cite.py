"""`benchbench.cite`: what to cite for a board, as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.folders import OUTPUT
from benchbench.verbs.leaderboard import Folders, board_text, rows_below
from benchbench.verbs.outputs import checked_outputs
from benchbench.views.choice import Choice


def cite(
    folder: Folders = OUTPUT,
    *,
    output: Path | str | None = None,
    where: str | None = None,
    models: str | Iterable[str] = (),
    metrics: str | Iterable[str] = (),
) -> str:
    """BibTeX of benchbench and of the models, metrics, networks and datasets that stand on a board.

    Args:
        folder: Folders of records; they are found whatever the depth.
        output: Write it to this file as well.
        where: As in `leaderboard`.
        models: As in `leaderboard`.
        metrics: As in `leaderboard`.

    Returns:
        The entries. A model or dataset without a known paper is a comment.

    Raises:
        InputError: As in `leaderboard`, and where there are no records.

    >>> print(benchbench.cite("runs", metrics="fd"))  # doctest: +SKIP
    """
    path = checked_outputs({"--output": output})["--output"]
    rows = rows_below(folder, where)
    if rows.empty:
        raise InputError("there are no numbers to cite papers for: the results are empty")
    text = board_text(rows, "bibtex", Choice.of(models, metrics))
    if path is not None:
        atomic_write(path, text)
    return text
