"""What a suite looks like: the plan as a table, and the cells while they run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from benchbench.core.paths import printable
from benchbench.core.progress import duration
from benchbench.runner.suite import SuiteCell
from benchbench.runner.suite_run import AtWork
from benchbench.views.blocks import Blocks, Column
from benchbench.views.text import plain

STATES = {
    "done": "done",
    "taken": "others are at it",
    "begun": "goes on",
    "new": "to do",
    "broken": "cannot be run",
}


def plan_table(cells: Sequence[SuiteCell], jobs: int) -> Group:
    """Every cell, what the store has of it, and what the rest should take."""
    return Group(_Plan(cells), Text(totals(cells, jobs), style="table.caption"))


@dataclass(frozen=True)
class _Plan:
    cells: Sequence[SuiteCell]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        states = [STATES[cell.state] for cell in self.cells]
        costs = ["" if cell.state == "done" else duration(cell.seconds) for cell in self.cells]
        keys = [cell.key for cell in self.cells]
        table = Table(box=None, pad_edge=False)
        swept = any(cell.told for cell in self.cells)
        for name in ("model", "dataset", "seed", *(["sweep"] if swept else []), "state", "estimate", "key"):
            table.add_column(
                name,
                justify="right" if name in ("seed", "estimate") else "left",
                style="dim" if name == "key" else "",
                no_wrap=True,
            )
        for cell, *more in zip(self.cells, states, costs, keys, strict=True):
            told = [printable(cell.told)] if swept else []
            table.add_row(printable(cell.model), printable(cell.dataset), str(cell.seed), *told, *more)
        if Measurement.get(console, options.update(width=10_000), table).maximum <= options.max_width:
            yield table
            return
        columns = [Column("state", states, right=False), Column("estimate", costs), Column("key", keys)]
        yield Blocks("", Column("cell", [plain(cell.name) for cell in self.cells]), columns)


def totals(cells: Sequence[SuiteCell], jobs: int) -> str:
    """One sentence on the whole: how many, and how long by past records."""
    states = Counter(cell.state for cell in cells)
    left = [cell for cell in cells if cell.state in ("begun", "new", "taken")]
    known = [cell.seconds for cell in left if cell.seconds is not None]
    parts = [f"{len(cells)} cells, {states['done']} done, {states['begun']} begun, {states['new']} new"]
    if states["taken"]:
        parts.append(f"{states['taken']} that others are at")
    if states["broken"]:
        parts.append(f"{states['broken']} cannot be run")
    if known:
        cost = f"{duration(sum(known) / jobs)} left with {jobs} at a time, by past records"
        unknown = len(left) - len(known)
        parts.append(cost + (f" ({unknown} cells without any)" if unknown else ""))
    elif left:
        parts.append("no past record says what they cost")
    return "; ".join(parts)


class LiveSuite:
    """Draws a running suite on stderr: what ended as lines, what runs as a small table on a terminal."""

    def __init__(self, cells: Sequence[SuiteCell], console: Console) -> None:
        self.console, self.total = console, len(cells)
        self.done, self.failed = 0, 0
        self.start, self.before = time.monotonic(), 0
        self.live = Live(console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> LiveSuite:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def skipped(self, n: int) -> None:
        """`n` cells were done before."""
        self.done += n
        self.start, self.before = time.monotonic(), self.done
        if n:
            self.say(f"{n} of {self.total} cells are there already")

    def ended(self, name: str, seconds: float, reason: str | None) -> None:
        """A cell ended; `reason` says why it failed."""
        self.done += 1
        self.failed += reason is not None
        what = "done" if reason is None else f"FAILED: {reason}"
        self.say(f"[{self.done}/{self.total}] {name}: {what} ({duration(seconds)})")

    def at_work(self, cells: Sequence[AtWork]) -> None:
        """What is carried out now, what waits, and what is done. As many cells as the terminal has lines for."""
        table = Table(box=None, pad_edge=False)
        room = max(1, self.console.height - 4)
        shown = cells if len(cells) <= room else cells[: room - 1]
        for cell in shown:
            where = (
                cell.where if cell.where and not cell.ours else "" if cell.where else "waits for the cluster"
            )
            said = ": ".join(filter(None, [where, cell.said]))
            table.add_row(
                printable(cell.name),
                duration(cell.seconds),
                Text(printable(said), style="dim", overflow="ellipsis", no_wrap=True),
            )
        if len(shown) < len(cells):
            table.add_row(f"and {len(cells) - len(shown)} more")
        self.live.update(Group(table, Text(self._counted(cells), style="bold")))

    def _counted(self, cells: Sequence[AtWork]) -> str:
        others = sum(not cell.ours for cell in cells)
        running = sum(cell.ours and bool(cell.where) for cell in cells)
        counts = {
            "running": running,
            "that others are at": others,
            "waiting": self.total - self.done - others - running,
            "failed": self.failed,
        }
        more = "".join(f", {n} {what}" for what, n in counts.items() if n)
        return f"{self.done} of {self.total} cells{more}{self._left()}"

    def _left(self) -> str:
        """How long the rest takes if it goes on as it went; "" until the first cell ended."""
        ended = self.done - self.before
        if not ended:
            return ""
        return f", about {duration((time.monotonic() - self.start) / ended * (self.total - self.done))} left"

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(Text(printable(text)), soft_wrap=True)
