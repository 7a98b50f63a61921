"""Who may answer, what each is shown, and the taking of answers: all of the server that is not HTTP.

A token is 16 random hexadecimal digits and as many by which the server knows that it made them (HMAC-SHA256 under the
study's secret). So nothing is stored before the first answer, tokens outlive the server, and a flood of people who only
begin leaves nothing behind.

Scope: everything is on disk before it is said. Nothing is remembered between two calls.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
import time
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbench.core.errors import InputError
from benchbench.core.text_files import TextFault, parse_json
from benchbench.study.answer import MOST_MS, Answer, AnswerRefused, rater_of
from benchbench.study.answers import append, raters
from benchbench.study.folder import Study
from benchbench.study.order import Shown, drawn, presented
from benchbench.study.rater_file import file_of
from benchbench.study.screen import choices, screen
from benchbench.study.template import render_page

MOST_RATERS = 10_000
"""People who may answer one study; more are a mistake, or somebody who makes up people."""
_BEARER = re.compile(r"Bearer ([0-9a-f]{16})([0-9a-f]{16})")


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        words: The sentence that the browser gets; nothing of the study's folder stands in it.
        cause: What the owner of the study is told on the terminal; None where it is none of their business.
    """

    def __init__(self, status: int, words: str, cause: str | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.cause = cause


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=_Given)


class _Consent(_Given):
    consent: bool


class _GivenAnswer(_Given):
    """An answer as the page has it: by place."""

    item: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    place: int | str
    ms: Annotated[int, Field(ge=0, le=MOST_MS)]


class Reception:
    """The study as its raters meet it.

    Args:
        study: Which.
        most_raters: How many people may answer.
    """

    def __init__(self, study: Study, most_raters: int = MOST_RATERS) -> None:
        self.study = study
        self._most = most_raters
        self._first = threading.Lock()  # two newcomers must not both be the last one
        self._places = {choice["value"] for choice in choices(study.manifest)}

    def page(self) -> str:
        """The HTML of the page; raises `Refused`."""
        try:
            return render_page(self.study)
        except InputError as error:
            raise Refused(503, "The study cannot be shown at the moment.", str(error)) from error

    def admit(self, body: bytes) -> dict[str, Any]:
        """A token for somebody who has read the consent text; raises `Refused`."""
        if not _parsed(_Consent, body).consent:
            raise Refused(400, "Nobody takes part who has not agreed to it.")
        self._room_for_one()
        number = secrets.token_hex(8)
        return {"token": number + self._seal(number)}

    def rater(self, authorization: str) -> str:
        """Who asks, by the header of that name; raises `Refused`."""
        said = _BEARER.fullmatch(authorization)
        if said is None or not hmac.compare_digest(said[2], self._seal(said[1])):
            raise Refused(401, "The study does not know this token.")
        return rater_of(said[1] + said[2])

    def next(self, rater: str) -> dict[str, Any]:
        """The screen of the first item that this person has not answered; raises `Refused`."""
        sequence, done = self._state(rater)
        due = _undone(sequence, done)
        if not due:
            total = len(sequence)
            return {"item": None, "done": total, "total": total, "rater": rater}
        ahead = due[1] if len(due) > 1 else None
        shown = screen(self.study.manifest, due[0], len(done), ahead, "/images/{}.png".format)
        return {**shown, "rater": rater}

    def take(self, rater: str, body: bytes) -> dict[str, Any]:
        """Keep an answer. When this returns it is on disk; what is returned is the screen after it.

        Raises:
            Refused: It is malformed (400), not an answer to what is shown now (409), or could not be kept (503).
        """
        given = _parsed(_GivenAnswer, body)
        shown = {own.item.id: own for own in presented(self.study, rater)}.get(given.item)
        if shown is None:
            raise Refused(400, "The study has no such item.")
        if given.place not in self._places or isinstance(given.place, bool):
            raise Refused(400, "That is no answer to this question.")
        sequence, done = self._state(rater)
        due = _undone(sequence, done)
        if not due or due[0].item.id != given.item:
            raise Refused(409, "That item is not the one that is shown now.")
        answer = Answer(
            item=given.item,
            choice=shown.choice(given.place),
            shown=shown.order,
            ms=given.ms,
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        self._keep(rater, answer, first=not done)
        return self.next(rater)

    def image(self, own: str) -> bytes:
        """The PNG file of an image; raises `Refused`."""
        if own not in self.study.manifest.images:
            raise Refused(404, "There is nothing here.")
        try:
            return self.study.png(own)
        except InputError as error:
            raise Refused(503, "A picture cannot be read at the moment.", str(error)) from error

    def _keep(self, rater: str, answer: Answer, first: bool) -> None:
        try:
            if first:
                with self._first:
                    self._room_for_one()
                    append(self.study, rater, answer)
            else:
                append(self.study, rater, answer)
        except AnswerRefused as refused:
            raise Refused(409, "That item is not the one that is shown now.") from refused
        except InputError as error:
            raise Refused(503, "The study cannot write down answers at the moment.", str(error)) from error

    def _room_for_one(self) -> None:
        try:
            n = len(raters(self.study))
        except InputError as error:
            raise Refused(503, "The study cannot take anybody at the moment.", str(error)) from error
        if n >= self._most:
            raise Refused(403, f"This study takes no more people than the {self._most:,} that it has.")

    def _state(self, rater: str) -> tuple[tuple[Shown, ...], set[str]]:
        """All that this person is shown, and the ids of the items that were answered."""
        try:
            answered = file_of(self.study, rater).answers
        except InputError as error:
            raise Refused(503, "The study cannot read your answers at the moment.", str(error)) from error
        return presented(self.study, rater), {answer.item for answer in answered}

    def _seal(self, number: str) -> str:
        return f"{drawn(self.study.manifest.secret, 'token', number):032x}"[:16]


def _undone(sequence: tuple[Shown, ...], done: set[str]) -> list[Shown]:
    return [shown for shown in sequence if shown.item.id not in done]


def _parsed(model: type[Model], body: bytes) -> Model:
    try:
        parse_json(body)  # what pydantic lets pass: a name said twice, levels without end
        return model.model_validate_json(body)
    except (TextFault, ValidationError):
        raise Refused(400, "That is not what the page sends.") from None
