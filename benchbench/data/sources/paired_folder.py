"""Two domains of image files: `folder:PATH` with trainA/ and trainB/, and `pairs:PATH`.

Layouts:

    PATH/trainA/… trainB/… testA/… testB/…      as CycleGAN has them (or valA/ and valB/)
    PATH/train/… and PATH/test/… (or val/)      side-by-side pairs, as pix2pix has them: the left half of
                                                each image is of domain A, the right half of domain B

The first is known by the names of its folders. The second looks like any folder of images, so it has a prefix of
its own. Neither is split by us: a model that learns from pairs must not meet what is held out, and only the user
knows which files belong together.

In the first, the images of a split are pairs if every one has a partner in the other domain: the same path below
its folder, but for the suffix and a final _A or _B. If only some have one, the split is unpaired and a note says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
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
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.folder import HELD_OUT, FolderSource, read_part
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec

NAMES = ("A", "B")
Two = tuple[Decoded, Decoded]


def open_folder(spec: SourceSpec, options: SourceOptions | None = None) -> FolderSource:
    """`folder:PATH`: two domains if PATH holds a folder of one (trainA/ …), one dataset otherwise."""
    two = any((spec.path / f"{split}{side}").is_dir() for split in ("train", *HELD_OUT) for side in NAMES)
    return (DomainsFolder if two else FolderSource)(spec, options)


class DomainsFolder(FolderSource):
    """The domains in trainA/, trainB/, testA/ and testB/."""

    def splits(self) -> Sequence[str]:
        """The folders that are there."""
        titles = [f"{split}{side}" for split in ("train", *HELD_OUT) for side in NAMES]
        return [title for title in titles if (self.path / title).is_dir()]

    def load(self, progress: Progress = SILENT) -> Domains:
        """Both splits of both domains; `InputError` if one cannot be used."""
        size = self.options.size
        held_out = _held_out(self.path, NAMES)
        missing = [
            f"{split}{side}/"
            for split in ("train", held_out)
            for side in NAMES
            if not (self.path / f"{split}{side}").is_dir()
        ]
        if missing:
            raise InputError(
                f"{self.path} lacks {' and '.join(missing)}; two domains are four folders: trainA/, trainB/, "
                "testA/ and testB/ (or valA/ and valB/)"
            )
        parts = {
            split: [read_part(self.path / f"{split}{side}", f"{split}{side}") for side in NAMES]
            for split in ("train", held_out)
        }
        notes = [note for two in parts.values() for part in two for note in part.notes]
        splits, paired = [], []
        for split, (a, b) in parts.items():
            found = partners(_names(a, self.path / a.title, "A"), _names(b, self.path / b.title, "B"))
            in_pairs = len(found) == a.total == b.total
            if in_pairs:
                notes.append(f"{split}: images of the same name in both domains are pairs")
            elif found:
                notes.append(
                    f"{split}: {len(found)} of {a.total} images of A and of {b.total} images of B have a partner of "
                    "the same name; all are used unpaired"
                )
            first, second = a.decode(size, progress), b.decode(size, progress)
            splits.append((first, _reordered(second, [j for _, j in found]) if in_pairs else second))
            paired.append(in_pairs)
        return _domains(
            self.kind, self.path, self.name, size, (splits[0], splits[1]), (paired[0], paired[1]), notes
        )


class PairsSource(FileSource):
    """The side-by-side pairs in train/ and test/ (or val/)."""

    kind: ClassVar[str] = "pairs"

    def splits(self) -> Sequence[str]:
        """train and the first of `HELD_OUT` that is there; `InputError` where one is missing."""
        held_out = _held_out(self.path, ("",))
        if missing := [f"{split}/" for split in ("train", held_out) if not (self.path / split).is_dir()]:
            raise InputError(
                f"{self.path} lacks {' and '.join(missing)}; side-by-side pairs are in train/ and test/ (or val/)"
            )
        return ["train", held_out]

    def parts(self) -> Sequence[FilePart]:
        """The pictures of train and test, each a pair."""
        return [read_part(self.path / split, split) for split in self.splits()]

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
            self.kind,
            self.path,
            self.name,
            self.options.size,
            (halves_of(train), halves_of(test)),
            (True, True),
            [*train.notes, *test.notes],
        )


def partners(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """(i, j) of all i for which `b[j]` equals `a[i]`, ascending; what occurs twice on one side has no partner.

    >>> partners(["cat", "dog", "owl"], ["owl", "cow", "cat"])
    [(0, 2), (2, 0)]
    """
    once = [{name for name, times in Counter(names).items() if times == 1} for names in (a, b)]
    rows = {name: j for j, name in enumerate(b) if name in once[1]}
    return [(i, rows[name]) for i, name in enumerate(a) if name in once[0] and name in rows]


def _names(part: FilePart, folder: Path, side: str) -> list[str]:
    """The paths of the images below their folder, without suffix and without "_A" in domain A, "_B" in B."""
    paths = (Path(name).relative_to(folder).with_suffix("") for name, _ in part.items())
    return [re.sub(f"_{side}$", "", path.as_posix(), flags=re.IGNORECASE) for path in paths]


def _reordered(part: Decoded, order: list[int]) -> Decoded:
    if order == sorted(order):
        return part
    return Decoded(part.images[order], [part.digests[i] for i in order], part.conversions)


def _held_out(path: Path, sides: Sequence[str]) -> str:
    """What the held-out split is called: the first of `HELD_OUT` of which a folder is there."""
    there = (split for split in HELD_OUT if any((path / f"{split}{side}").is_dir() for side in sides))
    return next(there, HELD_OUT[0])


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
    kind: str,
    path: Path,
    name: str,
    size: int | None,
    splits: tuple[Two, Two],
    paired: tuple[bool, bool],
    notes: Sequence[str],
) -> Domains:
    """`splits`: train and held-out, each of (A, B)."""

    def domain(k: int) -> Dataset:
        train, held_out = (
            to_split(torch.from_numpy(two[k].images), None, two[k].digests, f"{NAMES[k]} {split}")
            for two, split in zip(splits, ("train", "held-out"), strict=True)
        )
        return Dataset(NAMES[k], train, held_out)

    copies = [note for k in (0, 1) for note in copies_note(*(two[k].digests for two in splits), of=NAMES[k])]
    return Domains(
        name=name,
        a=domain(0),
        b=domain(1),
        paired_train=paired[0],
        paired_held_out=paired[1],
        notes=[*notes, *notes_on([decoded for two in splits for decoded in two]), *copies],
        source={"kind": kind, "path": tidy(path), "size": size},
    )
