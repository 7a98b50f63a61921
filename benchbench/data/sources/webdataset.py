"""Images in webdataset's shards: `webdataset:PATH`, tar files as they are.

PATH is one tar; a folder of them, in which splits are told apart as those of `parquet:` (`train-000000.tar`, or folders
`train/` and `test/`); or a name with numbers in braces, `train-{000000..000012}.tar`. Files of one tar that share their
name up to its first dot are one sample: an image, and beside it a label in `.cls` (a number or a word), in `.json`
(under `label`, `cls` or `class`), or in `.txt`, where every one of these is a number; other texts are captions, and are
left aside. Without any of these, folders in the tar are classes. `classnames.txt` or `classes.txt` beside the shards
names the classes, one a line.

An archive from elsewhere is not trusted, as a zip is not: names are names and lead nowhere, links, devices and sparse
files are refused, and so is a tar that ends early. A tar is not compressed; one that is (`.tar.gz`) has to be unpacked
first, for nothing in it can be found without reading all before it.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar, cast

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import is_folder, kind_of, open_regular, plain, read_text
from benchbench.data.pipeline.assemble import FilePart, Labels, Part
from benchbench.data.pipeline.names import below_shared
from benchbench.data.sources.class_files import Beside, classes_of
from benchbench.data.sources.folder import is_image
from benchbench.data.sources.layout import check_complete
from benchbench.data.sources.other_files import left_aside, refuse_pictures
from benchbench.data.sources.shards import find_files
from benchbench.data.sources.spans import Span, picker
from benchbench.data.sources.spec import BRACES
from benchbench.data.sources.split_files import SplitFiles

SUFFIX = ".tar"
MOST_LABEL = 2**20
"""Bytes of a file that holds a label."""
MOST_SHARDS = 100_000
LABEL_KEYS = ("label", "cls", "class")
LABEL_FILES = ("cls", "json", "txt")
NAMES = ("classnames.txt", "classes.txt")
MOST_HEADER = 2**20
"""Bytes of what stands before a file in a tar: its name, and what else writers note of it."""
_BLOCK = 512


class WebdatasetSource(SplitFiles):
    """Images in tar files."""

    kind: ClassVar[str] = "webdataset"

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The shards by the name that they share, in their order."""
        if is_folder(self.path):
            return find_files(self.path, SUFFIX)
        return {"": shards(self.path)}

    def parts(self) -> Sequence[Part]:
        """Train and held-out, or all images."""
        if not self.layout.of:
            return [self.whole()]
        check_complete(
            self.layout, [self.files[name][0].name for name in self.layout.others], str(self.path), ""
        )
        return self.of_splits()

    def whole(self) -> Part:
        """The images of all shards."""
        if not self.files:
            raise InputError(f"{self.path} holds no {SUFFIX} files")
        return self.part([file for files in self.files.values() for file in files], self.path.name)

    def part(self, files: Sequence[Path], title: str) -> FilePart:
        """The images of some shards; the names of their classes lie beside them."""
        above = [*dict.fromkeys([files[0].parent, self.path if is_folder(self.path) else files[0].parent])]
        beside = [folder / name for folder in above for name in NAMES]
        return _part(files, title, next((file for file in beside if kind_of(file) == "a file"), None))


def shards(path: Path) -> list[Path]:
    """The tar files that a path with numbers in braces stands for; the path itself where it has none. `InputError`
    names one that is not there."""
    found = [str(path)]
    while (match := BRACES.search(found[0])) is not None:
        first, last = match["first"], match["last"]
        width = len(first) if first.startswith("0") else 0
        numbers = range(int(first), int(last) + 1)
        if not numbers or len(numbers) * len(found) > MOST_SHARDS:
            raise InputError(f"{path} stands for {len(numbers) * len(found):,} files; write {{first..last}}")
        found = [BRACES.sub(f"{number:0{width}}", name, 1) for name in found for number in numbers]
    if twice := [name for name, times in Counter(found).items() if times > 1]:
        raise InputError(
            f"{path} stands for {Path(twice[0]).name} twice; write its numbers in one pair of braces"
        )
    files = [Path(name) for name in found]
    if missing := [file.name for file in files if not kind_of(file)]:
        raise InputError(
            f"{path}: {missing[0]} is not there ({len(missing)} of {len(files)} shards are missing)"
        )
    return files


