"""`benchbench.study.import_answers`: what exported pages handed back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchbench.core.errors import InputError
from benchbench.study import handed_in
from benchbench.study.folder import load
from benchbench.study.handed_in import Imported


def import_answers(folder: Path | str, files: Path | str | Sequence[Path | str]) -> list[Imported]:
    """Add answers that an exported page handed back as files. The same file a second time adds nothing.

    Args:
        folder: The study.
        files: One or several; each is added as a whole or not at all.

    Returns:
        For each whose answers they were, how many were added and how many were there before.

    Raises:
        InputError: There is no study, or a file does not fit; those before it were added.

    >>> benchbench.study.import_answers("my-study", "answers-1.json")  # doctest: +SKIP
    """
    study = load(folder)
    several = [files] if isinstance(files, str | Path) else list(files)
    if not several:
        raise InputError("name at least one file of answers")
    return [handed_in.import_answers(study, file) for file in several]
