"""Rows of features and logits that arrive piecemeal, from batches or from other ranks, and are wanted as one tensor.

They lie in memory up to `SPILL_BYTES`, beyond in a file that has no name and vanishes with the tensor that is mapped
from it. Of several ranks each gets the rows of all, `PIECE_BYTES` of each rank at a time: what a meeting takes beside
the rows themselves does not grow with the number of images.
"""

from __future__ import annotations

import tempfile
from itertools import accumulate
from typing import IO

import numpy as np
import torch
from torch import Tensor

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError

SPILL_BYTES = 2**30
PIECE_BYTES = 2**26
"""Of rows that leave a device, or that a rank hands to the others, at once."""


class Rows:
    """Rows that come batch by batch and are wanted as one float32 tensor."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = []
        self._waiting: list[Tensor] = []  # on the device
        self._file: IO[bytes] | None = None
        self._n = 0
        self._bytes = 0

    def append(self, rows: Tensor) -> None:
        """Some more, on any device."""
        self._waiting.append(rows)
        if rows.device.type == "cpu" or sum(rows.nbytes for rows in self._waiting) >= PIECE_BYTES:
            self._fetch()

    def tensor(self, width: int) -> Tensor:
        """All so far, float32 N×width, on the CPU."""
        self._fetch()
        if not self._n:
            return torch.empty(0, width)
        if self._file is None:
            return torch.from_numpy(np.concatenate(self._pieces))
        return _mapped(self._file, self._n, self._bytes // (4 * self._n))

    def _fetch(self) -> None:
        if not self._waiting:
            return
        piece = torch.cat(self._waiting).to("cpu", torch.float32).numpy()
        self._waiting.clear()
        self._n += len(piece)
        self._bytes += piece.nbytes
        self._pieces.append(piece)
        if self._file is None and self._bytes > SPILL_BYTES:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  outlives this call
        if self._file is not None:
            for one in self._pieces:
                _write(self._file, one)
            self._pieces.clear()


def rows_of_all(mine: Tensor, comm: Comm) -> Tensor:
    """The rows of all ranks, in the order of ranks.

    Args:
        mine: Those of this rank, float32 (N_rank, D) on the CPU; none where it has no images.
        comm: The ranks, which all call it.

    Returns:
        float32 (N, D), on the CPU of every rank.

    Raises:
        InputError: There is no room for them on one of the machines.
    """
    counts = comm.gather(len(mine))
    width, n = mine.shape[1], sum(counts)
    starts = list(accumulate(counts, initial=0))[:-1]
    file = tempfile.TemporaryFile() if 4 * n * width > SPILL_BYTES else None  # noqa: SIM115  outlives this call
    whole = torch.empty(n if file is None else 0, width)
    step = max(1, PIECE_BYTES // (4 * width))
    for at in range(0, max(counts), step):
        # Of a view NumPy hands over what is in it, torch all that it is a view of.
        pieces = comm.gather(mine[at : at + step].numpy())
        with comm.in_step():  # the disk of one rank may be full
            for start, piece in zip(starts, pieces, strict=True):
                if file is not None:
                    _write(file, piece, 4 * width * (start + at))
                else:
                    whole[start + at : start + at + len(piece)] = torch.from_numpy(piece)
    return whole if file is None else _mapped(file, n, width)


def _write(file: IO[bytes], rows: np.ndarray, place: int | None = None) -> None:
    """Write rows at the end of a file, or at a byte of it; not through a mapping of it, where a full disk would be the
    end of the process."""
    try:
        if place is not None:
            file.seek(place)
        file.write(np.ascontiguousarray(rows).data)
        file.flush()
    except OSError as error:
        raise InputError(
            f"no room for features in {tempfile.gettempdir()} ({error.strerror}); "
            "free some space or point TMPDIR to another folder"
        ) from error


def _mapped(file: IO[bytes], n: int, width: int) -> Tensor:
    # The file was unlinked when it was made; the mapping alone keeps it, as long as the tensor lives.
    return torch.from_numpy(np.memmap(file, dtype=np.float32, mode="r+", shape=(n, width)))
