"""Answers on disk: a line an answer, on disk before anybody is told that it was taken.

Pattern: a rater's file is appended to under an advisory lock, in one write, and the file and its folder are fsynced
before `append` returns. So a kill leaves a whole line, or a line that is cut off, which nobody was told was taken: it
is left out when the file is read, and taken away by the next append.

Scope: the lock is that of the system (`flock`): several processes of one machine, and of several where the file system
passes locks on. Two raters never wait for each other.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import pandas as pd

from benchbench.core.errors import InputError, SkippedWarning
from benchbench.core.paths import printable
from benchbench.study.answer import Answer, AnswerRefused, fault_of, rater_of
from benchbench.study.folder import ANSWERS, Study
from benchbench.study.order import Shown, presented
from benchbench.study.rater_file import RATER, SUFFIX, adding, file_of, path_of

__all__ = [
    "COLUMNS", "Answer", "AnswerRefused", "answers_of", "append", "next_shown", "rater_of", "raters", "read_answers",
]  # fmt: skip

COLUMNS = {
    "rater": "string", "item": "string", "choice": "string", "shown": "object", "ms": "Int64", "at": "string",
}  # fmt: skip
"""Of `read_answers`, with their dtypes."""


def raters(study: Study) -> list[str]:
    """Everybody of whom there is a file, sorted; what else lies there is passed over with a note.

    Raises:
        InputError: The folder cannot be read.
    """
    folder = study.folder / ANSWERS
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []  # git keeps no empty folder
    except OSError as error:
        raise InputError(f"cannot read {printable(folder)}: {error.strerror}") from error
    found = [name.removesuffix(SUFFIX) for name in names if _is_rater_file(name)]
    others = [name for name in names if not _is_rater_file(name) and not name.startswith(".")]
    if others:
        warnings.warn(
            f"{printable(folder / others[0])} is no rater's file and is passed over"
            + (f" ({len(others)} such files)" if len(others) > 1 else ""),
            SkippedWarning,
            stacklevel=2,
        )
    return found


def _is_rater_file(name: str) -> bool:
    return name.endswith(SUFFIX) and RATER.fullmatch(name.removesuffix(SUFFIX)) is not None


def answers_of(study: Study, rater: str) -> list[Answer]:
    """What a rater has answered, in order. A last line that a kill cut off is left out, with a note;
    an empty file has one, too.

    Args:
        study: Which.
        rater: Who.

    Returns:
        The answers.

    Raises:
        InputError: As `file_of`.
    """
    found, path = file_of(study, rater), path_of(study, rater)
    if found.cut:
        warnings.warn(
            f"the last line of {printable(path)} was cut off while it was written, and is left out",
            SkippedWarning,
            stacklevel=2,
        )
    elif found.head is None and path.exists():
        warnings.warn(
            f"{printable(path)} is empty: no answer of this rater could be written, or the file was emptied; if it had "
            "some, restore it",
            SkippedWarning,
            stacklevel=2,
        )
    return list(found.answers)


def read_answers(study: Study) -> pd.DataFrame:
    """All answers, by rater and in the order in which each gave them.

    Args:
        study: Which.

    Returns:
        A line an answer, columns as `COLUMNS`; `shown` holds tuples.

    Raises:
        InputError: As `file_of`.
    """
    rows = [
        {"rater": rater, **answer.model_dump()}
        for rater in raters(study)
        for answer in answers_of(study, rater)
    ]
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows], dtype=dtype, name=name)
            for name, dtype in COLUMNS.items()
        }
    )


def next_shown(study: Study, rater: str) -> Shown | None:
    """What a rater is shown next; None where everything was answered."""
    return _next(study, rater, file_of(study, rater).answers)


def _next(study: Study, rater: str, answered: Sequence[Answer]) -> Shown | None:
    done = {answer.item for answer in answered}
    return next((shown for shown in presented(study, rater) if shown.item.id not in done), None)


def append(study: Study, rater: str, answer: Answer) -> None:
    """Take an answer to the item that the rater is shown. When this returns the answer is on disk.

    Args:
        study: Which.
        rater: Who.
        answer: To what `next_shown` says.

    Raises:
        AnswerRefused: It does not fit; nothing is written.
        InputError: The file is damaged or cannot be written.
    """
    _check(study, rater, answer, file_of(study, rater).answers)  # what is refused makes no file
    with adding(study, rater) as held:
        _check(study, rater, answer, held.answers)
        held.add([answer], study.consent_sha256 if held.begins else None)


def _check(study: Study, rater: str, answer: Answer, held: Sequence[Answer]) -> None:
    """`AnswerRefused` where an answer does not fit the study, or is not to what the rater is shown."""
    if (fault := fault_of(study, answer)) is not None:
        raise fault
    if any(own.item == answer.item for own in held):
        raise AnswerRefused("answered before", f"the item {answer.item} was answered before")
    due = _next(study, rater, held)
    if due is None or due.item.id != answer.item:
        raise AnswerRefused("not the item shown", f"the item {answer.item} is not the one that is shown now")
    if due.order != answer.shown:
        raise AnswerRefused("not the order shown", "the images were shown in another order")
