"""What an extractor says about reference images, kept: the next run on a dataset does not look at them again.

Pattern: as the decode cache (`data.cache`): a folder named by the sha256 of its key, written whole or not at
all, checked on every load and rebuilt when damaged. The key holds the pixels of every image in order, the
extractor's name, weights, resize and precision, and `CACHE_VERSION`. An entry holds the moments, and features
and logits once a metric has asked for them; a request for more than is there computes the entry anew.

Trade-offs: batch size and device are not in the key, for they change the last digits only. Features are
memory-mapped, so a file of them costs address space and not memory. Entries are never evicted. A cache that
cannot be written costs time, not the run: one note, and the result is handed out all the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.hashing import canonical_json, digest, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.data.cache import cache_folder
from benchbench.data.fingerprint import combine_in_order
from benchbench.data.image_stream import ImageStream
from benchbench.data.streams import from_tensors
from benchbench.features.extract import Extracted, extract
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments

CACHE_VERSION = 1
"""Raised whenever the same images would give other features."""


def reference_features(
    images: Tensor | ImageStream,
    extractor: Extractor,
    *,
    need_features: bool,
    need_logits: bool,
    batch_size: int | None = None,
    progress: Progress = SILENT,
    title: str = "reference features",
) -> Extracted:
    """As `extract` of all `images` (uint8 RGB N×3×H×W, or a stream), from the cache where it has them.

    A stream nobody has read yet is read once for its digests, and once more if it has to be shown.
    """
    stream = from_tensors(images) if isinstance(images, Tensor) else images
    stream.look()
    folder = cache_folder() / "reference" / _key(stream.digests, extractor)
    need_logits = need_logits and extractor.n_logits > 0
    try:
        kept = _load(folder, stream.n, extractor)
    except FileNotFoundError:
        kept = None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        progress.note(f"the cache entry {folder} cannot be used ({error}); computing it again")
        shutil.rmtree(folder, ignore_errors=True)
        kept = None
    if kept is not None:
        has_features, has_logits = kept.features is not None, kept.logits is not None
        if has_features >= need_features and has_logits >= need_logits:
            return Extracted(
                kept.moments, kept.features if need_features else None, kept.logits if need_logits else None
            )
        need_features, need_logits = need_features or has_features, need_logits or has_logits

    found = extract(
        stream.batches(batch_size or extractor.batch_size),
        extractor,
        need_features=need_features,
        need_logits=need_logits,
        batch_size=batch_size,
        progress=progress,
        title=title,
        total=stream.n,
    )
    try:
        _save(folder, found)
    except InputError as error:
        progress.note(f"going on without the cache of reference features: {error}")
    return found


def _key(digests: Sequence[bytes], extractor: Extractor) -> str:
    judge = extractor.describe()
    network = [judge[k] for k in ("name", "weights_sha256", "resize", "precision")]
    return digest([CACHE_VERSION, combine_in_order(digests), network])


def _save(folder: Path, found: Extracted) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # an entry that holds less
    with atomic_folder(folder) as temporary:
        found.moments.save(temporary / "moments.npz")
        for name, rows in (("features", found.features), ("logits", found.logits)):
            if rows is not None:
                np.save(temporary / f"{name}.npy", rows.numpy(), allow_pickle=False)
        meta = {file.name: file_sha256(file) for file in sorted(temporary.iterdir())}
        (temporary / "meta.json").write_text(canonical_json(meta))


def _load(folder: Path, n: int, extractor: Extractor) -> Extracted:
    """The entry in `folder`; FileNotFoundError where there is none, ValueError where it is damaged."""
    meta: dict[str, str] = json.loads((folder / "meta.json").read_text())
    for name, sha256 in meta.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise ValueError(f"{name} is not what was written")
    moments = Moments.load(folder / "moments.npz")
    rows: dict[str, Tensor] = {}
    for name, width in (("features", extractor.dim), ("logits", extractor.n_logits)):
        if f"{name}.npy" in meta:
            # "c": torch wants memory it may write to; nothing written there reaches the file.
            array = np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            if array.shape != (n, width) or array.dtype != np.float32:
                raise ValueError(f"{name} have shape {array.shape} and not {(n, width)}")
            rows[name] = torch.from_numpy(array)
    if moments.n != n or moments.dim != extractor.dim:
        raise ValueError(f"the moments are of {moments.n} images and not of {n}")
    return Extracted(moments, rows.get("features"), rows.get("logits"))
