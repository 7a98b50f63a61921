"""Every registered extractor: the same features on the processor and on the device, and twice the same there."""

from __future__ import annotations

from typing import Any

import torch

from benchbench.core.registry import EXTRACTORS
from benchbench.tasks.profiling.roofline import computing
from gpu_sections.child import Bench, SkippedError
from gpu_sections.networks import LARGE, extractor_on, inputs_of
from gpu_sections.tools import CPU, device_of, pictures, worst

LIMIT = 1e-3


def extractors(bench: Bench) -> None:
    """One row of features, one of logits, one of repetition for each, with TF32 allowed outside."""
    device = device_of(bench)
    with computing("TF32"):
        for name in EXTRACTORS.names():
            with bench.item(name):
                if bench.small and name in LARGE:
                    raise SkippedError("too large for a small run")
                compare(bench, name, device)


def compare(bench: Bench, name: str, device: torch.device) -> None:
    """The rows of one extractor."""
    n = 2 if bench.small or name in LARGE else 8
    images = inputs_of(name, pictures(n, 32, seed=1))
    here, weights = extractor_on(name, CPU)
    there, _ = extractor_on(name, device)
    expected, seen = here(images), there(images.to(device))
    bench.check(f"{name}: features", worst(expected.features, seen.features), LIMIT, weights)
    if expected.logits is not None and seen.logits is not None:
        bench.check(f"{name}: logits", worst(expected.logits, seen.logits), LIMIT, weights)
    again: Any = there(images.to(device)).features
    bench.holds(f"{name}: twice the same", torch.equal(seen.features, again), "bit for bit")
