"""Who takes the time of a piece of work: processor seconds and seconds of the clock, by name.

Pattern: parts nest, and each is charged with what passed while it was the innermost one; so the parts add up to the
whole, and nothing is counted twice. Threads that run ahead (decoding) are charged by their own clocks, and what they
took is taken off whichever part the process was in meanwhile. Where nobody measures, `spent_on` does nothing.

Scope: one measurement a process at a time, for the processor's clock is that of the whole process. What a library's
threads do for a thread that runs ahead is charged to the part of the process. The clock is read when a part ends, and
nobody waits for an accelerator: work that is queued there is charged to whoever waits for its result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

READING = "images, read or made"
"""Decoded, resized and digested, or drawn from a model."""
REST = "everything else"


@dataclass
class Share:
    """What a part took.

    Attributes:
        processor: Seconds of processors, of all threads together.
        wall: Seconds of the clock during which it was the innermost part; 0 for what only ran ahead in a thread.
    """

    processor: float = 0.0
    wall: float = 0.0


class Shares:
    """A measurement under way, and what came out of it.

    Attributes:
        parts: By name, in the order in which they began.
    """

    def __init__(self) -> None:
        self.parts: dict[str, Share] = {}
        self._open: list[str] = []
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._processor, self._wall = time.process_time(), time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what is done inside to `name`."""
        if threading.get_ident() != self._thread:
            start = time.thread_time()
            try:
                yield
            finally:
                self._add_ahead(name, time.thread_time() - start)
            return
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _add_ahead(self, name: str, seconds: float) -> None:
        with self._lock:
            self._ahead += seconds
            self._share(name).processor += seconds

    def _charge(self) -> None:
        """What passed since the last time, to the innermost part."""
        processor, wall = time.process_time(), time.perf_counter()
        with self._lock:
            if self._open:
                own = self._share(self._open[-1])
                own.processor += max(0.0, processor - self._processor - self._ahead)
                own.wall += wall - self._wall
            self._ahead = 0.0
        self._processor, self._wall = processor, wall

    def _share(self, name: str) -> Share:
        return self.parts.setdefault(name, Share())


_measuring: list[Shares] = []
"""The measurement under way, if there is one: of the process, hence of all its threads."""


@contextmanager
def measured() -> Iterator[Shares]:
    """Measure what is done inside, of which what is in no part is `REST`.

    >>> with measured() as shares, spent_on("a sum"):
    ...     total = sum(range(1000))
    >>> ", ".join(shares.parts)
    'everything else, a sum'
    """
    if _measuring:
        raise RuntimeError("the shares of this process are being measured already")
    shares = Shares()
    _measuring.append(shares)
    try:
        with shares.part(REST):
            yield shares
    finally:
        _measuring.clear()


@contextmanager
def spent_on(name: str) -> Iterator[None]:
    """Charge what is done inside to `name`, where somebody measures."""
    if not _measuring:
        yield
        return
    with _measuring[0].part(name):
        yield


def waited_for(items: Iterable[T], name: str = READING) -> Iterator[T]:
    """`items`, where the wait for each of them is a part of this name."""
    source = iter(items)
    while True:
        with spent_on(name):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item
