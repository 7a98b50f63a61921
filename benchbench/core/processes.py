"""The ranks of a job of torch.distributed, as `torchrun` starts them: how they find each other, and how they end.

Pattern: whatever ranks hand each other goes over the CPU (gloo); what is summed on CUDA cards goes over NCCL where each
rank has a card of its own. The key-value store in which ranks meet at first serves at the end, too: who leaves says so
there, and of all that notice a dead rank the first one says a sentence.

A rank that was killed closes its connections, so the others notice at their next meeting. One that hangs is waited for
`patience()` seconds.
"""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn

import psutil
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from benchbench.core.comm import ALONE, Comm
from benchbench.core.device import resolve_device
from benchbench.core.errors import InputError, RankLost
from benchbench.core.progress import SILENT, Progress
from benchbench.core.runtime import Runtime
from benchbench.core.started import Started, started

PATIENCE = "BENCHBENCH_RANK_TIMEOUT"
"""The environment variable with the seconds that a rank is waited for."""

DEFAULT_PATIENCE = 1800.0
_KEY = "benchbench"
_STARTING = 300.0  # seconds that processes may take to start: they load libraries at different paces
_ENDING = 3.0  # seconds in which a process that closed its connections is seen to have ended


class _Home(NamedTuple):
    """Where a rank runs."""

    host: str
    pid: int


class Processes(Comm):
    """All ranks of the job of this process. Every rank makes one.

    Args:
        store: In which they met; None where somebody else brought them together.
    """

    def __init__(self, store: Any = None) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._store = store
        self._group: Any = None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")
        self._sums: Any = None
        self._homes: list[_Home] = []
        self._homes = self.exchange(_Home(socket.gethostname(), os.getpid()))

    def exchange(self, mine: Any) -> list[Any]:
        """As `Comm.exchange`."""
        content = pickle.dumps(mine)
        found: list[Any] = [None] * self.size
        try:
            dist.all_gather_object(found, content, group=self._group)
        except RuntimeError as error:
            self.lost(error)
        return [pickle.loads(one) for one in found]

    def summed(self, mine: Tensor) -> Tensor:
        """As `Comm.summed`: over NCCL where each rank has a CUDA card of its own, else over gloo."""
        whole = mine.detach().clone(memory_format=torch.contiguous_format)
        if self._sums is None:
            self._sums = self._group_for(mine.device)
        group, on_card = self._sums
        sent = whole if on_card == whole.is_cuda else whole.to(self._card if on_card else "cpu")
        try:
            dist.all_reduce(sent, group=group)
        except RuntimeError as error:
            self.part()
            self.gather(None)  # a rank that failed says so here
            self.lost(error)
        return sent.to(mine.device)

    def _group_for(self, device: torch.device) -> tuple[Any, bool]:
        """A group of its own for sums: it can be given up while ranks still speak with each other."""
        places = self.gather((socket.gethostname(), str(device)))
        on_card = device.type == "cuda" and len(set(places)) == self.size and dist.is_nccl_available()
        self._card = device
        patient = timedelta(seconds=patience())
        return dist.new_group(backend="nccl" if on_card else "gloo", timeout=patient), on_card

    def part(self) -> None:
        """As `Comm.part`: the group for sums is given up, and its connections are closed."""
        if self._sums is not None:
            group, _ = self._sums
            self._sums = None
            with suppress(RuntimeError):
                dist.destroy_process_group(group)

    def lost(self, error: BaseException) -> NoReturn:
        """The ranks cannot meet any more: says why.

        Raises:
            RankLost: Always.
        """
        silent = "timed out" in str(error).lower() or "timeout" in str(error).lower()
        gone = self.gone()
        until = time.monotonic() + (0 if silent else _ENDING)
        while not gone and time.monotonic() < until:  # connections are closed before a process has ended
            time.sleep(0.05)
            gone = self.gone()
        if gone:
            which = f"rank{'s' * (len(gone) > 1)} {', '.join(map(str, gone))} of {self.size}"
            why = f"{which} {'are' if len(gone) > 1 else 'is'} gone: killed, or ended by the machine"
        elif silent:
            why = f"a rank did not answer within {patience():g} seconds ({PATIENCE} sets how long it is waited for)"
        else:
            why = f"one of the {self.size} ranks is gone"
        lost = RankLost(f"{why}; the job ends here, and the same command goes on from what is kept")
        lost.speaks = self.says_it()
        raise lost from error

    def gone(self) -> list[int]:
        """The ranks on this machine whose processes are there no more, though they did not say that they leave."""
        here = socket.gethostname()
        dead = [i for i, home in enumerate(self._homes) if home.host == here and not _alive(home.pid)]
        return [rank for rank in dead if not self._left(rank)]

    def says_it(self) -> bool:
        """Whether this rank is the first to say how the job ended; each is asked once."""
        if self._store is None:
            return self.rank == 0
        try:
            return int(self._store.add(f"{_KEY}/said", 1)) == 1
        except RuntimeError:  # the store went with its rank: twice is better than never
            return True

    def leave(self) -> None:
        """Say that this rank ends by itself, and close its connections, so that nobody waits for it.

        No group may outlive this: a thread of gloo's that lets go of its last tensor while the interpreter shuts down
        aborts the process, after all work was done (seen once, as exit code -6).
        """
        with suppress(RuntimeError):
            if self._store is not None:
                self._store.set(f"{_KEY}/left/{self.rank}", b"")
        self.part()
        with suppress(RuntimeError):
            dist.destroy_process_group()

    def _left(self, rank: int) -> bool:
        try:
            return self._store is not None and bool(self._store.check([f"{_KEY}/left/{rank}"]))
        except RuntimeError:
            return False


