"""Parquet files with encoded images: `parquet:PATH`, as Hugging Face's `datasets` writes them.

Layouts: one file; or a folder (or the only one in it that holds such files, as `data/`) with `train.parquet` and
`test.parquet`, in any spelling of `layout.SPELLINGS`, each of which may be in shards, `train-00000-of-00002.parquet`,
or in a folder of its own, `train/0000.parquet`. What has no held-out part is split in halves. The image column holds
file contents, directly (binary) or as the field `bytes` of a struct; it is called `image` or `img`, or is the only
such column. A column `label` or `labels` of integers or strings is optional; class names are taken from Hugging Face's
own metadata where they are there. Images are read in batches, so that memory does not grow with the size of the files.

A parquet file is read by groups of rows. To read some images by their numbers costs the groups in which they are, so
this is done only where no group holds more than `GROUP_BYTES` of images: `datasets` writes groups of 100.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import is_folder, plain, require_regular
from benchbench.core.validation import first_fault
from benchbench.data.pipeline.assemble import FilePart, Labels, Part
from benchbench.data.pipeline.names import in_order
from benchbench.data.sources.archives import BOMB_FLOOR, BOMB_ROWS, is_bomb
from benchbench.data.sources.files import FileSource
from benchbench.data.sources.folder import visible_folders, walk
from benchbench.data.sources.layout import (
    TRAIN,
    Splits,
    check_complete,
    split_name,
    splits_or_alike,
)

BATCH = 16
"""Rows at once: however small a file is, each of them may hold a large image."""

GROUP_BYTES = 2**26
SHARD = re.compile(r"(?P<title>.*?)[-_.]?(?P<i>\d+)-of-(?P<n>\d+)(?:-[0-9a-f]+)?")
"""As `datasets` names shards; older versions of it have a hash at the end."""
NUMBERED = re.compile(r"(?P<title>.*?)[-_.]?(?P<i>\d+)")


class ParquetSource(FileSource):
    """Encoded images in a parquet file, or in a folder of them."""

    kind: ClassVar[str] = "parquet"

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files by the name that they share, in their order; nothing where the path is a file."""
        return find_files(self.path) if is_folder(self.path) else {}

    @cached_property
    def layout(self) -> Splits:
        """Which of these names are splits."""
        where = str(self.path)
        return splits_or_alike(self.files, where)

    def splits(self) -> Sequence[str]:
        """The names of train and of the held-out part, where files of both are there."""
        return self.layout.two()

    def parts(self) -> Sequence[Part]:
        """Train and held-out of a folder; the file itself."""
        if not is_folder(self.path):
            return [self.whole()]
        if (TRAIN, "") not in self.layout.of:
            names = ", ".join(sorted(file.name for files in self.files.values() for file in files))
            others = (
                f"only {names}; name one file with parquet:PATH/FILE" if names else "nor any other parquet"
            )
            raise InputError(f"{self.path} has no train.parquet, {others}")
        beside = [self.files[name][0].name for name in self.layout.others]
        check_complete(self.layout, beside, str(self.path), "")
        titles = self.splits() or [self.layout.of[TRAIN, ""]]
        train, *held_out = (read_part(self.files[title], title) for title in titles)
        return [replace(train, notes=[*train.notes, *self.layout.notes()]), *held_out]

    def whole(self) -> Part:
        """The rows of all files."""
        files = [file for name in in_order(self.files) for file in self.files[name]] or [self.path]
        if files == [self.path] and is_folder(self.path):
            raise InputError(f"{self.path} holds no parquet files")
        return read_part(files, self.path.name or self.path.resolve().name)


def find_files(folder: Path) -> dict[str, list[Path]]:
    """The parquet files of each part ("train", "test", …) in `folder`, in the folders of splits in it, or in the only
    other one that holds any; `InputError` if a shard is missing."""
    found = _titles_in(folder)
    below = [] if found else [name for name in walk(folder)[1] if _is_parquet(name)]
    while not found:
        inner = {name.partition("/")[0] for name in below}
        if len(inner) != 1:
            return {}
        folder = folder / inner.pop()
        below = [name.partition("/")[2] for name in below]
        found = _titles_in(folder)
    for title, files in found.items():
        _check_shards(folder, title, files)
    return found


