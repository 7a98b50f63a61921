"""Sections that behave in every way a section can, for `test_gpu`. Nothing here imports torch."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from gpu_sections.child import Bench, SkippedError


def good(bench: Bench) -> None:
    """A check that holds, one that does not, a number that is none, and one thing that goes wrong by itself."""
    bench.check("close", 0.1, 0.5)
    bench.check("far", 0.7, 0.5, "too far")
    bench.check("not a number", float("nan"), 0.5)
    bench.measure("rate", 12345.6, "images/s", target=20000, share=0.25)
    with bench.item("broken"):
        raise ValueError("of its own\nand more")
    with bench.item("absent"):
        raise SkippedError("not here")


def raises(bench: Bench) -> None:
    """One row, then an error."""
    bench.check("before", 0, 0)
    raise RuntimeError("it broke")


def sleeps(bench: Bench) -> None:
    """One row, then longer than anybody waits, with a child that sleeps as long; its id stands in a row."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    bench.measure("child", child.pid, "")
    time.sleep(600)


def dies(bench: Bench) -> None:
    """One row, then the process is gone."""
    bench.check("before", 0, 0)
    os._exit(7)


def skips(bench: Bench) -> None:
    """Says why."""
    raise SkippedError("no device")


def prints(bench: Bench) -> None:
    """On both streams."""
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
