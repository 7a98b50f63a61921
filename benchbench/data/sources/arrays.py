"""Images in NumPy files: `npy:PATH`, and `npz:PATH` as ADM's evaluator (Dhariwal & Nichol 2021) reads and writes it.

Pattern: the header is read and judged first; the pixels come row by row, from a memory map (`.npy`) or from
the unpacking stream of the archive (`.npz`), so that a file of many gigabytes is never in memory.

Taken is what `array_images` takes. Refused, with the way out: floats (the same numbers mean other pictures in
[0, 1] and in [-1, 1], so the choice is the user's), transparency, and pickled objects unless asked for.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import map_content, read_content, read_header
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import open_regular
from benchbench.data.pipeline.assemble import Part
from benchbench.data.pipeline.blocks import Block, rows_per_block
from benchbench.data.pipeline.cache import Decoded, cached
from benchbench.data.pipeline.decode import require_room, room_for
from benchbench.data.pipeline.fingerprint import pixel_digests
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.sources import array_images
from benchbench.data.sources.archives import reading, refuse_bomb
from benchbench.data.sources.array_images import ArrayImages, judge, refuse_rows, slices
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.layout import HELD_OUT, TRAIN, Splits, split_name

IMAGE_KEYS = ("arr_0", "images", "samples", "x")
LABEL_KEYS = ("labels", "label", "y", "arr_1")
IMAGE_WORDS = frozenset(
    {"x", "image", "images", "img", "imgs", "data", "sample", "samples", "input", "inputs"}
)
LABEL_WORDS = frozenset({"y", "label", "labels", "target", "targets", "class", "classes"})
"""How the images and the labels of a split are called beside its name (`layout.SPELLINGS`): x_train, y_train as Keras
has it, train_images, train_labels as MedMNIST has it, in either order and case."""


class NpySource(FileSource):
    """One array of images in a `.npy` file."""

    kind: ClassVar[str] = "npy"
    of_training: ClassVar[str] = "x_train"
    """How what is to be learned from is called."""

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """The images by split, or under "" where there is none."""
        return {"": open_npy(self.path, self.options.allow_pickle)}

    @property
    def files(self) -> Sequence[Path]:
        """All that the arrays and their labels are read from."""
        return [self.path]

    @property
    def layout(self) -> Splits:
        """Which of the arrays are splits."""
        return Splits({(title, ""): title for title in self.arrays if title})

    def splits(self) -> Sequence[str]:
        """train and the held-out part that counts, where there are arrays of both."""
        return self.layout.two()

    def parts(self) -> Sequence[Part]:
        """Train and held-out, or all images."""
        if not self.arrays.keys() & {"", TRAIN}:
            raise InputError(f"{self.path} has held-out images but none to train on; add {self.of_training}")
        train, *held_out = map(self._part, [[title] for title in self.splits() or self.arrays])
        return [replace(train, notes=[*train.notes, *self.layout.notes()]), *held_out]

    def whole(self) -> Part:
        """All images of the file."""
        return self._part(sorted(self.arrays, key=["", TRAIN, *HELD_OUT].index))

    def _part(self, titles: Sequence[str]) -> ArrayPart:
        arrays = [self.arrays[title] for title in titles]
        labels = [array.labels for array in arrays]
        labelled = all(own is not None for own in labels)
        return ArrayPart(
            title=" and ".join(filter(None, titles)) or self.path.name,
            total=sum(array.n for array in arrays),
            labels=[int(label) for own in labels if own is not None for label in own] if labelled else None,
            identify=lambda: [*map(file_sha256, self.files), list(titles)],
            classes=arrays[0].classes,
            notes=[note for array in arrays for note in array.notes],
            arrays=arrays,
        )


class NpzSource(NpySource):
    """Images in a `.npz` file; splits where its arrays are named so, as `x_train` and `x_test` are."""

    kind: ClassVar[str] = "npz"

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """As `NpySource.arrays`."""
        return open_npz(self.path, self.options.allow_pickle)


@dataclass(frozen=True, kw_only=True)
class ArrayPart(Part):
    """Images in arrays, one after the other."""

    arrays: Sequence[ArrayImages]
    only_whole: str = "arrays are read as a whole: image files in a folder or a zip are read one by one"

    def native_size(self) -> tuple[int, int]:
        """As `Part.native_size`."""
        return self.arrays[0].height, self.arrays[0].width

    def blocks(self, size: int | None) -> Generator[Block, None, None]:
        """As `Part.blocks`."""
        for images in self.arrays:
            with closing(images.blocks(rows_per_block(images.height, images.width))) as parts:
                for part in parts:
                    yield Block(part, images.what, [("grey",)] * len(part) if images.grey else ()).resized(
                        size
                    )

    def decode(self, size: int | None, progress: Progress = SILENT) -> Decoded:
        """As `Part.decode`; pixels that nothing is done to are not kept a second time."""
        if all(
            (images.height, images.width) == (size or images.height, size or images.width)
            for images in self.arrays
        ):
            pixels, applied = self._collect(size, progress)
            return Decoded(pixels, pixel_digests(pixels), applied)
        pixels_of = partial(self._collect, size, progress)
        return cached(
            {"files": self.identity, "size": size}, partial(self.as_identified, pixels_of), progress
        )

    def stream(self, name: str, size: int | None, notes: Sequence[str] = ()) -> ImageStream:
        """As `Part.stream`; labels are the numbers that stand in the file."""
        return ImageStream(
            name,
            self.total,
            lambda: self.blocks(size),
            labels=None if self.labels is None else torch.tensor(self.labels, dtype=torch.int64),
            kinds=self.kinds,
            notes=[*self.notes, *notes],
        )

    def _collect(self, size: int | None, progress: Progress) -> tuple[NDArray[np.uint8], dict[str, int]]:
        first = self.arrays[0]
        images = room_for(self.total, size or first.height, size or first.width)
        applied: Counter[str] = Counter()
        done = 0
        with (
            closing(self.blocks(size)) as blocks,
            progress.stage(f"read {self.title}", self.total, "image") as stage,
        ):
            for block in blocks:
                images[done : done + len(block.images)] = block.images
                applied.update(chain.from_iterable(block.applied))
                done += len(block.images)
                stage.advance(len(block.images))
        return images, dict(applied)


def open_npy(path: Path, allow_pickle: bool = False) -> ArrayImages:
    """The images in a `.npy` file; `InputError` if it is damaged or holds something else."""
    with reading(path), open_regular(path) as file:
        header = read_header(file)
        pickled = header.dtype.hasobject
        array = _unpickled(path, None, allow_pickle) if pickled else map_content(file, header, "r")
    return judge(f"{path}", array.shape, array.dtype, partial(slices, array), None, [])


def open_npz(path: Path, allow_pickle: bool = False) -> dict[str, ArrayImages]:
    """The images in a `.npz` file by split, "train", "test", "eval" or "val"; under "" those of a file without splits,
    which are under one of `IMAGE_KEYS` or in its only array. Labels are under one of `LABEL_KEYS`, or under the name
    that goes with a split's."""
    with reading(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        keys = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
        if twice := [key for key, times in Counter(keys).items() if times > 1]:
            raise InputError(f"{path} holds {twice[0]} twice; keep one of them")
        may_be_images = partial(_may_be_images, archive)
        split = {} if len(keys) == 1 else split_keys(path, keys, may_be_images)
        if split:
            return {title: _array(path, archive, *found, allow_pickle) for title, found in split.items()}
        image = image_key(path, keys)
        label = next((key for key in LABEL_KEYS if key in keys and key != image), None)
        images = _array(path, archive, image, label, allow_pickle)
        others = [key for key in keys if key not in (image, label) and may_be_images(key)]
        return {"": replace(images, notes=[*images.notes, *beside_note(image, others)])}


def beside_note(image: str, others: Sequence[str]) -> list[str]:
    """The note on arrays beside the images that may be images too."""
    if not others:
        return []
    return [f"{image} was read; {', '.join(others)} beside it, which may be images too, was left aside"]


def split_keys(
    path: Path, keys: Sequence[str], may_be_images: Callable[[str], bool]
) -> dict[str, tuple[str, str | None]]:
    """(key of the images, key of the labels or None) of each split that is there; `InputError` where two keys are the
    images of one, or where there are images beside them."""
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    others = []
    for key in keys:
        title, what = _said(key)
        if not title or what not in ("images", "labels"):
            others.append(key)
        elif what == "labels":
            labels.setdefault(title, key)
        elif title in images:
            raise InputError(
                f"{path} has {images[title]} and {key}, which name the same part; keep one of them"
            )
        else:
            images[title] = key
    if not images:
        return {}
    beside = [key for key in others if may_be_images(key)]
    if beside:
        raise InputError(
            f"{path} has {', '.join(images.values())} and beside that {', '.join(beside)}, which names no split: a "
            "held-out part is called test, val, valid, validation, dev or eval; rename the array or leave it out"
        )
    return {title: (image, labels.get(title)) for title, image in images.items()}


def _said(key: str) -> tuple[str, str]:
    """The kind of split that an array is of, and whether it is its images or its labels; "" for what is neither.

    >>> [_said(key) for key in ("X_valid", "train_labels", "test", "test_ids", "extra")]
    [('val', 'images'), ('train', 'labels'), ('test', 'images'), ('test', ''), ('', '')]
    """
    words = key.casefold().split("_")
    about = {word for word in words if word in IMAGE_WORDS | LABEL_WORDS}
    said = split_name("_".join(word for word in words if word not in about))
    if said is None or said.side:
        rest = split_name(words[0]) or split_name(words[-1])
        return ("" if rest is None else rest.kind), ""
    return said.kind, "labels" if about & LABEL_WORDS else "images"


def _may_be_images(archive: zipfile.ZipFile, key: str) -> bool:
    """Whether an array has the shape and the type of images."""
    with archive.open(f"{key}.npy") as file:
        header = read_header(file)
    return len(header.shape) > 2 and (header.dtype == np.uint8 or header.dtype.kind == "f")


def _array(
    path: Path, archive: zipfile.ZipFile, key: str, label: str | None, allow_pickle: bool
) -> ArrayImages:
    what = f"{key} in {path}"
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as file:
        header = read_header(file)
    shape, dtype = header.shape, header.dtype
    if not dtype.hasobject:
        if header.start + header.nbytes != member.file_size:
            raise InputError(
                f"{what} does not have the length its header says; it was not written completely"
            )
        refuse_bomb(what, member, array_images.BOMB_FLOOR)
        refuse_rows(what, shape, member.compress_size)
    labels, notes = (None, []) if label is None else _labels(archive, label, shape[0] if shape else 0)
    if dtype.hasobject or header.fortran:  # neither can be read row by row
        array = _unpickled(path, key, allow_pickle) if dtype.hasobject else _in_memory(what, archive, member)
        return judge(what, array.shape, array.dtype, partial(slices, array), labels, notes)

    def stream(rows: int) -> Generator[NDArray[Any], None, None]:
        with (
            reading(path),
            open_regular(path) as opened,
            zipfile.ZipFile(opened) as again,
            again.open(member) as file,
        ):
            read_header(file)
            for begin in range(0, shape[0], rows):
                part = (min(rows, shape[0] - begin), *shape[1:])
                content = file.read(prod(part) * dtype.itemsize)
                yield np.frombuffer(content, dtype).reshape(part)

    return judge(what, shape, dtype, stream, labels, notes)


def image_key(path: Path, keys: Sequence[str], known: Sequence[str] = IMAGE_KEYS) -> str:
    """The one of `keys`, the names of arrays, that is the images: one of `known`, in this order, or the only one."""
    if not keys:
        raise InputError(f"{path} holds no arrays; save uint8 images N×H×W×3 under arr_0")
    found = [key for key in known if key in keys] or (list(keys) if len(keys) == 1 else [])
    if len(found) != 1:
        what = "more than one array that could be" if found else "none of the arrays that are"
        raise InputError(
            f"{path} has {what} the images: it holds {', '.join(keys)}; "
            f"save the images under one of {', '.join(known)}, or under x_train and x_test"
        )
    return found[0]


def _labels(archive: zipfile.ZipFile, key: str, n: int) -> tuple[NDArray[np.int64] | None, list[str]]:
    with archive.open(f"{key}.npy") as file:
        header = read_header(file)
        column = (n, 1) if key not in LABEL_KEYS else (n,)  # MedMNIST and CIFAR-10 in Keras have a column
        if header.dtype.kind not in "iu" or header.shape not in ((n,), column):
            return None, [f"its array {key} is not one integer an image and was left aside"]
        labels = read_content(file, header).reshape(n)
    if n and int(labels.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"a label in {key} is {labels.max()}, more than 64 bits hold")
    return labels.astype(np.int64), []


def _unpickled(path: Path, key: str | None, allow_pickle: bool) -> NDArray[Any]:
    """A pickled array, each element of which is an image."""
    if not allow_pickle:
        raise InputError(
            f"{path} holds pickled objects, which can run code when they are read; "
            "save one uint8 array; `benchbench evaluate` also takes it with --allow-pickle, if you trust the file"
        )
    try:
        return np.stack([np.asarray(image) for image in _whole(path, key)])
    except Exception as error:  # unpickling raises whatever the pickle makes it raise
        raise InputError(f"{path} holds objects that are not images of one size: {error}") from error


def _in_memory(what: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An array that is stored column by column, and so is read as a whole."""
    with archive.open(member) as file:
        header = read_header(file)
        require_room(what, header.nbytes)
        return read_content(file, header)


def _whole(path: Path, key: str | None) -> NDArray[Any]:
    loaded = np.load(path, allow_pickle=True)
    if key is None:
        return cast(NDArray[Any], loaded)
    with loaded:
        return cast(NDArray[Any], loaded[key])
