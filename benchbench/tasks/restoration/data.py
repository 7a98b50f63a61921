"""What a task of restoration reads: test images of any sizes, how they are degraded, and what models learn from.

What is learned from is read only where a model is trained: whoever restores with published weights, or with none, needs
no training set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.core.progress import Progress
from benchbench.core.protocols import ImageSpec
from benchbench.core.registry import DATASETS
from benchbench.data.builtin.photo_sets import TRAINING
from benchbench.data.catalogue import load_photos, load_split, open_files
from benchbench.data.dataset import Split
from benchbench.data.degrade.degradations import Degrades
from benchbench.data.photos import Photos, described_photos, photos_of_images, photos_of_part
from benchbench.data.pipeline.assemble import copies_note, tidy
from benchbench.data.pipeline.image_source import digests_of
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.paired_folder import DomainsFolder, PairsSource
from benchbench.data.sources.spec import SourceSpec, parse_spec

Sides = tuple[Photos | None, Photos]
"""What is learned from, where a source has a part for that, and what is tested on."""


@dataclass(frozen=True)
class RestorationData:
    """The data of a task of restoration (`tasks.base.TaskData`).

    Attributes:
        name: Of the test images.
        test: The test images.
        degradation: What is done to them.
        train: Reads what models learn from; `InputError` where it is not at hand.
    """

    name: str
    test: Photos
    degradation: Degrades
    train: Callable[[], Photos]

    native: None = None
    extractor: None = None

    @property
    def fingerprint(self) -> str:
        """Identity of the test images and of what is done to them."""
        return digest([self.test.fingerprint, self.degradation.settings()])

    @property
    def spec(self) -> ImageSpec:
        """What a model is told: the smallest size, and the degradation."""
        height, width = (min(size[axis] for size in self.test.sizes) for axis in (0, 1))
        return ImageSpec(height, width, all(self.test.grey), 0, self.degradation)

    @cached_property
    def learned(self) -> Photos:
        """What models learn from, read once."""
        return self.train()

    def describe(self) -> dict[str, Any]:
        """What the images are, for run.json."""
        own = described_photos(self.test, self.fingerprint)
        if "learned" in vars(self):
            own["train"] = {"n": len(self.learned), "fingerprint": self.learned.fingerprint}
            own["notes"] += copies_note(self.learned.digests, self.test.digests)
        return own


def load_restoration(
    dataset: str, degradation: Degrades, train: str | None, size: int | None, progress: Progress
) -> RestorationData:
    """The data.

    Args:
        dataset: The test images, as after `--dataset`: their held-out part where they have two, else all.
        degradation: What is done to them.
        train: What models learn from, likewise; None for the training part of `dataset`, else train400.
        size: The side that all images are brought to, in pixels; None for their own.
        progress: Who is told how far it is.

    Returns:
        The test images read, what is learned from not yet.

    Raises:
        InputError: There are no such images, or they cannot be used.
    """
    own, test = _sides(dataset, size, progress)

    def learned() -> Photos:
        found = at_hand()
        for note in copies_note(found.digests, test.digests):
            progress.note(note)
        return found

    def at_hand() -> Photos:
        if train is not None:
            first, only = _sides(train, size, progress)
            return only if first is None else first
        if own is not None:
            return own
        try:
            return _sides(TRAINING, size, progress)[1]
        except InputError as error:
            raise InputError(
                f"{test_name} has no part to be learned from, and {error}; or name other images with --task-option "
                "train=NAME, as train=photographs, which come with a package, or load weights with --pretrained or "
                "--weights"
            ) from error

    test_name = parse_spec(dataset).name
    return RestorationData(test_name, test, degradation, learned)


def test_images(dataset: str, size: int | None, progress: Progress) -> tuple[str, Photos]:
    """The name of a dataset and the images of any sizes that it is tested on; arguments and errors as
    `load_restoration`."""
    return parse_spec(dataset).name, _sides(dataset, size, progress)[1]


def _sides(text: str, size: int | None, progress: Progress) -> Sides:
    spec = parse_spec(text)
    if spec.kind == "dataset":
        return _registered(spec, size, progress)
    source = open_files(spec, SourceOptions(size=size))
    if isinstance(source, PairsSource | DomainsFolder):
        raise InputError(
            f"{text} holds two domains of images, and one kind of images is restored; name the folder of one of them"
        )
    parts = source.parts()
    if spec.split is not None:
        if len(parts) == 1:
            whole = text.rpartition(":")[0]
            raise InputError(f"{whole} has one part only, and {text} names one of two; write {whole}")
        parts = [parts[0] if spec.split == "train" else parts[-1]]
    found = [
        photos_of_part(part, size, {"kind": source.kind, "path": tidy(source.path), "size": size}, progress)
        for part in parts
    ]
    return (found[0] if len(found) > 1 else None), found[-1]


def _registered(spec: SourceSpec, size: int | None, progress: Progress) -> Sides:
    source = DATASETS.make(spec.where)
    options = SourceOptions(size=size)
    if hasattr(source, "photos"):
        return (None, load_photos(spec, options, progress)) if spec.split else source.photos(size, progress)
    data, _ = load_split(spec, options, progress)
    train, test = (_of_split(own, data.notes, data.source) for own in (data.train, data.held_out))
    return (None, train if spec.split == "train" else test) if spec.split else (train, test)


def _of_split(split: Split, notes: Any, source: dict[str, Any]) -> Photos:
    found = photos_of_images(split.images, digests_of(split.images), notes, source)
    return found if split.names is None else replace(found, names=list(split.names))
