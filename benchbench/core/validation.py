"""What pydantic says of a value that a setting does not take, as a part of a sentence for a user."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError


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
    return Fault(first["type"], where, first["input"], f"{reason[:1].lower()}{reason[1:]}")
