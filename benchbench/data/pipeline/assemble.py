"""From files to a `Dataset`: what all sources of encoded images have in common.

A source finds its files and describes each split as a `Part`; this module resolves labels, decodes through
the cache, splits what has no split, and checks that the result is a dataset. Whether its images are in memory or are
read by their numbers (`data.pipeline.reading`) changes nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset, Split
from benchbench.data.pipeline.blocks import Block, decoded_blocks
from benchbench.data.pipeline.cache import Decoded, cached
from benchbench.data.pipeline.class_names import distinct
from benchbench.data.pipeline.decode import Cut, conversion_notes, decode_images, size_of_first
from benchbench.data.pipeline.file_images import Encoded, Pick, Scanned, scan
from benchbench.data.pipeline.fingerprint import combine
from benchbench.data.pipeline.image_source import Images, chosen, size_of
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.pipeline.kinds import Kinds
from benchbench.data.pipeline.splits import halves

T = TypeVar("T")

Labels = Sequence[int] | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Part(ABC):
    """One split, not decoded yet.

    title: "train", "test", … for progress and errors. total: number of images. labels: one an image, indices or names,
    or None. identify: gives what changes when any byte of the files does, JSON-able; it may have to read them. classes:
    names by label index, where the files say so. called: what labels that are texts are called in words, where the
    files say so. notes: what a reader of the record should know of the files. names: relative POSIX names, where the
    images are files. grouped: this part with the labels that it would have if it were all of a dataset, where they are
    no part of what it is: the class folders of images that are read in one. only_whole: why its images cannot be read
    by their numbers, as the end of a sentence; "" where they can.
    """

    title: str
    total: int
    labels: Labels | None
    identify: Callable[[], Any]
    classes: Sequence[str] | None = None
    called: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    names: Sequence[str] | None = None
    grouped: Callable[[], Part | None] | None = None
    only_whole: str = ""

    @cached_property
    def identity(self) -> Any:
        """What `identify` gives."""
        return self.identify()

    def as_identified(self, build: Callable[[], T]) -> T:
        """What `build` makes of the files; `InputError` names what changed since they were identified: nothing is kept
        under the identity of other files."""
        before, made = self.identity, build()
        if (now := self.identify()) != before:
            what = _changed(before, now, self.title)
            raise InputError(f"{what} while it was read; leave the files alone and start again")
        return made

    @abstractmethod
    def blocks(self, size: int | None) -> Generator[Block, None, None]:
        """Starts a pass over the images, brought to size×size unless it is None."""

    @abstractmethod
    def decode(self, size: int | None, progress: Progress = SILENT) -> Decoded:
        """All images, brought to size×size unless it is None; from the decode cache where possible."""

    @abstractmethod
    def native_size(self) -> tuple[int, int]:
        """(H, W) of the first image that can be used, (0, 0) where none can."""

    def scan(self, size: int | None, progress: Progress = SILENT) -> Scanned:
        """All images seen once, and from then on read by their numbers; only where nothing is `only_whole`."""
        raise InputError(f"the images of {self.title} cannot be read one by one: {self.only_whole}")

    def stream(self, name: str, size: int | None, notes: Sequence[str] = ()) -> ImageStream:
        """The images as they are decoded, called `name`."""
        _, (labels,) = resolve_labels([self])
        return ImageStream(
            name,
            self.total,
            lambda: self.blocks(size),
            labels=None if labels is None else torch.tensor(labels, dtype=torch.int64),
            kinds=self.kinds,
            names=self.names,
            pick=partial(self.chosen_blocks, size=size),
            notes=[*self.notes, *notes],
        )

    def kinds(self) -> Kinds | None:
        """Of which class each image is; None where nobody says, `InputError` where what is said is damaged."""
        part = self if self.grouped is None else self.grouped()
        names, (labels,) = ((), (None,)) if part is None else resolve_labels([part])
        return None if labels is None else Kinds(names, torch.tensor(labels, dtype=torch.int64))

    def chosen_blocks(self, rows: Sequence[int], *, size: int | None) -> Generator[Block, None, None]:
        """As `blocks`, of the images of these numbers in this order; only where the part has names."""
        raise InputError(f"the images of {self.title} cannot be read one by one: {self.only_whole}")


@dataclass(frozen=True, kw_only=True)
class FilePart(Part):
    """Encoded images.

    items: yields (name for errors, file content or path) of each, every time it is called. pick: the same of those that
    are asked for. cut: what to take of each image before it is brought to size, None for all of it; it belongs to the
    identity.
    """

    items: Callable[[], Iterator[tuple[str, bytes | Path]]]
    pick: Pick
    cut: Cut | None = None

    def blocks(self, size: int | None) -> Generator[Block, None, None]:
        """As `Part.blocks`."""
        return decoded_blocks(self.items(), size, self.cut)

    def chosen_blocks(self, rows: Sequence[int], *, size: int | None) -> Generator[Block, None, None]:
        """As `Part.chosen_blocks`."""
        return decoded_blocks(self.pick(rows), size, self.cut)

    def decode(self, size: int | None, progress: Progress = SILENT) -> Decoded:
        """As `Part.decode`."""
        return cached(
            {"files": self.identity, "size": size},
            lambda: self.as_identified(
                lambda: decode_images(
                    self.items(),
                    self.total,
                    size=size,
                    cut=self.cut,
                    title=f"decode {self.title}",
                    progress=progress,
                )
            ),
            progress,
        )

    def native_size(self) -> tuple[int, int]:
        """As `Part.native_size`."""
        return size_of_first(self.items(), self.cut)

    def encoded(self, size: int | None) -> Encoded:
        """The files, as `FileImages` reads them."""
        return Encoded(self.total, self.items, self.pick, size, self.cut)

    def scan(self, size: int | None, progress: Progress = SILENT) -> Scanned:
        """As `Part.scan`."""
        if self.only_whole:
            return super().scan(size, progress)
        return scan(
            self.encoded(size),
            {"files": self.identity, "size": size},
            f"decode {self.title}",
            progress,
            checked=self.as_identified,
        )


def _changed(before: Any, now: Any, title: str) -> str:
    """The beginning of a sentence on what changed between two identities."""
    if isinstance(before, list) and isinstance(now, list):
        for one, other in zip(before, now, strict=False):
            if one != other and isinstance(one, list) and one and isinstance(one[0], str):
                return f"{one[0]} in {title} changed"
    return f"{title} changed"


def resolve_labels(
    parts: Sequence[Part], classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[list[int] | None]]:
    """Class names, and each part's labels as indices into them (None without labels).

    `classes`: the names where they are known; labels may then be indices or names. Otherwise the sorted
    distinct labels of all parts are the classes. What comes out is printable and distinct (`distinct`).
    """
    labelled = [part for part in parts if part.labels is not None]
    if not labelled:
        return (), [None for _ in parts]
    if len(labelled) < len(parts):
        without = next(part for part in parts if part.labels is None)
        raise InputError(
            f"{labelled[0].title} has labels but {without.title} has none; give labels to both or to neither"
        )
    values: list[Any] = sorted(
        {value for part in labelled for value in part.labels or ()}, key=lambda v: (str(type(v)), v)
    )
    for part in labelled[1:]:
        if classes is None and part.classes != labelled[0].classes:
            raise InputError(
                f"{labelled[0].title} and {part.title} name their classes otherwise; use the same names"
            )
    classes = classes or labelled[0].classes
    if classes is None:
        if len({type(value) for value in values}) > 1:
            raise InputError(
                f"classes are numbers in some of {' and '.join(part.title for part in labelled)} and names in others; "
                "use the same"
            )
        called = {label: name for part in labelled for label, name in part.called.items()}
        index = {value: i for i, value in enumerate(values)}
        classes = [called.get(str(value), str(value)) for value in values]
    else:
        index = {name: i for i, name in enumerate(classes)} | {i: i for i in range(len(classes))}
        if unknown := [value for value in values if value not in index]:
            raise InputError(
                f"unknown label {unknown[0]!r}; the {len(classes)} classes are {', '.join(distinct(classes))}"
            )
    return distinct(classes), [[index[value] for value in part.labels or ()] for part in parts]


def assemble(
    name: str,
    decoded: Sequence[Decoded | Scanned],
    labels: Sequence[list[int] | None],
    *,
    classes: Sequence[str] = (),
    names: Sequence[Sequence[str] | None] | None = None,
    captions: Sequence[Sequence[str] | None] | None = None,
    sides: tuple[list[int], list[int]] | None = None,
    canonical: bool | None = None,
    notes: Sequence[str] = (),
    source: dict[str, Any],
    native: int | None = None,
    extractor: str | None = None,
) -> Dataset:
    """A dataset of one part, which is split in halves, or of two: train and held-out.

    One part is cut in halves with a fixed seed, class by class, equal images on one side; a note says so, and so do
    others of held-out images that are in training, pixel by pixel, and of how pixels were converted.

    Args:
        name: As in `Dataset`.
        decoded: One part or two, decoded or scanned; two have images of one size.
        labels: For each part the labels of its images, in 0..n_classes-1, or None.
        classes: Names by label; empty without labels.
        names: For each part the names of its files, as `Split.names` has them; None where nothing is a file.
        captions: For each part the captions of its images; None where nothing has one.
        sides: Of one part the indices of its halves, where they do not follow from its pixels and labels alone.
        canonical: As in `Dataset`.
        notes: As in `Dataset`; those that are made here come after them.
        source: As in `Dataset`.
        native: As in `Dataset`.
        extractor: As in `Dataset`.

    Returns:
        The dataset, with the fingerprints of its splits.

    Raises:
        InputError: The images of two parts differ in size, or a split has fewer than 2 images.
    """
    notes = [*notes, *notes_on(decoded)]
    names = names or [None] * len(decoded)
    captions = captions or [None] * len(decoded)
    if len(decoded) == 1:
        (part,), (own,), (called,), (said,) = decoded, labels, names, captions
        sides = sides or halves(part.digests, own)
        notes.append(
            "the source has no split of its own: split in halves, seeded, the same images on one side"
        )
        notes += copies_note(*([part.digests[i] for i in side] for side in sides))
        train, held_out = (
            select(part, own, side, title, called, said)
            for side, title in zip(sides, ("train", "held-out"), strict=True)
        )
    else:
        (h0, w0), (h1, w1) = (size_of(images_of(part)) for part in decoded)
        if (h0, w0) != (h1, w1):
            raise InputError(
                f"train images are {w0}×{h0} but held-out images are {w1}×{h1}; "
                "--size N resizes and crops all to N×N"
            )
        notes += copies_note(*(part.digests for part in decoded))
        train, held_out = (
            to_split(images_of(part), own, part.digests, title, called, said)
            for part, own, title, called, said in zip(
                decoded, labels, ("train", "held-out"), names, captions, strict=True
            )
        )
    return Dataset(
        name=name,
        train=train,
        held_out=held_out,
        classes=tuple(classes),
        canonical=canonical,
        notes=tuple(notes),
        source=source,
        native=native,
        extractor=extractor,
    )


def images_of(part: Decoded | Scanned) -> Images:
    """The images as a split has them."""
    return torch.from_numpy(part.images) if isinstance(part, Decoded) else part.images


def notes_on(decoded: Sequence[Decoded | Scanned]) -> list[str]:
    """One sentence for each kind of conversion, over all parts."""
    conversions = {
        key: sum(part.conversions.get(key, 0) for part in decoded)
        for part in decoded
        for key in part.conversions
    }
    return conversion_notes(conversions, sum(len(part.images) for part in decoded))


def copies_note(train: Sequence[bytes], held_out: Sequence[bytes], *, of: str = "") -> list[str]:
    """One sentence if `held_out` images (of the domain `of`) are also `train` images, by their `pixel_digests`.

    >>> copies_note([b"1", b"2"], [b"2", b"3", b"2"], of="A")
    ['2 of 3 held-out images of A are, pixel by pixel, in training']
    """
    known = set(train)
    copies = sum(digest in known for digest in held_out)
    whose = f" of {of}" if of else ""
    return (
        [f"{copies} of {len(held_out)} held-out images{whose} are, pixel by pixel, in training"]
        if copies
        else []
    )


def select(
    part: Decoded | Scanned,
    labels: list[int] | None,
    indices: list[int],
    title: str,
    names: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
) -> Split:
    """The images of `part` at `indices`, in that order; `InputError` if they are too few for a split."""
    images = chosen(images_of(part), torch.tensor(indices, dtype=torch.int64))
    own = None if labels is None else [labels[i] for i in indices]
    called = None if names is None else [names[i] for i in indices]
    said = None if captions is None else [captions[i] for i in indices]
    return to_split(images, own, [part.digests[i] for i in indices], title, called, said)


def to_split(
    images: Images,
    labels: list[int] | None,
    digests: Sequence[bytes],
    title: str,
    names: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
) -> Split:
    """Images with their `pixel_digests`, names where they are files, and captions where there are any; `InputError` if
    they are too few for a split."""
    if len(images) < 2:
        raise InputError(
            f"the {title} split has {len(images)} image(s), too few for any statistic; at least 2 are needed"
        )
    return Split(
        images=images,
        labels=None if labels is None else torch.tensor(labels, dtype=torch.int64),
        fingerprint=combine(digests, labels, captions),
        names=names,
        captions=captions,
    )


def tidy(path: Path) -> str:
    """A path for the record: absolute, but without the user's home."""
    path = path.expanduser().resolve()
    home = Path.home().resolve()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else path.as_posix()
