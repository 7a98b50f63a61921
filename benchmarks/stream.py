"""A million images in the memory of one batch: synthetic features, streamed into the moments that FID needs.

    python benchmarks/stream.py --rows 100000

Prints the resident memory of the process and the rate as the stream goes by, and at the end the Fréchet distance
to the distribution that the features come from, N(0, I), beside its expectation: the finite-sample bias of one
side, d/n + d(d + 1)/4n (see `metrics.sets.frechet`). The features themselves would take 4 d bytes each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import psutil
import torch

from benchbench.core.device import describe_machine
from benchbench.features.moments import Moments
from benchbench.metrics.sets.frechet import frechet_distance

BATCH = 4096


def stream(rows: int, d: int) -> Iterator[Moments]:
    """The moments of N(0, I_d) after each batch, up to `rows` float32 feature vectors (seed 0)."""
    rng = torch.Generator().manual_seed(0)
    moments = Moments.zeros(d)
    while moments.n < rows:
        moments.update(torch.randn(min(BATCH, rows - moments.n), d, generator=rng))
        yield moments


def resident_mebibytes() -> float:
    """What this process occupies."""
    return float(psutil.Process().memory_info().rss) / 2**20


def distance_to_truth(moments: Moments) -> tuple[float, float]:
    """Fréchet distance to N(0, I), and its expectation."""
    n, d = moments.n, moments.dim
    identity = torch.eye(d, dtype=torch.float64)
    distance = frechet_distance(
        moments.mean, moments.covariance, torch.zeros(d, dtype=torch.float64), identity
    )
    return distance, d / n + d * (d + 1) / (4 * n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=2048)
    options = parser.parse_args()
    print(describe_machine(torch.device("cpu")))
    start, due = time.perf_counter(), 0
    for moments in stream(options.rows, options.dim):
        if moments.n >= due:
            rate = moments.n / (time.perf_counter() - start)
            print(f"{moments.n:9,d} rows  {resident_mebibytes():7.1f} MiB  {rate:8,.0f} rows/s", flush=True)
            due += options.rows // 20
    kept = 4 * options.dim * moments.n / 2**20
    print(f"{moments.n:9,d} rows  {resident_mebibytes():7.1f} MiB  (the features: {kept:,.0f} MiB)")
    print("Fréchet distance to the truth {:.6g}, expected {:.6g}".format(*distance_to_truth(moments)))


if __name__ == "__main__":
    main()
