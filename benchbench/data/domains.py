"""Two domains of images, for models that turn one into the other: line art and colour, content and style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.protocols import ImageSpec
from benchbench.data.dataset import Dataset, Split, described, splits_of
from benchbench.data.pipeline.fingerprint import combine, pixel_digests
from benchbench.data.pipeline.image_source import digests_of, in_memory, size_of


@dataclass(frozen=True)
class Domains:
    """Domains A and B, each a dataset with its own train and held-out splits; all images have one size.

    Attributes:
        name: As the user asked for it, fit for a folder name.
        a: Domain A; its `name` is that of the domain ("line"), its notes and source stay empty: those of the whole are
            here.
        b: Domain B, likewise.
        paired_train: Whether row i of `a.train` and of `b.train` show the same thing.
        paired_held_out: The same of the held-out splits, so that a translation has a known right answer.
        styles: Whether `b` holds a few pictures whose styles are asked for, the same in both splits, and not a domain
            to be learned.
        notes: As in `Dataset`.
        source: As in `Dataset`.
        canonical: As in `Dataset`.

    Raises:
        InputError: The images differ in size, or pairs are promised and their numbers differ.
    """

    name: str
    a: Dataset
    b: Dataset
    paired_train: bool
    paired_held_out: bool
    styles: bool = False
    notes: Sequence[str] = ()
    source: dict[str, Any] = field(default_factory=dict)
    canonical: bool | None = None

    def __post_init__(self) -> None:
        a, b = self.a, self.b
        h0, w0 = size_of(a.train.images)
        for title, split in (("train", b.train), ("held-out", a.held_out), ("held-out", b.held_out)):
            h1, w1 = size_of(split.images)
            if (h1, w1) != (h0, w0):
                of = a.name if split is a.held_out else b.name
                raise InputError(
                    f"train images of {a.name} are {w0}×{h0} but {title} images of {of} are {w1}×{h1}; "
                    "--size N resizes and crops all to N×N"
                )
        for title, paired, one, other in (
            ("train", self.paired_train, a.train, b.train),
            ("held-out", self.paired_held_out, a.held_out, b.held_out),
        ):
            if paired and len(one) != len(other):
                raise InputError(
                    f"{self.name}: {len(one)} {title} images of {a.name} and {len(other)} of {b.name} are no "
                    "pairs; give both as many, in the same order, or do not call them paired"
                )

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the images and of what belongs together; independent of the order of files."""
        paired = {"train": self.paired_train, "held_out": self.paired_held_out}
        sides = [(self.a.train, self.b.train, "train"), (self.a.held_out, self.b.held_out, "held_out")]
        return digest(
            [
                _pairs_fingerprint(a, b) if paired[title] else [a.fingerprint, b.fingerprint]
                for a, b, title in sides
            ]
        )

    @property
    def native(self) -> int | None:
        """As `Dataset.native`, of domain A."""
        return self.a.native

    @property
    def extractor(self) -> str | None:
        """None: no domain names an extractor of its own."""
        return None

    def describe(self) -> dict[str, Any]:
        """What the images are, for run.json: fingerprints, numbers, size, source, notes."""
        own = {
            "domains": {side.name: splits_of(side) for side in (self.a, self.b)},
            "paired": {"train": self.paired_train, "held_out": self.paired_held_out},
        }
        return described(self, self.a.train.images, own)

    @property
    def spec(self) -> ImageSpec:
        """What a model is told before it is built: `n_classes` is the number of styles, where B is styles."""
        a, b = self.a.spec, self.b.spec
        return ImageSpec(a.height, a.width, a.grey and b.grey, len(self.b.train) if self.styles else 0)

    def pooled(self) -> Dataset:
        """Both domains in one dataset: what a model of one kind of images makes of it, for example a classifier that
        tells the domains apart.

        Returns:
            The images of A and then those of B, in memory, labelled 0 and 1; the classes are the names of the domains.

        Raises:
            InputError: The images of a source do not fit into memory.
        """
        return Dataset(
            name=self.name,
            train=_together(self.a.train, self.b.train),
            held_out=_together(self.a.held_out, self.b.held_out),
            classes=(self.a.name, self.b.name),
            canonical=self.canonical,
            notes=("both domains together, labelled by domain", *self.notes),
            source=self.source,
            native=self.a.native if self.a.native == self.b.native else None,
        )


def _pairs_fingerprint(a: Split, b: Split) -> str:
    both = zip(digests_of(a.images), digests_of(b.images), strict=True)
    return combine([of_a + of_b for of_a, of_b in both], None)


def _together(a: Split, b: Split) -> Split:
    images = torch.cat([in_memory(a.images), in_memory(b.images)])
    labels = [0] * len(a) + [1] * len(b)
    return Split(images, torch.tensor(labels), combine(pixel_digests(images), labels))
