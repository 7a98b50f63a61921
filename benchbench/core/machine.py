"""What this process may use of the machine: cores and memory, as its affinity and its control groups have it.

A batch system or a container gives a process a share of a machine, and `os.cpu_count` and the free memory of the whole
machine know nothing of it: threads then wait for each other, and a process that takes too much is killed.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max, memory.max, memory.current, memory.stat) and
cgroup-v1 (cpu.cfs_quota_us, memory.limit_in_bytes).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from benchbench.core.progress import Progress

THREADS = "OMP_NUM_THREADS"
_PROC, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than its control groups give it time on."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(bound, _cpu_share())))


def free_memory() -> int:
    """Bytes that this process could still take: what the machine has, and no more than its control groups leave."""
    return max(0, min([int(psutil.virtual_memory().available), *_memory_left()]))


def threads_for(workers: int) -> int:
    """Threads of each of so many processes that share what this one may use: as somebody set them in OMP_NUM_THREADS,
    but together no more than there are cores."""
    share = max(1, usable_cores() // workers)
    chosen = os.environ.get(THREADS, "").partition(",")[0].strip()
    return min(int(chosen), share) if chosen.isdigit() and int(chosen) > 0 else share


def settle_in(progress: Progress) -> None:
    """No more threads than cores, where nobody chose their number, and a word where others keep the machine busy."""
    cores = usable_cores()
    if THREADS not in os.environ and torch.get_num_threads() > cores:
        torch.set_num_threads(cores)
    # The load is of the whole machine, of which a container may see a part only.
    load, everywhere = psutil.getloadavg()[0], os.cpu_count() or 1
    if load >= everywhere:
        alone = torch.get_num_threads() == 1
        hint = "" if alone else f"; threads that wait for each other cost most, which {THREADS}=1 avoids"
        progress.note(
            f"this machine is busy: {load:.1f} programs want to run on {everywhere} core{'s' * (everywhere != 1)}; "
            f"everything takes longer and rates come out low{hint}"
        )


def _cpu_share() -> float:
    """Cores' worth of time that the control groups of this process give it; infinite where they set no limit."""
    share = math.inf
    for folder in _folders("cpu"):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            share = min(share, int(quota) / int(period))
    return share


def _memory_left() -> Iterator[int]:
    """Bytes that each control group of this process with a limit leaves. What it only caches counts as free: the kernel
    gives that up."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    for folder in _folders("memory"):
        for limit, used in names:
            most, taken = _text(folder / limit), _text(folder / used)
            if most.isdigit() and taken.isdigit():
                yield int(most) - int(taken) + _cached(folder)


def _cached(folder: Path) -> int:
    """Bytes of files that nobody has used for long."""
    for line in _text(folder / "memory.stat").splitlines():
        name, _, number = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and number.isdigit():
            return int(number)
    return 0


def _folders(controller: str) -> Iterator[Path]:
    """Those of the control groups that this process is in, its own and those around it."""
    for line in _text(_PROC).splitlines():
        _, controllers, inside = [*line.split(":", 2), "", ""][:3]
        for root in (_GROUPS, _GROUPS / "unified") if not controllers else (_GROUPS / controllers,):
            if controllers and controller not in controllers.split(","):
                continue
            own = root / inside.lstrip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root))


def _text(path: Path) -> str:
    """What is in a small file of the kernel; "" where there is none."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
