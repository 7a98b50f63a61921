"""One job as several processes, the ranks: who takes which images, and how what each one found becomes the whole.

Pattern: images are dealt out in blocks by their numbers, rank 0 the first ones, so that what the ranks found, put one
behind the other, is in the order of the images. What is found of some images (features, values of pairs, moments)
merges with what is found of others, hence no number depends on how many ranks there were, beyond its last digits.

Ranks meet in `gather` and in whatever is made of it. A rank that fails on its own says so at the next meeting, and its
error is raised on all: none waits for one that has left, and all end alike.

Scope: what a rank needs of the others. `ALONE` is a job of one process.
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from benchbench.core.errors import CellFailed, InputError, RankLost, because

T = TypeVar("T")


@dataclass(frozen=True)
class _Given:
    """Handed in at a meeting."""

    value: Any


@dataclass(frozen=True)
class _Failed:
    """Said at a meeting by a rank that does not go on with the others."""

    error: BaseException


@dataclass(frozen=True)
class _Done:
    """Said at the meeting that ends a piece of work."""


def known_to_all(error: BaseException) -> bool:
    """Whether an error was raised on all ranks, so that nobody needs to be told of it."""
    return isinstance(error, RankLost) or getattr(error, "known_to_all_ranks", False)


def _portable(error: BaseException) -> BaseException:
    """The error as other processes can read it; its words, where they cannot."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return CellFailed(because(error))
    return error


