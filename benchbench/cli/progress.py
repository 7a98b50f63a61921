"""Draws progress on stderr: a bar with rate and time left on a terminal, lines in a log.

In a log a stage says where it is every half minute, so that whoever reads it knows that something happens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from benchbench.cli.console import console
from benchbench.core.paths import printable
from benchbench.core.progress import Counted, Stage

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
        self.line(stage.ended())


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


class _Stage(Counted):
    """One piece of work, and the bar that shows it, if any."""

    bar: tuple[Progress, TaskID] | None = None

    def fields(self) -> dict[str, Any]:
        """What stands beside a bar."""
        return {"count": self.count, "rate": self.rate(), "numbers": self.numbers}

    def advance(self, n: int = 1, **numbers: float) -> None:
        super().advance(n, **numbers)
        if self.bar is not None:
            bars, task = self.bar
            bars.update(task, completed=self.done, **self.fields())
