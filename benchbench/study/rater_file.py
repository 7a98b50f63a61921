"""A rater's file, `answers/<rater>.jsonl`: read line by line, and added to under a lock.

The first line says of which study it is and to which text the rater agreed, each other one is an answer.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchbench.core.errors import InputError
from benchbench.core.files import cannot_write, fsync_folder
from benchbench.core.paths import printable
from benchbench.core.reading import read_bytes
from benchbench.core.text_files import TextFault
from benchbench.core.validation import first_fault
from benchbench.study.answer import Answer, AnswerRefused, Head, Line, fault_of
from benchbench.study.folder import ANSWERS, Study

if sys.platform != "win32":  # there one process takes answers, one at a time
    import fcntl

MOST_BYTES = 2**23
"""Of a rater's file: each item once, at most."""
RATER = re.compile(r"[0-9a-f]{16}")
SUFFIX = ".jsonl"


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
    path = path_of(study, rater)
    if not os.path.lexists(path):
        return RaterFile()
    if path.is_symlink():
        raise _no_file(path)
    return _parsed(study, path, read_bytes(path, "the answers", MOST_BYTES))


def path_of(study: Study, rater: str) -> Path:
    """Where a rater's file is or would be; `AnswerRefused` for what is no rater."""
    if not RATER.fullmatch(rater):
        raise AnswerRefused("unknown rater", "a rater has 16 hexadecimal digits")
    return study.folder / ANSWERS / f"{rater}{SUFFIX}"


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
        while piece := os.read(descriptor, MOST_BYTES + 1 - len(content)):
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
        lines: list[Line] = list(answers)
        if self.begins:
            lines.insert(0, Head(study=self._study.manifest.id, consent=consent))
        block = "".join(line.model_dump_json() + "\n" for line in lines).encode()
        try:
            if self.begins:
                fsync_folder(
                    self._path.parent
                )  # whoever finds a line need not ask whether the file is in its folder
            os.ftruncate(self._descriptor, self._end)  # of a line that was cut off nobody was told
            try:
                while block:  # of a part the system says at the rest why it took no more
                    block = block[os.write(self._descriptor, block) :]
                os.fsync(self._descriptor)
            except BaseException:
                os.ftruncate(self._descriptor, self._end)
                raise
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
    path = path_of(study, rater)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        if path.parent.exists() and not path.parent.is_dir():
            raise InputError(
                f"{printable(path.parent)} is no folder; take it away, answers are written into it"
            )
        path.parent.mkdir(exist_ok=True)
        if path.is_symlink():
            raise _no_file(path)
        descriptor = os.open(path, flags, 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Adding(study, path, descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_write(path, error) from error
