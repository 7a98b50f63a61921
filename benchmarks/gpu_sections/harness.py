"""Sections one after the other, each in a process of its own with a time limit; what one does harms no other.

Processes are forked from a server that has imported torch and benchbench once, so a section pays for a CUDA context
and not for imports. Rows come through a pipe as they are made: of a section that is killed those it had stay. A
section leads a process group of its own, which is killed as one, with whatever compiles or decodes for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from gpu_sections import child
from gpu_sections.rows import Report, Row

PRELOAD = ("gpu_sections.child", "gpu_sections.imports")


@dataclass(frozen=True)
class Section:
    """run: "module:function" under `gpu_sections`. seconds, small: its time limits at full and at small size."""

    name: str
    run: str
    seconds: float
    small: float


@dataclass(frozen=True)
class Outcome:
    """status: ok, failed, timeout or skipped, with its reason in one line; rows: those that had come."""

    status: str
    reason: str
    seconds: float
    rows: list[Row]


def run_sections(
    sections: Iterable[Section],
    settings: child.Settings,
    report: Report,
    folder: Path,
    *,
    seconds: float,
    say: Callable[[str], None],
    preload: Iterable[str] = PRELOAD,
) -> None:
    """Run them all within `seconds`, and write the report into `folder` after each.

    The one called "train" has what is left of `seconds` when its turn comes, the others their own limits.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    end = time.monotonic() + seconds
    report.write(folder)
    for section in sections:
        left = end - time.monotonic()
        limit = section.small if settings.small else section.seconds
        limit = left if section.name == "train" else min(limit, left)
        if limit < 1:
            outcome = Outcome("skipped", "no time was left", 0.0, [])
        else:
            say(f"{section.name}: at most {limit:.0f} s")
            outcome = run_one(section, settings, limit, context)
        report.add(section.name, outcome.status, outcome.reason, outcome.seconds, outcome.rows)
        report.write(folder)
        reason = f" ({outcome.reason})" if outcome.reason else ""
        say(f"{section.name}: {outcome.status}{reason}, {outcome.seconds:.1f} s, {len(outcome.rows)} rows")


def run_one(
    section: Section,
    settings: child.Settings,
    limit: float,
    context: multiprocessing.context.ForkServerContext,
) -> Outcome:
    """One section, killed after `limit` seconds."""
    receiver, sender = context.Pipe(duplex=False)
    arguments = (section.name, section.run, settings, limit, sender)
    process = context.Process(target=child.main, args=arguments, daemon=False)
    start = time.monotonic()
    try:
        process.start()  # returns when the server has imported what it preloads
    except (EOFError, OSError) as error:
        return Outcome("failed", f"no process could be started: {error}", time.monotonic() - start, [])
    start = time.monotonic()
    sender.close()
    rows: list[Row] = []
    ended = _listen(receiver, process, rows, start + limit)
    _kill(process)
    receiver.close()
    seconds = time.monotonic() - start
    if ended is not None:
        return Outcome(*ended, seconds, rows)
    if seconds >= limit:
        return Outcome("timeout", f"not done after {limit:.0f} s", seconds, rows)
    return Outcome("failed", f"its process ended with exit code {process.exitcode}", seconds, rows)


def _listen(
    receiver: Connection, process: BaseProcess, rows: list[Row], end: float
) -> tuple[str, str] | None:
    """Gather rows until the section says how it ended; None where it died or time is up."""
    while True:
        ready = wait([receiver, process.sentinel], max(0.0, end - time.monotonic()))
        if not ready:
            return None
        if receiver not in ready:
            if not receiver.poll(0):
                return None
            continue
        try:
            message = receiver.recv()
        except EOFError:
            process.join(5)
            return None
        if isinstance(message, tuple):
            return message
        rows.append(message)


def _kill(process: BaseProcess) -> None:
    """End the process and all that it started."""
    assert process.pid is not None
    process.join(0.2)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()  # it had no group of its own yet, or all of it is gone
    process.join()
