"""Digests of many images in one piece of memory: a list of them to whoever reads it."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchbench.data.pipeline.digests import Digests
from benchbench.data.pipeline.fingerprint import combine, combine_in_order

LISTS = st.lists(st.binary(min_size=32, max_size=32), max_size=6)
PLACES = st.none() | st.integers(-8, 8)


@given(LISTS, LISTS, PLACES, PLACES, st.sampled_from([None, 1, 2, -1]))
def test_they_are_a_list(first: list[bytes], more: list[bytes], start: int, stop: int, step: int) -> None:
    """Whatever is asked of them, Python's own list answers the same."""
    whole = [*first, *more]
    ours = Digests(first)
    ours.extend(Digests(more))
    assert ours == whole
    assert whole == ours
    assert ours == pickle.loads(pickle.dumps(ours))
    assert (len(ours), [*ours], set(ours)) == (len(whole), whole, set(whole))
    assert ours[start:stop:step] == whole[start:stop:step]
    assert [ours[i] for i in range(-len(whole), len(whole))] == whole + whole
    assert (ours == first) == (not more)
    assert Digests.of(ours.content) == ours
    assert combine_in_order(ours) == combine_in_order(whole)
    assert combine(ours, None) == combine(whole, None)


def test_what_is_no_digest_is_refused() -> None:
    """A digest of another length would move all behind it."""
    with pytest.raises(ValueError, match="digest"):
        Digests([b"short"])
    with pytest.raises(ValueError, match="digest"):
        Digests.of(bytes(33))
    with pytest.raises(IndexError):
        Digests()[0]
    assert Digests() != 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_what_two_have_in_common(mine: list[int], theirs: list[int]) -> None:
    """Expected: sorted lists, and membership in a set. Some digests are alike in their first 8 bytes and some end in
    zeros, both of which NumPy could take for more than it is."""

    def made(numbers: list[int]) -> Digests:
        kinds = [
            b"\0" * 32,
            b"\0" * 31 + b"\1",
            b"a" * 32,
            b"a" * 31 + b"\0",
            b"a" * 8 + b"\0" * 24,
            b"b" * 32,
        ]
        return Digests(kinds[number] for number in numbers)

    assert made(mine).copies_of(made(theirs)) == sum(number in set(theirs) for number in mine)
    assert made(mine).same_images(made(theirs)) == (sorted(mine) == sorted(theirs))
