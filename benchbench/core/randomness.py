"""The global generators of random numbers, borrowed and put back: for code that draws from them and is not ours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def borrowed_randomness(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Afterwards torch (on the CPU and on `device`), NumPy and Python draw what they would have drawn.

    Args:
        device: Where torch draws as well.
        seed: What all of them are seeded with inside; None leaves them where they are.

    Returns:
        A context.
    """
    devices = [device] if device.type == "cuda" else []
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        try:
            if seed is not None:
                torch.manual_seed(seed)
                np.random.seed(seed % 2**32)
                random.seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
