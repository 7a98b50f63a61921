"""What raters are shown, and in which order."""

from __future__ import annotations

import hmac
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import SECRET, make_study, rater

from benchbench.study.folder import load
from benchbench.study.kinds import KINDS
from benchbench.study.order import UNCHECKED, _places, canonical, drawn, presented


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_shown_once_and_the_same_again(kind: str, tmp_path: Path) -> None:
    """By the contract: all items, each with a permutation of its images; a study that is read again deals the same."""
    study = make_study(tmp_path / "s", kind)
    shown = presented(study, rater(1))
    assert sorted(own.item.id for own in shown) == sorted(item.id for item in study.manifest.items)
    assert all(sorted(own.order) == list(range(KINDS[kind].images)) for own in shown)
    again = presented(load(tmp_path / "s"), rater(1))
    assert [(own.item.id, own.order) for own in again] == [(own.item.id, own.order) for own in shown]
    for check in (False, True):  # others see either sort in another order, wherever check items stand
        mine, theirs = (
            [own.item.id for own in presented(study, who) if (own.item.check is not None) == check]
            for who in (rater(1), rater(2))
        )
        assert sorted(mine) == sorted(theirs)
        assert mine != theirs


def test_the_order_is_the_hmac_of_the_secret() -> None:
    """Against Python's `hmac` by another of its doors, so that no later version deals another order."""
    expected = hmac.new(bytes.fromhex(SECRET), b"who\nplace\nitem\n0", "sha256").digest()[:16]
    assert drawn(SECRET, "who", "place", "item", "0") == int.from_bytes(expected, "big")


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 2**32))
def test_check_items_are_spread(checks: int, others: int, who: int) -> None:
    """One in each equal stretch behind the first two, so no two stand further apart than two stretches."""
    places = sorted(_places(SECRET, str(who), checks, others))
    assert len(places) == checks
    assert all(min(UNCHECKED, others) <= place < checks + others for place in places)
    stretch = (checks + others) / max(checks, 1) + 1
    assert all(after - before <= 2 * stretch for before, after in pairwise(places))


def test_sides_are_dealt_evenly(tmp_path: Path) -> None:
    """Each order of two images with probability ½: of 40 raters × 12 items within 5 standard deviations of half."""
    study = make_study(tmp_path / "s", n=12, checks=0)
    orders = Counter(own.order for i in range(40) for own in presented(study, rater(i)))
    n = orders.total()
    assert abs(orders[(0, 1)] - n / 2) < 5 * (n / 4) ** 0.5


def test_a_place_is_what_was_shown_there() -> None:
    """By the contract: `order[k]` is what is shown at place k; words mean themselves; nothing else is a place."""
    assert [canonical((2, 0, 1), k) for k in range(3)] == ["2", "0", "1"]
    assert canonical((1, 0), "tie") == "tie"
    for nonsense in (2, -1, True, "0"):
        with pytest.raises(ValueError, match="place"):
            canonical((1, 0), nonsense)
