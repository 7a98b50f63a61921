"""Whether two records of one cell, or one and what it was scored from, say the same.

Two machines that compute the same thing differ in the order in which they add: numbers of the same images were seen to
move by 3e-5, and what is a count of images by one or two of them. What the clock and the memory say is of the machine
and not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.validation import is_number, shown
from benchbench.results.claims.conditions import COUNTED, MEASURED
from benchbench.results.record import Row

TOLERANCE = 1e-3
"""Relative, of two values of one number."""
NEAR_ZERO = 1e-6
IMAGES = 3
"""So many images more or less may be counted in a share."""


def checked_tolerance(tolerance: Any) -> float:
    """A share from 0 to 1; `InputError` for anything else."""
    if not is_number(tolerance) or not 0 <= tolerance < 1:
        raise InputError(f"tolerance={shown(tolerance)} is no share from 0 to 1; 0.001 is 0.1%")
    return float(tolerance)


def comparable(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """The rows that two records can agree in, by task, direction and metric."""
    return {
        (row.task, row.direction, row.metric): row
        for row in rows
        if row.aspect not in MEASURED or row.metric in COUNTED
    }


def disagreements(a: Iterable[Row], b: Iterable[Row], tolerance: float = TOLERANCE) -> Iterator[str]:
    """What two records of one cell say otherwise, each as `fd_cnn_digits is 2.51 and 2.62 (4.2% apart)`."""
    ours, theirs = comparable(a), comparable(b)
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name), theirs.get(name)
        metric = name[2] + (f" ({name[1]})" if name[1] else "")
        if one is None or other is None:
            yield f"{metric} is only in the {'second' if one is None else 'first'}"
        elif (why := difference(one, other, tolerance)) is not None:
            yield f"{metric} is {why}"


def difference(one: Row, other: Row, tolerance: float = TOLERANCE) -> str | None:
    """How two rows of one number differ, `2.51 and 2.62 (4.2% apart)`; None where they agree."""
    if one.value is None or other.value is None:
        return None if one.status == other.status else f"{_said(one)} and {_said(other)}"
    apart, size = abs(one.value - other.value), max(abs(one.value), abs(other.value))
    share = one.scale == "arcsine" and one.minimum == 0
    slack = IMAGES / one.n_images if share and one.n_images and tolerance else 0.0
    if apart <= max(tolerance * size, slack, NEAR_ZERO):
        return None
    return f"{one.value:.6g} and {other.value:.6g} ({100 * apart / size:.2g}% apart)"


def _said(row: Row) -> str:
    return row.status if row.value is None else f"{row.value:.6g}"
