"""What all sources of images have in common once they are opened: a stream of uint8 RGB batches.

Pattern: a source yields `Block`s, whose borders no batch size changes. A thread computes them ahead of the
consumer; `ImageStream.batches` checks that all images have one size where its consumer needs that, cuts the blocks into
batches of the size asked for, and gathers the fingerprint on the way.

Trade-offs: cutting costs one copy of each batch, and in return generated images, which may differ in their
last bit with the number of images in a forward pass, are the same for every batch size. No more than a few
blocks and one batch are in memory; of each image its digest is kept, 32 bytes, and 8 bytes for its size.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from benchbench.core.comm import ALONE, Comm
from benchbench.core.errors import InputError, listed
from benchbench.core.hashing import digest
from benchbench.core.progress import SILENT, Progress
from benchbench.core.shares import waited_for
from benchbench.data.pipeline.blocks import Block
from benchbench.data.pipeline.decode import WAY_TO_ONE_SIZE, conversion_notes, size_differs
from benchbench.data.pipeline.digests import Digests
from benchbench.data.pipeline.fingerprint import combine, pixel_digests
from benchbench.data.pipeline.image_source import between
from benchbench.data.pipeline.kinds import Kinds
from benchbench.data.pipeline.names import below_shared, partners
from benchbench.data.pipeline.prefetch import read_ahead

IN_MEMORY = "in memory nobody resizes them: bring all to one size first"
READ = 8  # images at once where ranks read what nobody asked for
DEPTH = 3  # blocks that wait for the consumer
PAIR_VALUES = 2**24  # of either side at once, or one pair: comparing them takes several copies in float64

Pick = Callable[[Sequence[int]], Generator[Block, None, None]]
"""Starts a pass over the images of these numbers, in this order."""

Size = tuple[int, int]
"""(H, W) in pixels."""


class MixedSizesError(InputError):
    """Images of several sizes where all must have one."""


class ImageStream:
    """Images to be scored, in batches; never all in memory at once.

    name: fit for a folder name and for a record. n: the number of images. labels: int64 (n,) in the order of
    the images, or None. names: relative POSIX names in that order, where the images are files; such images can also
    be had in another order (`chosen`). once: there can be only one pass. varies: passes may differ, as those of a
    generator do. in_memory: nobody can be asked to read them at another size.
    """

    def __init__(
        self,
        name: str,
        n: int,
        blocks: Callable[[], Generator[Block, None, None]],
        *,
        labels: Tensor | None = None,
        kinds: Callable[[], Kinds | None] | None = None,
        names: Sequence[str] | None = None,
        pick: Pick | None = None,
        notes: Iterable[str] = (),
        fingerprint: str | None = None,
        digests: Sequence[bytes] | None = None,
        sizes: Sequence[Size] | None = None,
        once: bool = False,
        varies: bool = False,
        in_memory: bool = False,
    ) -> None:
        """blocks: starts a pass. kinds: says of which class each image is, which files may have to be read for. pick:
        a pass over the images of these numbers; it goes with names. fingerprint, digests, sizes: where they are known
        before; digests are with sizes."""
        self.name = name
        self.n = n
        self.labels = labels
        self.names = names
        self._blocks = blocks
        self._kinds = kinds
        self._pick = pick
        self._notes = list(notes)
        self._conversions: list[str] = []
        self._applied: Counter[str] = Counter()
        self._fingerprint = fingerprint
        self._digests = digests
        self._sizes = sizes
        self.once = once
        self._varies = varies
        self.in_memory = in_memory
        self._begun = False

    def __len__(self) -> int:
        return self.n

    @property
    def fingerprint(self) -> str:
        """`data.pipeline.fingerprint` of all images and labels, whatever their order; known after a complete pass."""
        if self._fingerprint is not None:
            return self._fingerprint
        return combine(self.digests, None if self.labels is None else self.labels.tolist())

    @property
    def digests(self) -> Sequence[bytes]:
        """`data.pipeline.fingerprint.pixel_digests` in the order of the images; known after a complete pass."""
        if self._digests is None:
            raise InputError(f"the fingerprint of {self.name} is known once all its images have been read")
        return self._digests

    @property
    def sizes(self) -> Sequence[Size]:
        """That of each image, in their order; known after a complete pass."""
        if self._sizes is None:
            raise InputError(f"the sizes of the images of {self.name} are known once all have been read")
        return self._sizes

    @cached_property
    def kinds(self) -> Kinds | None:
        """Of which class each image is, where files or a dataset say so; no part of the fingerprint, which labels
        are. `InputError` where files say it so that nobody can tell, which matters to those alone who want it."""
        return None if self._kinds is None else self._kinds()

    def called(self, row: int) -> str:
        """An image as errors call it, by its number."""
        return f"{self.names[row] if self.names is not None else f'image {row}'} of {self.name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the record should know; what was converted is known after a complete pass."""
        return (*self._notes, *self._conversions)

    def note(self, text: str) -> None:
        """Add what a reader of the record should know."""
        self._notes.append(text)

    def batches(self, batch_size: int, *, one_size: bool = True) -> Iterator[Tensor]:
        """All images as uint8 N×3×H×W, `batch_size` at a time, the last batch as short as it falls.

        The order is the same every time. `InputError` names the first image that cannot be used; `MixedSizesError` the
        first that has another size than the first one, unless one_size is False: then a batch ends where the next image
        has another size.
        """
        if batch_size < 1:
            raise InputError(f"batch size {batch_size} is not possible; use 1 or more")
        self._begin()
        return self._cut(batch_size, one_size)

    def share(self, batch_size: int, comm: Comm, *, one_size: bool = True) -> Iterator[Tensor]:
        """As `batches`, but of several ranks each its own images, the `comm.shard` of all. Of other ranks' files one
        is opened, the first time, to see that it is the same there (`InputError` at the end where it is not); what a
        complete pass tells is known on all of them when all have come to the end. Images that only come in a row are
        gone through on each rank. The ranks meet when this is called and at the end."""
        if comm.size == 1:
            return self.batches(batch_size, one_size=one_size)
        comm.agree([self.n, None if self.names is None else digest(list(self.names))])
        mine = comm.shard(self.n)
        if self._pick is None:
            return between(self.batches(batch_size, one_size=one_size), mine)
        return self._own(self._part(mine, self._pick), batch_size, comm, one_size)

    def _own(self, part: ImageStream, batch_size: int, comm: Comm, one_size: bool) -> Iterator[Tensor]:
        yield from part.batches(batch_size, one_size=one_size)
        witness = self._witness(comm) if self._digests is None else None
        *parts, witnesses = zip(*comm.gather((part.digests, part.sizes, part._applied, witness)), strict=True)
        self._put_together([*zip(*parts, strict=True)], one_size)
        for rank, seen in enumerate(witnesses):
            if seen is not None and self.digests[seen[0]] != seen[1]:
                raise InputError(
                    f"{self.called(seen[0])} is another image for rank {rank} than for the rank that reads it; give "
                    "all ranks the same files, and the same version of what decodes them"
                )

    def _witness(self, comm: Comm) -> tuple[int, bytes]:
        """The number of the first image of the next rank, and what it is here."""
        assert self._pick is not None
        (row, *_) = comm.shard(self.n, (comm.rank + 1) % comm.size) or (0,)
        alone = self._part([row], self._pick)
        alone.scan()
        return row, alone.digests[0]

    def _put_together(
        self, parts: Sequence[tuple[Sequence[bytes], Sequence[Size], Counter[str]]], one_size: bool
    ) -> None:
        """What passes over all parts of the images told, one behind the other."""
        self._digests = Digests()
        for digests, _, _ in parts:
            self._digests.extend(digests)
        self._sizes = [size for _, sizes, _ in parts for size in sizes]
        self._applied = sum((applied for _, _, applied in parts), Counter())
        self._conversions = conversion_notes(self._applied, self.n)
        other = next((row for row, size in enumerate(self.sizes) if size != self.sizes[0]), 0)
        if one_size and other:
            names = self.names or [f"image {row}" for row in range(self.n)]
            differ = size_differs(*((names[row], self.sizes[row]) for row in (0, other)))
            raise MixedSizesError(f"{differ}; {WAY_TO_ONE_SIZE}")

    def scan(self, progress: Progress = SILENT, *, one_size: bool = True, comm: Comm = ALONE) -> None:
        """A pass that keeps nothing, unless there was one: digests, sizes, fingerprint and notes are known then.
        one_size: as in `batches`. comm: the ranks that share it."""
        if self._digests is not None:
            return
        if comm.size == 1:
            self._begin()
        with progress.stage(f"reading {self.name}", len(comm.shard(self.n)), "image") as stage:
            for part in waited_for(
                self._checked(one_size) if comm.size == 1 else self.share(READ, comm, one_size=one_size)
            ):
                stage.advance(len(part))

    def first(self, n: int) -> ImageStream:
        """The first `n` images in the order of this stream; `InputError` if it has fewer."""
        if n > self.n:
            raise InputError(f"{self.name} holds {self.n} images, fewer than the {n} asked for")

        def blocks() -> Generator[Block, None, None]:
            left = n
            with closing(self._blocks()) as parts:
                for part in parts:
                    yield part.first(left)
                    left -= len(part.images)
                    if left <= 0:
                        return

        cut = f"the first {n} of {self.n} images" + (" in the order of their names" if self.names else "")
        return ImageStream(
            self.name,
            n,
            blocks,
            labels=None if self.labels is None else self.labels[:n],
            kinds=lambda: None if self.kinds is None else self.kinds.chosen(slice(n)),
            # Shortened while all are there: what they share may be more than that of a few.
            names=None if self.names is None else below_shared(self.names)[:n],
            pick=self._pick,
            notes=[*self._notes, cut] if n < self.n else self._notes,
            fingerprint=self._fingerprint if n == self.n else None,
            digests=None if self._digests is None else self._digests[:n],
            sizes=None if self._sizes is None else self._sizes[:n],
            once=self.once,
            varies=self._varies,
            in_memory=self.in_memory,
        )

    def chosen(self, rows: Sequence[int]) -> ImageStream:
        """The images of these numbers, in this order; only of images that have names."""
        if self.names is None or self._pick is None:
            raise ValueError(f"{self.name} has no names, so nobody can say which images are meant")
        return self._part(rows, self._pick)

    def _part(self, rows: Sequence[int], pick: Pick) -> ImageStream:
        whole = len(rows) == self.n
        known = self._digests
        return ImageStream(
            self.name,
            len(rows),
            lambda: pick(rows),
            labels=None if self.labels is None else self.labels[list(rows)],
            kinds=lambda: None if self.kinds is None else self.kinds.chosen(rows),
            names=None if self.names is None else [self.names[row] for row in rows],
            pick=lambda more: pick([rows[row] for row in more]),
            notes=self._notes,
            fingerprint=self._fingerprint if whole else None,
            digests=None if known is None else Digests(known[row] for row in rows),
            sizes=None if self._sizes is None else [self._sizes[row] for row in rows],
            once=self.once,
        )

    def _begin(self) -> None:
        if self.once and self._begun:
            raise InputError(f"{self.name} can be read only once; give a tensor or a list of tensors instead")
        self._begun = True

    def _cut(self, batch_size: int, one_size: bool) -> Iterator[Tensor]:
        held: list[Tensor] = []
        with closing(self._checked(one_size)) as parts:
            for part in parts:
                if held and part.shape[2:] != held[0].shape[2:]:
                    if any(map(len, held)):
                        yield torch.cat(held)
                    held = []
                held.append(part)
                if sum(map(len, held)) >= batch_size:
                    joined = torch.cat(held)
                    whole = len(joined) - len(joined) % batch_size
                    yield from joined[:whole].split(batch_size)
                    held = [joined[whole:]]
        if any(map(len, held)):
            yield torch.cat(held)

    def _checked(self, one_size: bool) -> Generator[Tensor, None, None]:
        """The images of each block, after the checks that need to see all of them in order."""
        start: Block | None = None
        digests = Digests()
        sizes: list[Size] = []
        applied: Counter[str] = Counter()
        count = 0
        with closing(read_ahead(self._with_digests(), DEPTH)) as blocks:
            for block, of_block in blocks:
                start = start or block
                if one_size and block.size != start.size:
                    way = IN_MEMORY if self.in_memory else WAY_TO_ONE_SIZE
                    differ = size_differs((start.name, start.size), (block.name, block.size))
                    raise MixedSizesError(f"{differ}; {way}")
                digests.extend(of_block)
                # One pair for all images that are alike.
                sizes.extend([sizes[-1] if sizes and sizes[-1] == block.size else block.size] * len(of_block))
                applied.update(chain.from_iterable(block.applied))
                count += len(block.images)
                yield block.tensor
        if count != self.n:
            raise InputError(f"{self.name} was said to hold {self.n} images but holds {count}")
        if self._digests is not None and not self._varies and digests != self._digests:
            raise InputError(
                f"{self._name_of_other(digests)} is not what it was when it was read before; leave the files alone and "
                "start again"
            )
        self._applied, self._conversions = applied, conversion_notes(applied, count)
        self._digests, self._sizes = digests, sizes

    def _name_of_other(self, digests: Sequence[bytes]) -> str:
        """The first image that has another digest than before."""
        return self.called(
            next(
                i for i, (now, before) in enumerate(zip(digests, self.digests, strict=True)) if now != before
            )
        )

    def _with_digests(self) -> Generator[tuple[Block, Sequence[bytes]], None, None]:
        with closing(self._blocks()) as blocks:
            for block in blocks:
                yield block, pixel_digests(block.images)


