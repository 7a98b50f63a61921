"""What several sections need: pictures, relative differences, clocks, peaks, and a look at what the device did."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from random_networks import random_inception
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchbench.core.device import resolve_device, synchronize
from benchbench.tasks.profiling.roofline import product_rate
from gpu_sections.carried import images_of
from gpu_sections.child import Bench, SkippedError

CPU = torch.device("cpu")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
PRECISIONS = ("float32", "TF32", "bfloat16")


def device_of(bench: Bench) -> torch.device:
    """The device asked for; a section is skipped where it is not there."""
    try:
        return resolve_device(bench.settings.device)
    except Exception as error:
        raise SkippedError(str(error)) from error


def needs_cuda(device: torch.device) -> None:
    """Skip what only a CUDA device can answer."""
    if device.type != "cuda":
        raise SkippedError("not a CUDA device")


def pictures(n: int, side: int, *, seed: int = 0, grey: bool = False) -> Tensor:
    """uint8 RGB n×3×side×side: coloured blocks with a little noise, which compress and differ as pictures do."""
    rng = torch.Generator().manual_seed(seed)
    channels = 1 if grey else 3
    blocks = torch.randint(0, 236, (n, channels, -(-side // 4), -(-side // 4)), generator=rng)
    large = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, :side, :side]
    noise = torch.randint(0, 20, large.shape, generator=rng)
    return (large + noise).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()


def cifar(bench: Bench, name: str, n: int) -> tuple[Tensor, Tensor, str]:
    """`n` images of CIFAR-10 ("train" or "test") with labels, those that travelled, else made-up ones; and which."""
    found = images_of(bench.settings.carried, f"cifar10_{name}", n)
    if found is not None and len(found[0]) == n:
        return torch.from_numpy(found[0]), torch.from_numpy(found[1]), "CIFAR-10"
    return pictures(n, 32, seed=len(name)), torch.arange(n) % 10, "made-up pictures"


def worst(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference of a row, relative to the length of that row in `theirs`."""
    a, b = theirs.detach().cpu().double().flatten(1), ours.detach().cpu().double().flatten(1)
    return float(((a - b).norm(dim=1) / a.norm(dim=1).clamp_min(1e-12)).max())


@lru_cache(maxsize=1)
def shared_inception() -> nn.Module:
    """`random_inception`, one for all: whoever moves it takes a copy."""
    return random_inception().eval()


def seconds_of(call: Callable[[], object], device: torch.device, *, at_least: float, warm: int = 2) -> float:
    """Median seconds of a call, over at least 3 of them and `at_least` seconds, after `warm` that do not count."""
    for _ in range(warm):
        call()
    synchronize(device)
    times: list[float] = []
    while len(times) < 3 or sum(times) < at_least:
        start = time.perf_counter()
        call()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak(device: torch.device, precision: str, small: bool) -> float:
    """Operations a second of a large matrix product at that precision ("float64" as well), the best of 5."""
    return product_rate(device, precision, 512 if small else 4096 if precision == "float64" else 8192)


def trace(call: Callable[[], object], device: torch.device) -> list[dict[str, Any]]:
    """What torch's profiler saw of a call, as the events of a Chrome trace."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with tempfile.TemporaryDirectory() as folder:
        with profile(activities=activities) as seen:
            call()
            synchronize(device)
        path = Path(folder) / "trace.json"
        seen.export_chrome_trace(str(path))
        events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return events


def waits(events: list[dict[str, Any]]) -> Counter[str]:
    """How often the processor waited for the device or copied to or from it, by kind."""
    found: Counter[str] = Counter()
    for event in events:
        name = str(event.get("name", ""))
        if name in WAITS or name.startswith("cudaMemcpy"):
            found[name] += 1
        elif event.get("cat") == "gpu_memcpy":
            found[name.partition(" (")[0]] += 1
    return found


def synchronisations(found: Counter[str]) -> int:
    """Those of `waits` at which the processor stood still: explicit ones, and copies back to the host."""
    return sum(found[name] for name in WAITS)


def copied_bytes(events: list[dict[str, Any]], which: str = "Memcpy HtoD") -> int:
    """Bytes of the copies of one kind."""
    return sum(
        int(event.get("args", {}).get("bytes", 0))
        for event in events
        if event.get("cat") == "gpu_memcpy" and str(event.get("name", "")).startswith(which)
    )
