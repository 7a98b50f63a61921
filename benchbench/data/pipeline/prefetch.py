"""Work that runs ahead of whoever consumes it, by a bounded amount.

Pattern: futures in a deque. Results come out in the order of the input, so the first error met is the first
one in that order too, whichever thread tripped over it. A consumer that stops early (`close`, or an
exception) cancels what has not begun, waits for what has, closes the input and leaves no thread behind.

Scope: threads, for work that lets go of the interpreter lock (decoding, decompression, hashing, networks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

from benchbench.core.shares import READING, spent_on

S = TypeVar("S")
T = TypeVar("T")

THREAD_NAME = "benchbench-prefetch"


def read_ahead(items: Generator[T, None, None], depth: int) -> Generator[T, None, None]:
    """`items`, which a thread of its own computes up to `depth` ahead."""

    def step() -> list[T]:
        with spent_on(READING):
            return list(islice(items, 1))  # empty at the end

    with closing(items), ThreadPoolExecutor(1, THREAD_NAME) as pool:
        pending = deque(pool.submit(step) for _ in range(depth))
        try:
            while item := pending.popleft().result():
                pending.append(pool.submit(step))
                yield item[0]
        finally:
            for future in pending:
                future.cancel()


def map_ahead(
    function: Callable[[S], T], items: Generator[S, None, None], workers: int
) -> Generator[T, None, None]:
    """`function` of each of `items`, in order, computed by `workers` threads at most workers + 2 ahead."""

    def step(item: S) -> T:
        with spent_on(READING):
            return function(item)

    pending: deque[Future[T]] = deque()
    with closing(items), ThreadPoolExecutor(workers, THREAD_NAME) as pool:
        try:
            for item in items:
                pending.append(pool.submit(step, item))
                if len(pending) == workers + 2:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