@dataclass
class Sample:
    """What shares a key. labels: files that may hold its label, by the end of their names."""

    image: Span | None = None
    labels: dict[str, Span] = field(default_factory=dict)


def _part(files: Sequence[Path], title: str, names: Path | None) -> FilePart:
    """The images of shards, one after the other. names: the file that names the classes."""
    samples, others = [], []
    for file in files:
        own, aside = _samples(file)
        samples += [sample for sample in own.values() if sample.image is not None]
        others += [
            *aside,
            *(m.name for sample in own.values() if not sample.image for m in sample.labels.values()),
        ]
    images = [sample.image for sample in samples if sample.image is not None]
    if not images:
        raise InputError(f"no images in {files[0]}" + (" and its like" if len(files) > 1 else ""))
    labels, notes = _labels(samples, title)
    called = [image.name for image in images]
    if labels is None:
        labels = classes_of(below_shared(called), "", Beside(str(files[0]), (), lambda *_: b"")).labels
    classes, read = None, []
    if names is not None and labels is not None and all(isinstance(label, int) for label in labels):
        classes, read = _class_names(names, labels), [names]  # type: ignore[arg-type]
    if max(Counter(called).values()) > 1:  # keys are unique within a shard
        called = [f"{image.file.stem}/{image.name}" for image in images]

    pick = picker(images)
    return FilePart(
        title=title,
        total=len(images),
        items=lambda: pick(range(len(images))),
        pick=pick,
        labels=labels,
        identify=lambda: [[file.name, file_sha256(file)] for file in (*files, *read)],
        classes=classes,
        notes=[*notes, *left_aside(others, title)],
        names=called,
    )


def _samples(shard: Path) -> tuple[dict[str, Sample], list[str]]:
    """The samples of a tar by their keys, and the names of the files that belong to none."""
    found: dict[str, Sample] = {}
    others: dict[str, Span] = {}
    for member in members(shard):
        key, end = _split(member.name)
        sample = found.setdefault(key, Sample())
        if is_image(member.name):
            if sample.image is not None:
                raise InputError(
                    f"{shard} has {sample.image.name} and {member.name}, two images of one sample; keep one of them"
                )
            sample.image = member
        elif end in LABEL_FILES:
            sample.labels[end] = member
        else:
            others[member.name] = member
    with open_regular(shard) as file:
        refuse_pictures(list(others), str(shard), lambda name: others[name].head(file))
    return found, list(others)


class _Headers:
    """An open tar for one who reads nothing but headers, whose lengths are bounded whatever they claim."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, n: int) -> bytes:
        """So many bytes; ValueError for more than a header has."""
        if not 0 <= n <= MOST_HEADER:
            raise ValueError(f"a header in it claims {n:,} bytes, as bombs do")
        return self._file.read(n)


def members(shard: Path) -> list[Span]:
    """The visible files of a tar; `InputError` where it is damaged or dangerous."""
    found, names = [], set[str]()
    with reading(shard), open_regular(shard) as file:
        if file.read(2) == b"\x1f\x8b":
            raise InputError(
                f"{shard} is compressed, and nothing can be found in it: unpack it first, with gunzip"
            )
        file.seek(0)
        length = shard.stat().st_size
        with tarfile.open(fileobj=cast(IO[bytes], _Headers(file)), mode="r:") as archive:
            for info in archive:
                if info.size < 0:  # the next header would be one that was read before
                    raise ValueError("a file in it has less than no bytes")
                _refuse(info, shard)
                if info.offset_data + info.size > length:
                    raise EOFError(f"{info.name} ends beyond the file")
                if not info.isfile() or any(part.startswith(".") for part in PurePosixPath(info.name).parts):
                    continue
                name = PurePosixPath(info.name).as_posix()
                if name in names:
                    raise InputError(f"{shard} holds {name} twice; keep one of them")
                names.add(name)
                found.append(Span(shard, name, info.offset_data, info.size))
            file.seek(archive.offset)
        if file.read(_BLOCK) != bytes(_BLOCK):  # what tells the end of a tar
            raise EOFError("it has no end")
    return found


def _refuse(info: tarfile.TarInfo, shard: Path) -> None:
    name = info.name.replace("\\", "/")
    if not info.name.isprintable() or not name:
        raise InputError(
            f"{shard} is refused: it has a member of the name {plain(repr(info.name))}; rename it"
        )
    if name.startswith("/") or ".." in name.split("/"):
        raise InputError(
            f"{shard} is refused: its member {name!r} leads out of the archive; use relative names"
        )
    if not (info.isfile() or info.isdir()) or info.issparse():
        raise InputError(
            f"{shard} is refused: its member {name!r} is a link, a device or a sparse file; make it again with the "
            "files themselves"
        )


def _split(name: str) -> tuple[str, str]:
    """The key of a member's sample, and what stands behind it."""
    folder, slash, file = name.rpartition("/")
    key, _, end = file.partition(".")
    return f"{folder}{slash}{key}", end.casefold()


