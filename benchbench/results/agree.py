"""Whether two records of one cell, or one and what it was scored from, say the same.

Two machines that compute the same thing differ in the order in which they add: numbers of the same images were seen to
move by 3e-5, and what is a count of images by one or two of them. So values and the ends of intervals are held to a
tolerance, and all else that a row says of its number must be equal. What the clock and the memory say is of the machine
and not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.validation import is_number, shown
from benchbench.results.claims.conditions import COUNTED, MEASURED, PROTOCOL
from benchbench.results.record import Row

Key = tuple[str, str, str]
"""Task, direction, metric."""
TOLERANCE = 1e-3
"""Relative, of two values of one number; ends of its interval are held to this share of the largest of the three."""
WIDTH = 0.1
"""Of the wider of two intervals: by so much their widths may differ, or by the tolerance where that is more. A narrow
interval of a large number would else pass at any width."""
NEAR_ZERO = 1e-6
IMAGES = 3
"""So many images more or less may be counted in a share."""
STATED = (*PROTOCOL, "unit", "aspect", "higher_is_better", "interval")
"""What else a row says of its number: of what it was made, and how it is to be read."""
SCALED = ("scale", "minimum", "maximum")
"""As `STATED`, where both rows say it: older records don't."""


def checked_tolerance(tolerance: Any) -> float:
    """A share from 0 to 1; `InputError` for anything else."""
    if not is_number(tolerance) or not 0 <= tolerance < 1:
        raise InputError(f"tolerance={shown(tolerance)} is no share from 0 to 1; 0.001 is 0.1%")
    return float(tolerance)


def comparable(rows: Iterable[Row]) -> dict[Key, Row]:
    """The rows that two records can agree in, by task, direction and metric."""
    return {key: row for key, row in keyed(rows).items() if not _of_machine(row)}


def keyed(rows: Iterable[Row]) -> dict[Key, Row]:
    """All rows of a record, by task, direction and metric."""
    return {(row.task, row.direction, row.metric): row for row in rows}


def _of_machine(row: Row) -> bool:
    return row.aspect in MEASURED and row.metric not in COUNTED


def disagreements(a: Iterable[Row], b: Iterable[Row], tolerance: float = TOLERANCE) -> Iterator[str]:
    """What two records of one cell say otherwise, each as `fd_cnn_digits is 2.51 and 2.62 (4.2% apart)`."""
    ours, theirs = keyed(a), keyed(b)
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name), theirs.get(name)
        if all(_of_machine(row) for row in (one, other) if row is not None):
            continue
        metric = name[2] + (f" ({name[1]})" if name[1] else "")
        if one is None or other is None:
            yield f"{metric} is only in the {'second' if one is None else 'first'}"
        elif (why := difference(one, other, tolerance)) is not None:
            yield f"{metric} {why}"


def difference(one: Row, other: Row, tolerance: float = TOLERANCE) -> str | None:
    """How two rows of one number differ, `is 2.51 and 2.62 (4.2% apart), has n_images 100 and 200`; None where they
    agree."""
    if one.value is None or other.value is None:
        return None if one.status == other.status else f"is {_said(one)} and {_said(other)}"
    found = []
    apart, size = abs(one.value - other.value), max(abs(one.value), abs(other.value))
    if apart > max(tolerance * size, _slack(one, tolerance)):
        found.append(f"is {one.value:.6g} and {other.value:.6g} ({100 * apart / size:.2g}% apart)")
    names = STATED if None in (one.scale, other.scale) else (*STATED, *SCALED)
    for name in names:
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours != theirs:
            found.append(f"has {name} {_word(ours)} and {_word(theirs)}")
    if not _same_interval(one, other, tolerance):
        found.append(f"has the interval {_interval(one)} and {_interval(other)}")
    return ", ".join(found) or None


def _slack(row: Row, tolerance: float) -> float:
    """How far apart two values of a number may be whatever their size."""
    share = row.scale == "arcsine" and row.minimum == 0
    return max(IMAGES / row.n_images, NEAR_ZERO) if share and row.n_images and tolerance else NEAR_ZERO


def _same_interval(one: Row, other: Row, tolerance: float) -> bool:
    """Whether the ends lie as close as values must, and the widths within `WIDTH` of each other."""
    ends = [(one.low, other.low), (one.high, other.high)]
    if any((ours is None) != (theirs is None) for ours, theirs in ends):
        return False
    both = [(ours, theirs) for ours, theirs in ends if ours is not None and theirs is not None]
    size = max(abs(x) for x in (one.value, other.value, *(x for pair in both for x in pair)) if x is not None)
    slack = _slack(one, tolerance)
    if any(abs(ours - theirs) > max(tolerance * size, slack) for ours, theirs in both):
        return False
    if len(both) < 2:
        return True
    (low, low_there), (high, high_there) = both
    ours, theirs = high - low, high_there - low_there
    share = max(tolerance, WIDTH) if tolerance else 0.0
    return abs(ours - theirs) <= max(share * max(ours, theirs), slack)


def _said(row: Row) -> str:
    return row.status if row.value is None else f"{row.value:.6g}"


def _word(stated: object) -> str:
    return "none" if stated is None else shown(stated) if isinstance(stated, str) else str(stated)


def _interval(row: Row) -> str:
    return "none" if row.low is None and row.high is None else f"[{_end(row.low)}, {_end(row.high)}]"


def _end(end: float | None) -> str:
    return "none" if end is None else f"{end:.6g}"
