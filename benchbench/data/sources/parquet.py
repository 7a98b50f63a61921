"""Parquet files with encoded images: `parquet:PATH`, as Hugging Face's `datasets` writes them.

Layouts: one file; or a folder (or its subfolder `data/`) with `train.parquet` and `test.parquet` (or `val`,
`validation`), each of which may be in shards, `train-00000-of-00002.parquet`. What has no held-out part is
split in halves. The image column holds file contents, directly (binary) or as the field `bytes` of a struct;
it is called `image` or `img`, or is the only such column. A column `label` or `labels` of integers or strings
is optional; class names are taken from Hugging Face's own metadata where they are there. Images are read in
batches, so that memory does not grow with the size of the files.

A parquet file is read by groups of rows. To read some images by their numbers costs the groups in which they are, so
this is done only where no group holds more than `GROUP_BYTES` of images: `datasets` writes groups of 100.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.data.pipeline.assemble import FilePart, Labels, Part
from benchbench.data.sources.files import FileSource

HELD_OUT = ("test", "val", "validation")
BATCH = 256
GROUP_BYTES = 2**26
SHARD = re.compile(r"(?P<title>[a-z]+)-(?P<i>\d{5})-of-(?P<n>\d{5})")


class ParquetSource(FileSource):
    """Encoded images in a parquet file, or in a folder of them."""

    kind: ClassVar[str] = "parquet"

    def splits(self) -> Sequence[str]:
        """train and the first of `HELD_OUT`, where files of both are there."""
        found = self._files()
        held_out = [title for title in HELD_OUT if title in found][:1]
        return ["train", *held_out] if "train" in found and held_out else []

    def parts(self) -> Sequence[Part]:
        """Train and held-out of a folder; the file itself."""
        if not self.path.is_dir():
            return [self.whole()]
        found = self._files()
        if "train" not in found:
            names = ", ".join(sorted(file.name for file in self.path.glob("*.parquet")))
            others = (
                f"only {names}; name one file with parquet:PATH/FILE" if names else "nor any other parquet"
            )
            raise InputError(f"{self.path} has no train.parquet, {others}")
        return [read_part(found[title], title) for title in self.splits() or ["train"]]

    def whole(self) -> Part:
        """The rows of all files."""
        files = sorted(file for part in self._files().values() for file in part) or [self.path]
        if files == [self.path] and self.path.is_dir():
            raise InputError(f"{self.path} holds no parquet files")
        return read_part(files, self.path.name or self.path.resolve().name)

    def _files(self) -> dict[str, list[Path]]:
        if not self.path.is_dir():
            return {}
        return find_files(self.path) or find_files(self.path / "data")


def find_files(folder: Path) -> dict[str, list[Path]]:
    """The parquet files of each part ("train", "test", …) in `folder`; `InputError` if a shard is missing."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.parquet")):
        shard = SHARD.fullmatch(file.stem)
        if shard is None:
            found[file.stem] = [file]
        else:
            found.setdefault(shard["title"], []).append(file)
    for title, files in found.items():
        if shard := SHARD.fullmatch(files[0].stem):
            n = int(shard["n"])
            expected = [f"{title}-{i:05}-of-{n:05}.parquet" for i in range(n)]
            if missing := sorted(set(expected) - {file.name for file in files}):
                raise InputError(f"{folder} lacks {missing[0]} ({len(missing)} of {n} shards are missing)")
    return found


