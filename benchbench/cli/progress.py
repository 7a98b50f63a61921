"""Draws progress on stderr: a bar with rate and time left on a terminal, lines in a log.

In a log a stage says where it is every half minute, so that whoever reads it knows that something happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from benchbench.cli.console import console
from benchbench.core.paths import printable
from benchbench.core.progress import Stage

EVERY = 30.0  # seconds between the lines of a stage in a log


class RichProgress:
    """A `core.progress.Progress` for people."""

    def __init__(self) -> None:
        self.console = console(stderr=True)

    def note(self, text: str) -> None:
        self.line(text)

    def line(self, text: str) -> None:
        """One line, whatever is in it."""
        self.console.print(printable(text), style="dim", soft_wrap=True)

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Stage]:
        start = time.monotonic()
        if self.console.is_terminal:
            with _bars(self.console) as bars:
                stage = _Stage(title, total, unit, done)
                task = bars.add_task(printable(title), total=total or None, completed=done, **stage.fields())
                stage.bar = (bars, task)
                yield stage
        else:
            stage = _Stage(title, total, unit, done)
            with _now_and_then(lambda: self.line(stage.words())):
                yield stage
        seconds = time.monotonic() - start
        said = f", {rate(stage.done - done, seconds, unit)}" if seconds > 0.5 and stage.done > done else ""
        numbers = f" ({stage.numbers})" if stage.numbers else ""
        self.line(f"{title}: {counted(stage.done, unit)} in {seconds:.1f} s{said}{numbers}")


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


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}", style="dim", markup=False),
    )
    return Progress(*columns, console=console, transient=True)


@contextmanager
def _now_and_then(say: Callable[[], None]) -> Iterator[None]:
    """Call `say` every half minute, however long one unit of the work takes."""
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(EVERY):
            say()

    talker = threading.Thread(target=talk, name="benchbench-progress", daemon=True)
    try:
        talker.start()
    except RuntimeError:  # no thread may be started: then the log is silent until the stage ends
        yield
        return
    try:
        yield
    finally:
        ended.set()
        talker.join()


class _Stage:
    """One piece of work, and the bar that shows it, if any."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done, self.first = done, done
        self.bar: tuple[Progress, TaskID] | None = None
        self.start = time.monotonic()
        self.latest: dict[str, float] = {}

    @property
    def numbers(self) -> str:
        """The latest of each number that was told; not all come with every step."""
        return "  ".join(f"{name} {value:.4g}" for name, value in self.latest.copy().items())

    def fields(self) -> dict[str, Any]:
        """What stands beside a bar."""
        whole = f"/{self.total}" if self.total else ""
        return {"count": f"{self.done}{whole}", "rate": self.rate(), "numbers": self.numbers}

    def words(self) -> str:
        """Where it is, as a line of a log."""
        whole = f" of {self.total:,}" if self.total else ""
        numbers = f" ({self.numbers})" if self.numbers else ""
        parts = [f"{self.title}: {self.done:,}{whole} {self.unit}s", self.rate(), self.left()]
        return ", ".join(filter(None, parts)) + numbers

    def rate(self) -> str:
        """How fast it has gone since it began here."""
        return rate(self.done - self.first, time.monotonic() - self.start, self.unit)

    def left(self) -> str:
        """How long it will still take at that rate; "" where nobody knows."""
        done = self.done - self.first
        if not done > 0 or not self.done < self.total:
            return ""
        return f"{duration((time.monotonic() - self.start) / done * (self.total - self.done))} left"

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.done += n
        self.latest |= numbers
        if self.bar is not None:
            bars, task = self.bar
            bars.update(task, completed=self.done, **self.fields())
