"""Rows in files: nothing is lost on the way out and back, and nothing odd gets in."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchbench.core.errors import InputError
from benchbench.results.record import COLUMNS, Row
from benchbench.results.tables import DTYPES, read_rows, to_frame, write_rows

MakeRow = Callable[..., Row]
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variant=TEXT,
    reason=st.none() | TEXT.filter(bool),
    value=NUMBER,
    low=st.none() | NUMBER,
    n=st.none() | st.integers(0, 2**63 - 1),
    higher=st.none() | st.booleans(),
)
def test_rows_survive_the_file(
    make_row: MakeRow,
    tmp_path: Path,
    variant: str,
    reason: str | None,
    value: float,
    low: float | None,
    n: int | None,
    higher: bool | None,
) -> None:
    """Identity: what is read equals what was written, to the last bit of a float (repr is exact for doubles,
    Steele & White 1990), with commas, quotes, line breaks, carriage returns and any script in the texts."""
    row = make_row(variant=variant, reason=reason, value=value, low=low, n_images=n, higher_is_better=higher)
    rows = [row, replace(row, metric="ssim", value=None, status="failed", reason="why", low=None, high=None)]
    write_rows(tmp_path / "metrics.csv", rows)
    assert read_rows(tmp_path / "metrics.csv") == rows


def test_the_file_is_plain_csv(make_row: MakeRow, tmp_path: Path) -> None:
    """Read by the csv module: columns as in `COLUMNS`, the shortest exact float, empty for null."""
    write_rows(tmp_path / "metrics.csv", [make_row(value=0.1 + 0.2, n_reference=None)])
    content = (tmp_path / "metrics.csv").read_bytes()
    assert b"\r" not in content
    header, record = csv.reader(content.decode().splitlines())
    found = dict(zip(header, record, strict=True))
    assert header == list(COLUMNS)
    assert found["value"] == "0.30000000000000004"
    assert found["n_reference"] == ""
    assert found["higher_is_better"] == "false"


def test_a_file_name_that_is_not_unicode_does_not_cost_the_record(make_row: MakeRow, tmp_path: Path) -> None:
    """os.fsdecode gives lone surrogates, which UTF-8 cannot hold; they are escaped, everything else stays."""
    row = make_row(value=None, reason="cannot read caf\udce9.png")
    write_rows(tmp_path / "metrics.csv", [row])
    assert read_rows(tmp_path / "metrics.csv")[0].reason == r"cannot read caf\udce9.png"


def test_frame_has_the_columns_and_nullable_dtypes(make_row: MakeRow) -> None:
    """Rule 5 of the design: a failed number is missing, not NaN and not 0."""
    frame = to_frame([make_row(), make_row(metric="ssim", value=None, n_images=None)])
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert frame.loc[1, "value"] is pd.NA
    assert frame.loc[1, "n_images"] is pd.NA
    assert frame.loc[0, "value"] == 12.5
    assert dict(DTYPES, value="Float64", n_images="Int64", higher_is_better="boolean") == DTYPES


def test_an_empty_frame_has_the_same_shape() -> None:
    """By definition: code that reads a table must not have to ask whether it is empty."""
    frame = to_frame([])
    assert len(frame) == 0
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES


def test_a_duplicate_is_not_written(make_row: MakeRow, tmp_path: Path) -> None:
    """One number has one row; the second would weigh it twice in every mean."""
    with pytest.raises(ValueError, match="two rows for fd_efficientnet_lite0"):
        write_rows(tmp_path / "metrics.csv", [make_row(), make_row(value=3.0)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",higher_is_better,", ",", r"lacks the column\(s\) higher_is_better"),
        (",value,", ",score,", r"lacks the column\(s\) value"),
        (",value,low,", ",low,value,", "in another order"),
        ("12.5", "12,5", "row 2 has 29 fields where 28 belong"),
        ("12.5", "much", "row 2 has 'much' as its value"),
        ("12.5", "nan", "row 2 is impossible"),
        (",12.5,", ",,", "row 2 is impossible"),
        ("false,1000", "no,1000", "row 2 has 'no' as its higher_is_better"),
        (",ok,", ",fine,", "row 2 has 'fine' as its status"),
        (
            "false,1000",
            "FALSE,1000",
            r"row 2 has 'FALSE' \(spreadsheets write it so\) as its higher_is_better",
        ),
        (",1000,", f",{2**63},", "row 2 is impossible .* are counted"),
        (",1000,", ",-1,", "row 2 is impossible .* are counted"),
        ("12.5", '"12.5', "is not a CSV table"),
    ],
)
def test_an_edited_file_is_refused_by_name(
    make_row: MakeRow, tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Each edit breaks one rule of the format; the sentence names the file and that rule."""
    path = tmp_path / "metrics.csv"
    write_rows(path, [make_row()])
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)
    assert "run the cell again" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a CSV table: it is empty"),
        (b"\xff\xfe\x00", "it is not UTF-8 text but UTF-16"),
        (b"\xfa\x00", r"is not a CSV table: it is not UTF-8 text \(byte 0xfa at place 0\)"),
        (b"\0" * 64, "is full of zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> branch\n", "holds a merge conflict"),
        (b"cell;model;variant\n", "has its columns parted by a semicolon, as spreadsheets save them"),
        (b"cell\tmodel\tvariant\n", "has its columns parted by a tab"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The ways a copy goes wrong, each by its name; how each looks is what the program that does it writes."""
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / "metrics.csv")


def test_a_duplicate_in_a_file_is_refused(make_row: MakeRow, tmp_path: Path) -> None:
    """A row pasted twice, as a hand merge leaves it."""
    path = tmp_path / "metrics.csv"
    write_rows(path, [make_row()])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]))
    with pytest.raises(InputError, match="two rows for fd_efficientnet_lite0 in task generation"):
        read_rows(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """The operating system's own words, with the name and the way out."""
    with pytest.raises(InputError, match=r"metrics.csv cannot be read \(No such file or directory\)"):
        read_rows(tmp_path / "metrics.csv")
