"""The split of sources that come without one: two halves, the same on every machine and in any file order.

Why halves: the `real` control scores held-out images against the train split, and Fréchet and kernel
distances depend on the number of images (Chong & Forsyth 2020). Only when the held-out half is at least as
large as the train half can the control be scored at the same number as everything else. Models learn from
fewer images than an 80:20 split would give them; the numbers can be trusted in return.

How: images are put into groups that must stay together (the same pixels, and whatever the source says belongs
together). Class by class, groups are ordered by size, largest first, then by a seeded hash of their key, and
each goes to the side that has fewer images of the class so far or, where both have as many, fewer at all. No
file name or position enters, unless the source uses names as keys.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

SEED = 0
"""Fixed: another seed would be another dataset."""


def halves(
    digests: Sequence[bytes], labels: Sequence[int] | None = None, groups: Sequence[str] | None = None
) -> tuple[list[int], list[int]]:
    """Indices of the train half and of the held-out half, each ascending; the held-out one is never smaller.

    digests: one per image, equal for equal pixels. labels: stratify by these. groups: one key per image;
    images with the same key stay on one side.
    """
    members = _merge(digests, groups)
    strata: dict[int, list[str]] = defaultdict(list)
    for key, indices in members.items():
        strata[_majority([labels[i] for i in indices]) if labels is not None else 0].append(key)
    sides: tuple[list[int], list[int]] = ([], [])
    for _, keys in sorted(strata.items()):
        of_class = [0, 0]
        for key in sorted(keys, key=lambda key: (-len(members[key]), _seeded(key))):
            fewer = min((1, 0), key=lambda side: (of_class[side], len(sides[side])))
            sides[fewer].extend(members[key])
            of_class[fewer] += len(members[key])
    train, held_out = reversed(sides) if len(sides[0]) > len(sides[1]) else sides
    return sorted(train), sorted(held_out)


def _seeded(key: str) -> bytes:
    return hashlib.sha256(f"{SEED}:{key}".encode()).digest()


def _majority(labels: Sequence[int]) -> int:
    """The most frequent label, the lowest of equals."""
    votes = Counter(labels)
    return min(votes, key=lambda label: (-votes[label], label))


def _merge(digests: Sequence[bytes], groups: Sequence[str] | None) -> dict[str, list[int]]:
    """Indices by group key, where groups that share an image's pixels are one group (its smallest key)."""
    keys = list(groups) if groups is not None else [digest.hex() for digest in digests]
    parent = {key: key for key in keys}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = key = parent[parent[key]]
        return key

    first_key: dict[bytes, str] = {}
    for digest, key in zip(digests, keys, strict=True):
        low, high = sorted((root(first_key.setdefault(digest, key)), root(key)))
        parent[high] = low
    members: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        members[root(key)].append(i)
    return members
