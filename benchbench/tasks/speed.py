"""The speed protocol: how fast, how large, how dear.

Rates are medians over repeats after a warm-up, with their range; the machine and its load are in the record
beside them, since a rate means nothing without them. Throughput is measured at a stated batch size, latency
on one image.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchbench.core.device import synchronize
from benchbench.core.protocols import Generator
from benchbench.core.scales import Range, Scale
from benchbench.core.seeds import ImageRng
from benchbench.metrics.metric import Aspect, Estimate

REPEATS = 5
LATENCY_REPEATS = 50


@dataclass(frozen=True)
class Measurement:
    """One number that is no metric on evidence, with what its row in the record says. `n_images` is what it was
    measured on (a batch, or one image). Rates and sizes are positive and scatter in proportion."""

    metric: str
    aspect: Aspect
    unit: str
    higher_is_better: bool | None
    estimate: Estimate
    n_images: int | None = None
    scale: Scale = "log"
    ends: Range = (0.0, None)


def measure_sampling(
    model: Generator, *, device: torch.device, batch_size: int, seed: int = 0
) -> list[Measurement]:
    """`measure_rates` of samples. Includes drawing the latents and quantising, as a user pays for them."""
    return measure_rates(
        lambda n: model.sample(n, ImageRng(seed, range(n), device)), device=device, batch_size=batch_size
    )


def measure_rates(
    make: Callable[[int], object], *, device: torch.device, batch_size: int
) -> list[Measurement]:
    """Images/s at `batch_size` (median and range of five) and the latency of one image (p50, p95).

    make: makes so many images and hands them out as uint8; writing files is not counted.
    """

    def sample(n: int) -> None:
        with torch.inference_mode():
            make(n)

    rates = [batch_size / seconds for seconds in _times(lambda: sample(batch_size), REPEATS, device)]
    latencies = [1e3 * seconds for seconds in _times(lambda: sample(1), LATENCY_REPEATS, device)]
    p50, p95 = np.percentile(latencies, [50, 95])
    rate = Estimate(statistics.median(rates), min(rates), max(rates), f"range of {REPEATS} repeats")
    return [
        Measurement("sampling_rate", "throughput", "images/s", True, rate, batch_size),
        Measurement("latency_p50", "throughput", "ms", False, Estimate(float(p50)), 1),
        Measurement("latency_p95", "throughput", "ms", False, Estimate(float(p95)), 1),
    ]


def measure_cost(
    model: nn.Module, *, device: torch.device, once: Callable[[], object] | None = None
) -> list[Measurement]:
    """What the model takes, and how busy the machine was.

    Parameters; floating-point operations to sample one image, or to do what `once` does (2 a multiply-add;
    convolutions and matrix products, counted by torch's FlopCounterMode); the peak memory of this process so
    far; the machine's load over the last minute, which says how far to trust the rates beside it.
    """
    parameters = float(sum(p.numel() for p in model.parameters()))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        if once is not None:
            once()
        else:
            model.sample(1, ImageRng(0, [0], device))  # type: ignore[operator]
    return [
        Measurement("parameters", "cost", "", False, Estimate(parameters)),
        Measurement("flops_per_image", "cost", "FLOP", False, Estimate(float(counter.get_total_flops())), 1),
        _peak_memory(device),
        Measurement("machine_load", "cost", "runnable processes", None, Estimate(psutil.getloadavg()[0])),
    ]


def _peak_memory(device: torch.device) -> Measurement:
    # The allocator's peak on CUDA and the resident set's elsewhere are different quantities: two names.
    if device.type == "cuda":
        peak, name = torch.cuda.max_memory_allocated(device), "peak_memory_cuda"
    else:
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
        peak, name = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "peak_memory_rss"
    return Measurement(name, "cost", "MiB", False, Estimate(peak / 2**20))


def _times(work: Callable[[], None], repeats: int, device: torch.device) -> list[float]:
    work()  # warm-up: allocator, kernels, caches
    synchronize(device)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return seconds
