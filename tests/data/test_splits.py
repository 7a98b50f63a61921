"""The split in halves: even, stable, without leaks."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.data.pipeline.splits import halves

few = settings(max_examples=50, deadline=None)


def _digests(ids: list[int]) -> list[bytes]:
    return [i.to_bytes(32, "big") for i in ids]


@few
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_halves_of_every_class(labels: list[int]) -> None:
    """With distinct images every class and the whole are cut within one image, held-out is not smaller and no
    image is lost: the greedy rule gives an odd class's spare image to the smaller side."""
    train, held_out = halves(_digests(list(range(len(labels)))), labels)
    assert sorted(train + held_out) == list(range(len(labels)))
    assert 0 <= len(held_out) - len(train) <= 1
    first, second = Counter(labels[i] for i in train), Counter(labels[i] for i in held_out)
    assert all(abs(first[label] - second[label]) <= 1 for label in labels)


@few
@given(ids=st.lists(st.integers(0, 15), min_size=2, max_size=40), data=st.data())
def test_order_does_not_matter_and_copies_stay_together(ids: list[int], data: st.DataObject) -> None:
    """Which images are on a side depends on pixels alone: permuting the input permutes the result, and equal
    pixels are never on both sides."""
    order = data.draw(st.permutations(range(len(ids))))
    train, held_out = halves(_digests(ids))
    shuffled, _ = halves(_digests([ids[i] for i in order]))
    assert sorted(ids[i] for i in train) == sorted(ids[order[i]] for i in shuffled)
    assert not {ids[i] for i in train} & {ids[i] for i in held_out}


def test_groups_that_share_pixels_are_one() -> None:
    """a and b share image 0, b and c share image 1: by transitivity a, b and c stay together, d does not."""
    ids, groups = [0, 0, 1, 1, 2, 3, 4, 5, 6], ["a", "b", "b", "c", "a", "d", "e", "f", "g"]
    sides = halves(_digests(ids), None, groups)
    (side,) = [side for side in sides if 0 in side]
    assert {0, 1, 2, 3, 4} <= set(side)
    assert len(side) == 5  # the four others balance it on the other side


def test_classes_stay_balanced_with_large_groups() -> None:
    """Groups of 3, 2 and 1 images of one class: 3 on one side, 2 + 1 on the other, in any hash order."""
    train, held_out = halves(_digests(list(range(6))), [0] * 6, ["a", "a", "a", "b", "b", "c"])
    assert sorted(map(len, (train, held_out))) == [3, 3]
    assert sorted((train, held_out)) == [[0, 1, 2], [3, 4, 5]]