def _titles_in(folder: Path) -> dict[str, list[Path]]:
    """The files directly in a folder and in the folders of splits in it, by what they are called together."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in _parquet_in(folder):
        found[_title(file)].append(file)
    for name in visible_folders(folder):
        if split_name(name) is not None:
            found[name] += _parquet_in(folder / name)
    return {title: files for title, files in found.items() if files}


def _parquet_in(folder: Path) -> list[Path]:
    """The parquet files directly in a folder, in the order of their numbers."""
    names = [
        file.name for file in folder.iterdir() if _is_parquet(file.name) and not file.name.startswith(".")
    ]
    return [folder / name for name in in_order(names)]


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(".parquet")


def _title(file: Path) -> str:
    """What a file is called without the number of its shard."""
    shard = SHARD.fullmatch(file.stem) or NUMBERED.fullmatch(file.stem)
    return file.stem if shard is None or not shard["title"] else shard["title"]


def _check_shards(folder: Path, title: str, files: Sequence[Path]) -> None:
    shards = [shard for file in files if (shard := SHARD.fullmatch(file.stem)) is not None]
    if not shards:
        return
    first, n = shards[0], int(shards[0]["n"])
    there = [int(shard["i"]) for shard in shards]
    if (
        len(shards) < len(files)
        or any(int(shard["n"]) != n for shard in shards)
        or len({*there}) < len(there)
    ):
        some = ", ".join(file.name for file in files[:3])
        raise InputError(
            f"{folder} has files of {title} that are no one set of shards ({some}); keep those that belong together"
        )
    if missing := sorted({*range(n)} - {*there}):
        width, prefix = len(first["i"]), first.string[: first.start("i")]
        name = f"{prefix}{missing[0]:0{width}}-of-{first['n']}.parquet"
        raise InputError(f"{folder} lacks {name} ({len(missing)} of {n} shards are missing)")


def read_part(files: Sequence[Path], title: str) -> FilePart:
    """The rows of `files`, one after the other, as one part."""
    tables = [_table(file) for file in files]
    labels, classes = _agreed(tables)
    groups = [group for table in tables for group in table.groups]
    starts = list(accumulate((group.rows for group in groups), initial=0))
    total = starts[-1]
    if total == 0:
        raise InputError(f"{files[0]} has no rows")

    def items() -> Iterator[tuple[str, bytes | Path]]:
        for table in tables:
            row = 0
            with _opened(table.file) as parquet:
                for batch in parquet.iter_batches(BATCH, columns=[table.image]):
                    for value in _contents(batch.column(0)):
                        yield _named(table.file, row, value.as_py())
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
        classes=classes,
    )


@dataclass(frozen=True)
class _Table:
    """A file. image: the column of images. groups: its groups of rows. labels: one a row, None without such a column.
    classes: names by label, where the file says so."""

    file: Path
    image: str
    groups: list[_Group]
    labels: Labels | None
    classes: Sequence[str] | None


def _table(file: Path) -> _Table:
    with _opened(file) as parquet:
        schema = parquet.schema_arrow
        rows, size = parquet.metadata.num_rows, file.stat().st_size
        if rows > max(BOMB_ROWS, size):
            raise InputError(f"{file} is refused: it claims {rows:,} images in {size:,} bytes, as bombs do")
        image = _image_column(schema, file)
        label = next((name for name in ("label", "labels") if name in schema.names), None)
        labels = None if label is None else _labels(parquet, label, file)
        return _Table(file, image, _groups(parquet, file, image), labels, _class_names(schema, label, file))


def _agreed(tables: Sequence[_Table]) -> tuple[Labels | None, Sequence[str] | None]:
    """The labels of all tables, and what their classes are called; `InputError` where they are not of one dataset."""
    first = tables[0]
    for table in tables[1:]:
        if (table.labels is None) != (first.labels is None):
            has, lacks = (first, table) if table.labels is None else (table, first)
            raise InputError(
                f"{has.file} has labels but {lacks.file.name} beside it has none; give them to all files or to none"
            )
        if table.classes != first.classes:
            raise InputError(
                f"{first.file} and {table.file.name} beside it name their classes otherwise "
                f"({_listed(first.classes)}; {_listed(table.classes)}); write them again with the same names"
            )
    labels: list[Any] = [label for table in tables for label in table.labels or ()]
    if len({type(label) for label in labels}) > 1:
        raise InputError(
            f"labels beside {first.file} are integers in some files and texts in others; choose one"
        )
    return (None if first.labels is None else labels), first.classes


def _listed(classes: Sequence[str] | None) -> str:
    return "none" if classes is None else plain(", ".join(classes))


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
        own = [column for column in columns if column.path_in_schema == image]
        nbytes = sum(column.total_uncompressed_size for column in own)
        packed = sum(column.total_compressed_size for column in own)
        if is_bomb(nbytes, packed, BOMB_FLOOR):
            raise InputError(
                f"{file} is refused: its images have {packed:,} bytes but claim to unpack to {nbytes:,}, as bombs do"
            )
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
    require_regular(file)
    try:
        with pq.ParquetFile(file, metadata=metadata) as parquet:
            yield parquet
    except (pa.ArrowException, *DAMAGE) as error:
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"cannot read {file}: {plain(first)}; it may be damaged, make or fetch it again"
        ) from error


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


def _class_names(schema: pa.Schema, label: str | None, file: Path) -> Sequence[str] | None:
    """Class names as Hugging Face's `datasets` keeps them in the schema, None if they are not there; `InputError` if
    something else is."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None or label is None:
        return None
    try:
        info = HuggingFace.model_validate_json(raw).info
        return None if info is None or info.features is None else _names(info.features.get(label))
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else None
        reason = str(error) if fault is None else ": ".join(filter(None, (fault.where, fault.reason)))
        raise InputError(
            f"what {file} says of its classes in Hugging Face's metadata cannot be read ({plain(reason)}); "
            "write it again, or without this metadata"
        ) from error


class Info(BaseModel):
    """features: by column."""

    features: dict[str, Any] | None = None


class HuggingFace(BaseModel):
    """What `datasets` writes beside a schema, as far as it is read here."""

    info: Info | None = None


class ClassLabel(BaseModel):
    """A feature of a column of labels; others have no names. names: by label."""

    model_config = ConfigDict(strict=True)

    names: list[str] | None = None


def _names(feature: Any) -> Sequence[str] | None:
    """The names of a feature; ValueError where they cannot be told apart."""
    names = None if feature is None else ClassLabel.model_validate(feature).names
    if names is not None and (len(set(names)) < len(names) or not all(names)):
        raise ValueError("the names of its classes are empty or not distinct")
    return names
