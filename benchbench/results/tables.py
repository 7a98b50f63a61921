"""Rows in files and in frames: `metrics.csv` and the one tidy DataFrame.

Pattern: one description of every column, taken from `Row` itself, drives writing, reading and the dtypes of
the frame. Floats are written as Python's `repr`, the shortest text that reads back as the same double. An
empty field is a null; in the columns that cannot be null it is the empty string.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, cast, get_args

import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray
from pandas.api.types import pandas_dtype

from benchbench.core.files import atomic_write
from benchbench.core.scales import Scale
from benchbench.core.text_files import TextFault, as_text
from benchbench.results.claims.conditions import full_task
from benchbench.results.older import DIRECTED
from benchbench.results.record import COLUMNS, OLDER, SILENT, Row
from benchbench.results.touched import damaged, read


def _parse_bool(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _parse_status(text: str) -> str:
    return {"ok": "ok", "failed": "failed", "unavailable": "unavailable"}[text]


def _parse_direction(text: str) -> str:
    return {"AtoB": "AtoB", "BtoA": "BtoA", "": ""}[text]


def _parse_scale(text: str) -> str:
    names: dict[str, str] = {name: name for name in get_args(Scale)}
    return names[text]


# Annotation without "| None" -> how a field is parsed, and its dtype in a frame. Nullable dtypes throughout:
# a missing number is <NA>, never NaN.
_KINDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "str": (str, "string"),
    "Status": (_parse_status, "string"),
    "Direction | Literal['']": (_parse_direction, "string"),
    "Scale": (_parse_scale, "string"),
    "int": (int, "Int64"),
    "float": (float, "Float64"),
    "bool": (_parse_bool, "boolean"),
}
_ANNOTATIONS = {field.name: str(field.type) for field in fields(Row)}
_Parser = tuple[str, bool, Callable[[str], Any], str]  # name, nullable, parse, dtype
_PARSERS: list[_Parser] = [
    (name, "None" in annotation, *_KINDS[annotation.removesuffix(" | None")])
    for name, annotation in _ANNOTATIONS.items()
]
DTYPES: dict[str, str] = {name: dtype for name, _, _, dtype in _PARSERS}
# Whatever wrote a table: in the older ones a direction was part of a task's name.
_HEADERS = [
    [name for name in names if name not in left_out]
    for names in (COLUMNS, SILENT, OLDER)
    for left_out in ((), ("direction",))
]


def write_rows(path: Path | str, rows: Iterable[Row]) -> None:
    """Write `rows` atomically as CSV: `COLUMNS` in order, UTF-8, line feeds. `ValueError` for a duplicate."""
    rows = list(rows)
    duplicate = _first_duplicate(rows)
    if duplicate is not None:
        task = full_task(duplicate.task, duplicate.direction)
        raise ValueError(f"two rows for {duplicate.metric} in task {task} of cell {duplicate.cell}")
    text = io.StringIO()
    # With CRLF as its terminator the writer quotes fields that hold either; the file itself has line feeds.
    for record in [list(COLUMNS), *([_to_text(x, n) for n, x in row.as_dict().items()] for row in rows)]:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(record)
        text.write(line.getvalue().removesuffix("\r\n") + "\n")
    # A reason may quote a file name that is not Unicode; that must not cost anybody the record.
    atomic_write(path, text.getvalue().encode("utf-8", "backslashreplace"))


def read_rows(path: Path | str, content: bytes | None = None) -> list[Row]:
    """The rows in a `metrics.csv`, of an older version too; `content` saves reading bytes that the caller has already.

    Raises `InputError` that names file and line: a missing or unknown column, a value that does not parse, a
    number without a value or a value that is no number, a duplicate row.
    """
    path = Path(path)
    try:
        text = as_text(read(path) if content is None else content)
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except TextFault as fault:
        raise damaged(path, f"is not a CSV table: it {fault}") from fault
    except csv.Error as error:
        raise damaged(path, f"is not a CSV table ({error})") from error
    header = table[0] if table else []
    if header not in _HEADERS:
        raise damaged(path, _wrong_header(header))
    parsers = [parser for parser in _PARSERS if parser[0] in header]
    rows = [_parse(path, number, record, parsers) for number, record in enumerate(table[1:], start=2)]
    duplicate = _first_duplicate(rows)
    if duplicate is not None:
        task = full_task(duplicate.task, duplicate.direction)
        raise damaged(path, f"has two rows for {duplicate.metric} in task {task}")
    return rows


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row, `COLUMNS` in order, nullable dtypes (`DTYPES`)."""
    return pd.DataFrame(
        {name: column(list(map(attrgetter(name), rows)), dtype) for name, dtype in DTYPES.items()}
    )


def column(values: Sequence[Any], dtype: str) -> ExtensionArray:
    """`pd.array` with a nullable dtype; of texts without a look at the kind of each, which takes pandas four times as
    long."""
    nullable = cast(Any, pandas_dtype(dtype))
    found: ExtensionArray = (
        nullable.__from_arrow__(pa.array(values, pa.large_string()))
        if dtype == "string"
        else pd.array(values, dtype=nullable)
    )
    return found


def _to_text(value: Any, column: str) -> str:
    if value is None:
        return ""
    if DTYPES[column] == "boolean":
        return "true" if value else "false"
    if DTYPES[column] == "Float64":
        return repr(float(value))
    return str(value)


def _parse(path: Path, number: int, record: list[str], parsers: Sequence[_Parser]) -> Row:
    if len(record) != len(parsers):
        raise damaged(path, f"row {number} has {len(record)} fields where {len(parsers)} belong")
    values: dict[str, Any] = {}
    for text, (name, nullable, parse, _) in zip(record, parsers, strict=True):
        try:
            values[name] = None if nullable and text == "" else parse(text)
        except (ValueError, KeyError) as error:
            spreadsheet = " (spreadsheets write it so)" if text in ("TRUE", "FALSE") else ""
            raise damaged(path, f"row {number} has {text[:80]!r}{spreadsheet} as its {name}") from error
    if "direction" not in values:
        values["task"], values["direction"] = DIRECTED.get(values["task"], (values["task"], ""))
    try:
        return Row(**values)
    except ValueError as error:
        raise damaged(path, f"row {number} is impossible ({error})") from error


def _wrong_header(header: list[str]) -> str:
    for mark, words in ((";", "a semicolon"), ("\t", "a tab")):
        if header[:1] and header[0].startswith(f"cell{mark}"):
            return f"has its columns parted by {words}, as spreadsheets save them; a record is read as it was written"
    missing = [name for name in OLDER if name not in (*header, "direction")]
    missing = missing or (
        [name for name in SILENT if name not in (*header, "direction")] if len(header) > len(OLDER) else []
    )
    unknown = [name for name in header if name not in COLUMNS]
    if missing:
        return f"lacks the column(s) {', '.join(missing)}"
    if unknown:
        return f"has the unknown column(s) {', '.join(unknown)}"
    return "has its columns in another order, or twice"


def _first_duplicate(rows: Iterable[Row]) -> Row | None:
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        identity = (row.cell, row.task, row.direction, row.metric)
        if identity in seen:
            return row
        seen.add(identity)
    return None
