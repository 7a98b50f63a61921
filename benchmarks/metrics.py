"""How fast the distribution metrics are, beside their peers, in one process: `python benchmarks/metrics.py`.

Pattern: both sides get the same inputs; ours runs before and after each peer, so that drift of the machine hits
both, and has the median of all its runs; the peers, which are slow, run once. The machine's matrix products are
timed first, since they bound everything here, and the last column says which part of that bound ours reaches:
the floating-point operations that the method cannot do without, per second, over those of a 2048³ product in
the same precision. Nothing is asserted: a ratio on a busy machine is no test. About a minute on two cores.

Scope: arithmetic on features that are there already; `extractors.py` and `end_to_end.py` time the networks.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from vendi_score.vendi import score_dual

from benchbench.core.device import describe_machine
from benchbench.metrics.numerics.products import product
from benchbench.metrics.sets.frechet import frechet_distance
from benchbench.metrics.sets.kernel import MMD, Subsets, kernel_distance
from benchbench.metrics.sets.vendi import vendi_score

D = 2048
KID_OPTIONS = {
    "kid_subsets": 100, "kid_subset_size": 1000, "rng_seed": 2020, "verbose": False, "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1,
}  # fmt: skip

Run = Callable[[], float]


class Peer(NamedTuple):
    name: str
    run: Run
    target: float | None = None


def seconds(call: Callable[[], object], repeats: int = 1) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def race(what: str, ours: Run, peers: list[Peer], *, gflop: float, peak: float, repeats: int = 3) -> None:
    """One line of the table a peer. gflop: what ours has to compute; peak: GFLOP/s of a matrix product."""
    values = {"benchbench": ours()}  # warms up, and shows that both sides compute the same number
    own = seconds(ours, repeats)
    taken = {}
    for peer in peers:
        start = time.perf_counter()
        values[peer.name] = peer.run()
        taken[peer.name] = time.perf_counter() - start
        own += seconds(ours, repeats)
    median = statistics.median(own)
    for peer in peers:
        ratio = taken[peer.name] / median
        target = "" if peer.target is None else f"≥ {peer.target}"
        print(
            f"| {what} | {peer.name} | {taken[peer.name]:.2f} | {median:.3f} | {ratio:.1f} | {target} "
            f"| {gflop / median / peak:.0%} | {values[peer.name]:.8g} | {values['benchbench']:.8g} |",
            flush=True,
        )


def peak(dtype: torch.dtype) -> float:
    """GFLOP/s of the best of five 2048³ products: torch.mm's and, where it differs, `product`'s."""
    square = torch.randn(2048, 2048, dtype=dtype)
    ways = (lambda: square @ square.T, lambda: product(square, square))
    return 2 * 2048**3 / min(min(seconds(way, 6)[1:]) for way in ways) / 1e9


def features(n: int) -> tuple[Tensor, Tensor]:
    """Two samples whose spectrum falls by e⁷ = 1,100 over the dimensions, as network features' spectra do."""
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.exp(-3.5 * torch.arange(D, dtype=torch.float64) / D)
    mix = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64)).Q
    x = torch.randn(n, D, generator=generator, dtype=torch.float64) * spectrum
    y = torch.randn(n, D, generator=generator, dtype=torch.float64) * spectrum @ mix * 1.1 + 0.01
    return x, y


def frechet(peak64: float) -> None:
    x, y = features(4096)
    stats = [fid_features_to_statistics(f) for f in (x, y)]
    a, b = ((torch.from_numpy(s["mu"]), torch.from_numpy(s["sigma"])) for s in stats)
    peers = [
        Peer(
            "torch-fidelity",
            lambda: float(fid_statistics_to_metric(*stats, False)["frechet_inception_distance"]),
            4,
        )
    ]
    try:
        from pytorch_fid.fid_score import calculate_frechet_distance
    except ImportError:
        print("pytorch-fid is not installed: pip install '.[dev]' in the checkout")
    else:
        arrays = [stats[0]["mu"], stats[0]["sigma"], stats[1]["mu"], stats[1]["sigma"]]
        peers.append(Peer("pytorch-fid", lambda: float(calculate_frechet_distance(*arrays)), 15))
    # Cholesky n³/3, the reduction to a standard problem n³, to tridiagonal form 4n³/3.
    gflop = (1 / 3 + 1 + 4 / 3) * D**3 / 1e9
    race(
        f"Fréchet step from moments, D = {D}",
        lambda: frechet_distance(*a, *b),
        peers,
        gflop=gflop,
        peak=peak64,
    )


def kid(n: int, target: float, repeats: int, peaks: dict[torch.dtype, float]) -> None:
    x, y = (f.float() for f in features(n))
    subsets = Subsets.draw(n, n)
    found: list[MMD] = []

    def ours() -> float:
        found.append(kernel_distance(x, y, subsets))
        return float(found[-1].subsets.mean())

    def theirs() -> float:
        return float(kid_features_to_metric(x, y, **KID_OPTIONS)["kernel_inception_distance_mean"])

    ours()
    products = found[-1].products
    race(
        f"KID, {n:,} images a side, 100 subsets of 1,000; ours also of all pairs, {products} products",
        ours,
        [Peer("torch-fidelity", theirs, target)],
        gflop=2 * D * (n * (n + 1) + n**2) / 1e9,  # each pair of images once
        peak=peaks[products],
        repeats=repeats,
    )


def vendi(n: int, dim: int, peak64: float) -> None:
    """The peer's d×d form, which is what it has for n > d; on float32 features it stays in float32."""
    x = features(n)[0][:, :dim].float()
    arrays = {"float64": x.double().numpy(), "float32, as they come": x.numpy()}
    race(
        f"Vendi score, {n:,} images, D = {dim:,}",
        lambda: vendi_score(x),
        [
            Peer(
                f"vendi-score's score_dual, features in {dtype}",
                lambda a=a: float(score_dual(a)),
                1.5 if a.dtype == np.float32 else None,
            )
            for dtype, a in arrays.items()
        ],
        gflop=(n * dim**2 + 4 / 3 * dim**3) / 1e9,  # half of XᵀX, and the reduction to tridiagonal form
        peak=peak64,
    )


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # pytorch-fid calls sqrtm as scipy < 1.18 had it
    machine = describe_machine(torch.device("cpu"))
    peaks = {dtype: peak(dtype) for dtype in (torch.float32, torch.float64)}
    print(f"{machine['processor']}, {machine['threads']} threads, load {machine['load_1min']:.1f}")
    print("matrix product, 2048³:", ", ".join(f"{p:.0f} GFLOP/s in {dtype}" for dtype, p in peaks.items()))
    print("\n| what | peer | its seconds | ours | times as fast | target | of the peak | its value | ours |")
    print("|" + "---|" * 9)
    frechet(peaks[torch.float64])
    kid(2000, 20, 3, peaks)
    kid(10000, 1.5, 1, peaks)
    for dim in (2048, 1280):
        vendi(10000, dim, peaks[torch.float64])


if __name__ == "__main__":
    main()
