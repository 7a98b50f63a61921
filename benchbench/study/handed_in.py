"""Answers that come back as a file from a study that ran offline, in one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbench.core.errors import InputError
from benchbench.core.paths import as_path, printable
from benchbench.core.reading import read_bytes
from benchbench.core.text_files import TextFault, parse_json
from benchbench.core.validation import first_fault
from benchbench.study.answer import MOST_MS, Answer, AnswerRefused, fault_of, rater_of
from benchbench.study.folder import Study
from benchbench.study.manifest import MOST_CHECKS, MOST_ITEMS
from benchbench.study.order import canonical, in_file_of
from benchbench.study.rater_file import adding

FORMAT, VERSION = "benchbench-study-answers", 1
MOST_FILE = 2**24
"""Bytes of such a file."""


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _GivenAnswer(_Given):
    """An answer as the page has it: by place."""

    item: str
    place: int | str
    shown: Annotated[tuple[int, ...], Field(max_length=8)]
    ms: Annotated[int, Field(ge=0, le=MOST_MS)]
    at: str


class HandedIn(_Given):
    """The file that an exported page hands back.

    Attributes:
        format: `FORMAT`.
        version: `VERSION`.
        study: The id of the study.
        token: The rater's, made by the page.
        consent: The sha256 of the text that was agreed to; absent where the page does not say.
        answers: In the order in which they were given, each by place.
    """

    format: Literal["benchbench-study-answers"]
    version: Literal[1]
    study: str
    token: str
    consent: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    answers: Annotated[tuple[_GivenAnswer, ...], Field(min_length=1, max_length=MOST_ITEMS + MOST_CHECKS)]


@dataclass(frozen=True)
class Imported:
    """What came of a file.

    Attributes:
        rater: Whose it was.
        added: Answers that were added.
        known: Answers that were there before, the same.
    """

    rater: str
    added: int
    known: int


def import_answers(study: Study, file: Path | str) -> Imported:
    """Add the answers of a file to the study; each is looked at before the first one is written.

    Args:
        study: Which.
        file: What an exported page handed back.

    Returns:
        How many were added. The same file a second time adds nothing.

    Raises:
        InputError: It is no such file, of another study, an answer does not fit, or another answer to the same item is
            there.
    """
    path = as_path(file)
    given = _read(path)
    if given.study != study.manifest.id:
        raise _refused(path, f"answers the study {given.study[:32]!r}, and this one is {study.manifest.id}")
    try:
        rater = rater_of(given.token)
    except AnswerRefused as error:
        raise _refused(path, f"names no rater: {error}") from error
    answers: dict[str, Answer] = {}
    dealt = {shown.item.id: shown.order for shown in in_file_of(study, given.token)}
    for number, own in enumerate(given.answers, 1):
        answer = _answer(study, path, number, own)
        if answer.shown != dealt[answer.item]:
            raise _refused(
                path,
                f"says at answer {number} that images were shown in an order that the page never shows this rater",
            )
        if answer.item in answers:
            raise _refused(path, f"answers the item {answer.item} twice")
        answers[answer.item] = answer
    with adding(study, rater) as held:
        before = {own.item: own for own in held.answers}
        for item, answer in answers.items():
            if item in before and before[item] != answer:
                raise _refused(path, f"answers the item {item} otherwise than this rater did before")
        new = [answer for item, answer in answers.items() if item not in before]
        if new:
            held.add(new, given.consent)
    return Imported(rater, len(new), len(answers) - len(new))


def _read(path: Path) -> HandedIn:
    content = read_bytes(path, "the answers", MOST_FILE)
    try:
        said = parse_json(content)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise _refused(path, "is no file of answers that a study's page hands back")
        if said.get("version") is True or said.get("version") != VERSION:
            raise _refused(path, f"is not of version {VERSION}, which this benchbench reads")
        return HandedIn.model_validate_json(content.removeprefix(b"\xef\xbb\xbf"))
    except TextFault as fault:
        raise _refused(path, str(fault)) from fault
    except ValidationError as error:
        first = first_fault(error)
        raise _refused(path, f"says of {first.where or 'itself'}: {first.reason}") from error


def _answer(study: Study, path: Path, number: int, own: _GivenAnswer) -> Answer:
    """One answer, canonical, held against the study."""
    try:
        choice = canonical(own.shown, own.place)
        answer = Answer(item=own.item, choice=choice, shown=own.shown, ms=own.ms, at=own.at)
    except ValidationError as error:
        fault = first_fault(error)
        raise _refused(path, f"says of {fault.where} of answer {number}: {fault.reason}") from error
    except ValueError as error:
        raise _refused(path, f"does not fit at answer {number}: {error}") from error
    if (refused := fault_of(study, answer)) is not None:
        raise _refused(path, f"does not fit at answer {number}: {refused}")
    return answer


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"{printable(path)} {what}; nothing was added")
