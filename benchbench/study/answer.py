"""One answer of one rater, and what may be wrong with it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from benchbench.core.errors import InputError
from benchbench.study.folder import Study

MOST_MS = 2**31 - 1
_TOKEN = re.compile(r"[0-9a-f]{32}")


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


def _moment(text: str) -> str:
    """The text, of a day and a time that there are."""
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("there is no such day or time") from error
    return text


class Line(BaseModel):
    """A line of a rater's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(Line):
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
    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_moment)]


class Head(Line):
    """The first line of a rater's file.

    Attributes:
        study: The id of the study.
        consent: The sha256 of the text that the rater agreed to; None where nobody said.
    """

    study: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    consent: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None


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
