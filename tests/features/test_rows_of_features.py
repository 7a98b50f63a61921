"""Rows of several ranks as one tensor: in order, in pieces, in memory or in a file, and a disk that is full."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranks import on_ranks

from benchbench.core.comm import Comm
from benchbench.core.errors import InputError
from benchbench.features import rows
from benchbench.features.rows import rows_of_all


@pytest.mark.parametrize("spill", [10**9, 100], ids=["memory", "file"])
@pytest.mark.parametrize("n", [0, 2, 7, 24])
def test_rows_of_all_are_in_the_order_of_images(
    spill: int, n: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each of three ranks has its block of n rows of 5, which are a part of a tensor that holds more, and gets all of
    them, bit for bit. No meeting carries more than `PIECE_BYTES` of a rank, two rows of 20 bytes here, however many it
    has: so memory beside the result does not grow with the images. The file has no name."""
    monkeypatch.setattr(rows, "SPILL_BYTES", spill)
    monkeypatch.setattr(rows, "PIECE_BYTES", 47)
    monkeypatch.setattr(rows.tempfile, "tempdir", str(tmp_path))
    whole = torch.arange(5.0 * n).reshape(n, 5)
    handed: list[int] = []

    def work(comm: Comm) -> torch.Tensor:
        gather = comm.gather

        def counted(mine: Any) -> list[Any]:
            if isinstance(mine, np.ndarray):
                handed.append(len(mine))
            return gather(mine)

        monkeypatch.setattr(comm, "gather", counted)
        mine = comm.shard(n)
        return rows_of_all(whole[mine.start : mine.stop], comm)

    found = on_ranks(3, work)
    assert all(torch.equal(own, whole) for own in found)
    assert max(handed, default=0) <= 2
    assert sum(handed) == n
    assert list(tmp_path.iterdir()) == []


class Full:
    """A file on a disk without room."""

    def seek(self, place: int) -> None:
        pass

    def write(self, content: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_of_one_rank_is_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of three machines has no room for the rows of all: the sentence that names the folder, on all ranks, and none
    waits for the others."""
    monkeypatch.setattr(rows, "SPILL_BYTES", 10)
    files = iter([io.BytesIO(), Full(), io.BytesIO()])
    monkeypatch.setattr(rows.tempfile, "TemporaryFile", lambda: next(files))
    heard: list[str] = []

    def work(comm: Comm) -> None:
        with pytest.raises(InputError) as caught:
            rows_of_all(torch.ones(2, 5), comm)
        heard.append(str(caught.value))

    on_ranks(3, work)
    assert len(heard) == 3
    assert all("no room for features in" in said and "No space left" in said for said in heard)
