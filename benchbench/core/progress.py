"""How long work reports that it is alive, without knowing who watches.

Rooms below the command line take a `Progress` and tell it what they do; the command line draws it. The
default, `SILENT`, draws nothing, so the library is quiet unless asked; that of the verbs, `AUTO`, draws in a notebook
alone (`core.notebook`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One piece of work under way."""

    def advance(self, n: int = 1, **numbers: float) -> None:
        """Say that more is done.

        Args:
            n: How many units more.
            **numbers: Worth showing beside the rate, for example loss=0.31.
        """


class Progress(Protocol):
    """Whoever watches."""

    def stage(self, title: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Stage]:
        """Begin a piece of work.

        Args:
            title: What is done.
            total: How many units it has; 0 where nobody knows.
            unit: What they are, in the singular: "image".
            done: How many of them were done before.

        Returns:
            The work under way, to be told of every step; leaving the context ends it.
        """

    def note(self, text: str) -> None:
        """Say something worth one line, for example that training goes on from a checkpoint.

        Args:
            text: The line.
        """


class _Silent:
    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[_Silent]:
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def __repr__(self) -> str:
        return "SILENT"  # the default that `help` shows


SILENT: Progress = _Silent()


class _Auto(_Silent):
    def __repr__(self) -> str:
        return "AUTO"


AUTO: Progress = _Auto()
"""A bar in a notebook, silence elsewhere; `core.notebook.watching` says which."""


def rate(n: int, seconds: float, unit: str) -> str:
    """How fast work goes, as people say it: below one a second, how long one takes.

    >>> rate(1200, 2.0, "image"), rate(3, 2.0, "step"), rate(20, 123.1, "step")
    ('600 images/s', '1.5 steps/s', '6.2 s/step')
    """
    a_second = n / max(seconds, 1e-9)
    if a_second < 1:
        return f"{seconds / n:.2g} s/{unit}" if n else ""
    return f"{a_second:,.0f} {unit}s/s" if a_second >= 10 else f"{a_second:.2g} {unit}s/s"


def duration(seconds: float | None) -> str:
    """For people; "unknown" for None.

    >>> duration(7500.0), duration(200.0), duration(12.3)
    ('2 h 05 min', '3 min 20 s', '12 s')
    """
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"


def counted(n: int, unit: str) -> str:
    """So many of them.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{n:,} {unit}{'' if n == 1 else 's'}"


class Counted:
    """A piece of work under way as whoever draws it counts it.

    Args:
        title: What is done.
        total: How many units it has; 0 where nobody knows.
        unit: What they are, in the singular.
        done: How many of them were done before.
    """

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done, self.first = done, done
        self.start = time.monotonic()
        self.latest: dict[str, float] = {}

    def advance(self, n: int = 1, **numbers: float) -> None:
        """As `Stage.advance`."""
        self.done += n
        self.latest |= numbers

    @property
    def numbers(self) -> str:
        """The latest of each number that was told; not all come with every step."""
        return "  ".join(f"{name} {value:.4g}" for name, value in self.latest.copy().items())

    @property
    def count(self) -> str:
        """How many of how many."""
        return f"{self.done}/{self.total}" if self.total else f"{self.done}"

    def rate(self) -> str:
        """How fast it has gone since it began here."""
        return rate(self.done - self.first, time.monotonic() - self.start, self.unit)

    def left(self) -> str:
        """How long it will still take at that rate; "" where nobody knows."""
        done = self.done - self.first
        if not done > 0 or not self.done < self.total:
            return ""
        return f"{duration((time.monotonic() - self.start) / done * (self.total - self.done))} left"

    def words(self) -> str:
        """Where it is, as a line of a log."""
        whole = f" of {self.total:,}" if self.total else ""
        numbers = f" ({self.numbers})" if self.numbers else ""
        parts = [f"{self.title}: {self.done:,}{whole} {self.unit}s", self.rate(), self.left()]
        return ", ".join(filter(None, parts)) + numbers

    def ended(self) -> str:
        """What it was, as a line of a log."""
        seconds = time.monotonic() - self.start
        said = f", {self.rate()}" if seconds > 0.5 and self.done > self.first else ""
        numbers = f" ({self.numbers})" if self.numbers else ""
        return f"{self.title}: {counted(self.done, self.unit)} in {seconds:.1f} s{said}{numbers}"
