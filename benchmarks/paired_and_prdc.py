"""PSNR and SSIM against scikit-image and torchmetrics, precision-recall-density-coverage against `prdc`.

    python benchmarks/paired_and_prdc.py --pairs 32 --images 4000 --rounds 5
    python benchmarks/paired_and_prdc.py --only pairs --pairs 100 --size 512 --threads 1

Contestants take turns within one process; the ratio of a round compares neighbours in time, and the median over
rounds is reported, for wall time and for processor time. On a busy machine wall times mean nothing (threads of one
product wait for each other): read the processor times at --threads 1 there, and beside them how many cores others kept
busy and the load. Before anything is timed the answers are compared.
Peak memory is the resident-set growth of a fresh process that runs one contestant once, as Linux counts it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import psutil
import torch
from prdc import compute_prdc
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine
from benchbench.metrics.pairs.paired import psnr, ssim
from benchbench.metrics.sets.prdc import prdc

K = 5


def image_pairs(n: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth random images and the same with noise, uint8 n×3×size×size."""
    generator = torch.Generator().manual_seed(0)
    smooth = (
        F.interpolate(torch.rand(n, 3, 32, 32, generator=generator), size, mode="bicubic").clamp(0, 1) * 255
    )
    noisy = (smooth + 10 * torch.randn(smooth.shape, generator=generator)).clamp(0, 255)
    return smooth.round().to(torch.uint8), noisy.round().to(torch.uint8)


def skimage_ssim(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return np.array(
        [
            structural_similarity(a, b, channel_axis=0, **options)
            for a, b in zip(x.numpy(), y.numpy(), strict=True)
        ]
    )


def skimage_psnr(x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    return np.array(
        [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    )


def features(n: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two float32 sets that lie near a 64-dimensional subspace, as network features do."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(64, dim, generator=generator)
    real, fake = (torch.randn(n, 64, generator=generator) @ basis for _ in range(2))
    return real.relu(), (0.95 * fake).relu()


def peer_prdc(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(real.numpy(), fake.numpy(), K)


def our_prdc(real: torch.Tensor, fake: torch.Tensor) -> dict[str, float]:
    return prdc(real, fake, K)


def race(contestants: Mapping[str, Callable[[], object]], rounds: int, unit: str, amount: int) -> None:
    """Each contestant once a round; the first is ours."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    times: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in contestants} for clock in clocks}
    busy = Busy()
    for _ in range(rounds):
        for name, run in contestants.items():
            start = {clock: read() for clock, read in clocks.items()}
            run()
            for clock, read in clocks.items():
                times[clock][name].append(read() - start[clock])
    for clock, of_each in times.items():
        ours = of_each[next(iter(contestants))]
        for name, own in of_each.items():
            ratios = [b / a for a, b in zip(ours, own, strict=True)]
            print(
                f"  {clock:9s} {name:14s} {statistics.median(own):8.3f} s  "
                f"{amount / statistics.median(own):8.1f} {unit}/s  "
                f"{statistics.median(ratios):5.2f} x ours (rounds {min(ratios):.2f} to {max(ratios):.2f})"
            )

    others, seconds = busy.others()
    print(f"  others kept {others / seconds:.2f} cores busy meanwhile; load {psutil.getloadavg()[0]:.1f}")


def _peak_so_far() -> float:
    """MiB. Not `ru_maxrss`: a process starts with the peak of the one that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


Made = Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]


def _peak(
    function: Callable[..., object], made: Made, n: int, size: int, threads: int, queue: SimpleQueue[float]
) -> None:
    torch.set_num_threads(threads)
    arguments = made(n, size)
    function(*(x[:64] for x in arguments))  # libraries loaded, threads started
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is what is resident now
    before = _peak_so_far()
    function(*arguments)
    queue.put(_peak_so_far() - before)


def peak_mebibytes(function: Callable[..., object], made: Made, n: int, size: int) -> float:
    """Growth of the peak resident set of a fresh process while it runs `function` on what is `made`, MiB."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_peak, args=(function, made, n, size, torch.get_num_threads(), queue))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the process that measures memory ended with code {process.exitcode}")
    return queue.get()


def compare_pairs(n: int, size: int, rounds: int) -> None:
    x, y = image_pairs(n, size)
    for name, ours, theirs in (("PSNR", psnr, skimage_psnr), ("SSIM", ssim, skimage_ssim)):
        worst = float(np.abs(ours(x, y).numpy() - theirs(x, y)).max())
        print(f"{name}, {n} pairs of {size}x{size}; off scikit-image by at most {worst:.1e}")
        contestants: dict[str, Callable[[], object]] = {
            "benchbench": lambda ours=ours: ours(x, y),
            "scikit-image": lambda theirs=theirs: theirs(x, y),
        }
        if name == "SSIM":
            contestants["torchmetrics"] = lambda: [  # all at once it takes many times the images' memory
                structural_similarity_index_measure(a.float(), b.float(), data_range=255.0)
                for a, b in zip(x.split(4), y.split(4), strict=True)
            ]
        race(contestants, rounds, "pairs", n)
        memory = [peak_mebibytes(function, image_pairs, n, size) for function in (ours, theirs)]
        print(f"  beyond the images: benchbench {memory[0]:.0f} MiB, scikit-image {memory[1]:.0f} MiB")


def compare_prdc(n: int, dim: int, rounds: int) -> None:
    real, fake = features(n, dim)
    ours, theirs = our_prdc(real, fake), peer_prdc(real, fake)
    worst = max(abs(ours[name] - float(theirs[name])) for name in ours)
    print(f"PRDC, {n} x {n} x {dim}; off prdc by at most {worst:.1e}")
    contestants: dict[str, Callable[[], object]] = {
        "benchbench": lambda: our_prdc(real, fake),
        "prdc": lambda: peer_prdc(real, fake),
    }
    race(contestants, rounds, "images", n)
    memory = [peak_mebibytes(function, features, n, dim) for function in (our_prdc, peer_prdc)]
    print(f"  beyond the features: benchbench {memory[0]:.0f} MiB, prdc {memory[1]:.0f} MiB; ", end="")
    print(f"ours is {memory[0] / memory[1]:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=32, help="image pairs for PSNR and SSIM")
    parser.add_argument("--size", type=int, default=256, help="side of the images")
    parser.add_argument("--images", type=int, default=4000, help="feature vectors on each side")
    parser.add_argument("--dim", type=int, default=2048, help="length of a feature vector")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--only", choices=("pairs", "prdc"), help="one of the two comparisons")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe_machine(torch.device("cpu")))
    if options.only != "prdc":
        compare_pairs(options.pairs, options.size, options.rounds)
    if options.only != "pairs":
        compare_prdc(options.images, options.dim, options.rounds)


if __name__ == "__main__":
    main()
