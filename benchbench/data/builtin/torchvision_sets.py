"""MNIST and CIFAR-10: a local copy first, then the canonical archive.

Where they are looked for, in this order:

1. `$BENCHBENCH_DATA/NAME/`, as `{train,test}.parquet` (or shards) or as `{train,test}/<class>/*.png`. Half a
   copy is an error: filling it up from elsewhere would mix sources.
2. The canonical archive in benchbench's own cache, from an earlier download.
3. The canonical archive from the network, through torchvision, which checks its MD5.

Whether the copy is canonical is judged by `data.pipeline.fingerprint` at native size, before any resizing.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import tarfile
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.folders import cache_folder
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import open_regular
from benchbench.data.builtin.local import data_folder
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.assemble import FilePart, assemble, resolve_labels, tidy
from benchbench.data.pipeline.cache import Decoded, cached
from benchbench.data.pipeline.decode import resize_images
from benchbench.data.pipeline.fingerprint import combine, is_canonical, pixel_digests
from benchbench.data.sources import folder, parquet
from benchbench.data.sources.shards import find_files

TIMEOUT_S = 30.0
"""Silence of a server after which a download is given up; torchvision itself would wait for ever."""


class _TorchvisionSet:
    """What the two have in common. `name` is also the class's in torchvision, in lower case; `side` and `ranked_on` are
    what `Dataset` calls `native` and `extractor`."""

    downloads: ClassVar[bool] = True
    name: ClassVar[str]
    title: ClassVar[str]
    side: ClassVar[int]
    ranked_on: ClassVar[str | None] = None
    classes: ClassVar[tuple[str, ...]]

    def load(self, size: int | None = None, progress: Progress = SILENT) -> Dataset:
        """Train and test split as uint8 RGB with labels, at native size or size×size."""
        root = local_folder(self.name)
        if root is not None:
            parts = read_local(root)
            notes = [note for part in parts for note in part.notes]
            _, labels = resolve_labels(parts, self.classes)
            native = [part.decode(None, progress) for part in parts]
            source = {"kind": "local copy", "path": tidy(root)}
        else:
            native, labels = self._canonical(progress)
            notes = []
            source = {"kind": "canonical archive", "path": tidy(archive_folder(self.name))}
        fingerprints = [combine(part.digests, own) for part, own in zip(native, labels, strict=True)]
        canonical, note = is_canonical(
            self.name,
            (fingerprints[0], fingerprints[1]),
            lossy=any(part.conversions.get("jpeg") for part in native),
            verified=root is None,
        )
        if note:
            notes.append(note)
        if size is not None and native[0].images.shape[2:] != (size, size):
            notes.append(self._resize_note(native[0].images.shape[2], size))
            native = [self._resized(part, size, progress) for part in native]
        return assemble(
            self.name,
            native,
            labels,
            classes=self.classes,
            canonical=canonical,
            notes=notes,
            source={**source, "size": size},
            native=self.side,
            extractor=self.ranked_on,
        )

    def _resized(self, native: Decoded, size: int, progress: Progress) -> Decoded:
        """The images at another size, from the decode cache where possible."""
        return cached(
            {"pixels": combine(native.digests, None), "size": size},
            lambda: (resize_images(native.images, size), native.conversions),
            progress,
        )

    def _resize_note(self, side: int, size: int) -> str:
        return f"resized from {side}×{side} to {size}×{size} by Pillow's LANCZOS filter"

    def _canonical(self, progress: Progress) -> tuple[list[Decoded], list[list[int] | None]]:
        """Both splits of the canonical archive, downloaded first if need be."""
        from torchvision import datasets

        archive = archive_folder(self.name)
        kind = getattr(datasets, self.title)
        try:
            splits = [kind(archive, train=train) for train in (True, False)]
        except (RuntimeError, OSError, EOFError, ValueError, AssertionError) as error:
            # Not there, or damaged: torchvision looked at checksums (CIFAR-10) or file headers (MNIST).
            if archive.exists():
                progress.note(f"{archive} is damaged ({_reason(error)}); downloading again")
            shutil.rmtree(archive, ignore_errors=True)
            self._download(archive, kind, progress)
            splits = [kind(archive, train=train) for train in (True, False)]
        images = [_channels_first(np.asarray(split.data)) for split in splits]
        labels: list[list[int] | None] = [[int(label) for label in split.targets] for split in splits]
        return [Decoded(part, pixel_digests(part), {}) for part in images], labels

    def _download(self, archive: Path, kind: Any, progress: Progress) -> None:
        """Fetch and unpack the canonical archive, whole or not at all."""
        progress.note(f"downloading {self.title} to {archive}")
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT_S)
        try:
            with atomic_folder(archive) as temporary:
                try:
                    # torchvision prints; standard output is for data.
                    with contextlib.redirect_stdout(sys.stderr):
                        kind(temporary, download=True)
                except (OSError, RuntimeError, HTTPException, EOFError, tarfile.TarError) as error:
                    raise InputError(
                        f"{self.name} is not on this machine and cannot be downloaded ({_reason(error)}): "
                        f"set BENCHBENCH_DATA to a folder that holds {self.name}/train.parquet and "
                        f"{self.name}/test.parquet (or {self.name}/train/<class>/*.png and test/), or "
                        "connect to the network"
                    ) from error
        finally:
            socket.setdefaulttimeout(before)


class MNIST(_TorchvisionSet):
    """70,000 handwritten digits, 28×28 grey, 10 classes; local copy or download."""

    reference: ClassVar[str] = (
        "LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition (1998), "
        "https://doi.org/10.1109/5.726791"
    )
    licence: ClassVar[str] = "CC BY-SA 3.0"
    name = "mnist"
    title = "MNIST"
    side = 28
    ranked_on = "cnn_mnist"
    classes = tuple("0123456789")

    def _resized(self, native: Decoded, size: int, progress: Progress) -> Decoded:
        if size != 32:
            return super()._resized(native, size, progress)
        padded = np.pad(native.images, ((0, 0), (0, 0), (2, 2), (2, 2)))
        return Decoded(padded, pixel_digests(padded), native.conversions)

    def _resize_note(self, side: int, size: int) -> str:
        if size != 32:
            return super()._resize_note(side, size)
        return "padded from 28×28 to 32×32 with two black pixels on each side, not resized"


class CIFAR10(_TorchvisionSet):
    """60,000 small photographs, 32×32 colour, 10 classes; local copy or download."""

    reference: ClassVar[str] = (
        "Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009), "
        "https://www.cs.toronto.edu/~kriz/cifar.html"
    )
    licence: ClassVar[str] = "no licence stated; for research use"
    name = "cifar10"
    title = "CIFAR10"
    side = 32
    ranked_on = "cnn_cifar10"
    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    )  # fmt: skip


def archive_folder(name: str) -> Path:
    """Where a downloaded archive is kept."""
    return cache_folder() / "archives" / name


def local_folder(name: str) -> Path | None:
    """$BENCHBENCH_DATA/NAME if there is one."""
    root = data_folder()
    return root / name if root is not None and (root / name).is_dir() else None


def read_local(root: Path) -> list[FilePart]:
    """The train and the test part of a local copy; `InputError` if one of them is missing."""
    files = find_files(root, ".parquet")
    found: dict[str, FilePart] = {}
    for title in ("train", "test"):
        if title in files:
            found[title] = parquet.read_part(files[title], title)
        elif (root / title).is_dir():
            found[title] = folder.read_part(root / title, title)
    if len(found) < 2:
        missing = [title for title in ("train", "test") if title not in found]
        raise InputError(
            f"the local copy in {root} is incomplete: {' and '.join(f'{t}.parquet or {t}/' for t in missing)}"
            " is missing; complete it, or remove the folder to have the canonical archive downloaded"
        )
    return list(found.values())


def holds_jpeg(root: Path) -> bool:
    """Whether the images of a local copy come out of JPEG files, by the first one of each split."""
    for part in read_local(root):
        _, first = next(iter(part.items()))
        if isinstance(first, Path):
            with open_regular(first) as file:
                first = file.read(2)
        if bytes(first).startswith(b"\xff\xd8"):
            return True
    return False


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """N×H×W grey or N×H×W×3 to N×3×H×W."""
    if images.ndim == 3:
        return np.repeat(images[:, None], 3, axis=1)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
