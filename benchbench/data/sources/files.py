"""What can be asked of images in files, whatever the files are.

Pattern: a source says which parts there are, undecoded, and how they lie; what is the same for all is done here: a
dataset is its parts decoded, resolved and split, a stream is one part as it is decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from benchbench.core.errors import InputError
from benchbench.core.progress import SILENT, Progress
from benchbench.data.dataset import Dataset
from benchbench.data.domains import Domains
from benchbench.data.pipeline.assemble import Part, assemble, resolve_labels, tidy
from benchbench.data.pipeline.image_stream import ImageStream
from benchbench.data.pipeline.reading import read
from benchbench.data.sources.options import SourceOptions
from benchbench.data.sources.spec import SourceSpec


class FileSource(ABC):
    """Images in files. spec: what the user wrote. path: where they are. name: what records call them. options: how they
    are read."""

    kind: ClassVar[str]

    def __init__(self, spec: SourceSpec, options: SourceOptions | None = None) -> None:
        """`InputError` if nothing is there or it is something else."""
        self.spec = spec
        self.path: Path = spec.path
        self.name = spec.name
        self.options = options or SourceOptions()

    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """Train and held-out, or the one part of what has no split of its own; `InputError` if there are no images."""

    @abstractmethod
    def whole(self) -> Part:
        """All images as one part, whatever they are split into."""

    @abstractmethod
    def splits(self) -> Sequence[str]:
        """What its own splits are called, train first; none where it has none."""

    def load(self, progress: Progress = SILENT) -> Dataset | Domains:
        """Both splits, in memory where they fit; what has none of its own is cut in halves."""
        parts, size = self.parts(), self.options.size
        classes, labels = resolve_labels(parts)
        return assemble(
            self.name,
            read(parts, size, progress),
            labels,
            classes=classes,
            names=[part.names for part in parts],
            notes=[note for part in parts for note in part.notes],
            source={"kind": self.kind, "path": tidy(self.path), "size": size},
        )

    def stream(self) -> ImageStream:
        """All images, decoded as they are read."""
        together = ["its splits were read together; :train or :test behind the path takes one"]
        return self.whole().stream(self.name, self.options.size, together if self._has_splits() else ())

    def _has_splits(self) -> bool:
        try:
            return bool(self.splits())
        except InputError:  # splits that contradict each other matter to those alone who want one
            return False
