"""Images that others made, wherever they are: the streams behind `benchbench evaluate`.

`open_images` takes what `data.sources.spec` describes. Where a split is named, that of the dataset is handed out, as
`run` on the same source has it; a registered dataset and pairs without one are their training split, and files are all
images that there are. `from_tensors` takes what is in memory. What a header or a directory tells is judged before the
first image is read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial

import torch
from torch import Tensor

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.core.registry import DATASETS
from benchbench.data.catalogue import load_photos, load_split, open_files
from benchbench.data.dataset import Dataset
from benchbench.data.photos import Photos
from benchbench.data.pipeline.blocks import Block, batch_name, check_tensor, tensor_blocks
from benchbench.data.pipeline.image_source import Images, chosen, pieces, size_of
from benchbench.data.pipeline.image_stream import ImageStream, Pairs, pairs
from benchbench.data.pipeline.kinds import Kinds, by_number
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec, parse_spec
from benchbench.data.sources.torchscript import ScriptedGenerator

__all__ = [
    "ImageStream",
    "Pairs",
    "from_dataset",
    "from_images",
    "from_photos",
    "from_tensors",
    "is_photos",
    "is_split",
    "open_images",
    "pairs",
]


def open_images(
    spec: str | SourceSpec, options: SourceOptions | None = None, *, progress: Progress = SILENT
) -> ImageStream:
    """The images that `spec` names; `InputError` if there are none or they cannot be used.

    progress: shown while a dataset is loaded.
    """
    options = options or SourceOptions()
    if isinstance(spec, str):
        spec = parse_spec(spec, options.kind)
    if spec.kind == "torchscript":
        return _from_generator(spec, options)
    if (options.latent, options.samples, options.classes) != (None, None, None):
        raise InputError(
            f"--latent, --samples and --classes are for a generator, but {spec.text} is a {spec.kind}"
        )
    if options.any_size and is_photos(spec):
        return from_photos(load_photos(spec, options, progress), spec.name)
    if is_split(spec):
        return from_dataset(*load_split(spec, options, progress))
    return open_files(spec, options).stream()


def is_split(spec: SourceSpec) -> bool:
    """Whether it names one split of a dataset, and not all images of some files."""
    return spec.split is not None or spec.kind in ("dataset", "pairs")


def is_photos(spec: SourceSpec) -> bool:
    """Whether it names registered photographs, which have sizes of their own."""
    return spec.kind == "dataset" and hasattr(DATASETS.get(spec.where), "photos")


def from_tensors(
    images: Tensor | Iterable[Tensor],
    name: str = "images",
    *,
    n: int | None = None,
    labels: Tensor | None = None,
    in_memory: bool = False,
) -> ImageStream:
    """Images in memory: uint8 N×3×H×W, one tensor or several. `InputError` says what they are instead.

    n: the number of images; needed where `images` is an iterator, whose end nobody can see (and which can be
    read only once). labels: int64 (n,). in_memory: whether a caller in Python is told so where sizes differ.
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
    blocks = partial(tensor_blocks, images, name, total)
    return ImageStream(name, n, blocks, labels=labels, once=once, in_memory=in_memory)


def from_images(
    images: Images,
    name: str = "images",
    *,
    labels: Tensor | None = None,
    classes: Sequence[str] = (),
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    fingerprint: str | None = None,
) -> ImageStream:
    """Images in memory, or those of a source, which are read as they are asked for. classes: what labels are called.
    The rest as in `ImageStream`."""
    known = None if isinstance(images, Tensor) else images.digests
    return ImageStream(
        name,
        len(images),
        partial(_blocks, images, name),
        labels=labels,
        kinds=None if labels is None or not classes else lambda: Kinds(classes, labels),
        names=names,
        pick=partial(_chosen_blocks, images, name),
        notes=notes,
        fingerprint=fingerprint,
        digests=known,
        sizes=None if known is None else [size_of(images)] * len(images),
    )


def from_dataset(dataset: Dataset, title: str) -> ImageStream:
    """One split of a dataset, "train" or "held_out"."""
    split = dataset.held_out if title == "held_out" else dataset.train
    return from_images(
        split.images,
        f"{dataset.name}-{title}",
        labels=split.labels,
        classes=dataset.classes,
        names=split.names,
        notes=dataset.notes,
        fingerprint=split.fingerprint,
    )


def from_photos(photos: Photos, name: str) -> ImageStream:
    """Photographs at their own sizes."""

    def pick(rows: Sequence[int]) -> Generator[Block, None, None]:
        return (Block(photos.image(row).numpy(), photos.names[row]) for row in rows)

    return ImageStream(
        name,
        len(photos),
        lambda: pick(range(len(photos))),
        names=photos.names,
        pick=pick,
        notes=photos.notes,
        digests=photos.digests,
        sizes=photos.sizes,
    )


def _blocks(images: Images, name: str) -> Generator[Block, None, None]:
    if isinstance(images, Tensor):
        yield from tensor_blocks([images], name, 1)
    else:
        yield from (Block(piece.numpy(), name) for piece in pieces(images))


def _chosen_blocks(images: Images, name: str, rows: Sequence[int]) -> Generator[Block, None, None]:
    return _blocks(chosen(images, torch.tensor(rows, dtype=torch.int64)), name)


def _from_generator(spec: SourceSpec, options: SourceOptions) -> ImageStream:
    path = spec.path
    if options.latent is None or options.samples is None:
        raise InputError(
            f"a generator needs --latent (its latent size) and --samples to make from {spec.where}"
        )
    generator = ScriptedGenerator(
        path,
        latent=options.latent,
        samples=options.samples,
        classes=options.classes,
        seed=options.seed,
        device=options.device,
        trusted=options.allow_pickle,
    )

    def blocks() -> Generator[Block, None, None]:
        with closing(generator.images()) as parts:
            for part in parts:
                yield Block(part.numpy(), spec.name).resized(options.size)

    labels = generator.labels()
    return ImageStream(
        spec.name,
        generator.samples,
        blocks,
        labels=labels,
        kinds=lambda: by_number(labels, options.classes or 0),
        notes=generator.notes,
        varies=True,
    )
