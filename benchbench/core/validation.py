"""What pydantic says of a value that a setting does not take, as a part of a sentence for a user."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from benchbench.core.errors import short

LONGEST = 300  # characters of a value


class Fault(NamedTuple):
    """The first thing that is wrong. kind: as pydantic calls it, "missing" for instance. where: its dotted name, "" for
    the whole. given: the value. reason: why, in small letters."""

    kind: str
    where: str
    given: object
    reason: str


def first_fault(error: ValidationError) -> Fault:
    """Of what pydantic refused."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, first["loc"]))
    given = first["input"]
    if len(repr(given)) > LONGEST:
        given = _Cut(repr(given))
    return Fault(first["type"], short(where), given, short(f"{reason[:1].lower()}{reason[1:]}"))


class _Cut:
    """A value too long for a sentence, as which it prints its beginning."""

    def __init__(self, printed: str) -> None:
        self.printed = short(printed, LONGEST)

    def __repr__(self) -> str:
        return self.printed
