"""Which images stand in which item: drawn by a seed, each system and each pair of systems equally often.

Pattern: a function a kind, which fills `n` items one by one. Where several images would do, one is drawn that was
shown least so far (`deck`); no item comes twice. What cannot be drawn is said before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from benchbench.core.errors import InputError
from benchbench.study.deck import Deck
from benchbench.study.image_sets import ImageSet
from benchbench.study.manifest import REAL
from benchbench.study.matching import Index, indices_of

Size = tuple[int, int]

LARGEST_SCALE = 8
"""Of super-resolution: as much as its originals are cut by, and a pixel more."""


@dataclass(frozen=True)
class Ref:
    """An image before it has an id.

    Attributes:
        maker: An index of a system, `REAL` or `DESTROYED`.
        row: Its number among the maker's images; of a destroyed one among the reference's.
        version: Which of several destroyed ones of one image.
        above: The size to which it is cut as a source; None where it stands in another place. A source has another id
            than the same image below it, or ids would say which items are check items.
    """

    maker: int
    row: int
    version: int = 0
    above: Size | None = None


@dataclass(frozen=True)
class Drawn:
    """An item before its images have ids.

    Attributes:
        images: In canonical order.
        source: The right answer that is shown above them, or None.
        check: As `Item.check`.
    """

    images: tuple[Ref, ...]
    source: Ref | None = None
    check: str | None = None


@dataclass
class Table:
    """What is drawn from.

    Attributes:
        names: Of the systems.
        sets: Their images.
        reference: Real images, or right answers.
        rng: What decides.
    """

    names: Sequence[str]
    sets: Sequence[ImageSet]
    reference: ImageSet
    rng: np.random.Generator

    @cached_property
    def decks(self) -> list[Deck]:
        """The images of each system."""
        return [Deck(range(len(own)), self.rng, own.groups) for own in self.sets]

    @cached_property
    def real(self) -> Deck:
        """The images of the reference."""
        return Deck(range(len(self.reference)), self.rng)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of systems, in a drawn order."""
        found = list(combinations(range(len(self.sets)), 2))
        return [found[int(i)] for i in self.rng.permutation(len(found))]

    @cached_property
    def by_size(self) -> Counter[Size]:
        """How many images of the reference have each size."""
        return Counter(self.reference.sizes)

    def shuffled(self, images: Sequence[Ref]) -> tuple[Ref, ...]:
        """In a drawn order, so that a place in an item says nothing."""
        return tuple(images[int(i)] for i in self.rng.permutation(len(images)))

    def too_few(self, n: int, drawn: int, what: str) -> InputError:
        """For images that do not suffice."""
        if not drawn:
            return InputError(f"of {what} there are none; name others")
        return InputError(
            f"{what} suffice for {drawn:,} different items, not for {n:,}; use --n {drawn} or less"
        )


class _Pair:
    """Two systems, and which of their images were shown beside each other."""

    def __init__(self, table: Table, a: int, b: int) -> None:
        self._a, self._b, self._decks = a, b, table.decks
        one, other = table.sets[a], table.sets[b]
        alike = one.grouping == other.grouping
        self._group = one.groups if alike and other.groups is not None else None
        groups: Iterable[int | None] = [None] * len(other)
        if self._group is not None and other.groups is not None:
            groups = other.groups
        self._partners = Counter(groups)
        self._done: Counter[int] = Counter()
        self._seen: set[tuple[int, int]] = set()

    def take(self) -> Drawn | None:
        """An item that was not drawn yet; None where there is none."""
        row = self._decks[self._a].take(lambda own: self._done[own] < self._partners[self._of(own)])
        if row is None:
            return None
        partner = self._decks[self._b].take(lambda own: (row, own) not in self._seen, self._of(row))
        assert partner is not None  # as `_done` says
        self._done[row] += 1
        self._seen.add((row, partner))
        return Drawn((Ref(self._a, row), Ref(self._b, partner)))

    def _of(self, row: int) -> int | None:
        return None if self._group is None else self._group[row]


def pairwise(table: Table, n: int) -> Iterator[Drawn]:
    """Two images of two systems; of one class or caption where both were asked for such."""
    pairs = [_Pair(table, a, b) for a, b in table.pairs]
    for k in range(n):
        drawn = pairs[k % len(pairs)].take()
        if drawn is None:
            a, b = table.pairs[k % len(pairs)]
            raise table.too_few(n, k, f"the images of {table.names[a]} and {table.names[b]}")
        yield Drawn(table.shuffled(drawn.images))


