"""Datasets that Hugging Face's `datasets` saved to disk: `arrow:PATH` of the folder that `save_to_disk` wrote.

    dataset_dict.json        of several splits, each a folder
    state.json               of one: its Arrow files in their order
    dataset_info.json        its columns

A single `.arrow` file, as the library keeps in its cache, is one part. Columns are those of `parquet:`. An image is the
content of a file; where only its path was kept, as a dataset that was never embedded has it, the path must lie below
the folder. Files are mapped into memory and nothing of them is copied: they are Arrow's streaming format, whose buffers
`datasets` does not compress, and compressed ones are refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchbench.core.errors import InputError, listed
from benchbench.core.hashing import file_sha256
from benchbench.core.numpy_files import DAMAGE
from benchbench.core.reading import is_folder, kind_of, plain, read_text, require_regular
from benchbench.core.validation import first_fault
from benchbench.data.pipeline.assemble import FilePart, Labels, Part
from benchbench.data.sources.columns import class_names, image_column, label_column, labels_of
from benchbench.data.sources.flatbuffer import is_compressed
from benchbench.data.sources.layout import TRAIN, check_complete
from benchbench.data.sources.split_files import SplitFiles

STATE, SPLITS = "state.json", "dataset_dict.json"


Model = TypeVar("Model", bound=BaseModel)


class _File(BaseModel):
    filename: str


class State(BaseModel):
    """What `state.json` says, as far as it is read here. files: those of Arrow. indices: those of a selection of rows,
    which older versions kept apart."""

    model_config = ConfigDict(populate_by_name=True)

    files: list[_File] = Field(alias="_data_files", min_length=1)
    indices: list[_File] | None = Field(default=None, alias="_indices_data_files")


class Names(BaseModel):
    """What `dataset_dict.json` says."""

    splits: list[str] = Field(min_length=1)


class ArrowSource(SplitFiles):
    """A dataset or a dictionary of them as `save_to_disk` wrote it, or one Arrow file."""

    kind: ClassVar[str] = "arrow"

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The Arrow files by split, under "" those without."""
        if not is_folder(self.path):
            return {"": [self.path]}
        if kind_of(self.path / SPLITS):
            names = _read(self.path / SPLITS, Names).splits
            return {name: _files_of(self.path / _plain(name, self.path / SPLITS)) for name in names}
        return {"": _files_of(self.path)}

    def parts(self) -> Sequence[Part]:
        """Train and held-out, or all images."""
        if list(self.files) in ([""], [TRAIN]):
            return [self.whole()]
        check_complete(self.layout, self.layout.others, str(self.path))
        if not self.layout.of:
            raise InputError(
                f"{self.path} has {listed(list(self.files))} but no train; name one of these folders"
            )
        return self.of_splits()

    def whole(self) -> Part:
        """The rows of all files."""
        return self.part([file for files in self.files.values() for file in files], self.path.resolve().name)

    def part(self, files: Sequence[Path], title: str) -> FilePart:
        """The rows of some files."""
        return _part(files, title)


def _files_of(folder: Path) -> list[Path]:
    """The Arrow files of one split, in their order; `InputError` where some are not there."""
    where = folder / STATE
    if not kind_of(where):
        raise InputError(f"{folder} holds no {STATE}; give the folder that save_to_disk wrote")
    state = _read(where, State)
    if state.indices:
        raise InputError(f"{folder} keeps a selection of rows apart; save dataset.flatten_indices() instead")
    files = [folder / _plain(file.filename, where) for file in state.files]
    if twice := [file.name for file, times in Counter(files).items() if times > 1]:
        raise InputError(
            f"{where} names {twice[0]} twice, whose images would count twice; save the dataset again"
        )
    if missing := [file.name for file in files if not kind_of(file)]:
        raise InputError(f"{folder} lacks {missing[0]} ({len(missing)} of {len(files)} files are missing)")
    return files


