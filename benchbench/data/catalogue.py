"""Images by what a user writes: a registered dataset (`digits`, `mnist`, a plugin's) or files (`folder:PATH`, `a.npz`).

What can be written is `sources.spec`; which source then opens it is here. What stands behind a registered name
(entry-point group `benchbench.datasets`) is a class without arguments that satisfies `Source`. A plugin author writes
one like this:

    class Blobs:
        \"\"\"Coloured blobs on white, 1,000 images.\"\"\"        # what `benchbench list datasets` shows

        reference = "Doe, Blobs (2024), https://example.org/blobs"
        licence = "CC0"

        def load(self, size: int | None, progress: Progress) -> Dataset:
            images = draw_blobs(size or 32)                   # uint8 N×3×H×W
            decoded = Decoded(images, pixel_digests(images), {})
            return assemble("blobs", [decoded], [None], source={"kind": "generated", "size": size or 32})

`data.pipeline.assemble` splits what has no split and computes the fingerprints. A source of two domains of images, such
as `openmoji-lines`, returns `Domains`: `load_domains` hands them out, and `load_dataset` pools them, labelled by
domain, if neither is styles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Protocol

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import DATASETS
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.data.photos import Photos
from benchbench.data.sources.archives import ZipSource
from benchbench.data.sources.arrays import NpySource, NpzSource
from benchbench.data.sources.arrow import ArrowSource
from benchbench.data.sources.cifar import CifarSource
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.hdf5 import Hdf5Source
from benchbench.data.sources.idx import IdxSource
from benchbench.data.sources.layout import HELD_OUT, TRAIN, splits_or_alike
from benchbench.data.sources.lmdb import LmdbSource
from benchbench.data.sources.mat import MatSource
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.paired_folder import PairsSource, open_folder
from benchbench.data.sources.parquet import ParquetSource
from benchbench.data.sources.spec import SourceSpec, parse_spec
from benchbench.data.sources.webdataset import WebdatasetSource

FILES: dict[str, Callable[[SourceSpec, SourceOptions], FileSource]] = {
    "folder": open_folder,
    "zip": ZipSource,
    "npz": NpzSource,
    "npy": NpySource,
    "parquet": ParquetSource,
    "pairs": PairsSource,
    "webdataset": WebdatasetSource,
    "arrow": ArrowSource,
    "cifar": CifarSource,
    "idx": IdxSource,
    "mat": MatSource,
    "hdf5": Hdf5Source,
    "lmdb": LmdbSource,
}
"""What opens each kind of files that has two splits, or can be cut in halves."""


class Source(Protocol):
    """What stands behind a registered name, a class without arguments. The first line of its docstring is what lists
    show. A source that may need the network says `downloads = True`.

    Attributes:
        reference: What to cite.
        licence: Under what terms the images are.
    """

    reference: ClassVar[str]
    licence: ClassVar[str]

    def load(self, size: int | None, progress: Progress) -> Dataset | Domains:
        """Read, make or decode the images.

        Args:
            size: The side in pixels that is asked for; None for the source's own.
            progress: Who is told how far it is.

        Returns:
            The dataset, or its two domains.

        Raises:
            InputError: The source has no such size, or its images cannot be had.
        """


def load_dataset(spec: str, *, size: int | None = None, progress: Progress = SILENT) -> Dataset:
    """The dataset that `spec` names, two domains pooled; `InputError` if there is none or it cannot be used, as
    contents and styles cannot: the styles are in both splits.

    size: the side in pixels. Sources that can render at any size do; images of a given size are cropped
    to the centred square and resized by Pillow's LANCZOS filter, and the notes say so. None keeps the
    source's own.
    """
    named = _both_splits(spec)
    return _one(named, _load(named, SourceOptions(size=size), progress))


def load_domains(spec: str, *, size: int | None = None, progress: Progress = SILENT) -> Domains:
    """The two domains that `spec` names, sized as in `load_dataset`; `InputError` also if it has one only."""
    named = _both_splits(spec)
    return _two(named, _load(named, SourceOptions(size=size), progress))


def load_split(spec: SourceSpec, options: SourceOptions, progress: Progress = SILENT) -> tuple[Dataset, str]:
    """The dataset of which `spec` names a split, and which: "train" where it names none. Of two domains, the one that
    it names, else both, pooled."""
    split = spec.split or "train"
    if not spec.side:
        return _one(spec, _load(spec, options, progress)), split
    domains = _two(spec, _load(spec, options, progress))
    side = domains.a if spec.side == "A" else domains.b
    return replace(
        side, name=f"{domains.name}-{side.name}", notes=domains.notes, source=domains.source
    ), split


def load_photos(spec: SourceSpec, options: SourceOptions, progress: Progress = SILENT) -> Photos:
    """The photographs that a registered name stands for: those that are tested on, unless `spec` names their training
    part; `InputError` where there is none."""
    sides: tuple[Photos | None, Photos] = DATASETS.make(spec.where).photos(options.size, progress)
    train, test = sides
    if spec.split != "train":
        return test
    if train is None:
        raise InputError(
            f"{spec.where} has no part to be learned from, as {spec.text} says; write {spec.where}"
        )
    return train


def _one(spec: SourceSpec, found: Dataset | Domains) -> Dataset:
    if not isinstance(found, Domains):
        return found
    if found.styles:
        raise InputError(
            f"{spec.text} holds contents and styles, not one set of images; use it with nst, fast-style or identity"
        )
    return found.pooled()


def _two(spec: SourceSpec, found: Dataset | Domains) -> Domains:
    if not isinstance(found, Domains):
        raise InputError(
            f"{spec.text} has one domain of images, two are needed; openmoji-lines, openmoji-tones and photographs "
            "have two, and so have folder:PATH with trainA/, trainB/, testA/ and testB/, and pairs:PATH with "
            "side-by-side pairs"
        )
    return found


def _both_splits(text: str) -> SourceSpec:
    """What `text` names, where a model is to learn from one split and be held against the other."""
    spec = parse_spec(text)
    if spec.split is not None:
        whole = text.rpartition(":")[0]
        raise InputError(f"{text} is one split of a dataset, and a run needs both: write {whole}")
    return spec


def _load(spec: SourceSpec, options: SourceOptions, progress: Progress) -> Dataset | Domains:
    if spec.kind == "dataset":
        source: Source = DATASETS.make(spec.where)
        return source.load(options.size, progress)
    files = open_files(spec, options)
    _check_part(spec, files)
    return files.load(progress)


def _check_part(spec: SourceSpec, source: FileSource) -> None:
    """`InputError` where `spec` names a held-out part that is there and is not the one that counts."""
    if spec.part in ("", TRAIN, "test"):
        return
    titles = {title.rpartition("/")[2]: title for title in source.splits()}
    of = splits_or_alike(titles, spec.where).of
    kinds = {kind: titles[own] for (kind, _), own in of.items()}
    counts = next((kind for kind in HELD_OUT if kind in kinds), spec.part)
    if counts != spec.part:
        raise InputError(
            f"{spec.text}: the held-out part of {spec.where} is {kinds[counts]}; for other images name their own "
            "folder or file"
        )


def open_files(spec: SourceSpec, options: SourceOptions) -> FileSource:
    """The files that `spec` names, unread; `InputError` if they are not there or of another kind."""
    if spec.kind not in FILES:
        raise InputError(
            f"{spec.text} is a generator, not a dataset; `benchbench evaluate` scores what it makes"
        )
    return FILES[spec.kind](spec, options)
