"""From images to FID, IS, KID, precision and recall, beside torch-fidelity, on the same network and images.

    python benchmarks/end_to_end.py [--images 256] [--threads 2]

The peer is `torch_fidelity.calculate_metrics` itself, which takes a weights file of one's own: its Inception-v3
on seeded random weights, at its defaults (batches of 64) and tuned (batches of 8). Ours runs the same weights in
float32 and adds density and coverage. Both get 32×32 uint8 images that are in memory. After the times come the
numbers themselves: with equal draws of subsets and splits they must agree.

Scope: one run of each contestant, as a run takes minutes at 2,000 images a side; the passes over the images are
long enough for that.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from random_networks import random_inception
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from benchbench.core.device import describe_machine
from benchbench.core.runtime import Runtime
from benchbench.features.extract import extract
from benchbench.features.networks.inception_v3 import InceptionV3
from benchbench.metrics.sets.frechet import frechet_distance_from_features
from benchbench.metrics.sets.inception_score import inception_score
from benchbench.metrics.sets.kernel import Subsets, kernel_distance
from benchbench.metrics.sets.prdc import prdc

SEED = 2020
K = 5
TARGETS = {"torch-fidelity, batch 64": 2.0, "torch-fidelity, batch 8": 1.6}


class Images(Dataset[Tensor]):
    """A tensor as torch-fidelity wants its input."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def pictures(n: int, seed: int, contrast: float) -> Tensor:
    """uint8 n×3×32×32: blocks of colour and some noise, each image in a contrast from `contrast` to 1."""
    rng = torch.Generator().manual_seed(seed)
    blocks = nn.functional.interpolate(torch.rand(n, 3, 4, 4, generator=rng), 32)
    mixed = 0.6 * blocks + 0.4 * torch.rand(n, 3, 32, 32, generator=rng)
    contrasts = contrast + (1 - contrast) * torch.rand(n, 1, 1, 1, generator=rng)
    return (255 * contrasts * mixed).round().to(torch.uint8)


def theirs(fake: Tensor, real: Tensor, weights: Path, batch_size: int) -> dict[str, float]:
    found = calculate_metrics(
        input1=Images(fake), input2=Images(real), isc=True, fid=True, kid=True, prc=True, prc_neighborhood=K,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights), cuda=False,
        cache=False, verbose=False, rng_seed=SEED, batch_size=batch_size, kid_subset_size=min(1000, len(fake)),
    )  # fmt: skip
    return {
        "FID": found["frechet_inception_distance"],
        "KID": found["kernel_inception_distance_mean"],
        "IS": found["inception_score_mean"],
        "precision": found["precision"],
        "recall": found["recall"],
    }


def ours(fake: Tensor, real: Tensor, extractor: InceptionV3, batch_size: int) -> dict[str, float]:
    seen = [
        extract(
            images, extractor, need_features=True, need_logits=True, runtime=Runtime(batch_size=batch_size)
        )
        for images in (fake, real)
    ]
    (x, logits), (y, _) = ((side.features, side.logits) for side in seen)
    assert x is not None
    assert y is not None
    assert logits is not None
    order = torch.from_numpy(np.random.RandomState(SEED).permutation(len(fake)))
    scores = prdc(y, x, K)
    return {
        "FID": frechet_distance_from_features(x, y),
        "KID": float(kernel_distance(x, y, their_subsets(len(x), len(y))).subsets.mean()),
        "IS": inception_score(logits, order=order).value,
        "precision": scores["precision"],
        "recall": scores["recall"],
    }


def their_subsets(n: int, m: int, count: int = 100) -> Subsets:
    """The draws of torch-fidelity: a legacy RandomState, first set then second, subset by subset."""
    rng, size = np.random.RandomState(SEED), min(1000, n)
    pairs = [(rng.choice(n, size, replace=False), rng.choice(m, size, replace=False)) for _ in range(count)]
    return Subsets(*(torch.from_numpy(np.stack(rows)) for rows in zip(*pairs, strict=True)))


def timed(run: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256, help="images a side")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", "This DataLoader will create")  # torch-fidelity asks for 4 workers
    print(describe_machine(torch.device("cpu")))
    fake, real = pictures(options.images, 0, 0.1), pictures(options.images, 1, 0.6)
    network = random_inception(classes_differ=True)
    extractor = InceptionV3.from_state_dict(network.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "inception.pth"
        torch.save(network.state_dict(), weights)
        ours(fake[:64], real[:64], extractor, 8)  # libraries loaded, threads started
        runs = {
            "benchbench, batch 4": timed(lambda: ours(fake, real, extractor, 4)),
            "torch-fidelity, batch 8": timed(lambda: theirs(fake, real, weights, 8)),
            "benchbench, batch 8": timed(lambda: ours(fake, real, extractor, 8)),
            "torch-fidelity, batch 64": timed(lambda: theirs(fake, real, weights, 64)),
        }
    best = f"benchbench, batch {extractor.batch_size}"
    own_seconds, own_scores = runs[best]
    print(f"\n{options.images} images a side, {best}\n")
    print("| contestant | seconds | images/s | times ours | target |\n|---|---|---|---|---|")
    for name, (seconds, _) in runs.items():
        target = f"≥ {TARGETS[name]}" if name in TARGETS else ""
        rate = 2 * options.images / seconds
        print(f"| {name} | {seconds:.1f} | {rate:.1f} | {seconds / own_seconds:.2f} | {target} |")
    print("\n| metric | benchbench | torch-fidelity | relative difference |\n|---|---|---|---|")
    for metric, value in runs["torch-fidelity, batch 64"][1].items():
        own = own_scores[metric]
        print(f"| {metric} | {own:.9g} | {value:.9g} | {abs(own - value) / abs(value):.1e} |")


if __name__ == "__main__":
    main()
