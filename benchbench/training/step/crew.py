"""How the ranks of a job train together: each has some rows of every batch, and their gradients are added up.

Pattern: a batch is what it is in one process, a function of (seed, its number). Each part of it that goes through the
networks at once (`TrainingConfig.accumulate`) is dealt out in blocks of rows. A loss is a mean over images, so that of
the whole is the mean of the ranks' losses, each counted by its rows; gradients are summed once, before they are
clipped, so that all that follows (clipping, optimiser, averages) is that of one process, computed on every rank alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.core.protocols import Batch
from benchbench.training.step.whole_batch import Rows, WholeBatch

LEAST = 2
"""Images of a part of a batch that each rank has: what belongs to images is told by their number."""


class Crew:
    """What a rank does of each batch.

    comm: the ranks. n: images of a batch. parts: into which it is cut.
    """

    def __init__(self, comm: Comm, n: int, parts: int) -> None:
        self.comm, self.n = comm, n
        sizes = [len(part) for part in torch.arange(n).tensor_split(min(parts, n))]
        if comm.size > 1 and min(sizes) < LEAST * comm.size:
            cut = f" in {len(sizes)} parts" if len(sizes) > 1 else ""
            raise InputError(
                f"a batch of {n} images{cut} is too small for {comm.size} ranks, of which each has at least {LEAST} "
                "images at once; start fewer ranks, or set a larger batch_size or a smaller accumulate"
            )
        self._parts = [Rows(size, shard.start, shard.stop) for size in sizes for shard in [comm.shard(size)]]

    @property
    def own(self) -> Tensor:
        """The numbers of our rows of a batch, int64, part by part."""
        start, found = 0, []
        for rows in self._parts:
            found.append(torch.arange(start + rows.start, start + rows.stop))
            start += rows.whole
        return torch.cat(found)

    def parts(self, batch: Batch) -> Iterator[tuple[Batch, float, AbstractContextManager[object]]]:
        """Our rows of each part of a batch that holds our rows alone; the share that its loss has in that of the whole
        batch; and the context in which this loss is to be computed."""
        start = 0
        for number, rows in enumerate(self._parts):
            here = slice(start, start + rows.own)
            start = here.stop
            part = replace(
                batch,
                x=batch.x[here],
                labels=None if batch.labels is None else batch.labels[here],
                y=None if batch.y is None else batch.y[here],
                condition=None if batch.condition is None else batch.condition[here],
                part=number,
            )
            seeing = nullcontext() if self.comm.size == 1 else WholeBatch(rows, self.comm)
            yield part, rows.own / self.n, seeing

    def add_up(self, parameters: Sequence[nn.Parameter], numbers: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of all ranks, summed in place. numbers: scalars; returns their sums over ranks. A parameter has
        no gradient where it has none on any rank."""
        said = torch.stack([number.detach().double().to("cpu") for number in numbers])
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float64)
        sums = self.comm.summed(torch.cat([said, there]))
        told, there = sums.split([len(said), len(there)])
        moved = [p for p, ranks in zip(parameters, there.tolist(), strict=True) if ranks]
        for dtype in sorted({p.dtype for p in moved}, key=str):
            some = [p for p in moved if p.dtype == dtype]
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in some])
            pieces = self.comm.summed(flat).split([p.numel() for p in some])
            for p, piece in zip(some, pieces, strict=True):
                p.grad = piece.view_as(p)
        return list(told)
