"""Check items: questions of which the answer is known, by which raters who do not look are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchbench.study.drawing import Drawn, Ref, Table, two_real
from benchbench.study.image_sets import ImageSet
from benchbench.study.kinds import FAKE
from benchbench.study.manifest import DESTROYED, REAL

CANDIDATES = 16
"""Real images among which the one least like a source is chosen."""


def checks(table: Table, kind: str, n: int) -> Iterator[Drawn]:
    """`n` check items of a kind."""
    for version in range(n):
        yield _CHECKS[kind](table, version)


def _pairwise(table: Table, version: int) -> Drawn:
    """A real image beside what is left of it."""
    row = _real(table)
    return _asking(table, [Ref(REAL, row), Ref(DESTROYED, row, version)], 0)


def _real_or_fake(table: Table, version: int) -> Drawn:
    """An image destroyed beyond doubt is not real."""
    return Drawn((Ref(DESTROYED, _real(table), version),), check=FAKE)


def _closer(table: Table, version: int) -> Drawn:
    """The source itself, beside the real image least like it; a destroyed one where no other has its size."""
    row = _real(table)
    other = _unlike(table.reference, row, table.rng)
    beside = Ref(DESTROYED, row, version) if other is None else Ref(REAL, other)
    found = _asking(table, [Ref(REAL, row), beside], 0)
    return Drawn(found.images, source=Ref(REAL, row, above=table.reference.sizes[row]), check=found.check)


def _triplet(table: Table, version: int) -> Drawn:
    """A destroyed image between two real ones of its size."""
    sizes = table.reference.sizes
    row = _real(table, least=2)
    spare = table.by_size[sizes[row]] > 2  # else what was destroyed is shown itself, too
    real = two_real(table, lambda own: sizes[own] == sizes[row] and not (spare and own == row))
    return _asking(table, [Ref(DESTROYED, row, version), *real], 0)


_CHECKS: dict[str, Callable[[Table, int], Drawn]] = {
    "pairwise": _pairwise,
    "real-or-fake": _real_or_fake,
    "closer-to-source": _closer,
    "triplet": _triplet,
}


def _asking(table: Table, images: list[Ref], right: int) -> Drawn:
    """The images in a drawn order; `right` is the number of the right one before."""
    shuffled = table.shuffled(images)
    return Drawn(shuffled, check=str(shuffled.index(images[right])))


def _real(table: Table, least: int = 1) -> int:
    """A real image, of a size that systems have where there is one: nobody is to know check items by their size."""
    sizes = {size for own in table.sets for size in own.sizes}
    of = table.reference.sizes
    row = table.real.take(lambda own: of[own] in sizes and table.by_size[of[own]] >= least)
    if row is None:
        row = table.real.take()
    assert row is not None
    return row


def _unlike(reference: ImageSet, row: int, rng: np.random.Generator) -> int | None:
    """Of some other images of one size the one that differs most from a given one; None where none differs."""
    others = [i for i, size in enumerate(reference.sizes) if i != row and size == reference.sizes[row]]
    some = [others[int(i)] for i in rng.permutation(len(others))[:CANDIDATES]]
    own = reference.pixels(row).astype(np.float64)
    apart = {i: float(np.mean((reference.pixels(i) - own) ** 2)) for i in some}
    best = max(some, key=lambda i: apart[i], default=None)
    return best if best is not None and apart[best] > 0 else None
