"""Images a second against the number of images at once, by doubling, until something ends it."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from benchbench.core.errors import out_of_memory
from benchbench.metrics.metric import Estimate
from benchbench.tasks.profiling.clock import repeated

MOST_ON_CPU = 256
MOST = 65_536
REPEATS = 5
BUDGET = 5.0  # seconds for the repeats of one size, where the fewest of them allow it
LONGEST = 10.0  # seconds of a batch, after which no larger one is tried


@dataclass(frozen=True)
class Curve:
    """The rates by batch size, in images/s with the range of the repeats, and why there is no larger one."""

    rates: dict[int, Estimate] = field(default_factory=dict)
    end: str = ""

    @property
    def best(self) -> int:
        """The batch size with the highest rate."""
        return max(self.rates, key=lambda n: self.rates[n].value)


def batch_curve(make: Callable[[int], object], device: torch.device, most: int | None = None) -> Curve:
    """Rates of 1, 2, 4, … images at once.

    Args:
        make: Makes so many images.
        device: Where; out of memory there ends the curve.
        most: No larger batch is tried; None for 256 on a processor and 65,536 elsewhere.

    Returns:
        The curve, empty where there is no memory for one image.

    Raises:
        Exception: Whatever `make` raises but that there is no memory.
    """
    cap = most or (MOST_ON_CPU if device.type == "cpu" else MOST)
    curve: dict[int, Estimate] = {}
    n = 1
    while n <= cap:
        try:
            with torch.inference_mode():
                seconds = repeated(lambda: make(n), REPEATS, device, budget=BUDGET)  # noqa: B023  called at once
        except (RuntimeError, MemoryError) as error:
            if out_of_memory(error) is None:
                raise
            _give_back(device)
            return Curve(curve, f"out of memory at {n:,} images")
        rates = [n / own for own in seconds]
        curve[n] = Estimate(
            statistics.median(rates), min(rates), max(rates), f"range of {len(rates)} repeats"
        )
        if statistics.median(seconds) > LONGEST:
            return Curve(curve, f"a batch of {n:,} takes more than {LONGEST:g} s")
        n *= 2
    where = " on a processor" if most is None and device.type == "cpu" else ""
    return Curve(curve, f"no more than {cap:,} images at once are tried{where}")


def _give_back(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
