"""Answers on disk: `answers/<rater>.jsonl`, a line an answer, on disk before anybody is told that it was taken.

Pattern: a rater's file is appended to under an advisory lock, in one write, and the file and its folder are fsynced
before `append` returns. So a kill leaves a whole line, or a line that is cut off, which nobody was told was taken: it
is left out when the file is read, and taken away by the next append. The first line of a file says of which study it
is, and to which text the rater agreed.

Scope: the lock is that of the system (`flock`): several processes of one machine, and of several where the file
system passes locks on. Two raters never wait for each other.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbench.core.errors import InputError, SkippedWarning
from benchbench.core.files import cannot_write, fsync_folder
from benchbench.core.paths import printable
from benchbench.core.reading import read_bytes
from benchbench.core.text_files import TextFault
from benchbench.core.validation import first_fault
from benchbench.study.folder import ANSWERS, Study
from benchbench.study.order import Shown, presented

try:
    import fcntl
except ImportError:  # Windows, where a file that is written has one writer anyway
    fcntl = None  # type: ignore[assignment]

COLUMNS = {
    "rater": "string", "item": "string", "choice": "string", "shown": "object", "ms": "Int64", "at": "string",
}  # fmt: skip
"""Of `read_answers`, with their dtypes."""
MOST_BYTES = 2**23
"""Of a rater's file: each item once, at most."""
MOST_MS = 2**31 - 1
_RATER = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_SUFFIX = ".jsonl"


class AnswerRefused(InputError):
    """An answer that does not fit the study, or what the rater was shown.

    Args:
        why: "unknown rater", "unknown item", "answered before", "not the item shown", "not the order shown" or
            "unknown choice".
        words: The sentence.
    """

    def __init__(self, why: str, words: str) -> None:
        super().__init__(words)
        self.why = why


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(_Line):
    """What a rater answered.

    Attributes:
        item: The id of the item.
        choice: One of `StudyManifest.choices`, canonical.
        shown: The canonical number of the image at each place, from the left.
        ms: How long it took, in milliseconds.
        at: When, UTC, whole seconds.
    """

    item: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    choice: Annotated[str, Field(max_length=16)]
    shown: Annotated[tuple[int, ...], Field(max_length=8)]
    ms: Annotated[int, Field(ge=0, le=MOST_MS)]
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Head(_Line):
    """The first line of a rater's file.

    Attributes:
        study: The id of the study.
        consent: The sha256 of the text that the rater agreed to; None where nobody said.
    """

    study: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    consent: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


@dataclass(frozen=True)
class RaterFile:
    """What stands in a rater's file.

    Attributes:
        head: Its first line; None for a rater who has not begun.
        answers: In their order.
        whole: Bytes up to the end of the last whole line.
        cut: Whether a line that was cut off follows.
    """

    head: Head | None = None
    answers: tuple[Answer, ...] = ()
    whole: int = 0
    cut: bool = False


def rater_of(token: str) -> str:
    """Who answers with a token; the token itself is written nowhere.

    Args:
        token: 32 hexadecimal digits.

    Returns:
        16 hexadecimal digits.

    Raises:
        AnswerRefused: It is no token.
    """
    if not _TOKEN.fullmatch(token):
        raise AnswerRefused(
            "unknown rater", "a rater's token has 32 hexadecimal digits; start anew to get one"
        )
    return hashlib.sha256(f"benchbench study rater\n{token}".encode()).hexdigest()[:16]


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
    found = [name.removesuffix(_SUFFIX) for name in names if _is_rater_file(name)]
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
    return name.endswith(_SUFFIX) and _RATER.fullmatch(name.removesuffix(_SUFFIX)) is not None


def file_of(study: Study, rater: str) -> RaterFile:
    """What a rater has answered; nothing where there is no file.

    Args:
        study: Which.
        rater: Who.

    Returns:
        Each line held against the study.

    Raises:
        AnswerRefused: It is no rater.
        InputError: A line is damaged, or is of another study; the message names file and line.
    """
    path = _path(study, rater)
    if not os.path.lexists(path):
        return RaterFile()
    if path.is_symlink():
        raise _no_file(path)
    return _parsed(study, path, read_bytes(path, "the answers", MOST_BYTES))


