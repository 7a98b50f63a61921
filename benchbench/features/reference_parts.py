"""How far a pass over reference images is, written down as it goes: one that was killed goes on where it was.

Pattern: beside the place of the cache entry lies a folder with the rows so far, in files, and `state.npz`: how many
images these are of, the moments at that point, and which files hold the rows. It is replaced atomically after the rows
are there, so what it names is whole. A part is cut only where no rows wait to be merged into the moments; then a pass
that went on adds the same numbers in the same order as one that never stopped, and gives the same bits.

Trade-offs: whatever cannot be read (damage, a file that another process took away) is left aside and the pass begins
anew: that costs time and no number. Zip archives carry a checksum of each member, which NumPy verifies as it reads.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_path
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.progress import Progress
from benchbench.features.extract import Reader
from benchbench.features.moments import Moments

EVERY = 20.0
"""Seconds between two parts."""

STATE = "state.npz"


class Parts:
    """The parts of one pass, of all readers that it serves.

    Args:
        readers: Who reads, before any image.
        folders: Where the cache entry of each will be; the parts lie beside it.
        n: How many images the pass has.
        progress: Who is told that they cannot be written.
    """

    def __init__(
        self, readers: Sequence[Reader], folders: Sequence[Path], n: int, progress: Progress
    ) -> None:
        self._readers, self._n, self._progress = readers, n, progress
        self._folders = [folder.with_name(f"{folder.name}.parts") for folder in folders]
        self._files: list[list[str]] = [[] for _ in readers]
        self._own = uuid.uuid4().hex[:8]
        self._end, self._last = 0, time.monotonic()
        self._broken = False

    def resume(self) -> int:
        """Hand the readers what was written down of an earlier pass. Returns of how many images that is."""
        found = [
            _found(folder, reader, self._n)
            for folder, reader in zip(self._folders, self._readers, strict=True)
        ]
        whole = [one for one in found if one is not None]
        # A kill between the writing of two readers leaves them at different places.
        if len(whole) < len(found) or len({one.moments.n for one in whole}) != 1:
            return 0
        for reader, files, one in zip(self._readers, self._files, whole, strict=True):
            reader.resume(one.moments, one.features, one.logits)
            files += one.files
        self._end = whole[0].moments.n
        return self._end

    def offer(self, seen: int) -> None:
        """Write down how far the pass is, `seen` images, where it is time to."""
        if self._broken or time.monotonic() - self._last < EVERY or any(r.waiting for r in self._readers):
            return
        try:
            for reader, folder, files in zip(self._readers, self._folders, self._files, strict=True):
                name = f"rows-{self._own}-{self._end}.npz"
                features, logits = reader.rows(self._end)
                _save(folder / name, features=features, logits=logits)
                files.append(name)
                moments = reader.moments
                _save(
                    folder / STATE,
                    n=moments.n,
                    mean=moments.mean,
                    m2=moments.m2,
                    files=np.array(files),
                )
        except InputError as error:
            self._broken = True
            self._progress.note(f"going on without writing down how far it is: {error}")
        self._end, self._last = seen, time.monotonic()

    def clear(self) -> None:
        """Take the parts away: the whole is in its place."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


class _Found(NamedTuple):
    """What was written down of a pass for one reader."""

    moments: Moments
    features: Tensor | None
    logits: Tensor | None
    files: list[str]


def _found(folder: Path, reader: Reader, n: int) -> _Found | None:
    """What is whole and enough for this reader; None where nothing is."""
    try:
        with np.load(folder / STATE, allow_pickle=False) as state:
            mean, m2 = torch.from_numpy(state["mean"]), torch.from_numpy(state["m2"])
            moments, files = Moments(int(state["n"]), mean, m2), [str(name) for name in state["files"]]
        rows: dict[str, list[np.ndarray]] = {"features": [], "logits": []}
        for name in files:
            with np.load(folder / name, allow_pickle=False) as part:
                for kind, pieces in rows.items():
                    pieces += [part[kind]] if kind in part else []
    except DAMAGE:
        return None
    dim, n_logits = reader.extractor.dim, reader.extractor.n_logits
    if not 0 < moments.n <= n or mean.shape != (dim,) or m2.shape != (dim, dim):
        return None
    whole: dict[str, Tensor | None] = {"features": None, "logits": None}
    for kind, width, needed in (("features", dim, reader.needs[0]), ("logits", n_logits, reader.needs[1])):
        if needed:
            if not rows[kind] or any(piece.ndim != 2 for piece in rows[kind]):
                return None
            whole[kind] = torch.from_numpy(np.concatenate(rows[kind]))
            if whole[kind].shape != (moments.n, width):  # type: ignore[union-attr]
                return None
    return _Found(moments, whole["features"], whole["logits"], files)


def _save(path: Path, **arrays: object) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        kept = {
            name: array.cpu().numpy() if isinstance(array, Tensor) else array
            for name, array in arrays.items()
            if array is not None
        }
        np.savez(file, **kept)  # type: ignore[arg-type]