def _labels(samples: Sequence[Sample], title: str) -> tuple[Labels | None, list[str]]:
    """One label a sample, and what a reader should know; `InputError` where only some have one."""
    for end in LABEL_FILES:
        with_it = [sample for sample in samples if end in sample.labels]
        if not with_it:
            continue
        found = list(_read_labels(with_it, end))
        if found[0] is None or (end == "txt" and None in found):
            continue
        if len(found) < len(samples) or None in found:
            raise InputError(f"some samples of {title} have a label in a .{end} file and some have none")
        if len({type(label) for label in found}) > 1:
            raise InputError(
                f"labels of {title} are numbers in some .{end} files and words in others; choose one"
            )
        return found, []  # type: ignore[return-value]
    if any("txt" in sample.labels for sample in samples):
        return None, [f"the .txt files of {title} are captions and were left aside"]
    return None, []


def _read_labels(samples: Sequence[Sample], end: str) -> Iterator[int | str | None]:
    """The label of each sample in the file that ends so; ends at the first that has none."""
    opened: IO[bytes] | None = None
    shard = Path()
    try:
        for sample in samples:
            member = sample.labels[end]
            if opened is None or member.file != shard:
                if opened is not None:
                    opened.close()
                opened, shard = open_regular(member.file), member.file
            if member.length > MOST_LABEL:
                raise InputError(
                    f"{member.name} in {shard} has {member.length:,} bytes, too many for a label"
                )
            with reading(shard):
                label = _label(member.read(opened), end, f"{member.name} in {shard}")
            yield label
            if label is None:
                return
    finally:
        if opened is not None:
            opened.close()


def _label(content: bytes, end: str, where: str) -> int | str | None:
    """What a file says of the class; None where it says nothing."""
    text = content.decode("utf-8", "replace").strip()
    if end == "json":
        try:
            held: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is no JSON: {plain(str(error))}") from error
        found = [held[key] for key in LABEL_KEYS if key in held] if isinstance(held, Mapping) else []
        label = found[0] if found else None
        return label if type(label) in (int, str) else None
    number = re.fullmatch("-?[0-9]{1,18}", text)
    if number is not None:
        return int(text)
    if end == "txt":
        return None
    if not text or not text.isprintable():
        raise InputError(f"{where} holds no label: write a number or a word")
    return text


def _class_names(file: Path, labels: Sequence[int]) -> list[str]:
    names = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if wrong := [label for label in labels if not 0 <= label < len(names)]:
        raise InputError(f"{file} names {len(names)} classes, but a label is {wrong[0]}")
    return names


@contextmanager
def reading(shard: Path) -> Iterator[None]:
    """What is wrong with a tar, whenever it shows, becomes an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (tarfile.TarError, *DAMAGE) as error:
        reason = plain(str(error).strip() or type(error).__name__)
        raise InputError(
            f"cannot read {shard}: {reason}; it may be truncated, make or fetch it again"
        ) from error
