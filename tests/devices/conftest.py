"""The pretended device for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from pretend_cuda import Traffic, pretended_cuda


@pytest.fixture
def cuda() -> Iterator[Traffic]:
    """A pretended CUDA device, and what is copied to and from it; see `pretend_cuda`."""
    if torch.cuda.is_available():
        pytest.skip("a real device is there: benchmarks/gpu.py checks it")
    if not hasattr(torch._C, "_set_only_lift_cpu_tensors") or not hasattr(
        torch._C, "_ensureCUDADeviceGuardSet"
    ):
        pytest.skip("this torch cannot be made to pretend")
    with pretended_cuda() as traffic:
        yield traffic
