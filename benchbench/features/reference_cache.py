"""What an extractor says about reference images, kept: the next run on a dataset does not look at them again.

Pattern: as the decode cache (`data.pipeline.cache`): a folder named by the sha256 of its key, written whole or not at
all, checked on every load and rebuilt when damaged. The key holds the pixels of every image in order, the
extractor's name, weights, resize and precision, and `CACHE_VERSION`. An entry holds the moments, and features
and logits where they take no more than `KEPT_BYTES` or once a metric has asked for them; a request for more than is
there computes the entry anew. A pass that is killed goes on where it was (`features.reference_parts`).

Trade-offs: batch size and device are not in the key, for they change the last digits only. Features are
memory-mapped, so a file of them costs address space and not memory. Entries are never evicted. A cache that
cannot be written costs time, not the run: one note, and the result is handed out all the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_folder
from benchbench.core.folders import cache_folder
from benchbench.core.hashing import canonical_json, digest, file_sha256
from benchbench.core.progress import Progress
from benchbench.core.reading import read_text
from benchbench.core.runtime import HERE, Runtime
from benchbench.core.shares import spent_on
from benchbench.data.pipeline.cache import UNUSABLE, map_array, set_aside
from benchbench.data.pipeline.fingerprint import combine_in_order
from benchbench.data.pipeline.image_source import Images
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.pipeline.streams import from_images
from benchbench.features.extract import Extracted, Reader, extract_for
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments
from benchbench.features.reference_parts import Parts

CACHE_VERSION = 1
"""Raised whenever the same images would give other features."""

KEPT_BYTES = 2**30
"""Of features and logits, which are kept up to here though nobody asked for them yet: the next question about the same
images is then no pass of its own."""


def reference_features(
    images: Images | ImageStream,
    extractor: Extractor,
    *,
    need_features: bool,
    need_logits: bool,
    runtime: Runtime = HERE,
    title: str = "reference features",
) -> Extracted:
    """As `extract` of all `images` (uint8 RGB N×3×H×W, a source, or a stream), from the cache where it has them.

    A stream nobody has read yet is read once for its digests, and once more if it has to be shown.
    """
    asked = [(extractor, need_features, need_logits)]
    return reference_features_of(images, asked, runtime, title)[0]


def reference_features_of(
    images: Images | ImageStream,
    asked: Sequence[tuple[Extractor, bool, bool]],
    runtime: Runtime = HERE,
    title: str = "reference features",
) -> list[Extracted]:
    """`reference_features` of several extractors whom one forward pass serves: (extractor, need_features, need_logits),
    the one that makes the pass first. What the cache has of one, for every rank, is not computed again."""
    comm, progress = runtime.comm, runtime.progress
    stream = images if isinstance(images, ImageStream) else from_images(images)
    stream.scan(comm=comm)
    found: dict[str, Extracted] = {}
    readers: list[Reader] = []
    places: dict[str, Path] = {}
    for extractor, need_features, need_logits in asked:
        folder = cache_folder() / "reference" / _key(stream.digests, extractor)
        need_logits = need_logits and extractor.n_logits > 0
        kept = _kept(folder, stream.n, extractor, progress)
        # Ranks may have caches of their own.
        held = comm.gather(
            None if kept is None else (kept.features is not None, kept.logits is not None, _bits(kept))
        )
        has_features, has_logits = (all(own is not None and own[i] for own in held) for i in (0, 1))
        kept = None if None in held or len({own[2] for own in held if own is not None}) > 1 else kept
        if kept is not None and has_features >= need_features and has_logits >= need_logits:
            found[extractor.name] = kept
            continue
        cheap = 4 * stream.n * (extractor.dim + extractor.n_logits) <= KEPT_BYTES
        more = {
            "need_features": cheap or need_features or has_features,
            "need_logits": cheap or need_logits or has_logits,
        }
        readers.append(Reader(extractor, **more))
        places[extractor.name] = folder
    alone = readers and readers[0].extractor is not asked[0][0]  # whose pass the others read is there already
    for some in [[reader] for reader in readers] if alone else [readers] if readers else []:
        size = runtime.batch(some[0].extractor.batch_size)
        parts = Parts(some, [places[reader.extractor.name] for reader in some], stream.n, progress)
        seen = extract_for(some, stream.share(size, comm), runtime, title, stream.n, parts)
        found |= {reader.extractor.name: own for reader, own in zip(some, seen, strict=True)}
        for reader in some if comm.rank == 0 else ():
            try:
                with spent_on("cache of reference features"):
                    _save(places[reader.extractor.name], found[reader.extractor.name])
            except InputError as error:
                progress.note(f"going on without the cache of reference features: {error}")
        parts.clear()
    return [_of(found[extractor.name], features, logits) for extractor, features, logits in asked]


def _of(found: Extracted, features: bool, logits: bool) -> Extracted:
    """What was asked for of what is there."""
    return Extracted(found.moments, found.features if features else None, found.logits if logits else None)


def _kept(folder: Path, n: int, extractor: Extractor, progress: Progress) -> Extracted | None:
    """What the cache has, None where it has nothing that can be used."""
    if not folder.is_dir():
        return None
    try:
        with spent_on("cache of reference features"):
            return _load(folder, n, extractor)
    except UNUSABLE as error:
        set_aside(folder, error, progress, "computing it again")
        return None


def _bits(found: Extracted) -> str:
    """Tells apart what two machines computed of the same images."""
    return hashlib.sha256(
        found.moments.mean.numpy().tobytes() + found.moments.m2.numpy().tobytes()
    ).hexdigest()


def _key(digests: Sequence[bytes], extractor: Extractor) -> str:
    told = extractor.describe()
    network = [told[k] for k in ("name", "weights_sha256", "resize", "precision")]
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
    """The entry in `folder`. Raises one of `UNUSABLE` where it is damaged."""
    meta: dict[str, str] = json.loads(read_text(folder / "meta.json"))
    for name, sha256 in meta.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise ValueError(f"{name} is not what was written")
    moments = Moments.load(folder / "moments.npz")
    rows: dict[str, Tensor] = {}
    for name, width in (("features", extractor.dim), ("logits", extractor.n_logits)):
        if f"{name}.npy" in meta:
            array = map_array(folder / f"{name}.npy")
            if array.shape != (n, width) or array.dtype != np.float32:
                raise ValueError(f"{name} have shape {array.shape} and not {(n, width)}")
            rows[name] = torch.from_numpy(array)
    if moments.n != n or moments.dim != extractor.dim:
        raise ValueError(f"the moments are of {moments.n} images and not of {n}")
    return Extracted(moments, rows.get("features"), rows.get("logits"))