def _read(file: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(read_text(file))
    except ValidationError as error:
        fault = first_fault(error)
        reason = ": ".join(filter(None, (fault.where, fault.reason))) if fault is not None else str(error)
        raise InputError(f"cannot read {file}: {plain(reason)}; save the dataset again") from error


def _plain(name: str, where: Path) -> str:
    """A name of a file or folder in the same folder; `InputError` for one that leads elsewhere."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise InputError(f"{where} names {plain(name)!r}, which is not beside it; save the dataset again")
    return name


@dataclass(frozen=True)
class _Table:
    """A file. batches: its rows, in pieces. image: the column of images."""

    file: Path
    batches: Sequence[pa.RecordBatch]
    image: str
    labels: Labels | None
    classes: Sequence[str] | None

    @property
    def rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


def _part(files: Sequence[Path], title: str) -> FilePart:
    """The rows of `files`, one after the other."""
    tables = [_table(file) for file in files]
    first = tables[0]
    if any(own.classes != first.classes or (own.labels is None) != (first.labels is None) for own in tables):
        raise InputError(f"{first.file} and the files beside it have other columns; save the dataset again")
    pieces = [(own, batch) for own in tables for batch in own.batches]
    starts = list(accumulate((batch.num_rows for _, batch in pieces), initial=0))
    if not starts[-1]:
        raise InputError(f"{first.file} has no rows")
    labels: list[Any] = [label for own in tables for label in own.labels or ()]
    outside = [path for own, batch in pieces for path in _paths(own, batch)]

    def pick(rows: Sequence[int]) -> Iterator[tuple[str, bytes | Path]]:
        for row in rows:
            number = bisect_right(starts, row) - 1
            own, batch = pieces[number]
            with reading(own.file):
                found = _image(own, batch, row - starts[number], f"row {row} of {title}")
            yield found

    return FilePart(
        title=title,
        total=starts[-1],
        items=lambda: pick(range(starts[-1])),
        pick=pick,
        labels=None if first.labels is None else labels,
        identify=lambda: [[file.name, file_sha256(file)] for file in (*files, *outside)],
        classes=first.classes,
    )


def _table(file: Path) -> _Table:
    with reading(file):
        require_regular(file)
        with pa.memory_map(str(file)) as mapped:
            for message in pa.ipc.MessageReader.open_stream(mapped):
                if is_compressed(message.metadata.to_pybytes()):
                    raise InputError(
                        f"{file} is compressed, which datasets never writes; save the dataset again"
                    )
            mapped.seek(0)
            table = pa.ipc.open_stream(mapped).read_all()  # stays mapped, and is not copied
        table.validate(full=True)
        schema, label = table.schema, label_column(table.schema)
        labels = None if label is None else labels_of(table.column(label), label, file)
        image = image_column(schema, file)
        return _Table(file, table.to_batches(), image, labels, class_names(schema, label, file))


def _column(own: _Table, batch: pa.RecordBatch) -> pa.Array:
    return batch.column(own.image.partition(".")[0])


def _paths(own: _Table, batch: pa.RecordBatch) -> list[Path]:
    """The files of the images that are not in the table."""
    column = _column(own, batch)
    if not pa.types.is_struct(column.type) or not column.field("bytes").null_count:
        return []
    rows = (row for row in range(len(column)) if not column.field("bytes")[row].is_valid)
    found = [_image(own, batch, row, f"row {row} of {own.file}")[1] for row in rows]
    return [path for path in found if isinstance(path, Path)]


def _image(own: _Table, batch: pa.RecordBatch, row: int, where: str) -> tuple[str, bytes | Path]:
    """An image with its name for errors."""
    value = _column(own, batch)[row].as_py()
    content, path = (value or {}).get("bytes"), (value or {}).get("path")
    if not isinstance(value, dict):
        content = value
    if content is not None:
        return where, content
    if not path:
        raise InputError(f"{where} has no image")
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts or "\\" in path or ":" in path:
        raise InputError(
            f"{where} is the file {plain(path)}, outside of {own.file.parent}; save the dataset again with its images "
            "in it (save_to_disk of datasets 2.8 or later does so)"
        )
    return where, own.file.parent / path


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """What is wrong with a file, whenever it shows, becomes an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, *DAMAGE) as error:
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"cannot read {file}: {plain(first)}; it may be damaged, save the dataset again"
        ) from error
