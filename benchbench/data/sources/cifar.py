"""CIFAR-10 and CIFAR-100 as their authors publish them: `cifar:PATH` of the unpacked folder.

    cifar-10-batches-py/     data_batch_1 to _5, test_batch, batches.meta        pickles of Python 2
    cifar-100-python/        train, test, meta; labels are the fine ones
    cifar-10-batches-bin/    data_batch_1.bin to _5.bin, test_batch.bin, batches.meta.txt
    cifar-100-binary/        train.bin, test.bin, fine_label_names.txt

An image is 3,072 bytes: 32×32 of red, of green, of blue, in rows (Krizhevsky 2009, cs.toronto.edu/~kriz/cifar.html).

A pickle is a program. `plain_pickle` runs one that can build what these files hold and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.reading import kind_of, read_bytes, read_text
from benchbench.data.sources.array_images import ArrayImages, judge, slices
from benchbench.data.sources.arrays import NpySource
from benchbench.data.sources.plain_pickle import unpickled

SIDE = 32
PIXELS = 3 * SIDE * SIDE
MOST = 2**28
"""Bytes of a file; the largest, `train` of CIFAR-100, has 155 million."""


class Form(NamedTuple):
    """How a release lies. marker: the file by which it is known. train, test: its files, "*" for a number. labels:
    bytes before each image, or the key in a pickle. names: the key of the classes' names in a pickle, None where the
    marker is a text with one a line."""

    marker: str
    train: str
    test: str
    labels: int | bytes
    names: bytes | None

    @property
    def binary(self) -> bool:
        """Whether it is no pickles."""
        return self.names is None


FORMS = (
    Form("batches.meta", "data_batch_*", "test_batch", b"labels", b"label_names"),
    Form("meta", "train", "test", b"fine_labels", b"fine_label_names"),
    Form("batches.meta.txt", "data_batch_*.bin", "test_batch.bin", 1, None),
    Form("fine_label_names.txt", "train.bin", "test.bin", 2, None),
)


def form_of(folder: Path) -> Form | None:
    """Which release lies in a folder, None for none of them."""
    for form in FORMS:
        test = folder / form.test
        if kind_of(folder / form.marker) == "a file" and kind_of(test) == "a file":
            return form
    return None


class CifarSource(NpySource):
    """CIFAR-10 or CIFAR-100 in the folder that its archive unpacks to."""

    kind: ClassVar[str] = "cifar"
    of_training: ClassVar[str] = "its data_batch files"

    @cached_property
    def form(self) -> Form:
        """How the release lies; `InputError` where there is none."""
        found = form_of(self.path)
        if found is None:
            markers = ", ".join(f"{form.marker} beside {form.test}" for form in FORMS)
            raise InputError(f"{self.path} is no folder of CIFAR-10 or CIFAR-100, which hold {markers}")
        return found

    @cached_property
    def files(self) -> Sequence[Path]:
        """The file of names, then those of images."""
        return [self.path / self.form.marker, *self._train, self.path / self.form.test]

    @cached_property
    def _train(self) -> list[Path]:
        name = self.form.train
        numbered = [self.path / name.replace("*", str(i)) for i in range(1, 6)] if "*" in name else []
        files = [file for file in numbered or [self.path / name] if kind_of(file)]
        if numbered and len(files) < len(numbered):
            missing = next(file for file in numbered if file not in files)
            raise InputError(f"{self.path} lacks {missing.name}; unpack the archive again")
        return files

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """As `NpySource.arrays`."""
        form, classes = self.form, _names(self.path, self.form)
        sides = {"train": self._train, "test": [self.path / form.test]}
        return {title: _joined(files, form, classes) for title, files in sides.items() if files}


def _names(folder: Path, form: Form) -> list[str]:
    file = folder / form.marker
    if form.names is None:
        return [line.strip() for line in read_text(file).splitlines() if line.strip()]
    names = _pickled(file).get(form.names)
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise InputError(f"{file} holds no names of classes under {form.names.decode()}")
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]


def _joined(files: Sequence[Path], form: Form, classes: Sequence[str]) -> ArrayImages:
    """The images of files, one after the other."""
    batches = [
        _binary(file, form.labels) if isinstance(form.labels, int) else _batch(file, form.labels)
        for file in files
    ]
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        raise InputError(
            f"{files[0]} and its like have labels from {labels.min()} to {labels.max()}, but {form.marker} names "
            f"{len(classes)} classes"
        )
    images = images.reshape(-1, 3, SIDE, SIDE)
    what = " and ".join([str(files[0]), *([files[-1].name] if len(files) > 1 else [])])
    made = judge(what, images.shape, images.dtype, partial(slices, images), labels, [])
    return replace(made, classes=classes, notes=[])  # channels first is how CIFAR is


def _batch(file: Path, label: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 3072) and labels (N,) of a pickle."""
    held = _pickled(file)
    data, labels = held.get(b"data"), held.get(label)
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
        raise InputError(f"{file} holds no array of rows of {PIXELS:,} bytes under data")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(type(n) is int for n in labels):
        raise InputError(f"{file} does not hold one integer an image under {label.decode()}")
    try:
        return data, np.array(labels, np.int64)
    except OverflowError as error:
        raise InputError(f"{file} holds a label of more than 64 bits") from error


def _binary(file: Path, before: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same of a binary file, in which the last of the bytes before an image is its label."""
    content = np.frombuffer(read_bytes(file, most=MOST), np.uint8)
    if not len(content) or len(content) % (before + PIXELS):
        raise InputError(
            f"{file} has {len(content):,} bytes, which are no whole number of images of {before + PIXELS:,}; it is "
            "truncated, unpack it again"
        )
    rows = content.reshape(-1, before + PIXELS)
    return rows[:, before:], rows[:, before - 1].astype(np.int64)


def _pickled(file: Path) -> dict[bytes, Any]:
    """A pickled dictionary; its texts are bytes, as Python 2 wrote them."""
    held = unpickled(read_bytes(file, most=MOST), str(file))
    if not isinstance(held, dict):
        raise InputError(f"{file} holds no dictionary, as CIFAR's files do")
    return {
        key.encode(errors="replace") if isinstance(key, str) else key: value for key, value in held.items()
    }
