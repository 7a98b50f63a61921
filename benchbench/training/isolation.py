"""Deterministic kernels and a private random state, for as long as training lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def isolated(device: torch.device, tf32: bool = False) -> Iterator[None]:
    """Deterministic kernels inside; outside, the caller's random state and settings as they were.

    tf32: let a CUDA device keep 10 of 23 bits of each factor of a float32 product, which torch allows for convolutions
    where nobody says otherwise; without it float32 is float32. Kernels without a deterministic form warn and run: a
    network that needs one still trains.
    """
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    products = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    with private_random_state(device):
        try:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS does not repeat itself
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = tf32
            yield
        finally:
            torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            torch.set_float32_matmul_precision(products[0])
            torch.backends.cudnn.allow_tf32 = products[1]
            if workspace is None:
                del os.environ["CUBLAS_WORKSPACE_CONFIG"]


@contextmanager
def private_random_state(device: torch.device) -> Iterator[None]:
    """What is drawn or seeded inside leaves torch's generators of the CPU and of `device` untouched."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of `device`, and no other device's."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
