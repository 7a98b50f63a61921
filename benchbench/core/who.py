"""Which process of which machine: names that no other process has, so that it can be told whose what was left is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from platform import node

import psutil


@cache
def this_machine() -> str:
    """What tells process identifiers of this machine from those of another: its name, its boot and, in a container, the
    container. 8 hexadecimal digits."""
    parts = [node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return sha256("\n".join(parts).encode()).hexdigest()[:8]


def born(pid: int) -> int | None:
    """What tells this process from an earlier or later one of its number: when it began, in ticks since the boot or, on
    systems that do not say, in hundredths of a second of the clock. None where there is no such process, or one that
    has ended and that nobody has collected."""
    if sys.platform == "linux":
        # Not psutil's time: that moves when the clock is set, and a living process would pass for a dead one.
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else int(fields[19])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time() * 100)
    except (psutil.Error, OverflowError):
        return None
