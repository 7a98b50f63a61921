"""What pydantic says of a value that a setting does not take, as a part of a sentence for a user."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeGuard

from pydantic import BaseModel, ValidationError

from benchbench.core.errors import short

_SHOWN = 60  # characters of a value in a sentence of ours
_LONGEST = 300  # and in one that asks what it was


class Fault(NamedTuple):
    """The first thing that is wrong. kind: as pydantic calls it, "missing" for instance. where: its dotted name, "" for
    the whole. given: the value. reason: why, in small letters."""

    kind: str
    where: str
    given: object
    reason: str


def first_fault(error: ValidationError) -> Fault:
    """Of what pydantic refused."""
    faults = error.errors(include_url=False)
    first = faults[0]
    reason = first["msg"].removeprefix("Value error, ")
    loc = first["loc"]
    # A union of lists of words, each of which pydantic tries and names: one list.
    alike = [own for own in faults if own["type"] == "literal_error" and own["loc"][:-1] == loc[:-1]]
    if len(alike) > 1:
        words = list(dict.fromkeys(word for own in alike for word in re.findall("'[^']*'", own["msg"])))
        reason, loc = f"input should be {', '.join(words[:-1])} or {words[-1]}", loc[:-1]
    where = ".".join(map(str, loc))
    given = first["input"]
    if (text := shown(given, _LONGEST)).endswith("…"):
        given = _Cut(text)
    return Fault(first["type"], short(where), given, short(f"{reason[:1].lower()}{reason[1:]}"))


class _Cut:
    """A value too long for a sentence, as which it prints its beginning."""

    def __init__(self, printed: str) -> None:
        self.printed = printed

    def __repr__(self) -> str:
        return self.printed


def shown(value: object, most: int = _SHOWN) -> str:
    """A value in a sentence, cut where it is long.

    >>> shown(0.5), shown("a" * 70)[:12], shown(10**5000)
    ('0.5', "'aaaaaaaaaaa", 'a number of more than 4300 digits')
    """
    try:
        return short(repr(value), most)
    except ValueError:  # what Python says of an int that long
        return "a number of more than 4300 digits"


def is_number(given: object) -> TypeGuard[float]:
    """Whether somebody gave a real number, NumPy's too, and not a truth value or a text that stands for one."""
    return isinstance(given, Real) and not isinstance(given, bool)


def disguised(given: Mapping[str, Any], taken: BaseModel, most: int) -> Fault | None:
    """The first of the settings that pydantic took for a number and that is none, or that nothing can be computed with.

    Pydantic makes 1.0 of true, and of a complex number its real part.

    Args:
        given: Settings by name, as somebody gave them.
        taken: What became of them.
        most: The largest whole number.

    Returns:
        The fault; None where there is none.
    """
    for where, value, number in _numbers(given, taken, ()):
        reason = None
        if isinstance(value, str):
            pass  # text that is a number, from a file or a shell
        elif isinstance(value, bool) or not isinstance(value, Real):
            kind = "truth value" if "bool" in type(value).__name__ else type(value).__name__
            reason = f"must be a number and is a {kind}"
        if reason is None and isinstance(number, float) and not math.isfinite(number):
            reason = "must be a finite number"
        if reason is None and isinstance(number, int) and abs(number) > most:
            reason = f"must be at most {most:,}"
        if reason is not None:
            return Fault("disguised", where, value, reason)
    return None


def _numbers(given: Any, taken: Any, where: tuple[str, ...]) -> Iterator[tuple[str, Any, int | float]]:
    """(dotted name, what was given, what it was taken for) of every number."""
    if isinstance(taken, BaseModel):  # not as it is written down: that may leave out what is at its default
        taken = dict(taken)
    if isinstance(taken, Mapping):
        if isinstance(given, Mapping):
            for name, value in given.items():
                if name in taken:
                    yield from _numbers(value, taken[name], (*where, str(name)))
    elif isinstance(taken, list | tuple):
        if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == len(taken):
            for place, (value, number) in enumerate(zip(given, taken, strict=True)):
                yield from _numbers(value, number, (*where, str(place)))
    elif isinstance(taken, int | float) and not isinstance(taken, bool):
        yield ".".join(where), given, taken
