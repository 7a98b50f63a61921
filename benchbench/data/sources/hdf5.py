"""Images in HDF5 files: `hdf5:PATH`, for example BigGAN's `ILSVRC128.hdf5` (`imgs` N×3×H×W and `labels`).

Arrays are found by their names as in an `.npz`, in the outermost group, and read row by row from the file. Needs h5py.

An HDF5 file can send its reader elsewhere: to other files (external links, external storage, virtual datasets). What
does so is refused by name, and so is a soft link, behind which there may be an external one. Filters beyond those of
the library itself are plug-ins, which are not asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import plain, require_regular
from benchbench.data.sources.array_images import ArrayImages, judge, refuse_packed
from benchbench.data.sources.arrays import (
    IMAGE_KEYS,
    LABEL_KEYS,
    NpySource,
    beside_note,
    image_key,
    split_keys,
)

KEYS = ("X", "imgs", *IMAGE_KEYS, "image", "data")
LABELS = (*LABEL_KEYS, "targets", "target", "Y")
SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Hdf5Source(NpySource):
    """Arrays of images in an HDF5 file; splits where they are named so, as `x_train` and `x_test` are."""

    kind: ClassVar[str] = "hdf5"

    @cached_property
    def arrays(self) -> dict[str, ArrayImages]:
        """As `NpySource.arrays`."""
        return open_hdf5(self.path)


@dataclass(frozen=True)
class Table:
    """An array of an HDF5 file. packed: the bytes that it has in the file. matlab: what MATLAB says that it stands for,
    "empty" for the shape of an array without elements, "char" for a text."""

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    packed: int
    matlab: frozenset[str] = frozenset()

    def rows(self, n: int) -> Generator[NDArray[Any], None, None]:
        """A pass over it, so many rows at a time."""
        with opened(self.file) as held:
            for begin in range(0, self.shape[0], n):
                yield held[self.key][begin : begin + n]

    def whole(self) -> NDArray[Any]:
        """All of it; only where its length was held against something."""
        with opened(self.file) as held:
            return np.asarray(held[self.key][()])


def open_hdf5(path: Path) -> dict[str, ArrayImages]:
    """The images by split, or under "" where there is none; `InputError` where the file is damaged, sends its reader
    elsewhere, or holds no images."""
    found = tables(path)
    keys = list(found)

    def may_be_images(key: str) -> bool:
        return len(found[key].shape) > 2 and (found[key].dtype == np.uint8 or found[key].dtype.kind == "f")

    split = split_keys(path, keys, may_be_images) if len(keys) > 1 else {}
    if split:
        return {title: _images(found, *own) for title, own in split.items()}
    image = image_key(path, keys, KEYS)
    label = next((key for key in LABELS if key in keys and key != image), None)
    images = _images(found, image, label)
    others = [key for key in keys if key not in (image, label) and may_be_images(key)]
    return {"": replace(images, notes=[*images.notes, *beside_note(image, others)])}


def _images(found: dict[str, Table], key: str, label: str | None) -> ArrayImages:
    table = found[key]
    what = f"{key} in {table.file}"
    refuse_packed(what, table.shape, table.packed)
    labels, notes = (
        (None, []) if label is None else labels_of(found[label], table.shape[0] if table.shape else 0)
    )
    return judge(what, table.shape, table.dtype, table.rows, labels, notes)


def labels_of(table: Table, n: int) -> tuple[NDArray[np.int64] | None, list[str]]:
    """One integer an image, int64 (n,), and what a reader should know."""
    if table.dtype.kind not in "iu" or table.shape not in ((n,), (n, 1), (1, n)):
        return None, [f"its array {table.key} is not one integer an image and was left aside"]
    whole = table.whole().reshape(-1)
    if n and int(whole.max()) > np.iinfo(np.int64).max:
        raise InputError(f"a label in {table.key} of {table.file} is more than 64 bits hold")
    return whole.astype(np.int64), []


def tables(path: Path) -> dict[str, Table]:
    """The arrays of the outermost group by their names; `InputError` for what is elsewhere."""
    h5py = library()
    with opened(path) as held:
        found = {}
        for key in held:
            if not isinstance(held.get(key, getlink=True), h5py.HardLink):
                raise InputError(
                    f"{key} in {path} is a link, which may lead to another file; copy its content into this one"
                )
            own = held.get(key)
            if not isinstance(own, h5py.Dataset):
                continue
            if own.is_virtual or own.external:
                raise InputError(f"{key} in {path} lies in other files; copy its content into this one")
            packed = own.id.get_storage_size()
            found[key] = Table(path, key, own.shape or (), own.dtype, packed, _of_matlab(own.attrs))
        return found


def _of_matlab(attributes: Any) -> frozenset[str]:
    empty = "MATLAB_empty" in attributes
    text = "MATLAB_class" in attributes and attributes["MATLAB_class"] in (b"char", "char")
    return frozenset(word for word, said in (("empty", empty), ("char", text)) if said)


@contextmanager
def opened(path: Path) -> Generator[Any, None, None]:
    """An HDF5 file; what is wrong with it, whenever it shows, becomes an `InputError` that names it."""
    h5py = library()
    require_regular(path)
    try:
        with h5py.File(path, "r") as held:
            yield held
    except InputError:
        raise
    except (TypeError, *DAMAGE) as error:
        raise InputError(
            f"cannot read {path}: {plain(str(error))}; it may be damaged or no HDF5 file, make or fetch it again"
        ) from error


def library() -> ModuleType:
    """h5py; `InputError` where it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise InputError("HDF5 files, and MATLAB's of version 7.3, need h5py: pip install h5py") from error
    module: ModuleType = h5py
    return module
