"""Which images of two systems were made of one and the same source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from benchbench.data.pipeline.names import partners
from benchbench.study.image_sets import ImageSet


class Index(NamedTuple):
    """What belongs together. source: the number of the right answer. rows: of the images of both systems."""

    source: int
    rows: tuple[int, int]


def indices_of(one: ImageSet, other: ImageSet, reference: ImageSet) -> list[Index]:
    """Images of one source, by the names of their files, as `benchbench evaluate` finds partners; where all are
    arrays of one length, by their number.

    Args:
        one: What a system made.
        other: What another one did.
        reference: The right answers.

    Returns:
        In the order of the right answers; none where nothing belongs together.
    """
    if one.matched == other.matched == reference.matched == "numbers":
        n = len(reference)
        return [Index(i, (i, i)) for i in range(n)] if len(one) == len(other) == n else []
    if not one.matched == other.matched == reference.matched == "names":
        return []
    found = [_sources(own.names, reference.names) for own in (one, other)]
    common = sorted(found[0].keys() & found[1].keys(), key=lambda key: (found[0][key][1], key))
    return [Index(found[0][key][1], (found[0][key][0], found[1][key][0])) for key in common]


def _sources(names: Sequence[str], reference: Sequence[str]) -> Mapping[tuple[str, int], tuple[int, int]]:
    """By the way of degrading and the number of the right answer: (number of the image, of the right answer).

    A restoration of several ways has each in the names of its files: baby-x2.png and baby-x3.png are of baby.png.
    """
    found = partners(names, reference).rows
    if len(found) == len(names):
        return {("", source): (row, source) for row, source in found}
    by_way: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        _, dash, way = PurePosixPath(name).stem.rpartition("-")
        by_way.setdefault(way if dash else "", []).append(row)
    apart = {
        (way, source): (rows[i], source)
        for way, rows in by_way.items()
        for i, source in partners([_without(names[row], way) for row in rows], reference).rows
    }
    return apart if len(apart) > len(found) else {("", source): (row, source) for row, source in found}


def _without(name: str, way: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_stem(path.stem.removesuffix(f"-{way}"))) if way else name
