"""What FID, KID and PRDC of 50,000, a million and a hundred million images would take: `python benchmarks/scaling.py`.

The constants are measured here, on one device: the network, decoding, the update and the merge of moments, the distance
itself, kernels and neighbours of all pairs, and how fast two processes of this machine hand each other bytes. What
follows from them is arithmetic, printed as a table for docs/scaling.md:

- images are dealt out, so decoding, network and moments take N / ranks;
- ranks hand each other moments, 8 (D² + D) bytes each, and where a metric looks at pairs also features, 4 N D bytes;
- kernels and neighbours go over N² pairs, dealt out in tiles.

A rank is one device with `--cores` processor cores beside it. Links between machines are given, not measured
(`--link`). On `--device cuda` the same script gives a card's numbers.
"""

from __future__ import annotations

import argparse
import copy
import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from metrics import peak
from PIL import Image
from random_networks import random_inception

from benchbench.core.device import describe_machine, resolve_device, synchronize
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.features.moments import Moments
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.metrics.sets.frechet import frechet_distance
from benchbench.metrics.sets.kernel import kernel_distance
from benchbench.metrics.sets.prdc import prdc

D = 2048
SIDE = 256  # of an image in its file
ROWS = 512  # of an update of moments, as extraction does it
KEPT = 76 + 80  # bytes an image whatever is asked: what `million.py` measures, and its name


@dataclass(frozen=True)
class Constants:
    """Seconds, but for `link`. decode, network, moments: of an image. merge: of the moments of another rank. distance:
    of one Fréchet distance. kernel, neighbours: of a pair of a generated and a real image, with what the sets among
    themselves cost. link: bytes a second."""

    decode: float
    network: float
    moments: float
    merge: float
    distance: float
    kernel: float
    neighbours: float
    link: float


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Of a call that has warmed up: the least of some."""
    call()
    found = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return min(found)


def measured(device: torch.device, batch: int, pairs: int) -> Constants:
    """On this machine."""
    rng = torch.Generator().manual_seed(0)
    network = InceptionV3.from_state_dict(random_inception(classes_differ=True).state_dict(), device)
    images = torch.randint(0, 256, (batch, 3, SIDE, SIDE), dtype=torch.uint8, generator=rng).to(device)
    rows = torch.randn(pairs, D, generator=rng).to(device)
    others = torch.randn(pairs, D, generator=rng).to(device) * 1.1 + 0.1
    moments, second = Moments.of(rows), Moments.of(others)

    def forward() -> object:
        with torch.inference_mode():
            return network(images)

    def distance() -> object:
        return frechet_distance(moments.mean, moments.covariance, second.mean, second.covariance)

    return Constants(
        decode=seconds(decoder(), torch.device("cpu")),
        network=seconds(forward, device) / batch,
        moments=seconds(lambda: copy.deepcopy(moments).update(rows[:ROWS]), device) / ROWS,
        merge=seconds(lambda: copy.deepcopy(moments).merge(second), device),
        distance=seconds(distance, device),
        kernel=seconds(lambda: kernel_distance(rows, others), device) / pairs**2,
        neighbours=seconds(lambda: prdc(others, rows), device) / pairs**2,
        link=loopback(),
    )


def decoder() -> Callable[[], object]:
    """Decodes a PNG of photograph-like pixels with Pillow and fingerprints it, as one reading thread does."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    pixels = np.asarray(coarse).astype(int) + rng.integers(-4, 5, (SIDE, SIDE, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    packed = buffer.getvalue()

    def decode() -> object:
        image = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
        return pixel_digests(torch.from_numpy(image.copy()).permute(2, 0, 1)[None])

    return decode


