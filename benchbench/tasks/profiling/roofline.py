"""What a machine can do at most, and how much of it a model uses (Williams et al. 2009, Roofline).

A large matrix product says how many operations a second there are, a large copy how many bytes; both are measured in
the same run as the model, for both depend on who else is at work. A model's operations are those of torch's
FlopCounterMode, its bytes what every operation reads and writes: what stays in a cache between two of them is counted
all the same, so a share of the copy above 1 says that caches helped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchbench.features.frozen import full_float32
from benchbench.tasks.profiling.clock import seconds_of

DTYPES = {
    "float32": torch.float32,
    "TF32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
SIDES = {"cpu": 1024, "cuda": 8192}
COPIED = {"cpu": 2**28, "cuda": 2**30}  # bytes, more than caches hold
BEST_OF = 5


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """Products inside are of this precision: float32 in full, or as TF32, which keeps 10 of 23 bits of each factor;
    other formats are the tensors' own business."""
    if precision != "TF32":
        with full_float32():
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=True):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def product_rate(device: torch.device, precision: str = "float32", side: int | None = None) -> float:
    """Operations a second of a product of two square matrices.

    Args:
        device: Where.
        precision: One of `DTYPES`.
        side: Of the matrices; None for 1,024 on a processor and 8,192 elsewhere.

    Returns:
        2·side³ by the seconds of the best of five, after one that does not count.
    """
    n = side or SIDES.get(device.type, SIDES["cuda"])
    a, b = (torch.randn(n, n, device=device).to(DTYPES[precision]) for _ in range(2))
    with computing(precision):
        return 2 * n**3 / _best(lambda: a @ b, device)


def copy_rate(device: torch.device, size: int | None = None) -> float:
    """Bytes a second that a copy within the device's memory reads and writes.

    Args:
        device: Where.
        size: Bytes that are copied; None for 256 MiB on a processor and 1 GiB elsewhere.

    Returns:
        2·size by the seconds of the best of five, after one that does not count.
    """
    n = size or COPIED.get(device.type, COPIED["cuda"])
    source = torch.ones(n, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * n / _best(lambda: target.copy_(source), device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    seconds_of(work, device)
    return min(seconds_of(work, device) for _ in range(BEST_OF))


class Moved(TorchDispatchMode):
    """Bytes that operations read and write while it is active. A view moves nothing, and a tensor that an operation
    hands out as it got it was not written."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            read = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
            written = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
            self.bytes += sum(map(_bytes, [*read, *written]))
        return out


def _bytes(tensor: Tensor) -> int:
    """Of the numbers that a tensor shows: an expanded one is read as often as its memory has it."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def bytes_moved(work: Callable[[], object]) -> int:
    """Bytes that the operations of a call read and write.

    Args:
        work: What is done.

    Returns:
        Their sum over all operations but views.
    """
    moved = Moved()
    with torch.no_grad(), moved:
        work()
    return moved.bytes
