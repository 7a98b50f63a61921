"""What an evaluation is of and against: the images to be judged, and the reference they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from benchbench.core.arrays import tensor_of
from benchbench.core.errors import InputError
from benchbench.core.hashing import digest, file_sha256
from benchbench.core.progress import SILENT, Progress
from benchbench.data.catalogue import load_split
from benchbench.data.dataset import Dataset
from benchbench.data.pipeline.fingerprint import combine_in_order
from benchbench.data.pipeline.streams import (
    ImageStream,
    from_dataset,
    from_tensors,
    is_photos,
    is_split,
    open_images,
)
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import folder_name, parse_spec
from benchbench.features.extractor import Extractor
from benchbench.features.moments import Moments
from benchbench.features.statistics_file import (
    Statistics,
    holds_statistics,
    load_statistics,
    statistics_beside_images,
)
from benchbench.metrics.metric import Metric
from benchbench.runner.drawn import Drawing, draws, stream_of

Held = ImageStream | Tensor | Iterable[Tensor] | Drawing
Samples = Held | str | Path


class InMemory(NamedTuple):
    """The images of an evaluation that no text names; None for a side that its spec names."""

    images: Held | None = None
    reference: Held | None = None

    @classmethod
    def of(cls, images: Samples, reference: Samples) -> InMemory:
        """The sides of these two that are in memory."""
        return cls(*(None if isinstance(side, str | Path) else side for side in (images, reference)))


BOTH_NAMED = InMemory()


def named(side: Samples) -> str | None:
    """The text that names these images; None for images in memory."""
    return str(side) if isinstance(side, str | Path) else None


def open_samples(
    images: Samples, options: SourceOptions | None = None, progress: Progress = SILENT
) -> ImageStream:
    """The images to be scored: what `data.pipeline.streams.open_images` takes, uint8 tensors N×3×H×W, called
    "images", or a generator in memory.

    options.samples: the first so many, in the order of the source (of file names, for files); for a generator, how many
    to make; for an iterator it has to be given. `InputError` says what is wrong.
    """
    options = options or SourceOptions()
    samples = options.samples
    if samples is not None and samples < 1:
        raise InputError(f"--samples {samples} is not possible; use 2 or more")
    if isinstance(images, str | Path):
        spec = parse_spec(str(images), options.kind)
        if spec.kind == "torchscript":
            return open_images(spec, options, progress=progress)
        stream = open_images(spec, replace(options, samples=None), progress=progress)
        if spec.kind == "npz" and statistics_beside_images(spec.path):
            stream.note("its mu and sigma were left aside: samples are scored by their images")
    else:
        if draws(images):
            return stream_of(images, options)  # type: ignore[arg-type]  # as `draws` says
        if options.size is not None:
            raise InputError("a size is for files and datasets; bring images in memory to one size yourself")
        for name in ("kind", "latent", "classes"):
            if getattr(options, name) is not None:
                raise InputError(
                    f"{name} is for images that a text names; these are in memory, so leave it out"
                )
        stream = _in_memory(images, "images", samples)
    return stream if samples is None else stream.first(samples)


def generator_sha256(images: str | None, kind: str | None) -> str | None:
    """Of the file of a generator that `images` names, None for what is none."""
    if images is None:
        return None
    spec = parse_spec(images, kind)
    return file_sha256(spec.path) if spec.kind == "torchscript" else None


@dataclass(frozen=True)
class Reference:
    """What samples are held against: images, the statistics of some, or both, as ADM's reference batches have them:
    then Fréchet distances are against the statistics and everything else against the images.

    name: of the dataset where this is its training split, so that such numbers stand beside those of `run`.
    images, statistics: None where there are none. dataset: of which this is a split. held_out: the other split where
    this is a training split. fingerprint: of the whole dataset then, else of the images or the file.
    """

    name: str
    images: ImageStream | None
    statistics: Statistics | None = None
    dataset: Dataset | None = None
    held_out: ImageStream | None = None

    @property
    def n(self) -> int | None:
        """How many images it holds, or its statistics are of; None for statistics that do not say."""
        if self.images is not None:
            return self.images.n
        return None if self.statistics is None else self.statistics.n

    def moments(self, extractor: Extractor) -> Moments | None:
        """What its statistics say of this network's features; None where there are none."""
        return None if self.statistics is None else self.statistics.of(extractor)

    def told(self, metric: Metric, loaded: Mapping[str, Extractor]) -> Moments | None:
        """What its statistics say to a metric that reads no more of it; None where its images do."""
        extractor = loaded.get(metric.extractor or "")
        return None if extractor is None or "moments" not in metric.needs else self.moments(extractor)

    @property
    def imported(self) -> bool:
        """Whether it is statistics that other software made."""
        return self.statistics is not None and self.statistics.extractor is None

    @property
    def fingerprint(self) -> str:
        """As run.json has it under data.fingerprint; that of images is known after a complete pass."""
        if self.statistics is not None:
            return self.identity if self.images else self.statistics.fingerprint or self.statistics.sha256
        assert self.images is not None
        if self.dataset is not None and self.held_out is not None:
            return self.dataset.fingerprint
        return self.images.fingerprint

    @property
    def identity(self) -> str:
        """What the numbers depend on: the pixels in their order, or the file."""
        pixels = [] if self.images is None else [combine_in_order(self.images.digests)]
        file = [] if self.statistics is None else [self.statistics.sha256]
        return digest([*pixels, *file]) if pixels and file else (*pixels, *file)[0]

    @property
    def notes(self) -> list[str]:
        """What a reader of the record should know."""
        notes = [] if self.images is None else list(self.images.notes)
        if self.statistics is not None and self.imported:
            notes.append(
                f"{self.statistics.path.name} is imported: which network and resize made its mu and sigma, and of how "
                "many images, is not known"
            )
        if self.statistics is not None and self.images is not None:
            notes.append(
                f"Fréchet distances are against the mu and sigma in {self.statistics.path.name}, everything else "
                f"against the {self.images.n:,} images in it"
            )
        return notes


