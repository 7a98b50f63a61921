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

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import is_folder, plain, require_regular
from benchbench.data.pipeline.assemble import FilePart, Labels, Part
from benchbench.data.pipeline.names import in_order
from benchbench.data.sources.archives import BOMB_FLOOR, BOMB_ROWS, is_bomb
from benchbench.data.sources.columns import class_names, contents, image_column, label_column, labels_of
from benchbench.data.sources.layout import TRAIN, check_complete
from benchbench.data.sources.shards import find_files
from benchbench.data.sources.split_files import SplitFiles

BATCH = 16
"""Rows at once: however small a file is, each of them may hold a large image."""

GROUP_BYTES = 2**26


class ParquetSource(SplitFiles):
    """Encoded images in a parquet file, or in a folder of them."""

    kind: ClassVar[str] = "parquet"

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files by the name that they share, in their order; nothing where the path is a file."""
        return find_files(self.path, ".parquet") if is_folder(self.path) else {}

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
        return self.of_splits()

    def whole(self) -> Part:
        """The rows of all files."""
        files = [file for name in in_order(self.files) for file in self.files[name]] or [self.path]
        if files == [self.path] and is_folder(self.path):
            raise InputError(f"{self.path} holds no parquet files")
        return self.part(files, self.path.name or self.path.resolve().name)

    def part(self, files: Sequence[Path], title: str) -> FilePart:
        """The rows of some files."""
        return read_part(files, title)


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
                    for value in contents(batch.column(0)):
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
                    value = contents(column.slice(row - starts[number], 1).combine_chunks())[0].as_py()
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
        image = image_column(schema, file)
        label = label_column(schema)
        labels = None if label is None else labels_of(parquet.read(columns=[label]).column(0), label, file)
        return _Table(file, image, _groups(parquet, file, image), labels, class_names(schema, label, file))


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
