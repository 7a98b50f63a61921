"""How fast the distribution metrics are, beside what people would use, against stated targets, in one run.

    python benchmarks/targets.py [--images 384] [--features 10000] [--threads 2]

One process, one machine, one table: the full suite from images (FID, IS, KID, precision, recall, density, coverage,
Vendi, the clipped two, RKE) against torch-fidelity's FID, IS, KID, precision and recall alone; the same suite on
features that are there; then the Fréchet step, KID, the Vendi score and precision/recall/density/coverage, each against
its peers. The machine's matrix peak is measured first and last, and the load stands at every row, since a ratio on a
busy machine is no test. Nothing is asserted.

Pattern: ours runs before and after each peer and has the median of its runs (`metrics.race`); what takes minutes runs
once. In bfloat16 ours is another contestant and its number another one: how far it moved is printed.

Scope: networks on seeded random weights, whose speed is that of the real ones. FLD has no row: what
its authors publish is under no stated licence. About ten minutes on two quiet cores; `--only` takes some parts of it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from end_to_end import SEED, K, pictures, their_subsets, theirs, timed
from metrics import KID_OPTIONS, Peer, features, frechet, kid, peak, race, vendi
from paired_and_prdc import compare_prdc
from random_networks import random_inception
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine
from benchbench.core.runtime import Runtime
from benchbench.features.extract import extract
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import Subsets, kernel_distance
from benchbench.metrics.sets.prdc import clipped_numbers, overlap
from benchbench.metrics.sets.rke import rke
from benchbench.metrics.sets.vendi import vendi_score

PARTS = ("images", "suite", "frechet", "kid", "vendi", "prdc")
FULL = 3.0
"""The suite against torch-fidelity's part of it."""


class Seen(NamedTuple):
    """What a network said of some images, float32."""

    features: Tensor
    logits: Tensor


def full_suite(fake: Seen, real: Seen, subsets: Subsets) -> dict[str, float]:
    """Everything, from what a network said of both sides: one pass over the distances, one over the kernel."""
    x, y = fake.features, real.features
    near = overlap(y, x, K)
    order = torch.from_numpy(np.random.RandomState(SEED).permutation(len(x)))
    return {
        "FID": frechet_distance_from_features(x, y),
        "KID": float(kernel_distance(x, y, subsets).subsets.mean()),
        "IS": inception_score(fake.logits, order=order).value,
        "precision": float(near.inside.double().mean()),
        "recall": float(near.recalled.double().mean()),
        "density": float(near.balls.double().mean()) / K,
        "coverage": float(near.covered.double().mean()),
        **clipped_numbers(near),
        "Vendi": vendi_score(x),
        "RKE": rke(x),
    }


def seen_by(extractor: InceptionV3, images: Tensor) -> Seen:
    found = extract(
        images,
        extractor,
        need_features=True,
        need_logits=True,
        runtime=Runtime(batch_size=extractor.batch_size),
    )
    assert found.features is not None
    assert found.logits is not None
    return Seen(found.features, found.logits)


def from_images(n: int) -> None:
    """The whole way. torch-fidelity at the batch of its default and at ours, the faster of which counts."""
    fake, real = pictures(n, 0, 0.1), pictures(n, 1, 0.6)
    network = random_inception(classes_differ=True)

    def ours(precision: str) -> Callable[[], dict[str, float]]:
        extractor = InceptionV3.from_state_dict(network.state_dict(), precision=precision)
        seen_by(extractor, fake[:16])  # libraries loaded, threads started
        return lambda: full_suite(
            seen_by(extractor, fake), seen_by(extractor, real), their_subsets(len(fake), len(real))
        )

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "inception.pth"
        torch.save(network.state_dict(), weights)
        runs = {}
        for name, run in {
            "ours, full suite, float32": ours("float32"),
            "torch-fidelity, its part, batch 8": lambda: theirs(fake, real, weights, 8),
            "ours, full suite, bfloat16": ours("bfloat16"),
            "torch-fidelity, its part, batch 64": lambda: theirs(fake, real, weights, 64),
        }.items():
            with loaded(name):
                runs[name] = timed(run)
    peer = min((runs[name] for name in runs if name.startswith("torch-fidelity")), key=lambda own: own[0])
    print(
        f"\n| from images, {n} a side | seconds | images/s | times as fast as the peer at its best | target |"
    )
    print("|" + "---|" * 5)
    for name, (seconds, _) in runs.items():
        own = name.startswith("ours")
        print(
            f"| {name} | {seconds:.1f} | {2 * n / seconds:.1f} | {peer[0] / seconds:.2f} "
            f"| {f'≥ {FULL}' if own else ''} |"
        )
    print(
        "\n| number | ours, float32 | ours, bfloat16 | moved by | torch-fidelity | float32 off it by |\n|"
        + "---|" * 6
    )
    lowered = runs["ours, full suite, bfloat16"][1]
    for name, value in runs["ours, full suite, float32"][1].items():
        told = peer[1].get(name)
        beside = "| |" if told is None else f"{told:.8g} | {abs(value - told) / abs(told):.1e} |"
        moved = abs(lowered[name] - value) / abs(value) if value else 0.0
        print(f"| {name} | {value:.8g} | {lowered[name]:.8g} | {moved:.1e} | {beside}")


