"""The ranks of a job of torch.distributed, as `torchrun` starts them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch.distributed as dist

from benchbench.core.comm import ALONE, Comm

T = TypeVar("T")


class Processes(Comm):
    """All ranks of the job of this process. Whatever they hand each other goes over the CPU. Every rank makes one."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._group: Any = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")

    def gather(self, mine: T) -> list[T]:
        """As `Comm.gather`."""
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, mine, group=self._group)
        return found


def all_processes() -> Comm:
    """The ranks of the job that this process belongs to; itself where it belongs to none."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ALONE
    return Processes()