def answers_of(study: Study, rater: str) -> list[Answer]:
    """What a rater has answered, in order. A last line that a kill cut off is left out, with a note.

    Args:
        study: Which.
        rater: Who.

    Returns:
        The answers.

    Raises:
        InputError: As `file_of`.
    """
    found = file_of(study, rater)
    if found.cut:
        warnings.warn(
            f"the last line of {printable(_path(study, rater))} was cut off while it was written, and is left out",
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


def fault_of(study: Study, answer: Answer) -> AnswerRefused | None:
    """What is wrong with an answer, whoever gave it and whatever was answered before; None where nothing is."""
    try:
        item = study.item(answer.item)
    except KeyError:
        return AnswerRefused("unknown item", f"the study has no item {answer.item}")
    if answer.choice not in study.manifest.choices:
        return AnswerRefused(
            "unknown choice",
            f"{answer.choice!r} is no answer to this question; {', '.join(study.manifest.choices)} are",
        )
    if sorted(answer.shown) != list(range(len(item.images))):
        return AnswerRefused("not the order shown", f"{list(answer.shown)} is no order of the item's images")
    return None


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


def _path(study: Study, rater: str) -> Path:
    if not _RATER.fullmatch(rater):
        raise AnswerRefused("unknown rater", "a rater has 16 hexadecimal digits")
    return study.folder / ANSWERS / f"{rater}{_SUFFIX}"


def _parsed(study: Study, path: Path, content: bytes) -> RaterFile:
    whole = content.rfind(b"\n") + 1
    head: Head | None = None
    answers: dict[str, Answer] = {}
    for number, line in enumerate(content[:whole].split(b"\n")[:-1], 1):
        try:
            if head is None:
                head = Head.model_validate_json(line)
                if head.study != study.manifest.id:
                    raise TextFault(f"is of another study, {head.study}")
                continue
            answer = Answer.model_validate_json(line)
            if (fault := fault_of(study, answer)) is not None:
                raise TextFault(f"does not fit the study: {fault}")
            if answer.item in answers:
                raise TextFault(f"answers the item {answer.item} a second time")
            answers[answer.item] = answer
        except (TextFault, ValidationError) as error:
            raise _damaged(path, number, error) from error
    return RaterFile(head, tuple(answers.values()), whole, whole < len(content))


def _damaged(path: Path, number: int, error: TextFault | ValidationError) -> InputError:
    if isinstance(error, ValidationError):
        fault = first_fault(error)
        words = f"says of {fault.where or 'itself'}: {fault.reason}"
    else:
        words = str(error)
    return InputError(
        f"line {number} of {printable(path)} {words}; restore the file, or take it out of the folder to leave this "
        "rater out"
    )


def _no_file(path: Path) -> InputError:
    return InputError(
        f"{printable(path)} is no regular file; take it away, answers are written to files alone"
    )


class Adding:
    """A rater's file, open and locked, to be added to.

    Attributes:
        begins: Whether nothing stands in it.
        answers: Those that do.
    """

    def __init__(self, study: Study, path: Path, descriptor: int) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_file(path)
        content = b""
        while piece := os.pread(descriptor, MOST_BYTES + 1 - len(content), len(content)):
            content += piece
        if len(content) > MOST_BYTES:
            raise InputError(
                f"the answers {printable(path)} have more than {MOST_BYTES:,} bytes; restore the file"
            )
        held = _parsed(study, path, content)
        self.begins, self.answers = held.head is None, held.answers
        self._study, self._path, self._descriptor, self._end = study, path, descriptor, held.whole

    def add(self, answers: Sequence[Answer], consent: str | None) -> None:
        """Write lines behind the last whole one: all of them, on disk, or none. Once an opening.

        Args:
            answers: None of them there.
            consent: The sha256 of the text that the rater agreed to; kept where the file begins.

        Raises:
            InputError: They cannot be written.
        """
        lines: list[_Line] = list(answers)
        if self.begins:
            lines.insert(0, Head(study=self._study.manifest.id, consent=consent))
        block = "".join(line.model_dump_json() + "\n" for line in lines).encode()
        try:
            os.ftruncate(self._descriptor, self._end)  # of a line that was cut off nobody was told
            try:
                if os.write(self._descriptor, block) < len(block):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._descriptor)
            except BaseException:
                os.ftruncate(self._descriptor, self._end)
                raise
            if self.begins:
                fsync_folder(self._path.parent)
        except OSError as error:
            raise cannot_write(self._path, error) from error


@contextmanager
def adding(study: Study, rater: str) -> Iterator[Adding]:
    """A rater's file, made where there is none, for one writer at a time: others wait.

    Args:
        study: Which.
        rater: Who.

    Returns:
        A context of the file.

    Raises:
        InputError: As `file_of`, or the file cannot be written.
    """
    path = _path(study, rater)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        path.parent.mkdir(exist_ok=True)
        if path.is_symlink():
            raise _no_file(path)
        descriptor = os.open(path, flags, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Adding(study, path, descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
