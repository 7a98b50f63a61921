"""Draws progress on stderr: a bar with rate and time left on a terminal, one line a stage in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from benchbench.core.progress import Stage


class RichProgress:
    """A `core.progress.Progress` for people."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def note(self, text: str) -> None:
        self.console.print(f"[dim]{escape(text)}[/dim]", soft_wrap=True)

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Stage]:
        start = time.monotonic()
        if not self.console.is_terminal:
            stage = _Stage(None, None, unit, done)
            yield stage
        else:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("[dim]{task.fields[numbers]}"),
            )
            with Progress(*columns, console=self.console, transient=True) as bars:
                task = bars.add_task(escape(title), total=total or None, completed=done, rate="", numbers="")
                stage = _Stage(bars, task, unit, done)
                yield stage
        seconds = time.monotonic() - start
        work = stage.done - done
        rate = f", {work / seconds:,.0f} {unit}s/s" if seconds > 0.5 else ""
        numbers = f" ({stage.numbers})" if stage.numbers else ""
        self.console.print(
            f"{escape(title)}: {stage.done:,} {unit}s in {seconds:.1f} s{rate}{escape(numbers)}",
            style="dim",
            soft_wrap=True,
            highlight=False,
        )


class _Stage:
    def __init__(self, bars: Progress | None, task: TaskID | None, unit: str, done: int) -> None:
        self.bars, self.task, self.unit, self.done, self.first = bars, task, unit, done, done
        self.start = time.monotonic()
        self.latest: dict[str, float] = {}

    @property
    def numbers(self) -> str:
        """The latest of each number that was told; not all come with every step."""
        return "  ".join(f"{name} {value:.4g}" for name, value in self.latest.items())

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.done += n
        self.latest |= numbers
        if self.bars is not None and self.task is not None:
            rate = (self.done - self.first) / max(time.monotonic() - self.start, 1e-9)
            self.bars.update(
                self.task, completed=self.done, rate=f"{rate:,.0f} {self.unit}s/s", numbers=self.numbers
            )
