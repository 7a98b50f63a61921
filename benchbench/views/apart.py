"""Rows that were not made alike, parted: what may stand on one board."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from benchbench.results.claims.conditions import (
    CONDITIONS,
    WORDS,
    Conditions,
    Places,
    distinct_conditions,
    distinct_lines,
    short,
)
from benchbench.results.claims.numbers import Asked
from benchbench.views.text import plain

_Made = dict[Asked, Conditions]  # how each number was made; one without a metric is for all of its task


class Making:
    """How the numbers of a table were made. Many parts of one table ask for it, and it is found once. Lines are called
    by their places in the table."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.good = (rows["status"] == "ok").to_numpy(bool, na_value=False)
        self.cell, self.cells = distinct_lines([rows["cell"]])
        self.asked, questions = distinct_lines([rows[name] for name in Asked._fields])
        self.made, self.conditions = distinct_conditions(rows)
        self.questions = [Asked(*question) for question in questions]

    def alike(self, lines: Places) -> list[tuple[_Made, list[str]]]:
        """How the numbers of cells were made, with the cells that made theirs so, sorted. lines: those of them."""
        lines = lines[self.good[lines]]
        both = self.asked[lines] * len(self.conditions) + self.made[lines]
        order = np.lexsort([both, self.cell[lines]])
        lines, both = lines[order], both[order]
        starts = np.flatnonzero(np.diff(self.cell[lines], prepend=-1)).tolist()
        found: dict[bytes, tuple[Places, list[str]]] = {}
        for start, end in pairwise([*starts, len(lines)]):
            same = found.setdefault(both[start:end].tobytes(), (lines[start:end], []))
            same[1].append(self.cells[self.cell[lines[start]]][0])
        return [(self._of(own), same) for own, same in found.values()]

    def _of(self, lines: Places) -> _Made:
        """Of one cell."""
        made: _Made = {}
        for line in lines.tolist():
            asked, conditions = self.questions[self.asked[line]], self.conditions[self.made[line]]
            made[asked] = conditions
            # Two cells that share no metric share their data all the same.
            data = tuple((name, x if name in ("data", "size") else "none") for name, x in conditions)
            made[Asked(asked.task, asked.direction, "")] = data
        return made


_COUNTED = {"n_images": "images", "n_reference": "reference images"}
"""Conditions that are counts, and what they count."""


def apart(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of one dataset in parts within which every metric has one set of conditions, each with the fields in
    which it differs from the others, in words.

    Cell by cell: one joins the first part that made all the metrics they share alike, on the same data.
    """
    parts = parted(Making(rows), np.arange(len(rows)))
    return [("", rows)] if len(parts) == 1 else [(told, rows.iloc[lines]) for told, lines in parts]


def parted(making: Making, lines: Places) -> list[tuple[str, Places]]:
    """`apart` of some lines of a table."""
    parts: list[_Made] = []
    where: dict[str, int] = {}
    # Cells with the most metrics first, so that a record of few meets the part that it belongs to. Cells of which all
    # was made alike go together: the first one decides.
    for own, same in sorted(making.alike(lines), key=lambda alike: (-len(alike[0]), alike[1][0])):
        fitting = (i for i, part in enumerate(parts) if all(part.get(m, c) == c for m, c in own.items()))
        place = next(fitting, len(parts))
        if place == len(parts):
            parts.append({})
        parts[place].update(own)
        where.update(dict.fromkeys(same, place))
    if len(parts) < 2:
        return [("", lines)]
    differ = _fields(parts)
    common = _common(parts) if "machine" in differ else set()
    chosen = np.array([where.get(name, 0) for (name,) in making.cells])[making.cell[lines]]
    found = [(_told(part, differ, common), lines[chosen == i]) for i, part in enumerate(parts)]
    return sorted(found, key=lambda named: named[0])


def _fields(parts: Sequence[_Made]) -> dict[str, set[Asked]]:
    """The conditions in which two parts made one metric differently, each with those metrics."""
    found: dict[str, set[Asked]] = {}
    for metric in {metric for part in parts for metric in part}:
        same = [dict(part[metric]) for part in parts if metric in part]
        for name in CONDITIONS:
            if len({conditions[name] for conditions in same}) > 1:
                found.setdefault(name, set()).add(metric)
    if "n_images" in found:  # a balanced metric then saw other numbers of reference images too
        found.pop("n_reference", None)
    return {name: found[name] for name in CONDITIONS if name in found}


def _common(parts: Sequence[_Made]) -> set[str]:
    """What all machines of these parts have in common, as pieces of their texts."""
    texts = {dict(made)["machine"] for part in parts for made in part.values()} - {"none"}
    return set.intersection(*(set(text.split(", ")) for text in texts))


def _told(part: _Made, fields: Mapping[str, set[Asked]], common: Collection[str] = ()) -> str:
    """ "the reference data 1a2b3c4d, 500 images"; of a machine without what is common to all."""
    said = []
    for name, metrics in fields.items():
        made = [conditions for metric, conditions in part.items() if metric in metrics] or part.values()
        values = sorted({dict(conditions)[name] for conditions in made} - {"none"})
        if name == "machine":
            values = [", ".join(one for one in text.split(", ") if one not in common) for text in values]
        if (counted := _COUNTED.get(name)) is not None and values:
            said.append(f"{' and '.join(f'{int(value):,}' for value in values)} {counted}")
            continue
        said.append(
            f"{WORDS.get(name, name)} {' and '.join(short(name, value) for value in values) or 'not stated'}"
        )
    return plain(", ".join(said))