@dataclass(frozen=True)
class Pairs:
    """Images of two streams that belong together. a, b: the streams, partners in the same row. notes: what a reader
    should know of how they were paired. moved: the rows of `b` that were put beside those of `a`, None where they lay
    there."""

    a: ImageStream
    b: ImageStream
    notes: Sequence[str] = ()
    moved: Sequence[int] | None = None

    def batches(self, batch_size: int, *, one_size: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of both in step, each uint8 N×3×H×W of one size; `InputError` where the sizes of a pair differ.
        one_size: as in `ImageStream.batches`."""
        for row, x, y in self.in_step(batch_size, one_size=one_size):
            if x.shape != y.shape:
                raise self.unlike(row, x, y)
            yield x, y

    def in_step(
        self, batch_size: int, *, one_size: bool = True, comm: Comm = ALONE
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """As `batches`, but the images of one side may have another size than their partners; with the number of the
        first pair. Batches of large images are smaller. comm: the ranks, each of which has its own pairs, as in
        `ImageStream.share`."""
        ours, theirs = (side.share(batch_size, comm, one_size=one_size) for side in (self.a, self.b))
        mine = comm.shard(self.a.n)
        row, x, y = mine.start, torch.empty(0), torch.empty(0)
        while row < mine.stop:
            x = x if len(x) else next(ours)
            y = y if len(y) else next(theirs)
            most = max(1, PAIR_VALUES // max(x[0].numel(), y[0].numel()))
            n = min(len(x), len(y), most)
            yield row, x[:n], y[:n]
            row, x, y = row + n, x[n:], y[n:]
        for side in (ours, theirs):  # a pass that is not complete tells neither digests nor sizes
            deque(side, maxlen=0)

    def unlike(self, row: int, x: Tensor, y: Tensor) -> InputError:
        """Why the pair of this number cannot be compared: its sizes, N×3×H×W, differ."""
        alone = self.a.in_memory or self.b.in_memory
        (h0, w0), (h1, w1) = x.shape[2:], y.shape[2:]
        way = IN_MEMORY if alone else "--size N brings both to N×N"
        if row == 0 and (self.a.names is None or self.b.names is None):
            return InputError(f"{self.a.name} has images of {w0}×{h0} but {self.b.name} of {w1}×{h1}; {way}")
        return InputError(
            f"{self.a.called(row)} is {w0}×{h0} but its partner {self.b.called(row)} is {w1}×{h1}; {way}"
        )


def pairs(a: ImageStream, b: ImageStream, *, some: bool = False) -> Pairs:
    """Each image of `a` with its partner in `b`: by their names where both are files (`data.pipeline.names`), else by
    place, which a note says. some: `a` is the `first` of a stream, and `b` may have more. `InputError` names what lacks
    a partner."""
    if a.names is not None and b.names is not None:
        ours = a.names if some else below_shared(a.names)
        return _by_name(a, b, ours, below_shared(b.names), some)
    if some and b.n > a.n:
        b = b.first(a.n)
    if a.n != b.n:
        raise InputError(
            f"{a.name} has {a.n} images but {b.name} has {b.n}; pairs need the same number on both sides"
        )
    ordered = next((side.name for side in (a, b) if side.names is not None), None)
    order = "" if ordered is None else f", those of {ordered} in the order of their names, 2 before 10"
    return Pairs(a, b, [f"pairs were made by place: the first of {a.name} with the first of {b.name}{order}"])


def _by_name(a: ImageStream, b: ImageStream, ours: Sequence[str], theirs: Sequence[str], some: bool) -> Pairs:
    found = partners(ours, theirs)
    taken = [j for _, j in found.rows]
    if len(taken) < a.n or (len(taken) < b.n and not some):
        mine = {i for i, _ in found.rows}
        alone = [f"{name} (only in {a.name})" for i, name in enumerate(ours) if i not in mine]
        if not some:
            rest = set(taken)
            alone += [f"{name} (only in {b.name})" for j, name in enumerate(theirs) if j not in rest]
        lack = "lacks" if len(alone) == 1 else "lack"
        raise InputError(
            f"{a.name} and {b.name} do not pair up: {listed(alone)} {lack} a partner; "
            "give both sides the same file names; their suffixes may differ, and endings like _fake_B and _real_B"
        )
    notes = []
    if found.loosely:
        i, j = found.rows[0]
        notes = [
            f"pairs were made by name but for suffixes and words like fake and real: {ours[i]} of {a.name} with "
            f"{theirs[j]} of {b.name}"
        ]
    if taken == list(range(b.n)):
        return Pairs(a, b, notes)
    return Pairs(a, b.chosen(taken), notes, taken)
