"""Files that hold the images of one split each: tables and shards, told apart by their names."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from benchbench.data.pipeline.assemble import FilePart, Part
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.layout import TRAIN, Splits, splits_or_alike


class SplitFiles(FileSource):
    """Images in files, several of which may be one split."""

    @property
    @abstractmethod
    def files(self) -> dict[str, list[Path]]:
        """The files by the name that they share, in their order; under "" those that have none."""

    @abstractmethod
    def part(self, files: Sequence[Path], title: str) -> FilePart:
        """The images of some files, one after the other."""

    @cached_property
    def layout(self) -> Splits:
        """Which of the names are splits."""
        return splits_or_alike(filter(None, self.files), str(self.path))

    def splits(self) -> Sequence[str]:
        """The names of train and of the held-out part that counts, where both are there."""
        return self.layout.two()

    def of_splits(self) -> list[Part]:
        """Train, of which there must be files, and the held-out part that counts where it is there."""
        titles = self.splits() or [self.layout.of[TRAIN, ""]]
        train, *held_out = (self.part(self.files[title], title) for title in titles)
        return [replace(train, notes=[*train.notes, *self.layout.notes()]), *held_out]
