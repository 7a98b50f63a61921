"""Images in IDX files, as MNIST, Fashion-MNIST, KMNIST and EMNIST are published: `idx:PATH`.

A folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same with `t10k` or `test`, each as it is
or as `.gz`; before `train` there may be a name (`emnist-letters-train-images-idx3-ubyte`), which all files share. A
file is its images alone; its labels are found beside it.

Format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned bytes), the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values, the last dimension fastest.
"""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchbench.core.errors import InputError, listed
from benchbench.core.reading import is_folder, kind_of, open_regular, read_text
from benchbench.data.sources.archives import reading
from benchbench.data.sources.array_images import ArrayImages, judge, refuse_packed
from benchbench.data.sources.arrays import NpySource
from benchbench.data.sources.folder import visible_files
from benchbench.data.sources.layout import split_name
from benchbench.data.sources.recognised import IDX


class Images(NamedTuple):
    """A file of images. split: "train", "test", …, "" for none. of: the name before that."""

    file: Path
    split: str
    of: str


class IdxSource(NpySource):
    """Images in IDX files."""

    kind: ClassVar[str] = "idx"
    of_training: ClassVar[str] = "train-images-idx3-ubyte"

    @cached_property
    def found(self) -> dict[str, Path]:
        """The files of images by split, under "" one that was named itself."""
        if not is_folder(self.path):
            return {"": self.path}
        files = _files(self.path)
        if not files:
            raise InputError(f"{self.path} holds no train-images-idx3-ubyte, with .gz or without")
        if len(sets := sorted({file.of for file in files})) > 1:
            raise InputError(
                f"{self.path} holds several sets ({listed(sets)}); put one into a folder of its own, or name one file"
            )
        return {file.split: file.file for file in files}

    @cached_property
    def files(self) -> Sequence[Path]:
        """As `NpySource.files`."""
        images = list(self.found.values())
        beside = [file for image in images for file in (_labels_of(image), _mapping_of(image)) if file]
        return [*images, *beside]

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """As `NpySource.arrays`."""
        return {title: open_idx(file) for title, file in self.found.items()}


def _files(folder: Path) -> list[Images]:
    """The files of images in a folder, of one with .gz and without the latter."""
    found: dict[str, Images] = {}
    for name in sorted(visible_files(folder)):  # what ends in .gz comes after what does not
        match = IDX.fullmatch(name)
        if match is None:
            continue
        words = [word for word in re.split("[-_. ]", match["head"].casefold()) if word]
        said = [(word, "test" if word == "t10k" else getattr(split_name(word), "kind", "")) for word in words]
        split = next((kind for _, kind in said if kind), "")
        of = " ".join(word for word, kind in said if not kind)
        found.setdefault(name.removesuffix(".gz"), Images(folder / name, split, of))
    splits = [(file.of, file.split) for file in found.values()]
    if twice := [file for file in found.values() if splits.count((file.of, file.split)) > 1]:
        raise InputError(
            f"{folder} has {twice[0].file.name} and {twice[1].file.name}, which name the same part"
        )
    return list(found.values())


def open_idx(file: Path) -> ArrayImages:
    """The images in a file, with the labels beside it; `InputError` where it is damaged or holds something else."""
    with reading(file), _opened(file) as opened:
        shape, start = _header(opened)
        refuse_packed(str(file), shape, file.stat().st_size)
        if not file.name.endswith(".gz") and start + prod(shape) != file.stat().st_size:
            raise ValueError("it does not have the length its header says")

    def rows(n: int) -> Generator[NDArray[Any], None, None]:
        with reading(file), _opened(file) as opened:
            _header(opened)
            for begin in range(0, shape[0], n):
                part = (min(n, shape[0] - begin), *shape[1:])
                yield np.frombuffer(_exactly(opened, prod(part)), np.uint8).reshape(part)
            if opened.read(1):
                raise ValueError("it is longer than its header says")

    labels = _labels(file, shape[0] if shape else 0)
    made = judge(str(file), shape, np.dtype(np.uint8), rows, labels, [])
    if file.name.casefold().startswith("emnist"):
        made.notes.append(
            "EMNIST's files hold images with rows and columns exchanged, and are taken as they are"
        )
    names = _names(file)
    if labels is None or names is None:
        return made
    if unknown := sorted(set(labels.tolist()) - names.keys()):
        raise InputError(f"{_mapping_of(file)} does not say what label {unknown[0]} is")
    place = {label: i for i, label in enumerate(sorted(names))}
    own = np.array([place[label] for label in labels.tolist()], np.int64)
    return replace(made, labels=own, classes=[names[label] for label in sorted(names)])


@contextmanager
def _opened(file: Path) -> Generator[IO[bytes], None, None]:
    with open_regular(file) as raw:
        if file.name.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield unpacked  # type: ignore[misc]  # it reads bytes
        else:
            yield raw


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], int]:
    """The shape, and where the values begin; ValueError for another format."""
    zero, kind, dimensions = struct.unpack(">HBB", _exactly(opened, 4))
    if zero or kind != 8 or not 1 <= dimensions <= 4:
        raise ValueError("it is no IDX file of unsigned bytes")
    return struct.unpack(f">{dimensions}I", _exactly(opened, 4 * dimensions)), 4 + 4 * dimensions


def _exactly(opened: IO[bytes], n: int) -> bytes:
    content = opened.read(n)
    if len(content) != n:
        raise EOFError(f"it ends {n - len(content):,} bytes early")
    return content


def _beside(file: Path, name: str) -> Path | None:
    """A file of this name in the same folder, as it is or as .gz."""
    ways = [file.with_name(name + suffix) for suffix in ("", ".gz")]
    return next((way for way in ways if kind_of(way)), None)


def _labels_of(file: Path) -> Path | None:
    match = IDX.fullmatch(file.name)
    return None if match is None else _beside(file, f"{match['head']}labels{match['dot']}idx1-ubyte")


def _labels(file: Path, n: int) -> NDArray[np.int64] | None:
    """One an image, int64 (n,); None where no file of them is there."""
    of = _labels_of(file)
    if of is None:
        return None
    with reading(of), _opened(of) as opened:
        shape, _ = _header(opened)
        if shape != (n,):
            raise InputError(f"{of} is not one label for each of the {n:,} images of {file.name}")
        content = _exactly(opened, n)
        if opened.read(1):
            raise ValueError("it is longer than its header says")
        return np.frombuffer(content, np.uint8).astype(np.int64)


def _mapping_of(file: Path) -> Path | None:
    """emnist-letters-mapping.txt of emnist-letters-train-images-idx3-ubyte."""
    match = IDX.fullmatch(file.name)
    if match is None or not file.name.casefold().startswith("emnist"):
        return None
    head = re.sub(r"(train|test)-$", "", match["head"])
    return next((own for own in [file.with_name(f"{head}mapping.txt")] if kind_of(own)), None)


def _names(file: Path) -> dict[int, str] | None:
    """The characters by label, as EMNIST's mapping says: a label and the codes of one or two letters a line."""
    of = _mapping_of(file)
    if of is None:
        return None
    try:
        rows = [
            tuple(map(int, line.split())) for line in read_text(of, most=2**16).splitlines() if line.strip()
        ]
        return {label: "/".join(map(chr, codes)) for label, *codes in rows}
    except (ValueError, OverflowError) as error:
        raise InputError(f"{of} is no mapping from labels to codes of letters: {error}") from error
