"""Several sinks at once, by sinks that remember what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import CURVES, Remembers, a_picture, a_run

from benchbench.sinks.feed import Feed
from benchbench.sinks.sink import LoggedRun, Opened


def feed_of(**sinks: Any) -> tuple[Feed, list[tuple[str, str]]]:
    """A feed, and who failed with what."""
    failures: list[tuple[str, str]] = []
    run = a_run(Path("nowhere"))
    told = {name: (sink, run) for name, sink in sinks.items()}
    return Feed(told, lambda name, error: failures.append((name, str(error)))), failures


def test_rows_are_told_once_in_order() -> None:
    """All rows so far are handed over again and again; each is told once, without its step among the values and without
    what is no number."""
    sink = Remembers()
    feed, _ = feed_of(sink=sink)
    for n in (1, 3, 3):
        feed.curves(CURVES[:n])
    assert [told[1:] for told in sink.told if told[0] == "scalars"] == [
        (5, {"curves/epoch": 0, "curves/loss": 2.5, "curves/lr": 0.1}),
        (10, {"curves/epoch": 1, "curves/loss": 1.25, "curves/lr": 0.05, "curves/monitor_distance": 7.0}),
        (15, {"curves/epoch": 2, "curves/lr": 0.0}),
    ]


@given(has=st.integers(-1, 20), other=st.integers(-1, 20), cuts=st.lists(st.integers(0, 3), max_size=4))
def test_what_a_sink_has_it_is_not_told(has: int, other: int, cuts: list[int]) -> None:
    """Whatever two sinks have of a run and however its rows come in, each is told exactly those behind its own."""
    one, two = Remembers(has), Remembers(other)
    feed, _ = feed_of(one=one, two=two)
    for n in (*cuts, 3):
        feed.curves(CURVES[:n])
    assert one.steps() == [step for step in (5, 10, 15) if step > has]
    assert two.steps() == [step for step in (5, 10, 15) if step > other]


def test_pictures_wait_for_their_row() -> None:
    """One that was made at step 10, before the row of step 5 was told, comes behind the row of its own step: no sink is
    told of a step that lies behind. One whose step was told before is dropped."""
    sink = Remembers(has=5)
    feed, _ = feed_of(sink=sink)
    feed.picture(5, "samples", a_picture())
    feed.picture(10, "samples", a_picture())
    feed.curves(CURVES)
    assert [told[:2] for told in sink.told[1:]] == [("scalars", 10), ("image", 10), ("scalars", 15)]


@pytest.mark.parametrize("breaks", ["open", "scalars", "image", "numbers", "close"])
def test_a_sink_that_fails_ends_itself(breaks: str) -> None:
    """It is named once and told no more but that it is over; the other is told everything."""
    bad, good = Remembers(breaks=breaks), Remembers()
    feed, failures = feed_of(bad=bad, good=good)
    feed.picture(5, "samples", a_picture())
    feed.curves(CURVES[:1])
    feed.curves(CURVES)
    feed.end(15, [], [("record/samples", a_picture())])
    feed.close("finished")
    assert failures == [("bad", "[Errno 28] No space left on device")]
    assert [told[0] for told in bad.told].count(breaks) == (2 if breaks == "close" else 1)
    kinds = [told[0] for told in good.told]
    assert kinds == ["open", "scalars", "image", "scalars", "scalars", "image", "numbers", "close"]
    assert good.told[-1] == ("close", "finished")


def test_sys_exit_of_a_sink_is_its_own_failure() -> None:
    """A library that ends the program ends its sink."""

    class Exits(Remembers):
        def open(self, run: LoggedRun) -> Opened:
            raise SystemExit(3)

    feed, failures = feed_of(exits=Exits())
    assert failures == [("exits", "3")]
    assert not feed


def test_an_interrupt_is_the_users() -> None:
    """While the second sink opens: it goes on its way, and the first is closed."""

    class Interrupted(Remembers):
        def open(self, run: LoggedRun) -> Opened:
            raise KeyboardInterrupt

    first = Remembers()
    with pytest.raises(KeyboardInterrupt):
        feed_of(first=first, second=Interrupted())
    assert first.told[-1] == ("close", "interrupted")