def loopback() -> float:
    """Bytes a second that two processes of this machine hand each other over gloo."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_exchange, (folder,), 2)  # type: ignore[no-untyped-call]
        with open(f"{folder}/found", encoding="utf-8") as file:
            return float(file.read())


def _exchange(rank: int, folder: str, n_bytes: int = 2**26) -> None:
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    mine = torch.zeros(n_bytes, dtype=torch.uint8)
    theirs = [torch.empty_like(mine) for _ in range(2)]
    taken = seconds(lambda: dist.all_gather(theirs, mine), torch.device("cpu"))
    if rank == 0:
        with open(f"{folder}/found", "w", encoding="utf-8") as file:
            file.write(str(n_bytes / taken))
    dist.destroy_process_group()


@dataclass(frozen=True)
class Cost:
    """Of one metric: seconds by what they go into, bytes that a rank receives, bytes that it holds."""

    parts: dict[str, float]
    received: float
    held: float

    @property
    def seconds(self) -> float:
        """Reading is ahead of the network, so the slower of the two counts."""
        ahead = {"decoding", "network"}
        return max(self.parts[part] for part in ahead) + sum(
            taken for part, taken in self.parts.items() if part not in ahead
        )


def cost(metric: str, n: int, ranks: int, cores: int, at: Constants) -> Cost:
    """Of `n` generated images; of the real ones, where it is about pairs as many, the features are in the cache."""
    of_moments = 8.0 * (D * D + D)
    received, held = (ranks - 1) * of_moments, 3 * of_moments + KEPT * n
    parts = {
        "decoding": n * at.decode / (ranks * cores),
        "network": n * at.network / ranks,
        "moments": n * at.moments / ranks + (ranks - 1) * at.merge,
    }
    if metric == "FID":
        parts["distance"] = at.distance
    else:
        features = 4.0 * n * D
        received += features * (ranks - 1) / ranks
        held += 2 * features
        parts["pairs"] = n**2 * (at.kernel if metric == "KID" else at.neighbours) / ranks
    parts["links"] = received / at.link
    return Cost(parts, received, held)


def span(taken: float) -> str:
    """Seconds as people say them.

    >>> span(90), span(5400), span(4e5), span(1e9)
    ('90 s', '90 min', '4.63 days', '31.7 years')
    """
    for unit, length, least in (("years", 31557600, 2), ("days", 86400, 3), ("h", 3600, 3), ("min", 60, 3)):
        if taken >= least * length:
            return f"{taken / length:.3g} {unit}"
    return f"{taken:.3g} s"


def size(n_bytes: float) -> str:
    """Bytes as people say them.

    >>> size(33.5e6), size(8.2e11)
    ('33.5 MB', '820 GB')
    """
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= length:
            return f"{n_bytes / length:.3g} {unit}"
    return f"{n_bytes / 1e3:.3g} kB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=32, help="images at once")
    parser.add_argument("--pairs", type=int, default=4096, help="rows of either side when pairs are timed")
    parser.add_argument("--cores", type=int, default=8, help="processor cores beside each device")
    parser.add_argument(
        "--link", type=float, default=None, help="GB/s between ranks; measured here if not given"
    )
    options = parser.parse_args()
    device = resolve_device(options.device)
    print(describe_machine(device))
    at = measured(device, options.batch, options.pairs)
    peaks = ", ".join(f"{peak(kind):.0f} GFLOP/s in {kind}" for kind in (torch.float32, torch.float64))
    print(f"the processor's matrix product: {peaks}")
    if options.link is not None:
        at = Constants(**{**vars(at), "link": options.link * 1e9})
    for name, value in vars(at).items():
        print(f"{name:12} {value:.4g} {'bytes/s' if name == 'link' else 's'}")
    print("| metric | images | ranks | time | most of it | a rank receives | a rank holds |")
    print("|---|---:|---:|---:|---|---:|---:|")
    for metric in ("FID", "KID", "PRDC"):
        for n in (50_000, 1_000_000, 100_000_000):
            for ranks in (1, 8, 64):
                found = cost(metric, n, ranks, options.cores, at)
                most = max(found.parts, key=lambda part: found.parts[part])
                print(
                    f"| {metric} | {n:,} | {ranks} | {span(found.seconds)} | {most} | {size(found.received)} "
                    f"| {size(found.held)} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