def on_features(n: int, peak64: float) -> None:
    """The same numbers where a network has answered already: what they cost beside it."""
    x, y = (own.float() for own in features(n))
    logits = torch.randn(n, 1008, generator=torch.Generator().manual_seed(3)) * 3
    fake, real = Seen(x, logits), Seen(y, logits)

    def ours() -> float:
        return full_suite(fake, real, their_subsets(n, n))["FID"]

    def peer() -> float:
        stats = [fid_features_to_statistics(own) for own in (x, y)]
        kid_features_to_metric(x, y, **KID_OPTIONS)
        isc_features_to_metric(logits)
        prc_features_to_metric(
            x, y, prc_neighborhood=K, prc_batch_size=10000, save_cpu_ram=False, verbose=False
        )
        return float(fid_statistics_to_metric(*stats, False)["frechet_inception_distance"])

    # Moments, the kernel and the distances of all pairs once each, Vendi's matrix, two eigenproblems.
    d = x.shape[1]
    gflop = (2 * n * d**2 + 2 * 3 * n**2 * d + n * d**2 + 4 * d**3) / 1e9
    race(
        f"full suite on features, {n:,} a side, D = {d:,}; the peer's part of it",
        ours,
        [Peer("torch-fidelity", peer)],
        gflop=gflop,
        peak=peak64,
        repeats=1,
    )


LOADS: list[str] = []
"""What stands below the tables."""


@contextmanager
def loaded(name: str) -> Iterator[None]:
    """Notes how many cores others kept busy while something ran, and the load afterwards."""
    busy = Busy()
    yield
    others, seconds = busy.others()
    LOADS.append(
        f"{name}: {seconds:.0f} s, others kept {others / seconds:.2f} cores busy, load {os.getloadavg()[0]:.1f}"
    )


def peaks() -> dict[torch.dtype, float]:
    """GFLOP/s of matrix products, printed."""
    found = {dtype: peak(dtype) for dtype in (torch.float32, torch.float64, torch.bfloat16)}
    print(
        f"matrix product, 2048³, load {os.getloadavg()[0]:.1f}:",
        ", ".join(
            f"{rate:.0f} GFLOP/s in {str(dtype).removeprefix('torch.')}" for dtype, rate in found.items()
        ),
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=384, help="images a side that go through a network")
    parser.add_argument(
        "--features", type=int, default=10_000, help="feature vectors a side, for KID and Vendi"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS, help="some parts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "This DataLoader will create")  # torch-fidelity asks for 4 workers
    warnings.simplefilter("ignore", DeprecationWarning)  # pytorch-fid calls sqrtm as scipy < 1.18 had it
    machine = describe_machine(torch.device("cpu"))
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads of torch")
    rates = peaks()
    n, peak64 = options.features, rates[torch.float64]
    if "images" in options.only:
        from_images(options.images)
    print("\n| what | peer | its seconds | ours | times as fast | target | of the peak | its value | ours |")
    print("|" + "---|" * 9)
    for part, run in {
        "suite": lambda: on_features(n, peak64),
        "frechet": lambda: frechet(peak64),
        "kid": lambda: kid(n, 1.5, 1, rates),
        "vendi": lambda: vendi(n, 2048, peak64),
    }.items():
        if part in options.only:
            with loaded(part):
                run()
    if "prdc" in options.only:
        print("\ntarget: 5 times prdc, in a sixth of its memory")
        with loaded("prdc"):
            compare_prdc(4000, 2048, 3)
    print("\n" + "\n".join(LOADS))
    peaks()


if __name__ == "__main__":
    main()
