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

import torch
from PIL import Image

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.assemble import Part, copies_note, notes_on, tidy, to_split
from benchbench.data.cache import Decoded
from benchbench.data.dataset import Dataset
from benchbench.data.decode import UnusableError
from benchbench.data.domains import Domains
from benchbench.data.folder import HELD_OUT, load_folder, read_part, require_folder

NAMES = ("A", "B")
Two = tuple[Decoded, Decoded]


def load_any_folder(
    path: Path, name: str, size: int | None = None, progress: Progress = SILENT
) -> Dataset | Domains:
    """`folder:PATH`: two domains if PATH holds a folder of one (trainA/ …), one dataset otherwise."""
    two = any((path / f"{split}{side}").is_dir() for split in ("train", *HELD_OUT) for side in NAMES)
    return (load_domains_folder if two else load_folder)(path, name, size, progress)


def load_domains_folder(
    path: Path, name: str, size: int | None = None, progress: Progress = SILENT
) -> Domains:
    """The domains in trainA/, trainB/, testA/ and testB/ below `path`; `InputError` if one cannot be used."""
    held_out = _held_out(path, NAMES)
    missing = [
        f"{split}{side}/"
        for split in ("train", held_out)
        for side in NAMES
        if not (path / f"{split}{side}").is_dir()
    ]
    if missing:
        raise InputError(
            f"{path} lacks {' and '.join(missing)}; two domains are four folders: trainA/, trainB/, testA/ and "
            "testB/ (or valA/ and valB/)"
        )
    parts = {
        split: [read_part(path / f"{split}{side}", f"{split}{side}") for side in NAMES]
        for split in ("train", held_out)
    }
    notes = [note for two in parts.values() for part in two for note in part.notes]
    splits, paired = [], []
    for split, (a, b) in parts.items():
        found = partners(_names(a, path / a.title, "A"), _names(b, path / b.title, "B"))
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
    return _domains("folder", path, name, size, (splits[0], splits[1]), (paired[0], paired[1]), notes)


def load_pairs(path: Path, name: str, size: int | None = None, progress: Progress = SILENT) -> Domains:
    """The side-by-side pairs in train/ and test/ (or val/) below `path`; `InputError` if one cannot be used."""
    require_folder("pairs", path)
    held_out = _held_out(path, ("",))
    if missing := [f"{split}/" for split in ("train", held_out) if not (path / split).is_dir()]:
        raise InputError(
            f"{path} lacks {' and '.join(missing)}; side-by-side pairs are in train/ and test/ (or val/)"
        )
    train, test = (read_part(path / split, split) for split in ("train", held_out))

    def halves_of(part: Part) -> Two:
        left = replace(part, identity=["left half", part.identity], cut=_left)
        right = replace(part, identity=["right half", part.identity], cut=_right)
        return left.decode(size, progress), right.decode(size, progress)

    notes = [*train.notes, *test.notes]
    return _domains("pairs", path, name, size, (halves_of(train), halves_of(test)), (True, True), notes)


def partners(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """(i, j) of all i for which `b[j]` equals `a[i]`, ascending; what occurs twice on one side has no partner.

    >>> partners(["cat", "dog", "owl"], ["owl", "cow", "cat"])
    [(0, 2), (2, 0)]
    """
    once = [{name for name, times in Counter(names).items() if times == 1} for names in (a, b)]
    rows = {name: j for j, name in enumerate(b) if name in once[1]}
    return [(i, rows[name]) for i, name in enumerate(a) if name in once[0] and name in rows]


def _names(part: Part, folder: Path, side: str) -> list[str]:
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
