"""The decode cache: the second run on the same files starts at once.

Pattern: an entry is a folder named by the sha256 of its key (what the source files contain and how they are
decoded), written whole or not at all. It holds `images.npy`, which is memory-mapped copy-on-write, and
`meta.json` with a digest of the pixels in their order and a seal on all it says. Both are checked on every load: a
damaged entry is named, set aside as `<entry>.damaged`, and made anew. Labels are not kept: they are read from names and
columns in no time. Files that change while they are decoded leave no entry, and end the run.

Trade-offs: the source files are hashed on every run (a gigabyte a second), because time stamps lie; entries
are never evicted (delete the folder to get the space back) and above `MAX_BYTES` not written; of images that are
decoded as they are asked for their digests are kept (`data.pipeline.file_images`). A cache that
cannot be written costs time, not the run: one note, then decoding goes on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.folders import cache_folder
from benchbench.core.hashing import canonical_json, digest
from benchbench.core.numpy_files import DAMAGE, map_content, read_header
from benchbench.core.progress import SILENT, Progress
from benchbench.core.reading import MOST, open_regular, read_text
from benchbench.data.pipeline.decode import DECODE_VERSION
from benchbench.data.pipeline.fingerprint import combine_in_order, pixel_digests

T = TypeVar("T")

ENTRY_VERSION = 2
"""Goes into the keys of entries: raise it when they are laid out otherwise."""

DAMAGED = ".damaged"
UNUSABLE = (*DAMAGE, TypeError, AttributeError, InputError)
"""What reading a damaged entry may raise."""

MAX_BYTES = 4 * 2**30
"""Larger sets of images are decoded anew on every run."""


@dataclass(frozen=True)
class Decoded:
    """Images as they came out of the decoder.

    Attributes:
        images: uint8 RGB N×3×H×W.
        digests: `data.pipeline.fingerprint.pixel_digests` of them, in their order.
        conversions: How often each of `data.pipeline.decode.CONVERSIONS` applied; empty for images that were drawn.
    """

    images: NDArray[np.uint8]
    digests: list[bytes]
    conversions: dict[str, int]


def cached(
    key: Mapping[str, Any],
    build: Callable[[], tuple[NDArray[np.uint8], dict[str, int]]],
    progress: Progress = SILENT,
) -> Decoded:
    """What `build` returns (images and conversion counts), from the cache if it is there.

    `key`: a JSON-able value that says everything the result depends on, besides this package's and Pillow's
    decoding, which are added.
    """

    def made() -> Decoded:
        images, conversions = build()
        return Decoded(images, pixel_digests(images), conversions)

    return kept(
        entry_folder("decoded", [dict(key)]),
        load=_load,
        build=made,
        save=_save,
        progress=progress,
        worth=lambda decoded: decoded.images.nbytes <= MAX_BYTES,
    )


def entry_folder(kind: str, key: Sequence[Any]) -> Path:
    """Where what depends on `key` (JSON-able) and on how images are decoded is kept."""
    return cache_folder() / kind / digest([*key, DECODE_VERSION, ENTRY_VERSION, PIL.__version__])


def kept(
    folder: Path,
    *,
    load: Callable[[Path], T],
    build: Callable[[], T],
    save: Callable[[Path, T], None],
    progress: Progress,
    worth: Callable[[T], bool] = lambda made: True,
) -> T:
    """What `load` finds in `folder`; where nothing usable is there what `build` makes, which `save` writes down for the
    next time, if it is `worth` that."""
    if os.path.isdir(folder):
        try:
            return load(folder)
        except UNUSABLE as error:
            set_aside(folder, error, progress, "decoding again")
    made = build()
    if worth(made):
        try:
            with atomic_folder(folder) as temporary:
                save(temporary, made)
        except InputError as error:
            progress.note(f"going on without the decode cache: {error}")
    return made


def set_aside(folder: Path, error: Exception, progress: Progress, instead: str) -> None:
    """Move a damaged entry away, in place of one that was moved there before: nobody reads it again. Says so, and what
    is done `instead`."""
    aside = folder.with_name(folder.name + DAMAGED)
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):  # where the cache cannot be written nothing is kept either
        os.rename(folder, aside)
    progress.note(f"the cache entry {folder} cannot be used ({error}) and is set aside; {instead}")


def _load(folder: Path) -> Decoded:
    """The entry in `folder`; ValueError when its pixels, or their order, are not those that were written."""
    meta = read_sealed(folder / "meta.json")
    images = map_array(folder / "images.npy")
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"its pixels are {images.dtype} in {images.ndim} dimensions")
    digests = pixel_digests(images)
    if combine_in_order(digests) != meta["pixels"]:
        raise ValueError("its pixels have changed")
    return Decoded(images, digests, {str(k): int(v) for k, v in meta["conversions"].items()})


def _save(folder: Path, decoded: Decoded) -> None:
    np.save(folder / "images.npy", decoded.images, allow_pickle=False)
    meta = {"pixels": combine_in_order(decoded.digests), "conversions": decoded.conversions}
    write_sealed(folder / "meta.json", meta)


def map_array(path: Path) -> NDArray[Any]:
    """The array in a `.npy` file; what is written to it does not reach the file. Raises one of `UNUSABLE`."""
    with open_regular(path) as file:
        header = read_header(file)
        if header.dtype.hasobject:
            raise ValueError(f"{path.name} holds pickled objects")
        return map_content(file, header, "c")  # torch wants memory that it may write to


def sealed(meta: Mapping[str, Any]) -> str:
    """A JSON object with a digest of all it says."""
    return canonical_json({**meta, "seal": digest(dict(meta))})


def write_sealed(path: Path, meta: Mapping[str, Any]) -> None:
    """`sealed` in a file."""
    path.write_text(sealed(meta))


def read_sealed(path: Path, most: int = MOST) -> dict[str, Any]:
    """What `write_sealed` wrote; ValueError if it is something else. most: how many bytes it may have."""
    meta = json.loads(read_text(path, most=most))
    seal = meta.pop("seal")
    if seal != digest(meta):
        raise ValueError(f"{path.name} is not what was written")
    return dict(meta)
