"""The decode cache: the second run on the same files starts at once.

Pattern: an entry is a folder named by the sha256 of its key (what the source files contain and how they are
decoded), written whole or not at all. It holds `images.npy`, which is memory-mapped copy-on-write, and
`meta.json` with a fingerprint of the pixels that is checked on every load, so a damaged entry is rebuilt and
never used. Labels are not kept: they are read from names and columns in no time.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.hashing import canonical_json, digest
from benchbench.core.progress import SILENT, Progress
from benchbench.data.pipeline.decode import DECODE_VERSION
from benchbench.data.pipeline.fingerprint import combine, pixel_digests

T = TypeVar("T")

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


def cache_folder() -> Path:
    """$BENCHBENCH_CACHE, or benchbench/ in the user's cache folder ($XDG_CACHE_HOME, ~/.cache)."""
    if chosen := os.environ.get("BENCHBENCH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "benchbench"


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
    return cache_folder() / kind / digest([*key, DECODE_VERSION, PIL.__version__])


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
        except (OSError, ValueError, KeyError, TypeError) as error:
            progress.note(f"the cache entry {folder} cannot be used ({error}); decoding again")
            shutil.rmtree(folder, ignore_errors=True)
    made = build()
    if worth(made):
        try:
            with atomic_folder(folder) as temporary:
                save(temporary, made)
        except InputError as error:
            progress.note(f"going on without the decode cache: {error}")
    return made


def _load(folder: Path) -> Decoded:
    """The entry in `folder`; ValueError when its pixels are not those that were written."""
    meta = json.loads((folder / "meta.json").read_text())
    # "c": torch wants memory it may write to; nothing written there reaches the file.
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    digests = pixel_digests(images)
    if combine(digests, None) != meta["fingerprint"]:
        raise ValueError("its pixels have changed")
    return Decoded(images, digests, {str(k): int(v) for k, v in meta["conversions"].items()})


def _save(folder: Path, decoded: Decoded) -> None:
    meta = {"fingerprint": combine(decoded.digests, None), "conversions": decoded.conversions}
    np.save(folder / "images.npy", decoded.images, allow_pickle=False)
    (folder / "meta.json").write_text(canonical_json(meta))