def closer(table: Table, n: int) -> Iterator[Drawn]:
    """A right answer, and what two systems made of it."""
    decks: dict[tuple[int, int], tuple[Deck, Sequence[Index]]] = {}
    for a, b in table.pairs:
        together = _common(table, a, b)
        decks[a, b] = Deck(range(len(together)), table.rng), together
    for k in range(n):
        a, b = table.pairs[k % len(table.pairs)]
        deck, common = decks[a, b]
        number = deck.take(lambda own, deck=deck: deck.used[own] == 0)  # type: ignore[misc]
        if number is None:
            raise table.too_few(
                n, k, f"the images that {table.names[a]} and {table.names[b]} made of one source"
            )
        index = common[number]
        images = table.shuffled([Ref(a, index.rows[0]), Ref(b, index.rows[1])])
        yield Drawn(images, source=Ref(REAL, index.source, above=table.sets[a].sizes[index.rows[0]]))


def _common(table: Table, a: int, b: int) -> list[Index]:
    """What both made of one source, at its size."""
    found = indices_of(table.sets[a], table.sets[b], table.reference)
    sizes = table.sets[a].sizes, table.sets[b].sizes, table.reference.sizes
    same = [
        own
        for own in found
        if sizes[0][own.rows[0]] == sizes[1][own.rows[1]]
        and _cut(sizes[2][own.source], sizes[0][own.rows[0]])
    ]
    if same:
        return same
    who = f"{table.names[a]} and {table.names[b]}"
    if not found:
        raise InputError(
            f"no images of {who} belong to one image of the reference: files of one name do; name the reference of "
            "which they are, or folders whose files are called alike"
        )
    raise InputError(
        f"what {who} made of one source differs in size from it or from each other; bring them to one size first"
    )


def _cut(source: Size, made: Size) -> bool:
    """Whether a source has the size of what was made of it, or is larger by what is cut off at the bottom and at the
    right, so that a scale divides its sides."""
    return all(0 <= own - other < LARGEST_SCALE for own, other in zip(source, made, strict=True))


def real_or_fake(table: Table, n: int) -> Iterator[Drawn]:
    """One image: half of them real, the others of each system equally often; none comes twice."""
    sizes = {size for own in table.sets for size in own.sizes}
    for k in range(n):
        maker = REAL if k % 2 else k // 2 % len(table.sets)
        if maker == REAL:
            row = table.real.take(
                lambda own: table.real.used[own] == 0 and table.reference.sizes[own] in sizes
            )
            what = "the real images of their size"
        else:
            row = _unused(table, maker)
            what = f"the images of {table.names[maker]} that have real ones of their size"
        if row is None:
            raise table.too_few(n, k, what)
        yield Drawn((Ref(maker, row),))


def triplet(table: Table, n: int) -> Iterator[Drawn]:
    """One image of a system between two real ones of its size; no image of a system comes twice."""
    for k in range(n):
        maker = k % len(table.sets)
        row = _unused(table, maker, least=2)
        if row is None:
            raise table.too_few(
                n, k, f"the images of {table.names[maker]} that have two real ones of their size"
            )
        size = table.sets[maker].sizes[row]
        real = two_real(table, lambda own, size=size: table.reference.sizes[own] == size)  # type: ignore[misc]
        yield Drawn(table.shuffled([Ref(maker, row), *real]))


def _unused(table: Table, maker: int, least: int = 1) -> int | None:
    """An image of a system that was not drawn yet, of a size that so many real ones have."""
    deck, sizes = table.decks[maker], table.sets[maker].sizes
    return deck.take(lambda row: deck.used[row] == 0 and table.by_size[sizes[row]] >= least)


def two_real(table: Table, fits: Callable[[int], bool]) -> list[Ref]:
    """Two different real images that fit, of which there are as many."""
    one = table.real.take(fits)
    other = table.real.take(lambda own: own != one and fits(own))
    assert one is not None
    assert other is not None
    return [Ref(REAL, one), Ref(REAL, other)]


DRAWING: dict[str, Callable[[Table, int], Iterator[Drawn]]] = {
    "pairwise": pairwise,
    "real-or-fake": real_or_fake,
    "closer-to-source": closer,
    "triplet": triplet,
}
"""How the items of each kind are drawn; `InputError` where there are not images enough."""
