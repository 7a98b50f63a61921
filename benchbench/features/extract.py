"""Images through an extractor: each exactly once, in order, no padding, the last short batch kept.

The stream is cut into batches of one size whatever pieces it arrives in, so nothing depends on how the caller
chunked it. Moments always come out; features and logits only if asked, as float32 on the CPU, and past
`SPILL_BYTES` in a file that has no name and vanishes with the tensor. Peak memory is then a few batches. A device is
not waited for at every batch: rows leave it `_FETCH_BYTES` at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.images import check_images
from benchbench.core.progress import SILENT, Progress
from benchbench.features.extractor import Extractor, Features
from benchbench.features.moments import Moments

SPILL_BYTES = 2**30
_FETCH_BYTES = 2**26
# Rows that wait for a moment update: one rank-512 update is far cheaper than 64 of rank 8 (see `moments`).
_UPDATE_ROWS = 512


class Extracted(NamedTuple):
    """What an extractor says about some images; row i belongs to image i, all on the CPU.

    features: float32 N×D, or None if not asked. logits: float32 N×K, or None if not asked or there are none.
    """

    moments: Moments
    features: Tensor | None
    logits: Tensor | None


class Reader:
    """An extractor and what it has said so far: the images come batch by batch, from whoever has them."""

    def __init__(self, extractor: Extractor, *, need_features: bool, need_logits: bool) -> None:
        self.extractor = extractor
        self._features = _Rows() if need_features else None
        self._logits = _Rows() if need_logits and extractor.n_logits else None
        self._moments: Moments | None = None
        self._waiting: list[Tensor] = []

    def show(self, images: Tensor, batch_size: int | None = None) -> None:
        """Look at `images` (uint8 RGB N×3×H×W), at most `batch_size` at once (default: what the extractor
        likes best). `MetricFailed` for features that are not finite."""
        show([self], images, batch_size)

    def add(self, seen: Features) -> None:
        """What the extractor said of the next batch."""
        if self._moments is None:
            device = seen.features.device
            # MPS has no float64.
            self._moments = Moments.zeros(self.extractor.dim, "cpu" if device.type == "mps" else device)
        self._waiting.append(seen.features)
        if sum(map(len, self._waiting)) >= _UPDATE_ROWS:
            self._update()
        if self._features is not None:
            self._features.append(seen.features)
        if self._logits is not None and seen.logits is not None:
            self._logits.append(seen.logits)

    def result(self) -> Extracted:
        """What was said of all images shown; `InputError` if there were none."""
        self._update()
        if self._moments is None:
            raise InputError(f"there are no images to show to {self.extractor.name}")
        return Extracted(
            self._moments.cpu(),
            self._features.tensor() if self._features is not None else None,
            self._logits.tensor() if self._logits is not None else None,
        )

    def _update(self) -> None:
        if self._waiting and self._moments is not None:
            self._moments.update(torch.cat(self._waiting))
            self._waiting.clear()


def show(readers: Sequence[Reader], images: Tensor, batch_size: int | None = None) -> None:
    """`Reader.show` of several whom one forward pass serves (`extractor.passes`), the one that makes it first."""
    lead: Any = readers[0].extractor
    for batch in images.split(batch_size or lead.batch_size):
        if len(readers) == 1:
            readers[0].add(lead(batch))
            continue
        seen = lead.layers(batch)
        for reader in readers:
            reader.add(seen[reader.extractor.name])


def extract(
    images: Tensor | Iterable[Tensor],
    extractor: Extractor,
    *,
    need_features: bool,
    need_logits: bool,
    batch_size: int | None = None,
    progress: Progress = SILENT,
    title: str = "extracting features",
    total: int | None = None,
) -> Extracted:
    """Pass `images` (uint8 RGB N×3×H×W, or an iterable of such chunks of one size) through `extractor`.

    batch_size: images a call, by default what the extractor likes best. total: how many images an iterable
    will give, for the progress display alone. `InputError` for no images or wrong ones; `MetricFailed` for
    features that are not finite.
    """
    if total is None:
        total = len(images) if isinstance(images, Tensor) else 0
    reader = Reader(extractor, need_features=need_features, need_logits=need_logits)
    return extract_for([reader], images, batch_size, progress, title, total)[0]


def extract_for(
    readers: Sequence[Reader],
    images: Tensor | Iterable[Tensor],
    batch_size: int | None,
    progress: Progress,
    title: str,
    total: int,
) -> list[Extracted]:
    """As `extract`, for readers whom one forward pass serves, in their order."""
    with progress.stage(title, total, "image") as stage:
        for batch in rebatch(images, batch_size or readers[0].extractor.batch_size):
            show(readers, batch, len(batch))
            stage.advance(len(batch))
    return [reader.result() for reader in readers]


def rebatch(images: Tensor | Iterable[Tensor], batch_size: int) -> Iterator[Tensor]:
    """The same images in the same order, in batches of exactly `batch_size`, the last as short as it falls.

    `InputError` for a chunk that is not uint8 RGB, or of another height or width than the first.
    """
    chunks = [images] if isinstance(images, Tensor) else images
    size: torch.Size | None = None
    pending: list[Tensor] = []
    count = 0
    for chunk in chunks:
        check_images(chunk)
        if size is not None and chunk.shape[2:] != size:
            raise InputError(
                f"images must have one size but some are {size[0]}×{size[1]} and some "
                f"{chunk.shape[2]}×{chunk.shape[3]}; resize them to one size first"
            )
        size = chunk.shape[2:]
        for part in chunk.split(batch_size):
            room = batch_size - count
            pending.append(part[:room])
            count += len(part[:room])
            if count == batch_size:
                yield pending[0] if len(pending) == 1 else torch.cat(pending)
                pending, count = [part[room:]], len(part[room:])
    if count:
        yield torch.cat(pending)


class _Rows:
    """Rows that arrive piecemeal and are wanted as one float32 tensor: in memory, or in a file when many."""

    def __init__(self) -> None:
        self._pieces: list[np.ndarray] = []
        self._waiting: list[Tensor] = []  # on the device
        self._file: IO[bytes] | None = None
        self._n = 0
        self._bytes = 0

    def append(self, rows: Tensor) -> None:
        self._waiting.append(rows)
        if rows.device.type == "cpu" or sum(rows.nbytes for rows in self._waiting) >= _FETCH_BYTES:
            self._fetch()

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
            self._spill(self._file)

    def _spill(self, file: IO[bytes]) -> None:
        try:
            file.writelines(np.ascontiguousarray(piece).data for piece in self._pieces)
            file.flush()
        except OSError as error:
            raise InputError(
                f"no room for features in {tempfile.gettempdir()} ({error.strerror}); "
                "free some space or point TMPDIR to another folder"
            ) from error
        self._pieces.clear()

    def tensor(self) -> Tensor:
        self._fetch()
        if self._file is None:
            return torch.from_numpy(np.concatenate(self._pieces))
        shape = (self._n, self._bytes // (4 * self._n))
        # The file was unlinked when it was made; the mapping alone keeps it, as long as the tensor lives.
        return torch.from_numpy(np.memmap(self._file, dtype=np.float32, mode="r+", shape=shape))
