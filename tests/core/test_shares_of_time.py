"""Who took the time: parts that nest, threads that run ahead, and errors on the way; by clocks that the tests set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from benchbench.core import shares
from benchbench.core.shares import READING, REST, Share, measured, spent_on, waited_for


class Clocks:
    """Seconds of the clock, of the process, and of the thread that asks."""

    def __init__(self) -> None:
        self.wall = self.processor = 100.0
        self.own: dict[int, float] = {}

    def work(self, wall: float, processor: float) -> None:
        """By this thread; the process is charged too."""
        self.wall += wall
        self.processor += processor
        me = threading.get_ident()
        self.own[me] = self.own.get(me, 0.0) + processor


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    own = Clocks()
    time = SimpleNamespace(
        perf_counter=lambda: own.wall,
        process_time=lambda: own.processor,
        thread_time=lambda: own.own.get(threading.get_ident(), 0.0),
    )
    monkeypatch.setattr(shares, "time", time)
    return own


def test_a_part_within_another_is_taken_off_it(clocks: Clocks) -> None:
    """By hand: 1 s before, 2 within the outer one, 3 within the inner one, 4 more of the outer one."""
    with measured() as found:
        clocks.work(1, 2)
        with spent_on("outer"):
            clocks.work(2, 4)
            with spent_on("inner"):
                clocks.work(3, 6)
            clocks.work(4, 8)
    assert found.parts == {REST: Share(2, 1), "outer": Share(12, 6), "inner": Share(6, 3)}


def test_equal_names_add_up(clocks: Clocks) -> None:
    """Batches of one network: three times 2 s."""
    with measured() as found:
        for _ in range(3):
            with spent_on("network"):
                clocks.work(2, 3)
    assert found.parts["network"] == Share(9, 6)


def test_a_thread_that_runs_ahead_is_charged_by_its_own_clock(clocks: Clocks) -> None:
    """While the network computes for 5 processor seconds a thread decodes for 7: together the 12 of the process."""

    def decode() -> None:
        with spent_on(READING):
            clocks.work(0, 7)

    with measured() as found, spent_on("network"):
        thread = threading.Thread(target=decode)
        thread.start()
        thread.join()
        clocks.work(6, 5)
    assert found.parts[READING] == Share(7, 0)
    assert found.parts["network"] == Share(5, 6)
    assert sum(own.processor for own in found.parts.values()) == 12


def test_waiting_for_items_is_a_part(clocks: Clocks) -> None:
    """Three images, each 2 s to make and 1 s to look at, and a second after the last of them."""

    def made() -> Iterator[int]:
        for number in range(3):
            clocks.work(2, 2)
            yield number
        clocks.work(1, 1)

    with measured() as found:
        seen = []
        for item in waited_for(made()):
            seen.append(item)
            clocks.work(1, 1)
    assert seen == [0, 1, 2]
    assert found.parts[READING] == Share(7, 7)
    assert found.parts[REST] == Share(3, 3)


def test_an_error_is_charged_and_ends_the_measurement(clocks: Clocks) -> None:
    """What fails took its time as well, and the next measurement begins anew."""
    with pytest.raises(ZeroDivisionError), measured() as found, spent_on("division"):
        clocks.work(1, 1)
        _ = 1 / 0
    assert found.parts["division"] == Share(1, 1)
    with measured() as again:
        pass
    assert again.parts == {REST: Share(0, 0)}


def test_nobody_measures_nothing_happens() -> None:
    """`spent_on` then is no more than its body; and there is one measurement at a time, for a process has one clock."""
    with spent_on("alone"):
        assert list(waited_for([1, 2])) == [1, 2]
    with measured(), pytest.raises(RuntimeError, match="already"), measured():
        pass
