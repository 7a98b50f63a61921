"""What `torchrun` says in the environment of each process that it starts; known without torch."""

from __future__ import annotations

import os
from typing import NamedTuple

from benchbench.core.errors import InputError

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Started(NamedTuple):
    """One of several ranks.

    Attributes:
        rank: Which one, from 0.
        size: How many there are.
        local_rank: Which one of those on this machine.
        local_size: How many of them are on this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int


def started() -> Started | None:
    """What the environment says; None for a process alone.

    Raises:
        InputError: It says a part of it, or something that cannot be.
    """
    size, rank = (os.environ.get(name, "").strip() for name in ("WORLD_SIZE", "RANK"))
    if size in ("", "1") or not rank:  # some schedulers say one of the two of something else
        return None
    names = {"RANK": "", "WORLD_SIZE": "", "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
    said = [os.environ.get(name, other).strip() for name, other in names.items()]
    missing = [name for name in NEEDED if not os.environ.get(name, "").strip()]
    if missing or not all(one.isascii() and one.isdigit() and len(one) < 7 for one in said):
        told = ", ".join(
            f"{name}={os.environ[name][:40]!r}" for name in (*names, *NEEDED[2:]) if name in os.environ
        )
        raise InputError(
            f"the environment says that this is one of several processes ({told}) but not as torchrun says it; start "
            "them with torchrun, or unset WORLD_SIZE"
        )
    here = Started(*map(int, said))
    if not (here.rank < here.size and here.local_rank < here.local_size <= here.size):
        raise InputError(
            f"rank {here.rank} of {here.size} (local {here.local_rank} of {here.local_size}) cannot be; start the "
            "ranks with torchrun"
        )
    return here


def ranks_here() -> int:
    """How many processes of this one's job are on this machine, this one among them; 1 of a process alone.

    Raises:
        InputError: As `started`.
    """
    found = started()
    return 1 if found is None else found.local_size


def speaks() -> bool:
    """Whether this process says what all ranks would say: rank 0, or a process alone."""
    size, rank = os.environ.get("WORLD_SIZE", "").strip(), os.environ.get("RANK", "").strip()
    return size in ("", "1") or rank in ("", "0")
