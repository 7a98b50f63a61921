"""Losses of some rows of a batch, as if all of its rows were there: random numbers and batch norms.

Pattern: while a rank computes the loss of its own rows, calls of torch are looked at on their way
(`TorchFunctionMode`). What draws a number for each row draws for those of all ranks and keeps its own, so that row i
sees the numbers that it would see in one process and all generators move alike. A batch norm in training takes its
statistics over the rows of all ranks, differentiably, the gradient of a statistic coming from all of them. Models know
nothing of it.

A tensor belongs to rows where its first side is their number, or a small multiple of it (real and generated images in
one pass). That this reads a model rightly is not taken on trust: `training.step.divisible` tries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from benchbench.core.comm import Comm

MOST_BLOCKS = 4  # times that the rows may be there, one set behind the other
_SIZED = (torch.rand, torch.randn)
_LIKE = (torch.rand_like, torch.randn_like, torch.randint_like)
_FILLED = (
    Tensor.normal_,
    Tensor.uniform_,
    Tensor.bernoulli_,
    Tensor.exponential_,
    Tensor.random_,
)
_DROPPED = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


class Rows(NamedTuple):
    """Which rows of a batch, or of a part of one, are here. whole: how many all ranks have. start, stop: ours."""

    whole: int
    start: int
    stop: int

    @property
    def own(self) -> int:
        """How many are here."""
        return self.stop - self.start

    def blocks(self, size: Sequence[int]) -> int:
        """How many times our rows are in a tensor of this size; 0 where it is no matter of rows."""
        times, rest = divmod(size[0], self.own) if len(size) else (0, 0)
        return 0 if rest or not 0 < times <= MOST_BLOCKS else times

    def ours(self, everything: Tensor, blocks: int) -> Tensor:
        """Our rows of a tensor that holds those of all ranks so many times."""
        if blocks == 1:
            return everything[self.start : self.stop]
        apart: Tensor = everything.unflatten(0, (blocks, self.whole))
        return apart[:, self.start : self.stop].flatten(0, 1)


class WholeBatch(TorchFunctionMode):
    """Inside, the rows that are here are treated as a part of a batch."""

    def __init__(self, rows: Rows, comm: Comm) -> None:
        super().__init__()
        self._rows, self._comm = rows, comm

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is F.batch_norm:
            return batch_norm(self._comm, *args, **given)
        if func in _SIZED or func is torch.randint:
            return self._sized(func, list(args), given)
        if func in _LIKE and (blocks := self._rows.blocks(args[0].shape)):
            return self._rows.ours(func(self._empty(args[0], blocks), *args[1:], **given), blocks)
        if func in _FILLED and (blocks := self._rows.blocks(args[0].shape)):
            whole = func(self._empty(args[0], blocks), *args[1:], **given)
            return args[0].copy_(self._rows.ours(whole, blocks))
        if func in _DROPPED:
            return self._dropout(func, *args, **given)
        return func(*args, **given)

    def _sized(self, func: Callable[..., Any], args: list[Any], given: dict[str, Any]) -> Any:
        """A function that is told the size of what it draws, as numbers or in one list."""
        before = 0 if func in _SIZED else len(args) - ("size" not in given)
        listed = "size" in given or (len(args) > before and not isinstance(args[before], int))
        size = list(given.pop("size") if "size" in given else args[before] if listed else args[before:])
        blocks = self._rows.blocks(size)
        if blocks:
            size[0] = blocks * self._rows.whole
        drawn = func(*args[:before], size, **given)
        return self._rows.ours(drawn, blocks) if blocks else drawn

    def _dropout(
        self,
        func: Callable[..., Any],
        x: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        blocks = self._rows.blocks(x.shape)
        if not training or not p or not blocks:
            left: Tensor = func(x, p, training, inplace)
            return left
        kept: Tensor = func(torch.ones_like(self._empty(x, blocks)), p, True)
        return x * self._rows.ours(kept, blocks)

    def _empty(self, like: Tensor, blocks: int) -> Tensor:
        """As `like` would be with the rows of all ranks."""
        layout = torch.contiguous_format
        if (
            like.ndim == 4
            and not like.is_contiguous()
            and like.is_contiguous(memory_format=torch.channels_last)
        ):
            layout = torch.channels_last
        size = (blocks * self._rows.whole, *like.shape[1:])
        return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=layout)


def batch_norm(
    comm: Comm,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `torch.nn.functional.batch_norm`; in training with mean and variance over the rows of all ranks."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    dims, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    here = values.new_tensor([values.numel() / max(values.shape[1], 1)])
    sums = SumOverRanks.apply(comm, torch.cat([values.sum(dims), here]))
    n = sums[-1].detach()
    mean = sums[:-1] / n
    centred = values - mean.view(shape)
    variance = SumOverRanks.apply(comm, centred.square().sum(dims)) / n
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.detach().to(running_mean.dtype), momentum)
            running_var.lerp_((variance.detach() * n / (n - 1)).to(running_var.dtype), momentum)
    found: Tensor = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        found = found * weight.view(shape)
    if bias is not None:
        found = found + bias.view(shape)
    return found.to(x.dtype)


class SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over ranks. What each of them minimises depends on it: its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, comm: Comm, mine: Tensor) -> Tensor:
        """The sum, the same on all ranks."""
        ctx.comm = comm
        return comm.summed(mine)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        """The sum of the gradients; it can be differentiated again."""
        return None, SumOverRanks.apply(ctx.comm, gradients[0])