def open_reference(
    reference: Samples, options: SourceOptions | None = None, progress: Progress = SILENT
) -> Reference:
    """The reference that a spec names (`open_images`), an .npz of statistics, or images in memory."""
    if not isinstance(reference, str | Path):
        if isinstance(reference, Iterator):
            raise InputError("the reference is read more than once; give a tensor or a list of tensors")
        stream = _in_memory(reference, "reference", None)
        if stream.once:
            raise InputError("the reference is read more than once; give a tensor or a list of tensors")
        return Reference(stream.name, stream)
    spec, options = parse_spec(str(reference)), options or SourceOptions()
    if is_split(spec) and not (options.any_size and is_photos(spec)):
        dataset, split = load_split(spec, options, progress)
        images = from_dataset(dataset, split)
        if split != "train":
            return Reference(images.name, images, dataset=dataset)
        return Reference(dataset.name, images, dataset=dataset, held_out=from_dataset(dataset, "held_out"))
    if spec.kind == "npz" and holds_statistics(spec.path):
        statistics = load_statistics(spec.path)
        name = statistics.name or folder_name("statistics", spec.path)
        return Reference(name, None, statistics)
    stream = open_images(spec, options, progress=progress)
    beside = spec.kind == "npz" and statistics_beside_images(spec.path)
    return Reference(stream.name, stream, load_statistics(spec.path) if beside else None)


def _in_memory(images: Held, name: str, samples: int | None) -> ImageStream:
    if isinstance(images, ImageStream):
        return images
    if hasattr(images, "__array__") and not isinstance(images, Tensor):
        raise InputError(
            f"{name} are a {type(images).__name__}; give a uint8 tensor N×3×H×W "
            "(torch.from_numpy(array).permute(0, 3, 1, 2) for N×H×W×3), or a list of arrays H×W×3"
        )
    if not isinstance(images, Iterable) or isinstance(images, Mapping | Set | bytes | bytearray):
        raise InputError(
            f"{name} are {_a(images)}, and no images: give what names them as text, a uint8 tensor N×3×H×W, or "
            "several of these"
        )
    if samples is None and not isinstance(images, Tensor | Sequence):
        raise InputError(f"{name} come from {_a(images)}, whose end nobody sees: pass samples=N")
    if isinstance(images, list | tuple):
        images = [_batch(part, f"{name}[{i}]") for i, part in enumerate(images)]
    return from_tensors(images, name, n=samples, in_memory=True)


def _batch(part: Any, what: str) -> Any:
    """A tensor as it is, which others judge; an array of NumPy's kind, H×W×3, H×W or several of the former, as uint8
    N×3×H×W. Where a shape could be read both ways, the channels are last, as in files of arrays."""
    if isinstance(part, Tensor) or not hasattr(part, "__array__"):
        return part
    array = tensor_of(part, what)
    if array.ndim == 2:
        return array.expand(1, 3, *array.shape)
    array = array[None] if array.ndim == 3 else array
    return array.permute(0, 3, 1, 2) if array.ndim == 4 and array.shape[3] == 3 else array


def _a(thing: object) -> str:
    """The type of a thing, with its article: "a generator", "an int"."""
    kind = type(thing).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"
