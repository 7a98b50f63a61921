"""Jobs of several processes, as torchrun starts them: the environment says which rank each one is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

PATIENCE = 900  # seconds that a test waits for a job on a busy machine


def environments(size: int, **more: str) -> list[dict[str, str]]:
    """The environment of each rank of a job on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    ranks = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)} for rank in range(size)
    ]
    return [{**os.environ, **place, **rank, **more} for rank in ranks]


def started(size: int, arguments: Sequence[str], **more: str) -> list[subprocess.Popen[str]]:
    """`python ARGUMENTS` on each rank; both streams are kept."""
    return [
        subprocess.Popen(
            [sys.executable, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for env in environments(size, **more)
    ]


def ended(ranks: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """The exit code and both streams of each rank, once all have ended."""
    try:
        said = [rank.communicate(timeout=PATIENCE) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    return [(rank.returncode, *streams) for rank, streams in zip(ranks, said, strict=True)]