def read_part(files: Sequence[Path], title: str) -> FilePart:
    """The rows of `files`, one after the other, as one part."""
    labels = None
    groups: list[_Group] = []
    for file in files:
        with _opened(file) as parquet:
            schema = parquet.schema_arrow
            image = _image_column(schema, file)
            groups += _groups(parquet, file, image)
            label = next((name for name in ("label", "labels") if name in schema.names), None)
            if label is not None:
                labels = [*(labels or []), *_labels(parquet, label, file)]
    starts = list(accumulate((group.rows for group in groups), initial=0))
    total = starts[-1]
    if total == 0:
        raise InputError(f"{files[0]} has no rows")

    def items() -> Iterator[tuple[str, bytes | Path]]:
        for file in files:
            row = 0
            with _opened(file) as parquet:
                for batch in parquet.iter_batches(BATCH, columns=[image]):
                    for value in _contents(batch.column(0)):
                        yield _named(file, row, value.as_py())
                        row += 1

    def pick(rows: Sequence[int]) -> Iterator[tuple[str, bytes | Path]]:
        found: dict[int, tuple[str, bytes | Path]] = {}
        wanted = defaultdict(list)
        for row in sorted(set(rows)):
            wanted[bisect_right(starts, row) - 1].append(row)
        for number, some in wanted.items():
            group = groups[number]
            with _opened(group.file, group.metadata) as parquet:
                column = parquet.read_row_group(group.number, columns=[group.image]).column(0)
                for row in some:
                    value = _contents(column.slice(row - starts[number], 1).combine_chunks())[0].as_py()
                    found[row] = _named(group.file, group.first + row - starts[number], value)
        yield from (found[row] for row in rows)

    return FilePart(
        title=title,
        total=total,
        items=items,
        pick=pick,
        only_whole=_too_large(groups),
        labels=labels,
        identify=lambda: [file_sha256(file) for file in files],
        classes=_class_names(schema, label),
    )


@dataclass(frozen=True)
class _Group:
    """A group of rows. metadata: of its file. first: its first row in that. image: the column of images. nbytes: of
    that column, not compressed."""

    file: Path
    metadata: Any
    number: int
    first: int
    rows: int
    image: str
    nbytes: int


def _groups(parquet: pq.ParquetFile, file: Path, image: str) -> list[_Group]:
    metadata, found, first = parquet.metadata, [], 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = (group.column(i) for i in range(group.num_columns))
        nbytes = sum(own.total_uncompressed_size for own in columns if own.path_in_schema == image)
        found.append(_Group(file, metadata, number, first, group.num_rows, image, nbytes))
        first += group.num_rows
    return found


def _too_large(groups: Sequence[_Group]) -> str:
    """Why images are not read by their numbers, as the end of a sentence; "" where they are."""
    largest = max(groups, key=lambda group: group.nbytes)
    if largest.nbytes <= GROUP_BYTES:
        return ""
    return (
        f"or write {largest.file.name} in groups of 100 rows, which are read one by one (it has {largest.rows:,} in "
        "a group)"
    )


def _contents(column: pa.Array) -> pa.Array:
    """The encoded images of a column that holds them, or structs of them."""
    return column.field("bytes") if pa.types.is_struct(column.type) else column


def _named(file: Path, row: int, value: bytes | None) -> tuple[str, bytes]:
    """An image with its name for errors."""
    if value is None:
        raise InputError(f"{file.name} row {row} has no image bytes")
    return f"{file.name} row {row}", value


@contextmanager
def _opened(file: Path, metadata: Any = None) -> Iterator[pq.ParquetFile]:
    """A parquet file; what is wrong with it, whenever it shows, becomes an `InputError` that names it. metadata: its
    own, where it was read before."""
    try:
        with pq.ParquetFile(file, metadata=metadata) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot read {file}: {str(error).splitlines()[0]}") from error


def _image_column(schema: pa.Schema, file: Path) -> str:
    """The column of image bytes, as the path pyarrow reads."""
    paths = {}
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            if _is_binary(field.type.field("bytes").type):
                paths[field.name] = f"{field.name}.bytes"
        elif _is_binary(field.type):
            paths[field.name] = field.name
    named = [name for name in ("image", "img") if name in paths]
    if not named and len(paths) != 1:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{file} has {'more than one' if paths else 'no'} column of image bytes; it has {columns}; "
            "name the one with the encoded images (binary, or a struct with `bytes`) image"
        )
    return paths[named[0]] if named else next(iter(paths.values()))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _labels(parquet: pq.ParquetFile, label: str, file: Path) -> Labels:
    column = parquet.read(columns=[label]).column(0)
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        raise InputError(f"the column {label} of {file} is {column.type}; labels are integers or strings")
    if column.null_count:
        raise InputError(
            f"the column {label} of {file} is empty in {column.null_count} of {len(column)} rows"
        )
    values: list[Any] = column.to_pylist()
    return values


def _class_names(schema: pa.Schema, label: str | None) -> Sequence[str] | None:
    """Class names as Hugging Face's `datasets` keeps them in the schema, None if they are not there."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None or label is None:
        return None
    features = json.loads(raw).get("info", {}).get("features", {})
    names: Sequence[str] | None = features.get(label, {}).get("names")
    return names
