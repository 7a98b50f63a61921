"""What the distribution metrics cost at 50,000 images a side and 2,048 features, on the device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchbench.core.device import synchronize
from benchbench.metrics.evidence import Evidence, FeatureEvidence
from benchbench.metrics.numerics.gaussians import moments_of
from benchbench.metrics.sets.frechet import (
    FrechetDistance,
    frechet_distance,
    frechet_standard_error,
)
from benchbench.metrics.sets.kernel import Subsets, kernel_distance
from benchbench.metrics.sets.prdc import prdc
from benchbench.metrics.sets.vendi import vendi_score
from gpu_sections.child import Bench
from gpu_sections.tools import device_of


def features(n: int, d: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Two float32 samples whose spectrum falls by e⁷ over the dimensions, as those of networks do."""
    rng = torch.Generator(device).manual_seed(0)
    spectrum = torch.exp(-3.5 * torch.arange(d, device=device) / d)
    x = torch.randn(n, d, generator=rng, device=device) * spectrum
    y = torch.randn(n, d, generator=rng, device=device) * spectrum * 1.1 + 0.01
    return x, y


def speed(bench: Bench) -> None:
    """Each once after one call that does not count, the cheapest first."""
    device = device_of(bench)
    n, d = (400, 32) if bench.small else (50_000, 2048)
    x, y = features(n, d, device)
    a, b = moments_of(x), moments_of(y)

    def step() -> float:
        return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)

    def whole() -> float:
        evidence = Evidence(
            {"generated": {"net": FeatureEvidence(a, x)}, "reference": {"net": FeatureEvidence(b, y)}}
        )
        return FrechetDistance("net").compute(evidence).value

    def kid() -> float:
        subsets = Subsets.draw(n, n) if n >= 1000 else None
        return kernel_distance(x, y, subsets).value

    size = f"{n:,} x {d:,}"
    clock(bench, f"Fréchet step from moments of {d:,} features", step, device, 0.5)
    clock(bench, f"moments of {size}", lambda: moments_of(x).n, device)
    clock(bench, f"PRDC of {size}", lambda: prdc(y, x)["precision"], device, 5.0)
    clock(bench, f"KID of {size}, all pairs and 100 subsets", kid, device)
    clock(bench, f"Vendi of {size}", lambda: vendi_score(x), device)
    clock(bench, f"standard error of FD of {size}", lambda: frechet_standard_error(x, y), device)
    clock(bench, f"FD with interval and limit of {size}", whole, device)


def clock(
    bench: Bench,
    name: str,
    call: Callable[[], float],
    device: torch.device,
    target: float | None = None,
) -> None:
    """Seconds of one call. The first one, which loads kernels, counts only where there is no time for another."""
    with bench.item(name):
        times: list[float] = []
        while len(times) < 2 and (not times or times[0] < bench.left() / 3):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            start = time.perf_counter()
            value = call()
            synchronize(device)
            times.append(time.perf_counter() - start)
        memory = ""
        if device.type == "cuda":
            memory = f"; {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB at most"
        note = f"{value:.6g}; first call {times[0]:.2f} s{memory}"
        bench.measure(name, times[-1], "s", target=target, note=note)
