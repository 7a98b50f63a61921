"""What was read of records before, kept in the user's cache: the next table is made without reading them again.

Reading ten thousand records takes many seconds: each is parsed, held to its types and to its sha256. What came of it
is kept in one file for each folder of records, in `CACHE/records/`, as Arrow tables: a line a record, with the identity
of its two files and what its run.json says, and the lines of all of them as tables show them.

Whether a record is still the one that was read, its files say: inode, size, and the times at which content and inode
were changed last, to the nanosecond. Nobody can set the last of these. A file that was changed within `SETTLED` seconds
of being read is not kept, since a clock may tick too slowly to show a second change.

Scope: it can be deleted at any time, and whatever is wrong with it (cut off, edited, of another version of the code in
`benchbench.results`, not writable) costs time and nothing else. Nothing is written for fewer than `FEW` new records.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import sha256
from itertools import compress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from benchbench.core.errors import InputError
from benchbench.core.files import atomic_write
from benchbench.core.folders import cache_folder
from benchbench.core.hashing import digest
from benchbench.core.reading import open_regular
from benchbench.results.manifest import RunManifest
from benchbench.results.recipes import Recipe
from benchbench.results.touched import METRICS, RUN

FEW = 100
"""New records below which nothing is written: they are read in no time."""
SETTLED = 2.0
"""Seconds that a file must have been left alone before it was read; some file systems have a clock that ticks once in
two."""
_MARKS = ("inode", "size", "changed", "noted")
_TIMES = (2, 3, 6, 7)  # of an identity
_COLUMNS = [f"{file}_{mark}" for file in ("run", "metrics") for mark in _MARKS]

Identity = tuple[int, ...]  # `_MARKS` of run.json, then of metrics.csv


@dataclass(frozen=True)
class Known:
    """What is kept of a record beside its lines.

    Attributes:
        place: Its folder within that of all records.
        identity: Of its files, as they were read.
        cell: Its key.
        recipe: What tells its recipe from others.
        n: How many lines it has.
    """

    place: str
    identity: Identity
    cell: str
    recipe: Recipe
    n: int


@dataclass(frozen=True)
class Kept:
    """The records of a folder that were read before.

    Attributes:
        known: In the order of their lines.
        lines: As `results.load` has them of each record; None where there are none.
        told: A stream with `as_text` of each, which few ask for; None where there are none.
    """

    known: Sequence[Known] = ()
    lines: pa.Table | None = None
    told: pa.Buffer | None = None
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {own.place: number for number, own in enumerate(self.known)})

    def number(self, place: str, identity: Identity | None) -> int | None:
        """Which of `known` it is; None where the record was not read before, or is another one now."""
        number = self._numbers.get(place)
        return None if number is None or self.known[number].identity != identity else number

    def text(self, number: int | None) -> str:
        """`as_text` of one of `known`."""
        said: str = self._texts[number].as_py()
        return said

    @cached_property
    def _texts(self) -> pa.ChunkedArray:
        return pa.ipc.open_stream(self.told).read_all()["run"]

    def run(self, number: int | None) -> RunManifest:
        """What the run.json of one of `known` says."""
        return RunManifest.model_validate_json(self.text(number))

    def frame(self, numbers: Sequence[int], dtypes: dict[str, str]) -> pd.DataFrame:
        """The lines of some records, one behind the other."""
        assert self.lines is not None
        lines = self.lines
        if list(numbers) != list(range(len(self.known))):
            ends = [0]
            for own in self.known:
                ends.append(ends[-1] + own.n)
            lines = lines.take([i for number in numbers for i in range(ends[number], ends[number + 1])])
        return pd.DataFrame({name: _array(lines[name], dtype) for name, dtype in dtypes.items()}, copy=False)


def as_text(run: RunManifest) -> str:
    """All that a run.json says, as `Kept.run` reads it."""
    return run.model_dump_json(exclude_unset=True)


def identity_of(folder: str) -> Identity | None:
    """Of a record's files as they are now; None where one is not there."""
    try:
        return tuple(
            mark
            for found in (os.stat(f"{folder}/{RUN}"), os.stat(f"{folder}/{METRICS}"))
            # Network and layered file systems number inodes up to 2⁶⁴; a column holds half as many.
            for mark in (found.st_ino % 2**63, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        )
    except OSError:
        return None


def kept_of(root: Path) -> Kept:
    """What is kept of the records of a folder; of one that is damaged nothing."""
    try:
        with open_regular(_file(root)) as file:
            content = file.read()
        seal, body = content[:32], memoryview(content)[32:]
        if sha256(body).digest() != seal:
            return Kept()
        source = pa.BufferReader(pa.py_buffer(body))
        records, lines = (pa.ipc.open_stream(source).read_all() for _ in range(2))
        told = source.read_buffer()
    except (OSError, InputError, pa.ArrowException):
        return Kept()
    columns = records.to_pydict()
    identities = zip(*(columns[name] for name in _COLUMNS), strict=True)
    settings = {text: json.loads(text) for text in set(columns["settings"])}  # seeds share them
    recipes = [
        Recipe(settings[text], named)
        for text, named in zip(columns["settings"], columns["named"], strict=True)
    ]
    known = zip(columns["place"], identities, columns["cell"], recipes, columns["n"], strict=True)
    return Kept([Known(*own) for own in known], lines, told)


def keep(root: Path, known: Sequence[Known], runs: Sequence[str], frame: pd.DataFrame, began: float) -> None:
    """Keep what was read of the records of a folder, in place of what was kept before.

    known: in the order of their lines. runs: `as_text` of each. frame: the lines of all of these. began: when the
    reading did, by the clock.
    """
    settled = [max(own.identity[i] for i in _TIMES) < (began - SETTLED) * 1e9 for own in known]
    frame = frame[np.repeat(settled, [own.n for own in known])]
    told = pa.table({"run": pa.array(compress(runs, settled), pa.large_string())})
    known = list(compress(known, settled))
    if not known:
        return
    marks = list(zip(*(own.identity for own in known), strict=True))
    records = pa.table(
        {
            "place": [own.place for own in known],
            "cell": [own.cell for own in known],
            "named": [own.recipe.named for own in known],
            "settings": [json.dumps(own.recipe.settings) for own in known],
            "n": [own.n for own in known],
            **{name: pa.array(column, pa.int64()) for name, column in zip(_COLUMNS, marks, strict=True)},
        }
    )
    lines = pa.table({name: _encoded(frame[name]) for name in frame.columns})
    sink = pa.BufferOutputStream()
    for table in (records, lines, told):
        with pa.ipc.new_stream(
            sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
        ) as stream:
            stream.write_table(table)
    body = sink.getvalue()
    file = _file(root)
    with suppress(OSError, InputError):  # a cache that cannot be written costs time alone
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, sha256(body).digest() + body.to_pybytes())
        for older in file.parent.glob(f"{file.name.partition('-')[0]}-*.arrow"):
            if older != file:
                older.unlink()


def _encoded(column: pd.Series) -> pa.Array:
    """A column with each text once."""
    array = pa.Array.from_pandas(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    is_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    return array.dictionary_encode() if is_text else array


def _array(column: pa.ChunkedArray, dtype: str) -> pd.api.extensions.ExtensionArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found: pd.api.extensions.ExtensionArray = cast(Any, pd.api.types.pandas_dtype(dtype)).__from_arrow__(
        column
    )
    return found


def _file(root: Path) -> Path:
    """Where the records of a folder are kept by this version of the code."""
    return cache_folder() / "records" / f"{digest(os.path.abspath(root))[:16]}-{_version()[:16]}.arrow"


@cache
def _version() -> str:
    """Of all code that makes lines of records, and of what writes the tables."""
    here = Path(__file__).parent
    code = [
        [file.relative_to(here).as_posix(), file.read_text("utf-8")] for file in sorted(here.rglob("*.py"))
    ]
    return digest([code, pa.__version__, pd.__version__])
