"""Images that others made, wherever they are: the sources behind `benchbench evaluate`.

`open_images` takes

    PATH/                     a folder of image files, searched through, in the order of relative POSIX names
    PATH.zip                  the same in an archive, read in place (`data.archives`)
    PATH.npz, PATH.npy        uint8 arrays (`data.arrays`)
    PATH.parquet              encoded images in a column (`data.parquet`)
    NAME[:train|:held_out]    a dataset (`data.catalogue`); "test" is another word for held_out
    PATH.ts, PATH.pt          a TorchScript generator, with kind="torchscript" (`data.torchscript`)

and `from_tensors` what is in memory. A dataset's name goes before a file or folder of that name in the
working directory; write ./NAME for those. What a header or a directory tells is judged before the first image
is read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchbench.core.errors import InputError, unknown_name
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import DATASETS
from benchbench.data import parquet
from benchbench.data.archives import open_zip
from benchbench.data.arrays import ArrayImages, open_npy, open_npz
from benchbench.data.assemble import resolve_labels
from benchbench.data.blocks import (
    Block,
    batch_name,
    check_tensor,
    decoded_blocks,
    rows_per_block,
    tensor_blocks,
)
from benchbench.data.catalogue import LARGEST, PATHS, folder_name, load_dataset
from benchbench.data.dataset import Dataset
from benchbench.data.folder import SUFFIXES, left_aside, list_images
from benchbench.data.image_stream import ImageStream, pairs
from benchbench.data.torchscript import ScriptedGenerator

__all__ = ["ImageStream", "dataset_spec", "from_dataset", "from_tensors", "open_images", "pairs"]

BY_SUFFIX = {".zip": "zip", ".npz": "npz", ".npy": "npy", ".parquet": "parquet"}
KINDS = ("folder", *BY_SUFFIX.values(), "torchscript", "dataset")
SPLITS = {"train": "train", "held_out": "held_out", "test": "held_out"}


def open_images(
    spec: str,
    *,
    kind: str | None = None,
    latent: int | None = None,
    samples: int | None = None,
    classes: int | None = None,
    seed: int = 0,
    size: int | None = None,
    allow_pickle: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = SILENT,
) -> ImageStream:
    """The images that `spec` names; `InputError` if there are none or they cannot be used.

    kind: one of `KINDS`, None to tell it from `spec`. size: bring all images to size×size (shorter side by
    Pillow's LANCZOS filter, then a centre crop). allow_pickle: read arrays of pickled objects, which can run
    code. latent, samples, classes, seed, device: see `ScriptedGenerator`. progress: shown while a dataset is
    loaded.
    """
    kind = kind or _kind(spec)
    if kind not in KINDS:
        raise unknown_name("kind of images", kind, KINDS)
    if kind != "torchscript" and (latent, samples, classes) != (None, None, None):
        raise InputError(f"--latent, --samples and --classes are for a generator, but {spec} is a {kind}")
    if size is not None and not 1 <= size <= LARGEST:
        raise InputError(f"size {size} is not a side in pixels between 1 and {LARGEST}")
    if kind == "dataset":
        return _open_dataset(spec, size, progress)
    path = Path(spec).expanduser()
    if not path.exists():
        raise InputError(f"{spec} is not there")
    if path.is_dir() != (kind == "folder"):
        raise InputError(f"{spec} is a {'folder' if path.is_dir() else 'file'}, which cannot be a {kind}")
    name = folder_name(kind, path if kind == "folder" else path.with_suffix(""))
    if kind == "folder":
        return _open_folder(path, name, size)
    if kind == "zip":
        return _open_zip(path, name, size)
    if kind == "parquet":
        return _open_parquet(path, name, size)
    if kind == "torchscript":
        if latent is None or samples is None:
            raise InputError(
                f"a generator needs --latent (its latent size) and --samples to make from {spec}"
            )
        generator = ScriptedGenerator(
            path, latent=latent, samples=samples, classes=classes, seed=seed, device=device
        )
        return _from_generator(generator, name, size)
    return _from_arrays(
        open_npz(path, allow_pickle) if kind == "npz" else open_npy(path, allow_pickle), name, size
    )


def from_tensors(
    images: Tensor | Iterable[Tensor],
    name: str = "images",
    *,
    n: int | None = None,
    labels: Tensor | None = None,
) -> ImageStream:
    """Images in memory: uint8 N×3×H×W, one tensor or several. `InputError` says what they are instead.

    n: the number of images; needed where `images` is an iterator, whose end nobody can see (and which can be
    read only once). labels: int64 (n,).
    """
    if isinstance(images, Tensor):
        images = [images]
    if isinstance(images, Sequence):
        for i, batch in enumerate(images):
            check_tensor(batch, batch_name(name, i, len(images)))
        n = sum(len(batch) for batch in images)
    if n is None:
        raise InputError(f"{name} is an iterator: pass n, the number of images it yields")
    if n == 0:
        raise InputError(f"{name} holds no images")
    if labels is not None and labels.shape != (n,):
        raise InputError(f"{name} has {n} images but labels of shape {tuple(labels.shape)}")
    once = isinstance(images, Iterator)
    total = len(images) if isinstance(images, Sequence) else None
    return ImageStream(name, n, partial(tensor_blocks, images, name, total), labels=labels, once=once)


def _kind(spec: str) -> str:
    if dataset_spec(spec) is not None:
        return "dataset"
    path = Path(spec).expanduser()
    if path.is_dir():
        return "folder"
    suffix = path.suffix.lower()
    if not path.exists():
        raise InputError(
            f"{spec} is neither a file nor a folder nor a dataset (datasets: {', '.join(DATASETS.names())})"
        )
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if suffix in (".ts", ".pt", ".pth"):
        raise InputError(
            f"{spec} may be a generator: if it is TorchScript, "
            "pass --kind torchscript with --latent and --samples"
        )
    if suffix in SUFFIXES:
        raise InputError(f"{spec} is a single image; give the folder it is in")
    raise InputError(f"{spec} is no source of images: give a folder or a file in {', '.join(BY_SUFFIX)}")


def dataset_spec(spec: str) -> tuple[str, str] | None:
    """(dataset, split) if `spec` names a dataset; `InputError` if it names one with an unknown split."""
    known = DATASETS.names()
    base, colon, title = spec.rpartition(":")
    if base in known and title not in SPLITS:
        raise unknown_name(f"split of {base}", title, SPLITS)
    if not colon or title not in SPLITS:
        base, title = spec, "train"
    return (base, SPLITS[title]) if base in known or base.partition(":")[0] in PATHS else None


def _open_dataset(spec: str, size: int | None, progress: Progress) -> ImageStream:
    found = dataset_spec(spec)
    if found is None:
        raise unknown_name("dataset", spec, DATASETS.names())
    return from_dataset(load_dataset(found[0], size=size, progress=progress), found[1])


def from_dataset(dataset: Dataset, title: str) -> ImageStream:
    """One split of a dataset, "train" or "held_out"."""
    split = dataset.held_out if title == "held_out" else dataset.train
    name = f"{dataset.name}-{title}"
    return ImageStream(
        name,
        len(split),
        partial(tensor_blocks, [split.images], name, 1),
        labels=split.labels,
        notes=dataset.notes,
        fingerprint=split.fingerprint,
    )


def _open_folder(path: Path, name: str, size: int | None) -> ImageStream:
    listing = list_images(path)
    return ImageStream(
        name,
        len(listing.names),
        lambda: decoded_blocks(listing.items(), size),
        names=listing.names,
        notes=listing.notes,
    )


def _open_zip(path: Path, name: str, size: int | None) -> ImageStream:
    archive = open_zip(path)
    return ImageStream(
        name,
        len(archive.names),
        lambda: decoded_blocks(archive.items(), size),
        names=archive.names,
        notes=left_aside(archive.others, path.name),
    )


def _open_parquet(path: Path, name: str, size: int | None) -> ImageStream:
    part = parquet.read_part([path], path.name)
    _, (labels,) = resolve_labels([part])

    return ImageStream(
        name,
        part.total,
        lambda: decoded_blocks(part.items(), size),
        labels=None if labels is None else torch.tensor(labels, dtype=torch.int64),
    )


def _from_arrays(arrays: ArrayImages, name: str, size: int | None) -> ImageStream:
    def blocks() -> Generator[Block, None, None]:
        with closing(arrays.blocks(rows_per_block(arrays.height, arrays.width))) as parts:
            for part in parts:
                yield Block(part, name, [("grey",)] * len(part) if arrays.grey else ()).resized(size)

    labels = None if arrays.labels is None else torch.from_numpy(arrays.labels)
    return ImageStream(name, arrays.n, blocks, labels=labels, notes=arrays.notes)


def _from_generator(generator: ScriptedGenerator, name: str, size: int | None) -> ImageStream:
    def blocks() -> Generator[Block, None, None]:
        with closing(generator.images()) as parts:
            for part in parts:
                yield Block(part.numpy(), name).resized(size)

    own_noise = "the generator draws noise of its own: the seed does not fix its images"
    return ImageStream(
        name,
        generator.samples,
        blocks,
        labels=generator.labels(),
        notes=[] if generator.repeats_itself() else [own_noise],
    )
