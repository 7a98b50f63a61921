"""What a rater is shown, and in which order: dealt to each by a keyed hash, so that it is the same after a restart.

HMAC-SHA256 of the study's secret, and of whom and what is dealt (Bellare et al. 1996), takes the place of a generator
of random numbers: nothing is stored, nobody without the secret can tell the order, and no version of Python changes
it.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from benchbench.study.folder import Study
from benchbench.study.manifest import Item

ORDERS = 64
"""Orders of the items that an exported file holds; of so many people two may meet the same one, which does no harm."""
UNCHECKED = 2
"""So many items come before the first check item: a rater who is still finding the keys is not careless."""


@dataclass(frozen=True)
class Shown:
    """An item as one rater sees it.

    Attributes:
        item: Which.
        order: `order[k]` is the canonical number of the image at place k, from the left.
    """

    item: Item
    order: tuple[int, ...]

    def choice(self, place: int | str) -> str:
        """The canonical choice that an answer means.

        Args:
            place: Of an image, from 0 at the left; or a word, such as "tie", which means itself.

        Returns:
            As `Kind.choices` and `Answer.choice` have it.

        Raises:
            ValueError: Nothing was shown at that place.
        """
        return canonical(self.order, place)


def canonical(order: Sequence[int], place: int | str) -> str:
    """As `Shown.choice`."""
    if isinstance(place, str):
        if place.isdecimal():
            raise ValueError(f"a place is a number, and {place!r} is a text")
        return place
    if isinstance(place, bool) or not 0 <= place < len(order):
        raise ValueError(f"no image was shown at place {place}")
    return str(order[place])


def drawn(secret: str, *what: str) -> int:
    """A number from 0 to 2¹²⁸ − 1 that depends on the secret and on what it is for, and on nothing else."""
    found = hmac.digest(bytes.fromhex(secret), "\n".join(what).encode(), "sha256")
    return int.from_bytes(found[:16], "big")


@lru_cache(maxsize=64)
def presented(study: Study, rater: str) -> tuple[Shown, ...]:
    """All items as a rater sees them, first to last: check items spread over the whole, none among the first two.

    Args:
        study: As `folder.load` gave it.
        rater: Whom.

    Returns:
        The same each time.
    """
    secret = study.manifest.secret

    def shuffled(items: Sequence[Item]) -> list[Item]:
        return sorted(items, key=lambda own: drawn(secret, rater, "item", own.id))

    checks = shuffled([own for own in study.manifest.items if own.check is not None])
    others = shuffled([own for own in study.manifest.items if own.check is None])
    places = _places(secret, rater, len(checks), len(others))
    ordered = iter(others), iter(checks)
    sequence = [next(ordered[place in places]) for place in range(len(checks) + len(others))]
    return tuple(Shown(item, _order(secret, rater, item)) for item in sequence)


def in_file(study: Study, number: int) -> tuple[Shown, ...]:
    """One of the `ORDERS` that an exported file holds."""
    return presented(study, f"{number:016x}")


def in_file_of(study: Study, token: str) -> tuple[Shown, ...]:
    """That of the exported file which belongs to a token that its page made up (`page/in_file.js` takes the same)."""
    return in_file(study, int(token[:8], 16) % ORDERS)


def _places(secret: str, rater: str, checks: int, others: int) -> set[int]:
    """Where check items stand: one somewhere in each of as many equal stretches."""
    first = min(UNCHECKED, others)
    rest = checks + others - first
    ends = [first + i * rest // checks for i in range(checks + 1)] if checks else []
    return {
        start + drawn(secret, rater, "check", str(i)) % (stop - start)
        for i, (start, stop) in enumerate(pairwise(ends))
    }


def _order(secret: str, rater: str, item: Item) -> tuple[int, ...]:
    places = range(len(item.images))
    return tuple(sorted(places, key=lambda i: drawn(secret, rater, "place", item.id, str(i))))