class Comm(ABC):
    """The ranks of a job, as one of them sees them. All ranks make the same calls in the same order.

    Attributes:
        rank: Which one this is, from 0. Rank 0 alone writes and says how far things are.
        size: How many there are.
    """

    rank: int
    size: int

    @abstractmethod
    def exchange(self, mine: Any) -> list[Any]:
        """One meeting of all ranks; `gather` is for those who work.

        Args:
            mine: What this one hands in; tensors in it are on the CPU.

        Returns:
            One of each rank, in their order; the same on all of them.

        Raises:
            RankLost: One of them is gone.
        """

    def gather(self, mine: T) -> list[T]:
        """What every rank hands in.

        Args:
            mine: What this one has; tensors in it are on the CPU.

        Returns:
            One of each rank, in their order; the same on all of them.

        Raises:
            Exception: That of a rank that failed on its own before it came here.
            RankLost: One of them is gone.
        """
        if self.size == 1:
            return [mine]
        return [word.value for word in self._meet(_Given(mine))]

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Around work that may fail on one rank and not on another, and in which ranks may meet.

        Raises:
            Exception: Around the work of each rank, that of the first rank on which it failed.
        """
        if self.size == 1:
            yield
            return
        try:
            yield
        except (Exception, SystemExit) as error:
            if not known_to_all(error):
                self.part()
                self._meet(_Failed(_portable(error)))
            raise
        self._meet(_Done())

    def _meet(self, word: _Given | _Failed | _Done) -> list[Any]:
        words = self.exchange(word)
        for rank, other in enumerate(words):
            if isinstance(other, _Failed):
                error = word.error if rank == self.rank and isinstance(word, _Failed) else other.error
                error.known_to_all_ranks = True  # type: ignore[attr-defined]
                self.part()
                raise error
        if len({type(other) for other in words}) > 1:
            raise RankLost(
                "the ranks of this job are not at the same place of their work, because they do not read the same "
                "files or because of a bug in benchbench; the job ends here"
            )
        return words

    def shard(self, n: int, rank: int | None = None) -> range:
        """The images that a rank takes.

        Args:
            n: How many there are for all ranks.
            rank: Which one; None for this one.

        Returns:
            Their numbers, a block; the ranks' blocks are in their order, none longer by more than one than another.
            Empty where there are fewer images than ranks.
        """
        rank = self.rank if rank is None else rank
        return range(n * rank // self.size, n * (rank + 1) // self.size)

    def summed(self, mine: Tensor) -> Tensor:
        """As `total`, in any order and where the tensor lies: for what is summed at every step.

        Args:
            mine: That of this rank, of one shape and dtype on all; left as it is.

        Returns:
            A new tensor like it, the same bits on all ranks.
        """
        return self.total(mine) if self.size > 1 else mine.clone()

    def part(self) -> None:  # noqa: B027
        """Before it says that it failed a rank lets go of those who wait for its sums."""

    def dealt(self, parts: Iterable[T]) -> list[T]:
        """Of pieces of work those that this rank does, as a pack of cards is dealt: where later ones are smaller, each
        rank has large and small ones.

        Args:
            parts: All pieces, the same on all ranks.

        Returns:
            Every `size`-th of them, from number `rank` on.
        """
        return list(parts)[self.rank :: self.size]

    def rows(self, mine: Tensor) -> Tensor:
        """The rows of all ranks, one behind the other.

        Args:
            mine: Those of this rank, (N_rank, …), on any device; of one dtype and, but for N, one shape on all.

        Returns:
            (N, …) on the CPU, in the order of ranks.
        """
        return mine.cpu() if self.size == 1 else torch.cat(self.gather(mine.cpu()))

    def total(self, mine: Tensor) -> Tensor:
        """The sum over ranks, element by element, in their order: the same bits on all of them.

        Args:
            mine: That of this rank, of one shape and dtype on all.

        Returns:
            A tensor like it, on its device.
        """
        if self.size == 1:
            return mine
        first, *others = self.gather(mine.cpu())
        whole = first.clone()
        for other in others:
            whole += other
        return whole.to(mine.device)

    def together(self, work: Callable[[], T]) -> T:
        """Do work that may fail on one rank and not on another.

        Args:
            work: What to do; ranks may meet in it.

        Returns:
            What it gives on this rank.

        Raises:
            Exception: That of the first rank on which it failed, on all of them: none waits for one that has left.
        """
        with self.in_step():
            return work()

    def first(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on every rank: for what is measured rather than computed, and for what is written.

        Args:
            make: Called on rank 0 alone.

        Returns:
            What it gave there, on all ranks.

        Raises:
            Exception: What it raised there, on all of them.
        """
        return cast(T, self.gather(self.together(lambda: _alone(make) if self.rank == 0 else None))[0])

    def agree(self, on: Any) -> None:
        """Hold against each other what must be the same on all ranks.

        Args:
            on: What this one would do, as plain values.

        Raises:
            InputError: It differs: they read other files, or other versions of something.
        """
        first, *others = self.gather(on)
        differ = [str(rank) for rank, other in enumerate(others, start=1) if other != first]
        if differ:
            raise InputError(
                f"rank{'s' * (len(differ) > 1)} {', '.join(differ)} of {self.size} would do other things than rank 0: "
                "they read other data or weights, or another version of benchbench; give all ranks the same files"
            )

    def first_alone(self, make: Callable[[], T]) -> T:
        """What every rank makes for itself, rank 0 before the others: these find what it left in caches.

        Args:
            make: Called on every rank.

        Returns:
            What it gave on this rank.

        Raises:
            Exception: What it raised on the first rank on which it failed, on all of them.
        """
        mine = self.together(lambda: _alone(make) if self.rank == 0 else None)
        return cast(T, self.together(lambda: mine if self.rank == 0 else _alone(make)))


class Alone(Comm):
    """A job of one process."""

    rank = 0
    size = 1

    def exchange(self, mine: Any) -> list[Any]:
        """As `Comm.exchange`: the one thing there is."""
        return [mine]


ALONE = Alone()

_SHARING: ContextVar[Comm] = ContextVar("sharing", default=ALONE)


@contextmanager
def shared_by(comm: Comm) -> Iterator[None]:
    """Inside, pure functions of what all ranks have, distances between all pairs of images for instance, may deal out
    their tiles (`sharing`). All ranks call them alike."""
    before = _SHARING.set(comm)
    try:
        yield
    finally:
        _SHARING.reset(before)


def _alone(make: Callable[[], T]) -> T:
    """What `make` gives where nobody shares its work."""
    with shared_by(ALONE):
        return make()


def sharing() -> Comm:
    """Who shares the work of a pure function; `ALONE` where nobody said."""
    return _SHARING.get()