@contextmanager
def ranks() -> Iterator[Comm]:
    """The ranks of the job that this process belongs to, for `run` and `evaluate`: `comm=`. A script of yours that
    `torchrun` starts enters it on every rank, and makes the same calls on each.

    Returns:
        A context whose value says which rank this is (`rank`) and how many there are (`size`); a job of one where no
        torchrun started the process.

    Raises:
        InputError: The environment says half of what torchrun says, or `BENCHBENCH_RANK_TIMEOUT` is no number.
        RankLost: A rank is gone, or does not answer.

    >>> with benchbench.ranks() as comm:  # doctest: +SKIP
    ...     frame = benchbench.run("vae", "digits", comm=comm)
    """
    if dist.is_available() and dist.is_initialized():  # by whoever calls
        yield all_processes()
        return
    here = started()
    if here is None:
        yield ALONE
        return
    comm = _joined(here)
    try:
        with comm.in_step():
            yield comm
    except KeyboardInterrupt as error:
        _interrupted(comm, error)
    finally:
        comm.leave()


def _interrupted(comm: Processes, error: KeyboardInterrupt) -> NoReturn:
    """Whoever watches over ranks ends those that are left when one is gone: then that is what is said."""
    if comm.gone():
        comm.lost(error)
    error.speaks = comm.says_it()  # type: ignore[attr-defined]
    raise error


def _joined(here: Started) -> Processes:
    # Its functions keep the group of all ranks, as a default, if there is one when it is imported (by an optimiser):
    # then nothing closes that group (see `leave`).
    import torch.distributed.nn.functional  # noqa: F401

    seconds, starting = timedelta(seconds=patience()), timedelta(seconds=max(patience(), _STARTING))
    try:
        store, rank, size = next(rendezvous("env://", timeout=starting))
        store.set(f"{_KEY}/here/{rank}", b"")
        store.wait([f"{_KEY}/here/{other}" for other in range(size)], starting)
        store.set_timeout(seconds)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=seconds)
        return Processes(store)
    except (RuntimeError, ValueError) as error:
        lost = RankLost(f"the {here.size} ranks of this job do not find each other ({error})")
        lost.speaks = here.rank == 0
        raise lost from error


def patience() -> float:
    """Seconds that a rank is waited for; `InputError` where the environment says something else."""
    said = os.environ.get(PATIENCE, "").strip()
    try:
        seconds = float(said or DEFAULT_PATIENCE)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 10**6:
        raise InputError(f"{PATIENCE}={said[:40]!r} is not possible; give seconds, from 1 to 1,000,000")
    return seconds


def device_of_rank(name: str, comm: Comm) -> torch.device:
    """As `resolve_device`; but of several ranks each has a CUDA card of its own, unless a card is named."""
    device = resolve_device(name)
    here = started()
    if device.type != "cuda" or device.index is not None or comm.size == 1 or here is None:
        return device
    cards = torch.cuda.device_count()
    if cards < here.local_size:
        raise InputError(
            f"{here.local_size} ranks were started on a machine with {cards} CUDA card{'s' * (cards != 1)}; start one "
            "a card, or say --device cpu, or --device cuda:0 to share that one"
        )
    device = torch.device("cuda", here.local_rank)
    torch.cuda.set_device(device)
    return device


def runtime_of_rank(
    device: str, batch_size: int | None, progress: Progress = SILENT, comm: Comm = ALONE
) -> Runtime:
    """Where this rank works (`device_of_rank`); rank 0 alone says how far it is."""
    return Runtime(device_of_rank(device, comm), batch_size, progress if comm.rank == 0 else SILENT, comm)


def all_processes() -> Comm:
    """The ranks of the job that this process belongs to; itself where it belongs to none."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ALONE
    return Processes()


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
