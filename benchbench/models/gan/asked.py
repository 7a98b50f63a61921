"""Which classes a conditional generator is asked for, and standard normals without their tails."""

from __future__ import annotations

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.seeds import ImageRng


def classes_asked_for(labels: Tensor | None, n_classes: int, rng: ImageRng, device: torch.device) -> Tensor:
    """`labels` on the device, or uniform ones from `rng` where none are given; int64 (N,). `InputError` for what is
    no class."""
    asked = (rng.integers(n_classes) if labels is None else labels).to(device)
    lowest, highest = int(asked.min()), int(asked.max())
    if not 0 <= lowest <= highest < n_classes:
        raise InputError(
            f"the classes of this model are 0 to {n_classes - 1} but labels run from {lowest} to {highest}"
        )
    return asked


def truncated_normal(rng: ImageRng, size: int, threshold: float | None) -> Tensor:
    """Standard normals, float32 (N, size); those of a magnitude above `threshold` are drawn again until none is
    (Brock et al. 2019, section 3.1). None draws once.

    An image's numbers come from its own generator, so it is of no consequence how often its neighbours draw again.
    """
    z = rng.normal(size)
    while threshold is not None and bool((outside := z.abs() > threshold).any()):
        z = torch.where(outside, rng.normal(size), z)
    return z
