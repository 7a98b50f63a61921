"""One cell in a process of its own (`core.children`), the arguments as JSON on the first line of standard input.

The last line printed is the sentence of the error, the exit code the error's own. When standard input closes,
whoever asked is gone, and the process ends at once; the store takes that as it takes any kill.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchbench.core.errors import BenchbenchError, CellFailed, limit_of_machine
from benchbench.core.interrupts import TERMINATED, Terminated, terminable

EVERY = 2.0  # seconds between lines of one stage


class _Lines:
    """A `core.progress.Progress` that prints lines, so that the last one always says where the job is."""

    def note(self, text: str) -> None:
        print(text, flush=True)

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[_Stage]:
        stage = _Stage(title, total, unit, done)
        stage.say()
        yield stage
        stage.say()


class _Stage:
    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, done
        self.numbers: dict[str, float] = {}
        self.said = 0.0

    def advance(self, n: int = 1, **numbers: float) -> None:
        self.done += n
        self.numbers |= numbers
        if time.monotonic() - self.said > EVERY:
            self.say()

    def say(self) -> None:
        numbers = "".join(f"  {name} {value:.4g}" for name, value in self.numbers.items())
        whole = f"/{self.total}" if self.total else ""
        print(f"{self.title} {self.done}{whole} {self.unit}s{numbers}", flush=True)
        self.said = time.monotonic()


def main() -> int:
    """Run the cell that standard input asks for; the exit code of the design."""
    terminable()
    job = json.loads(sys.stdin.readline())
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _carry_out(job)
    except BenchbenchError as error:
        print(error, flush=True)
        return error.exit_code
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        if (words := limit_of_machine(error)) is None:
            raise
        print(words, flush=True)
        return CellFailed.exit_code
    except Terminated:
        return TERMINATED
    return 0


def _carry_out(job: dict[str, Any]) -> None:
    from benchbench.core.device import resolve_device
    from benchbench.core.runtime import Runtime
    from benchbench.runner.run import carry_out
    from benchbench.runner.spec import CellSpec
    from benchbench.runner.sweep import Swept

    spec = CellSpec.model_validate(job["spec"])
    carry_out(
        [Swept(spec)], [spec.seed], Path(job["out"]), Runtime(resolve_device(job["device"]), None, _Lines())
    )


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(CellFailed.exit_code)


if __name__ == "__main__":
    sys.exit(main())
