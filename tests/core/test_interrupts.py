"""The first signal waits for the work, the second does not; and whoever had a signal before gets it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from benchbench.core.interrupts import SIGNALS, Interrupts, Terminated, deferred_interrupts, terminable


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """As they were, whatever a test does; SIGTERM raises, as in the commands."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    terminable()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


RAISED = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]


def work(steps: int, at: Callable[[int, Interrupts], None]) -> list[int]:
    """Steps of which each is finished; the ones that were."""
    done: list[int] = []
    with deferred_interrupts() as interrupts:
        for step in range(steps):
            at(step, interrupts)
            done.append(step)
            if interrupts.pending:
                KEPT.append(list(done))
                interrupts.deliver()
    return done


KEPT: list[list[int]] = []


@pytest.mark.parametrize(("number", "error"), RAISED)
def test_the_step_is_finished_first(number: signal.Signals, error: type[BaseException]) -> None:
    """A signal in step 2 of 5: steps 0 to 2 are done and written down, then the error comes; the handlers are those of
    before."""
    before = [signal.getsignal(each) for each in SIGNALS]
    KEPT.clear()
    with pytest.raises(error):
        work(5, lambda step, _: signal.raise_signal(number) if step == 2 else None)
    assert KEPT == [[0, 1, 2]]
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.mark.parametrize(("number", "error"), RAISED)
def test_the_second_does_not_wait(number: signal.Signals, error: type[BaseException]) -> None:
    """Two signals in one step: that step is not finished, and nothing is written down."""
    KEPT.clear()

    def twice(step: int, interrupts: Interrupts) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(number)
            raise AssertionError("the second signal did not end the step")

    with pytest.raises(error):
        work(5, twice)
    assert KEPT == []


def test_one_that_comes_after_the_last_step_is_not_lost() -> None:
    """A signal that nobody asked for before the end is raised at the end."""
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_work_goes_before() -> None:
    """What the work raised while a signal waited is what comes out."""
    with pytest.raises(ValueError, match="mine"), deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("mine")


def test_a_handler_of_somebody_else_decides() -> None:
    """One that only takes a note: the work goes on after it has been told, and may be told again."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    KEPT.clear()
    done = work(5, lambda step, _: signal.raise_signal(signal.SIGTERM) if step in (1, 3) else None)
    assert done == [0, 1, 2, 3, 4]
    assert told == [signal.SIGTERM, signal.SIGTERM]
    assert KEPT == [[0, 1], [0, 1, 2, 3]]


def test_what_is_ignored_stays_ignored() -> None:
    """As `nohup` and shells have it for what runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert not interrupts.pending
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_terminable_leaves_the_handlers_of_others(handler: object) -> None:
    """SIGTERM that somebody ignores or handles is theirs."""
    signal.signal(signal.SIGTERM, handler)  # type: ignore[arg-type]
    terminable()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_another_thread_and_no_wish_change_nothing() -> None:
    """Signals are the main thread's; there the handlers stay as they are, and so they do where nobody asks."""
    found: list[object] = []

    def inside() -> None:
        with deferred_interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    with deferred_interrupts(enabled=False):
        found.append(signal.getsignal(signal.SIGINT))
    assert found == [signal.default_int_handler] * 2
