"""Several ranks in one process: a thread each, which hand each other what they found as processes would."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from benchbench.core.comm import Comm

T = TypeVar("T")
PATIENCE = 120.0  # seconds that a rank waits for the others before the test fails


class ThreadComm(Comm):
    """One of `size` threads that share a table and a barrier."""

    def __init__(self, rank: int, table: list[bytes], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(table)
        self._table, self._barrier = table, barrier

    def exchange(self, mine: Any) -> list[Any]:
        """Pickled on the way, as between processes."""
        self._table[self.rank] = pickle.dumps(mine)
        self._barrier.wait(PATIENCE)
        found = [pickle.loads(content) for content in self._table]
        self._barrier.wait(PATIENCE)  # before anybody writes again
        return found


def on_ranks(size: int, work: Callable[[Comm], T]) -> list[T]:
    """What `work` gives on each of so many ranks. A rank that fails lets the others fail, too."""
    barrier = threading.Barrier(size)
    table = [b""] * size

    def one(rank: int) -> T:
        try:
            return work(ThreadComm(rank, table, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        waiting = [pool.submit(one, rank) for rank in range(size)]
        failures = [future.exception() for future in waiting]
    first = [failure for failure in failures if not isinstance(failure, threading.BrokenBarrierError | None)]
    for failure in first or [failure for failure in failures if failure is not None]:
        raise failure
    return [future.result() for future in waiting]
