"""What pays while training: half precision, channels beside each other in memory, a compiled network.

    OMP_NUM_THREADS=1 python benchmarks/training_speed.py [--models vae,dcgan,sngan,wgan-gp,flow-matching]
        [--dataset cifar10] [--steps 6] [--rounds 5] [--device cpu] [--compile]

Each model is trained by its shipped recipe on made-up pictures of the shape of the data, in each of the ways in turn,
round after round. Rates are of the median round; the ratio of a round is to float32 of the same round, and the table
has the median of those with the least and the greatest. Processor time on a processor, so that other programs count
for little, the clock on a device; steps come after two that are not timed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from gpu_sections.recipes import Prepared, prepared
from torch import nn

from benchbench.core.busy import Busy
from benchbench.core.device import describe_machine, resolve_device, synchronize
from benchbench.tasks.profiling.roofline import product_rate
from benchbench.training.config import TrainingConfig
from benchbench.training.data import TrainingData
from benchbench.training.trainer import train

PLAIN = "float32"
WAYS = (PLAIN, "bfloat16", "channels last", "channels last, bfloat16")
COMPILED = ("compiled", "compiled, bfloat16")
WARM = 2  # steps; the first one compiles


class Clock:
    """A `Progress` that keeps when each step ended, in seconds of this process or of the wall."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.ends: list[float] = []

    @contextmanager
    def stage(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Clock]:
        """Steps begin."""
        yield self

    def advance(self, n: int = 1, **numbers: float) -> None:
        """A step is done."""
        synchronize(self.device)
        self.ends.append(time.process_time() if self.device.type == "cpu" else time.perf_counter())

    def note(self, text: str) -> None:
        """Nothing is told."""


class Way:
    """A model that is trained in one way."""

    def __init__(self, name: str, of: Prepared, device: torch.device) -> None:
        self.device, self.of = device, of
        self.model: nn.Module = of.model.to(device)
        if "channels last" in name:
            self.model.to(memory_format=torch.channels_last)
        if "compiled" in name:
            for child in self.model.children():
                child.compile()
        self.precision = "bf16" if "bfloat16" in name else "fp32"

    def rate(self, steps: int) -> float:
        """Images a second."""
        config: TrainingConfig = self.of.training.model_copy(
            update={"steps": WARM + steps, "epochs": None, "precision": self.precision, "warmup_steps": 0}
        )
        clock, images = Clock(self.device), self.of.images
        train(
            self.model,
            TrainingData(images, self.of.labels, images[:2]),
            config,
            seed=0,
            device=self.device,
            progress=clock,
        )
        return config.batch_size * steps / (clock.ends[-1] - clock.ends[WARM - 1])


def line(name: str, asked: argparse.Namespace) -> str:
    """A model's row of the table."""
    device = resolve_device(asked.device)
    ways = {way: Way(way, prepared(name, asked.dataset, 512), device) for way in asked.ways}
    busy = Busy()
    rounds = [{way: own.rate(asked.steps) for way, own in ways.items()} for _ in range(asked.rounds)]
    others, wall = busy.others()
    cells = [f"{statistics.median(own[PLAIN] for own in rounds):,.0f}"]
    for way in asked.ways[1:]:
        ratios = sorted(own[way] / own[PLAIN] for own in rounds)
        cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    batch = next(iter(ways.values())).of.training.batch_size
    return f"| `{name}` | {batch} | {' | '.join(cells)} | {others / wall:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="vae,dcgan,sngan,wgan-gp,flow-matching")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    asked = parser.parse_args()
    asked.ways = WAYS + (COMPILED if asked.compile else ())
    device = resolve_device(asked.device)
    print(describe_machine(device))
    peaks = {name: product_rate(device, name) / 1e9 for name in ("float32", "bfloat16")}
    print(
        "a matrix product:", ", ".join(f"{rate:,.0f} GFLOP/s in {name}" for name, rate in peaks.items()), "\n"
    )
    print(
        f"| model | batch | images/s in {PLAIN} | {' | '.join(asked.ways[1:])} | cores that others kept busy |"
    )
    print(f"|---|---:|---:|{'---:|' * (len(asked.ways) - 1)}---:|")
    for name in asked.models.split(","):
        print(line(name, asked), flush=True)


if __name__ == "__main__":
    main()
