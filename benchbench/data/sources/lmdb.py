"""Encoded images in an LMDB, as LSUN exports them: `lmdb:PATH` of the folder that holds `data.mdb`.

A folder of such folders is a dataset: `bedroom_train_lmdb`, `bedroom_val_lmdb`. What stands before the word for the
split is the class, where there are several. Values are the contents of image files, in the order of their keys; those
that are no images, such as a count of them, are named in a note.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from benchbench.core.errors import InputError, listed
from benchbench.core.hashing import file_sha256
from benchbench.core.reading import kind_of, open_regular, plain
from benchbench.data.pipeline.assemble import FilePart, Part
from benchbench.data.pipeline.decode import FORMATS
from benchbench.data.pipeline.signatures import image_format
from benchbench.data.sources.archives import reading
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.folder import visible_folders
from benchbench.data.sources.layout import HELD_OUT, TRAIN, Splits, split_name
from benchbench.data.sources.lmdb_file import Entry, read_entries
from benchbench.data.sources.other_files import refuse_pictures
from benchbench.data.sources.spans import Span, picker

DATA = "data.mdb"


class LmdbSource(FileSource):
    """Encoded images in one LMDB or in several."""

    kind: ClassVar[str] = "lmdb"

    @cached_property
    def found(self) -> dict[str, dict[str, Path]]:
        """The files by split ("" for none) and class ("" for none)."""
        if kind_of(self.path / DATA):
            return {"": {"": self.path / DATA}}
        found: dict[str, dict[str, Path]] = defaultdict(dict)
        for name in visible_folders(self.path):
            if not kind_of(self.path / name / DATA):
                continue
            words = [word for word in re.split("[-_. ]", name) if word and word.casefold() != "lmdb"]
            kinds = {word: said.kind for word in words if (said := split_name(word)) and not said.side}
            split = next(iter(kinds.values()), "")
            own = "_".join(word for word in words if word not in kinds)
            if own in found[split]:
                raise InputError(
                    f"{self.path} has {found[split][own].parent.name} and {name}, which name the same part"
                )
            found[split][own] = self.path / name / DATA
        if not found:
            raise InputError(f"{self.path} holds no {DATA}, nor does a folder in it")
        return found

    @property
    def layout(self) -> Splits:
        """Which of them are splits."""
        return Splits({(title, ""): title for title in self.found if title})

    def splits(self) -> Sequence[str]:
        """train and the held-out part that counts, where both are there."""
        return self.layout.two()

    def parts(self) -> Sequence[Part]:
        """Train and held-out, or all images."""
        titles = self.splits() or list(self.found)
        if ("" in self.found and len(self.found) > 1) or titles[0] not in ("", TRAIN):
            names = listed(sorted(own.parent.name for sides in self.found.values() for own in sides.values()))
            raise InputError(
                f"{self.path} holds {names}, which are no train and held-out part; name one with lmdb:"
            )
        train, *held_out = (self._part([title]) for title in titles)
        return [replace(train, notes=[*train.notes, *self.layout.notes()]), *held_out]

    def whole(self) -> Part:
        """All images of all files."""
        return self._part(sorted(self.found, key=["", TRAIN, *HELD_OUT].index))

    def _part(self, titles: Sequence[str]) -> FilePart:
        files = [(own, file) for title in titles for own, file in sorted(self.found[title].items())]
        return _part_of(files, " and ".join(filter(None, titles)) or self.path.resolve().name)


def _part_of(files: Sequence[tuple[str, Path]], title: str) -> FilePart:
    """The images of (class, file), one file after the other."""
    spans: list[Span] = []
    labels: list[str] = []
    notes: list[str] = []
    for own, file in files:
        images, others = _images(file)
        if not images:
            raise InputError(
                f"no images in {file}: none of its {len(others)} values is the content of an image file"
            )
        spans += images
        labels += [own] * len(images)
        if others:
            keys = listed([span.name for span in others])
            notes.append(
                f"{len(others)} values of {file.parent.name} that are no images were left aside: {keys}"
            )

    pick = picker(spans)
    return FilePart(
        title=title,
        total=len(spans),
        items=lambda: pick(range(len(spans))),
        pick=pick,
        labels=labels if len({*labels}) > 1 else None,
        identify=lambda: [[str(file.parent.name), file_sha256(file)] for _, file in files],
        notes=notes,
    )


def _images(file: Path) -> tuple[list[Span], list[Span]]:
    """The values that are images, and the others; `InputError` for an image that is not read."""
    images, others, heads = [], [], {}
    with reading(file), open_regular(file) as opened:
        for entry in read_entries(file):
            span = Span(file, _key(entry), entry.start, entry.length)
            head = span.head(opened)
            if image_format(head).upper() in FORMATS:
                images.append(span)
            else:
                others.append(span)
                heads[span.name] = head
    refuse_pictures(list(heads), str(file), heads.__getitem__)
    return images, others


def _key(entry: Entry) -> str:
    """A key as errors have it."""
    return plain(entry.key.decode("utf-8", "backslashreplace"))
