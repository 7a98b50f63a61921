"""What the harness costs beside decoding and the network: two folders of PNG files, held against each other.

    OMP_NUM_THREADS=1 python benchmarks/share.py --images 10000

Images are 32×32, of noise, the smallest that anybody evaluates, so that nothing else is large beside the harness. It is
all that is neither inside of the decoder nor inside of the extractor: the numbers (moments, the distance, that at
infinity and the interval, which depend on the features alone) and the rest, which is finding and digesting files,
batches and the record. Processor seconds of each thread, so that one thread of torch is asked for; the share compares
machines and loads. The second evaluation finds what the cache has of the reference.

On two cores of an EPYC beside two trainings, torch 2.14. efficientnet_lite0 takes 4 ms an image here, a tenth of what
Inception-v3 takes. Features of noise have singular covariances, whose distances take twice as long as others:

    105.4 s: network  80.1%  decoding   3.0%  numbers  13.4%  rest   3.5%
     61.4 s: network  68.6%  decoding   6.4%  numbers  21.0%  rest   4.0%
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

import benchbench
from benchbench.core.device import describe_machine
from benchbench.data.pipeline import decode
from benchbench.features.frozen import FrozenExtractor
from benchbench.features.moments import Moments
from benchbench.metrics.checked import numbers_of


def write(folder: Path, n: int, seed: int) -> None:
    """`n` images."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for i in range(n):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i:06}.png")


_INSIDE = threading.local()


class Clock:
    """Processor seconds inside of a function, in whatever thread; none inside of another that is clocked."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __get__(self, owner: object, kind: type) -> Callable[..., Any]:
        return lambda *arguments, **named: self(owner, *arguments, **named)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        outer = not getattr(_INSIDE, "clock", False)
        before, _INSIDE.clock = time.thread_time(), True
        try:
            return self.function(*arguments, **named)
        finally:
            if outer:
                self.seconds += time.thread_time() - before
                _INSIDE.clock = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    evaluate = benchbench.evaluate  # what it imports is loaded with it
    print(describe_machine(torch.device("cpu")), f"{options.images:,} images a side")
    with (
        tempfile.TemporaryDirectory() as temporary,
        mock.patch.dict("os.environ", BENCHBENCH_CACHE=f"{temporary}/c"),
    ):
        root = Path(temporary)
        for seed, name in enumerate(("real", "made", "other")):
            write(root / name, options.images, seed)
        for made in ("made", "other"):
            network, decoder = Clock(FrozenExtractor._checked), Clock(decode.decode_image)
            numbers, moments = Clock(numbers_of), Clock(Moments.update)
            with (
                mock.patch.object(FrozenExtractor, "_checked", network),
                mock.patch.object(decode, "decode_image", decoder),
                mock.patch("benchbench.metrics.select.numbers_of", numbers),
                mock.patch.object(Moments, "update", moments),
            ):
                before = time.process_time()
                evaluate(
                    f"folder:{root / made}", f"folder:{root / 'real'}", ["fd"],
                    extractors=["efficientnet_lite0"], device="cpu", out=root / "records",
                )  # fmt: skip
                whole = time.process_time() - before
            counted = numbers.seconds + moments.seconds
            rest = whole - network.seconds - decoder.seconds - counted
            said = f"network {network.seconds / whole:6.1%}  decoding {decoder.seconds / whole:6.1%}"
            print(
                f"{whole:8.1f} s: {said}  numbers {counted / whole:6.1%}  rest {rest / whole:6.1%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
