"""Images through an extractor: each exactly once, in order, no padding, the last short batch kept.

The stream is cut into batches of one size whatever pieces it arrives in, so nothing depends on how the caller
chunked it. Moments always come out; features and logits only if asked, as float32 on the CPU, and where they are many
in a file (`features.rows`). Peak memory is then a few batches. A device is not waited for at every batch: rows leave it
in large pieces. What one rank found of some images is put behind what another found of those before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from benchbench.core.arrays import dtype_text, shape_text, tensor_of
from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError, MetricFailed, contained
from benchbench.core.images import check_images
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.shares import spent_on, waited_for
from benchbench.data.pipeline.image_source import between
from benchbench.features.extractor import Extractor, Features
from benchbench.features.moments import Moments
from benchbench.features.rows import Rows, rows_of_all

# Rows that wait for a moment update: one rank-512 update is far cheaper than 64 of rank 8 (see `moments`).
_UPDATE_ROWS = 512


class Extracted(NamedTuple):
    """What an extractor says about some images; row i belongs to image i, all on the CPU.

    features: float32 N×D, or None if not asked. logits: float32 N×K, or None if not asked or there are none.
    """

    moments: Moments
    features: Tensor | None
    logits: Tensor | None

    def gathered(self, comm: Comm) -> Extracted:
        """What all ranks found, in their order; all were asked for the same."""
        if comm.size == 1:
            return self
        moments = Moments.zeros(self.moments.dim)
        for part in comm.gather(self.moments):
            moments.merge(part)
        rows = (self.features, self.logits)
        return Extracted(moments, *(None if own is None else rows_of_all(own, comm) for own in rows))


class Reader:
    """An extractor and what it has said so far: the images come batch by batch, from whoever has them."""

    def __init__(self, extractor: Extractor, *, need_features: bool, need_logits: bool) -> None:
        self.extractor = extractor
        self._features = Rows() if need_features else None
        self._logits = Rows() if need_logits and extractor.n_logits else None
        self._moments: Moments | None = None
        self._waiting: list[Tensor] = []

    def update(self, images: Tensor, batch_size: int | None = None) -> None:
        """Read `images` (uint8 RGB N×3×H×W), at most `batch_size` at once (default: what the extractor likes best).
        `MetricFailed` for features that are not finite."""
        update([self], images, batch_size)

    @property
    def needs(self) -> tuple[bool, bool]:
        """Whether features are kept, and logits."""
        return self._features is not None, self._logits is not None

    @property
    def waiting(self) -> bool:
        """Whether there are rows that the moments do not hold yet."""
        return bool(self._waiting)

    @property
    def moments(self) -> Moments:
        """Of what was read so far, but for what waits; on the CPU."""
        return Moments.zeros(self.extractor.dim) if self._moments is None else self._moments.cpu()

    def rows(self, start: int) -> tuple[Tensor | None, Tensor | None]:
        """Features and logits from image `start` on; None for what is not kept."""
        kept = ((self._features, self.extractor.dim), (self._logits, self.extractor.n_logits))
        features, logits = (None if rows is None else rows.tensor(width)[start:] for rows, width in kept)
        return features, logits

    def resume(self, moments: Moments, features: Tensor | None, logits: Tensor | None) -> None:
        """Take over what an earlier pass said of the first images; all on the CPU."""
        self._moments = moments
        for rows, found in ((self._features, features), (self._logits, logits)):
            if rows is not None and found is not None:
                rows.append(found)

    def add(self, seen: Features) -> None:
        """What the extractor said of the next batch."""
        self._waiting.append(seen.features.clone())  # it may use the same memory for the next batch
        if sum(map(len, self._waiting)) >= _UPDATE_ROWS:
            self._update_moments()
        if self._features is not None:
            self._features.append(seen.features)
        if self._logits is not None and seen.logits is not None:
            self._logits.append(seen.logits)

    def compute(self, comm: Comm = ALONE) -> Extracted:
        """What was said of all images, those of the other ranks included; `InputError` if there were none."""
        self.finish()
        mine = Extracted(self.moments, *self.rows(0))
        whole = mine.gathered(comm)
        if not whole.moments.n:
            raise InputError(f"there are no images for {self.extractor.name} to read")
        return whole

    def finish(self) -> None:
        """Count what waits to be counted; `MetricFailed` for features that are not finite. Of several ranks each
        does so before they put together what they have, or one would wait for another that failed."""
        self._update_moments()

    def _update_moments(self) -> None:
        if not self._waiting:
            return
        rows = torch.cat(self._waiting)
        self._waiting.clear()
        with spent_on(f"moments of {self.extractor.name}"):
            self._add_moments(rows)

    def _add_moments(self, rows: Tensor) -> None:
        if self._moments is None:
            # MPS has no float64.
            device = "cpu" if rows.device.type == "mps" else rows.device
            self._moments = Moments.zeros(self.extractor.dim, device)
        elif (
            self._moments.mean.device.type == "cpu" and rows.device.type == "cuda"
        ):  # taken over from earlier
            own = self._moments
            self._moments = Moments(own.n, own.mean.to(rows.device), own.m2.to(rows.device))
        self._moments.update(rows)


def update(readers: Sequence[Reader], images: Tensor, batch_size: int | None = None) -> None:
    """`Reader.update` of several whom one forward pass serves (`extractor.passes`), the one that makes it first."""
    lead: Any = readers[0].extractor
    check_images(images)
    for batch in images.split(batch_size or lead.batch_size):
        with spent_on(lead.name), contained(f"the extractor {lead.name}"):
            shown = batch.clone()  # whoever changes its input changes no other's
            seen = {lead.name: lead(shown)} if len(readers) == 1 else lead.layers(shown)
        for reader in readers:
            reader.add(_checked(seen, reader.extractor, len(batch)))


def _checked(seen: Any, extractor: Extractor, n: int) -> Features:
    """What the extractor says of `n` images, as float32; `MetricFailed` for anything else than it declares."""
    own = seen.get(extractor.name) if isinstance(seen, Mapping) else None
    features, logits = getattr(own, "features", None), getattr(own, "logits", None)
    if not isinstance(features, Tensor):
        kind = type(seen if own is None else own).__name__
        raise MetricFailed(f"the extractor {extractor.name} returned a {kind} and not Features of {n} images")
    return Features(
        _rows(features, f"the features of {extractor.name}", n, extractor.dim),
        None
        if logits is None or not extractor.n_logits
        else _rows(logits, f"the logits of {extractor.name}", n, extractor.n_logits),
    )


def _rows(given: Any, what: str, n: int, width: int) -> Tensor:
    with contained(what):
        rows = tensor_of(given, what)
    if rows.shape != (n, width) or not rows.is_floating_point():
        raise MetricFailed(
            f"{what} are {dtype_text(rows)} {shape_text(rows)} and not float32 {n}×{width}, as it declares"
        )
    return rows.float()


def extract(
    images: Tensor | Iterable[Tensor],
    extractor: Extractor,
    *,
    need_features: bool,
    need_logits: bool,
    runtime: Runtime = HERE,
    title: str = "extracting features",
    total: int | None = None,
) -> Extracted:
    """Pass `images` (uint8 RGB N×3×H×W, or an iterable of such chunks of one size) through `extractor`.

    runtime: its batch size is how many images a call takes, by default what the extractor likes best; the network stays
    on its own device. Of several ranks, all of which have all images, each reads its share. total: how many images an
    iterable will give; where there is one rank it is for the progress display alone. `InputError` for no images or
    wrong ones; `MetricFailed` for features that are not finite.
    """
    if total is None:
        total = len(images) if isinstance(images, Tensor) else 0
    reader = Reader(extractor, need_features=need_features, need_logits=need_logits)
    share = own_share(images, runtime.comm, total)
    return extract_for([reader], share, runtime, title, total)[0]


class Keeper(Protocol):
    """Whoever writes down how far a pass is."""

    def resume(self) -> int:
        """Hand the readers what an earlier pass said. Returns of how many images that is."""

    def offer(self, seen: int) -> None:
        """So many images have been read."""


def extract_for(
    readers: Sequence[Reader],
    share: Tensor | Iterable[Tensor],
    runtime: Runtime,
    title: str,
    total: int,
    keeper: Keeper | None = None,
) -> list[Extracted]:
    """As `extract`, for readers whom one forward pass serves, in their order. share: of `total` images those that this
    rank reads. keeper: from where the pass goes on, where there is one rank."""
    size = runtime.batch(readers[0].extractor.batch_size)
    keeper = keeper if runtime.comm.size == 1 else None

    def read() -> None:
        seen = 0 if keeper is None else keeper.resume()
        if seen:
            runtime.progress.note(f"{title}: the first {seen:,} of {total:,} images were read before")
        with runtime.progress.stage(title, total, "image", done=seen) as stage:
            for batch in waited_for(rebatch(_span(share, seen, total) if seen else share, size)):
                update(readers, batch, len(batch))
                stage.advance(len(batch))
                seen += len(batch)
                if keeper is not None:
                    keeper.offer(seen)
            for reader in readers:
                reader.finish()

    runtime.comm.together(read)
    return [reader.compute(runtime.comm) for reader in readers]


def own_share(images: Tensor | Iterable[Tensor], comm: Comm, total: int) -> Tensor | Iterable[Tensor]:
    """Of `total` images those that this rank reads. Chunks are gone through to their end, as whoever counts or digests
    them on the way expects."""
    if comm.size == 1:
        return images
    shard = comm.shard(total)
    return _span(images, shard.start, shard.stop)


def _span(images: Tensor | Iterable[Tensor], first: int, end: int) -> Tensor | Iterable[Tensor]:
    """The images from number `first` to before `end`."""
    return images[first:end] if isinstance(images, Tensor) else between(images, range(first, end))


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
