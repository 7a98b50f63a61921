"""What the Gram and distance matrices are made of: A Bᵀ in float32 at the machine's own pace, and float64 rows.

Pattern: on a processor `torch.mm` hands float32 to MKL; oneDNN, which comes with torch as well, generates code
for the processor that it finds. On one core of an AMD EPYC with AVX-512 (family 26) it computed 160 to 200
GFLOP/s at the shapes used here, and MKL 75 to 93. Other processors were not measured.

Trade-offs: one copy of the left factor and one of the result, 2% of the time at D = 2048. The rounding errors
came out two to four times MKL's (`gram` splits long rows for that); D·u·Σ|x||y| bounds them all the same.

A processor wants parts that stay in its cache; on a card starting a kernel on so few rows takes longer than it runs
(`at_once`). How rows are cut changes sums in their last digits alone.

Scope: oneDNN for float32 on processors where torch has it; everything else is `a @ b.T`. Callers enter
`full_float32`, as oneDNN also knows bfloat16 products of float32 factors.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

_ROWS = 32  # rows turned to float64 at once: half a MiB at D = 2048, which stays in cache
_ROWS_ON_DEVICE = 4096  # 64 MiB


def product(a: Tensor, b: Tensor) -> Tensor:
    """`a` @ `b`ᵀ, n×m, from n×D and m×D of one dtype on one device. `a` is copied on the way, so let it be the
    shorter one."""
    if a.dtype == torch.float32 and a.device.type == "cpu" and torch.backends.mkldnn.is_available():
        return F.linear(a.to_mkldnn(), b).to_dense()
    return a @ b.T


def at_once(like: Tensor, on_cpu: int, on_device: int) -> int:
    """How many rows of what lies where `like` does are worked on together."""
    return on_cpu if like.device.type == "cpu" else on_device


def float64_rows(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The rows as float64, a few at a time, with where they are: no pass over them leaves the cache."""
    size = at_once(rows, _ROWS, _ROWS_ON_DEVICE)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield part, rows[part].double()
