"""A row of the calibration page: a metric of ours on fixed inputs, and what other packages say of the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PASSED_OVER = "another version"


class NotHereError(Exception):
    """Why a package has no number here, a few words."""


@dataclass(frozen=True)
class Other:
    """What another package says.

    package: Its name where packages are installed from.
    call: What is called, as a reader would look for it.
    value: The number.
    why: A sentence: which convention it follows, and where that differs from ours.
    same: How far it may be from ours, relative to ours, where both follow one convention; None where it differs.
    """

    package: str
    call: str
    value: Callable[[], float]
    why: str
    same: float | None = None


@dataclass(frozen=True)
class Row:
    """One metric on one input.

    metric: Our name of it.
    on: What both sides are given.
    ours: Our number.
    others: Theirs.
    within: How closely each number recurs on another machine, relative to itself.
    """

    metric: str
    on: str
    ours: Callable[[], float]
    others: Sequence[Other]
    within: float = 1e-5

    @property
    def name(self) -> str:
        return f"{self.metric} on {self.on}"


@dataclass(frozen=True)
class Section:
    """Rows under a heading, what is said before them, and whether they take minutes."""

    title: str
    about: str
    rows: Sequence[Row]
    slow: bool = False


@dataclass(frozen=True)
class Cell:
    """Both numbers, or instead of theirs why there is none."""

    ours: float
    theirs: float | str

    def apart(self) -> float:
        """How far theirs is from ours, relative to ours; NaN where there is none."""
        return self.theirs / self.ours - 1 if isinstance(self.theirs, float) else math.nan


Key = tuple[str, str, str, str]
Cells = dict[Key, Cell]


def key(row: Row, other: Other) -> Key:
    return row.metric, row.on, other.package, other.call


def installed(package: str) -> str | None:
    """Its version; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def theirs(other: Other) -> float | str:
    """Their number, or why there is none."""
    if installed(other.package) is None:
        return "not installed"
    try:
        return float(other.value())
    except NotHereError as why:
        return str(why)


def measure(row: Row, passed_over: Collection[str] = ()) -> Cells:
    """The row's cells; packages that are passed over are not asked."""
    ours = float(row.ours())
    return {
        key(row, other): Cell(ours, PASSED_OVER if other.package in passed_over else theirs(other))
        for other in row.others
    }


def contradictions(rows: Sequence[Row], cells: Mapping[Key, Cell]) -> Iterator[str]:
    """What is claimed to be the same and is not, and what is claimed to differ and does not, a sentence each."""
    for row in rows:
        for other in row.others:
            apart = abs(cells[key(row, other)].apart())
            if other.same is not None and apart > other.same:
                yield f"{row.name}: {other.package} {other.call} is {apart:.1g} away, said to be {other.same:g} at most"
            if other.same is None and apart <= row.within:
                yield f"{row.name}: {other.package} {other.call} is said to differ and does not"


def other_versions(row: Row, published: Mapping[str, str]) -> dict[str, str]:
    """What is installed in another version than the page's, or not at all: a few words for each."""
    found = {other.package: installed(other.package) for other in row.others}
    return {
        package: f"{package} is {own or 'not installed'}, the page has {published[package]}"
        for package, own in found.items()
        if own != published[package]
    }


def departures(row: Row, now: Mapping[Key, Cell], page: Mapping[Key, Cell]) -> Iterator[str]:
    """Where the page does not say what the code and packages say now, a sentence each."""
    for other in row.others:
        found, said = now[key(row, other)], page[key(row, other)]
        if not math.isclose(found.ours, said.ours, rel_tol=row.within):
            yield f"{row.name}: ours is {found.ours!r}, the page has {said.ours!r}"
        if found.theirs not in (PASSED_OVER, said.theirs) and not (
            isinstance(found.theirs, float)
            and isinstance(said.theirs, float)
            and math.isclose(found.theirs, said.theirs, rel_tol=row.within)
        ):
            yield f"{row.name}: {other.package} says {found.theirs!r}, the page has {said.theirs!r}"
