"""How fast the distribution metrics are, beside their peers, in one process: `python benchmarks/metrics.py`.

Pattern: every row times both sides on the same inputs, alternating, and prints the median of each with the
ratio; the slow peers run once or twice. The floating-point peak of a 2048³ float64 matrix product is measured
first, since it bounds everything here. Nothing is asserted: a ratio on a busy machine is no test.

Scope: arithmetic on features that are there already; extraction has its own benchmark.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from benchbench.core.device import describe_machine
from benchbench.metrics.frechet import frechet_distance
from benchbench.metrics.kernel import Subsets, kernel_distance

KID_OPTIONS = {
    "kid_subsets": 100, "kid_subset_size": 1000, "rng_seed": 2020, "verbose": False, "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1,
}  # fmt: skip


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def report(
    title: str, ours: Callable[[], float], peers: dict[str, tuple[Callable[[], float], int]], repeats: int = 3
) -> None:
    value = ours()  # warms up, and shows that both sides compute the same number
    times = seconds(ours, repeats)
    print(f"\n{title}\n  benchbench      {statistics.median(times):8.3f} s   {value:.9g}")
    for name, (peer, count) in peers.items():
        found: list[float] = []
        taken = seconds(lambda peer=peer, found=found: found.append(peer()), count)
        times += seconds(ours, 1)  # ours again after each peer: drift of the machine hits both
        median, own = statistics.median(taken), statistics.median(times)
        print(f"  {name:15} {median:8.3f} s   {found[-1]:.9g}   {median / own:5.1f} times ours")


def features(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Two samples whose spectrum falls by e⁷ = 1,100 over the dimensions, as network features' spectra do."""
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.exp(-3.5 * torch.arange(d, dtype=torch.float64) / d)
    mix = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) * spectrum
    y = torch.randn(n, d, generator=generator, dtype=torch.float64) * spectrum @ mix * 1.1 + 0.01
    return x, y


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # pytorch-fid calls sqrtm as scipy < 1.18 had it
    machine = describe_machine(torch.device("cpu"))
    print(f"{machine['processor']}, {machine['threads']} threads, load {machine['load_1min']}")
    square = torch.randn(2048, 2048, dtype=torch.float64)
    gemm = min(seconds(lambda: square @ square, 5))
    print(f"float64 matrix product, 2048³: {gemm:.3f} s, {2 * 2048**3 / gemm / 1e9:.0f} GFLOP/s")

    x, y = features(4096, 2048)
    stats = [fid_features_to_statistics(f) for f in (x, y)]
    a, b = ((torch.from_numpy(s["mu"]), torch.from_numpy(s["sigma"])) for s in stats)
    peers: dict[str, tuple[Callable[[], float], int]] = {
        "torch-fidelity": (
            lambda: float(fid_statistics_to_metric(*stats, False)["frechet_inception_distance"]),
            1,
        )
    }
    try:
        from pytorch_fid.fid_score import calculate_frechet_distance
    except ImportError:
        print("pytorch-fid is not installed: pip install 'benchbench[dev]'")
    else:
        arrays = [stats[0]["mu"], stats[0]["sigma"], stats[1]["mu"], stats[1]["sigma"]]
        peers["pytorch-fid"] = (lambda: float(calculate_frechet_distance(*arrays)), 1)
    report("Fréchet step, D = 2048, from moments", lambda: frechet_distance(*a, *b), peers, repeats=5)

    x, y = (f.float() for f in features(2000, 2048))
    subsets = Subsets.draw(2000, 2000)
    report(
        "KID, 2,000 images × 2048, 100 subsets of 1,000 (and the full-sample estimate with its error)",
        lambda: float(kernel_distance(x, y, subsets).subsets.mean()),
        {
            "torch-fidelity": (
                lambda: float(kid_features_to_metric(x, y, **KID_OPTIONS)["kernel_inception_distance_mean"]),
                1,
            )
        },
    )


if __name__ == "__main__":
    main()
