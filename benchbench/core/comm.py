"""One job as several processes, the ranks: who takes which images, and how what each one found becomes the whole.

Pattern: images are dealt out in blocks by their numbers, rank 0 the first ones, so that what the ranks found, put one
behind the other, is in the order of the images. What is found of some images (features, values of pairs, moments)
merges with what is found of others, hence no number depends on how many ranks there were, beyond its last digits.

Scope: what a rank needs of the others. `ALONE` is a job of one process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


class Comm(ABC):
    """The ranks of a job, as one of them sees them. All ranks make the same calls in the same order.

    Attributes:
        rank: Which one this is, from 0. Rank 0 alone writes and says how far things are.
        size: How many there are.
    """

    rank: int
    size: int

    @abstractmethod
    def gather(self, mine: T) -> list[T]:
        """What every rank hands in.

        Args:
            mine: What this one has; tensors in it are on the CPU.

        Returns:
            One of each rank, in their order; the same on all of them.
        """

    def shard(self, n: int) -> range:
        """The images that this rank takes.

        Args:
            n: How many there are for all ranks.

        Returns:
            Their numbers, a block; the ranks' blocks are in their order, none longer by more than one than another.
            Empty where there are fewer images than ranks.
        """
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def rows(self, mine: Tensor) -> Tensor:
        """The rows of all ranks, one behind the other.

        Args:
            mine: Those of this rank, (N_rank, …), on any device; of one dtype and, but for N, one shape on all.

        Returns:
            (N, …) on the CPU, in the order of ranks.
        """
        return mine.cpu() if self.size == 1 else torch.cat(self.gather(mine.cpu()))

    def together(self, work: Callable[[], T]) -> T:
        """Do work that may fail on one rank and not on another.

        Args:
            work: What to do; it makes no calls to the other ranks.

        Returns:
            What it gives on this rank.

        Raises:
            Exception: That of the first rank on which it failed, on all of them: none waits for one that has left.
        """
        found, failure = None, None
        try:
            found = work()
        except Exception as error:
            failure = error
        for one in self.gather(failure):
            if one is not None:
                raise one
        return cast(T, found)

    def first(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on every rank: for what is measured rather than computed.

        Args:
            make: Called on rank 0 alone.

        Returns:
            What it gave there, on all ranks.
        """
        return cast(T, self.gather(make() if self.rank == 0 else None)[0])


class Alone(Comm):
    """A job of one process."""

    rank = 0
    size = 1

    def gather(self, mine: T) -> list[T]:
        """As `Comm.gather`: the one thing there is."""
        return [mine]


ALONE = Alone()
