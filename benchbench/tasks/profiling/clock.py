"""How long work takes: by the device's own events on CUDA, elsewhere by the processor's clock with the queue empty."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchbench.core.device import synchronize

FEWEST = 3  # repeats, of whatever is slow


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """How long one call takes.

    Args:
        work: What is done; on `device`, waiting for nobody.
        device: Where. What was queued there before is waited for.

    Returns:
        Seconds; on CUDA between two events, before and after what the call queued.
    """
    synchronize(device)
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        stream = torch.cuda.current_stream(device)
        begin.record(stream)
        work()
        end.record(stream)
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def repeated(
    work: Callable[[], object], repeats: int, device: torch.device, *, budget: float, fewest: int = FEWEST
) -> list[float]:
    """How long several calls take, after one that does not count (allocator, kernels, caches).

    Args:
        work: As in `seconds_of`.
        repeats: How many calls count.
        device: Where.
        budget: Seconds; where so many calls would take longer, there are fewer.
        fewest: At least so many.

    Returns:
        Seconds of each.
    """
    seconds_of(work, device)
    first = seconds_of(work, device)
    affordable = max(fewest, int(budget / first)) if first else repeats
    return [first, *(seconds_of(work, device) for _ in range(min(repeats, affordable) - 1))]
