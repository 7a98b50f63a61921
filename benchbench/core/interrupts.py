"""Ctrl-C and SIGTERM, for work that wants to write down how far it is before it ends.

Pattern: inside `deferred_interrupts` the first of these signals only sets a flag; the work asks for it where it can
stop, writes down what it has, and hands the signal on (`deliver`) to whoever had it before. A second signal does not
wait. `terminable` makes SIGTERM an exception, as SIGINT is one, so that what is open is closed.

Scope: the main thread, which alone may handle signals; elsewhere nothing changes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATED = 143
"""The exit code of a process that SIGTERM ended, as shells have it: 128 + SIGTERM."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM: the process is asked to end."""


class Interrupts:
    """What came in, and who takes it in the end.

    Attributes:
        pending: Whether somebody wants the work to stop.
    """

    def __init__(self) -> None:
        self.pending = False
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def deliver(self) -> None:
        """Hand the signal on to whoever had it before; where that one returns, the work may go on."""
        number, self._signal, self.pending = self._signal, None, False
        if number is None:
            return
        handler = self._before[number]
        if callable(handler):
            handler(number, None)
        else:  # the system's own, which ends the process
            signal.signal(number, handler)
            signal.raise_signal(number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        again, self.pending, self._signal = self.pending, True, number
        if again:
            self.deliver()

    def install(self) -> None:
        """Take over from whoever handles these signals, where anybody does."""
        for number in SIGNALS:
            # One that is ignored stays ignored (nohup); one that C code handles is not ours to put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._take)

    def restore(self) -> None:
        """Put back whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def deferred_interrupts(enabled: bool = True) -> Iterator[Interrupts]:
    """Inside, the first SIGINT or SIGTERM is remembered and not acted on; one that nobody delivered is at the end.

    enabled: without it nothing changes.
    """
    interrupts = Interrupts()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    interrupts.install()
    try:
        yield interrupts
    finally:
        interrupts.restore()
    interrupts.deliver()


def terminable() -> None:
    """From now on SIGTERM raises `Terminated`, where nobody ignores or handles it."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
