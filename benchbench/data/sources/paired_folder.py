"""Two domains of image files: `folder:PATH` with trainA/ and trainB/, and `pairs:PATH`.

Layouts:

    PATH/trainA/… trainB/… testA/… testB/…      as CycleGAN has them (or valA/ and valB/)
    PATH/train/… and PATH/test/… (or val/)      side-by-side pairs, as pix2pix has them: the left half of
                                                each image is of domain A, the right half of domain B

The first is known by the names of its folders. The second looks like any folder of images, so it has a prefix of
its own. Neither is split by us: a model that learns from pairs must not meet what is held out, and only the user
knows which files belong together.

Both in any spelling of `layout.SPELLINGS`. In the first, the images of a split are pairs if every one has a partner in
the other domain: the same path below its folder, but for what `data.pipeline.names` leaves out of names, as a final _A
or _B. If only some have one, the split is unpaired and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.data.pipeline.assemble import FilePart, Part, copies_note, notes_on, tidy, to_split
from benchbench.data.pipeline.cache import Decoded
from benchbench.data.pipeline.decode import UnusableError
from benchbench.data.pipeline.names import partners
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.folder import FolderSource, read_part
from benchbench.data.sources.layout import HELD_OUT, TRAIN, Layout, check_complete
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec

NAMES = ("A", "B")
Two = tuple[Decoded, Decoded]
Names = tuple[Sequence[str] | None, Sequence[str] | None]


def open_folder(spec: SourceSpec, options: SourceOptions | None = None) -> FolderSource:
    """`folder:PATH`: two domains if PATH holds a folder of one (trainA/ …), one dataset otherwise."""
    source = FolderSource(spec, options)
    try:
        two = source.layout.splits.sided
    except InputError:  # whoever wants its splits is told
        two = False
    if not two:
        return source
    domains = DomainsFolder(spec, options)
    domains.listing = source.listing  # of one and the same folder
    return domains


class DomainsFolder(FolderSource):
    """The domains in trainA/, trainB/, testA/ and testB/."""

    def splits(self) -> Sequence[str]:
        """The folders that are there."""
        return list(self.layout.splits.of.values())

    def load(self, progress: Progress = SILENT) -> Domains:
        """Both splits of both domains; `InputError` if one cannot be used."""
        size = self.options.size
        parts = self._parts()
        notes = [note for two in parts for part in two for note in part.notes]
        notes += self.layout.splits.notes()
        splits, paired, names = [], [], []
        for (a, b), split in zip(parts, (TRAIN, self.layout.splits.held_out()), strict=True):
            found = partners(a.names or (), b.names or ()).rows
            in_pairs = len(found) == a.total == b.total
            order = [j for _, j in found] if in_pairs else list(range(b.total))
            if in_pairs:
                notes.append(f"{split}: images of the same name in both domains are pairs")
            elif found:
                notes.append(
                    f"{split}: {len(found)} of {a.total} images of A and of {b.total} images of B have a partner of "
                    "the same name; all are used unpaired"
                )
            first, second = a.decode(size, progress), b.decode(size, progress)
            splits.append((first, _reordered(second, order)))
            names.append((a.names, None if b.names is None else [b.names[j] for j in order]))
            paired.append(in_pairs)
        return _domains(self, (splits[0], splits[1]), (names[0], names[1]), (paired[0], paired[1]), notes)

    def _parts(self) -> list[tuple[FilePart, FilePart]]:
        """A and B of train and of the held-out split."""
        layout = self.layout
        check_complete(layout.splits, layout.beside, str(self.path))
        kinds = (TRAIN, layout.splits.held_out() or HELD_OUT[0])
        missing = [
            f"{kind}{side}/" for kind in kinds for side in NAMES if (kind, side) not in layout.splits.of
        ]
        if missing:
            raise InputError(
                f"{self.path} lacks {' and '.join(missing)}; two domains are four folders: trainA/, trainB/, "
                "testA/ and testB/ (or valA/ and valB/)"
            )
        titles = [[layout.splits.of[kind, side] for side in NAMES] for kind in kinds]
        a_and_b = [[read_part(self.path / layout.path(title), title) for title in two] for two in titles]
        return [(a, b) for a, b in a_and_b]


class PairsSource(FileSource):
    """The side-by-side pairs in train/ and test/ (or val/)."""

    kind: ClassVar[str] = "pairs"

    @cached_property
    def layout(self) -> Layout:
        """Where its splits are."""
        return FolderSource(self.spec, self.options).layout

    def splits(self) -> Sequence[str]:
        """The folders of train and of the held-out part; `InputError` where one is missing."""
        splits = self.layout.splits
        kinds = (TRAIN, splits.held_out() or HELD_OUT[0])
        if missing := [f"{kind}/" for kind in kinds if (kind, "") not in splits.of]:
            raise InputError(
                f"{self.path} lacks {' and '.join(missing)}; side-by-side pairs are in train/ and test/ (or val/)"
            )
        check_complete(splits, self.layout.beside, str(self.path))
        return splits.two()

    def parts(self) -> Sequence[FilePart]:
        """The pictures of train and test, each a pair."""
        return [read_part(self.path / self.layout.path(title), title) for title in self.splits()]

    def whole(self) -> Part:
        """Nothing: a picture of two halves is not an image of either domain."""
        raise InputError(f"name a split of {self.kind}:{self.path}: it holds pairs, not one set of images")

    def load(self, progress: Progress = SILENT) -> Domains:
        """The left halves as domain A, the right halves as B; `InputError` if one cannot be used."""
        train, test = self.parts()

        def halves_of(part: FilePart) -> Two:
            left = replace(part, identify=lambda: ["left half", part.identity], cut=_left)
            right = replace(part, identify=lambda: ["right half", part.identity], cut=_right)
            return left.decode(self.options.size, progress), right.decode(self.options.size, progress)

        return _domains(
            self,
            (halves_of(train), halves_of(test)),
            ((train.names, train.names), (test.names, test.names)),
            (True, True),
            [*train.notes, *test.notes, *self.layout.splits.notes()],
        )


def _reordered(part: Decoded, order: list[int]) -> Decoded:
    if order == sorted(order):
        return part
    return Decoded(part.images[order], [part.digests[i] for i in order], part.conversions)


def _left(image: Image.Image) -> Image.Image:
    side = _side(image)
    return image.crop((0, 0, side, side))


def _right(image: Image.Image) -> Image.Image:
    side = _side(image)
    return image.crop((side, 0, 2 * side, side))


def _side(image: Image.Image) -> int:
    if image.width != 2 * image.height:
        raise UnusableError(
            f"is {image.width}×{image.height}, but a side-by-side pair is twice as wide as high"
        )
    return image.height


def _domains(
    source: FileSource,
    splits: tuple[Two, Two],
    names: tuple[Names, Names],
    paired: tuple[bool, bool],
    notes: Sequence[str],
) -> Domains:
    """`splits`: train and held-out, each of (A, B); `names`: of their files, likewise."""

    def domain(k: int) -> Dataset:
        train, held_out = (
            to_split(torch.from_numpy(two[k].images), None, two[k].digests, f"{NAMES[k]} {split}", called[k])
            for two, called, split in zip(splits, names, ("train", "held-out"), strict=True)
        )
        return Dataset(NAMES[k], train, held_out)

    copies = [note for k in (0, 1) for note in copies_note(*(two[k].digests for two in splits), of=NAMES[k])]
    return Domains(
        name=source.name,
        a=domain(0),
        b=domain(1),
        paired_train=paired[0],
        paired_held_out=paired[1],
        notes=[*notes, *notes_on([decoded for two in splits for decoded in two]), *copies],
        source={"kind": source.kind, "path": tidy(source.path), "size": source.options.size},
    )
