"""Everything below a folder in one table, or one sentence about what is wrong there."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import benchbench
from benchbench.core.errors import InputError
from benchbench.core.hashing import file_sha256
from benchbench.results.claims.conditions import FACTS
from benchbench.results.load import load_results, load_runs
from benchbench.results.older import completed
from benchbench.results.provenance import sealed, write_run_json
from benchbench.results.record import COLUMNS, Row
from benchbench.results.tables import DTYPES, to_frame

FIXTURES = Path(__file__).parents[1] / "fixtures" / "schema-1"
MakeRow = Callable[..., Row]
Land = Callable[..., Path]


def test_everything_below_is_one_table(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Three cells at three depths; the table is their rows, by folder, exactly as they were written, with what
    older records did not say (`results.older`) and what run.json says of them, which is nothing but that no model
    here is a control."""
    cells = [
        [
            make_row(dataset="cifar10", cell="a" * 16),
            make_row(dataset="cifar10", cell="a" * 16, metric="psnr"),
        ],
        [make_row(model="gan", cell="b" * 16, value=None)],
        [make_row(cell="c" * 16, seed=1)],
    ]
    for rows in reversed(cells):
        land(tmp_path / "lab" if rows[0].model == "gan" else tmp_path, rows)
    expected = to_frame([*cells[0], *cells[2], *cells[1]])
    nothing = {name: pd.array([None] * 4, dtype=dtype) for name, dtype in FACTS.items()}
    expected = completed(expected).assign(**nothing).assign(control=pd.array([False] * 4, dtype="boolean"))
    pd.testing.assert_frame_equal(load_results(tmp_path), expected)
    pd.testing.assert_frame_equal(benchbench.load_results(str(tmp_path)), expected)


def test_one_cell_loads_by_its_own_folder(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """`path` may be the record itself, even below a hidden folder: only what lies below is filtered."""
    folder = land(tmp_path / ".hidden", [make_row()])
    assert load_results(folder)["value"].tolist() == [12.5]
    assert len(load_results(tmp_path)) == 0


def test_an_empty_folder_is_an_empty_table(tmp_path: Path) -> None:
    """The same columns and dtypes as a full one."""
    frame = load_results(tmp_path)
    assert len(frame) == 0
    assert list(frame.columns) == [*COLUMNS, *FACTS]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES | FACTS
    assert list(load_runs(tmp_path).columns) == ["cell", "path"]


def test_provenance_joins_by_cell(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """One line a record, nested fields by dotted name, as pandas.json_normalize has them."""
    folder = land(tmp_path, [make_row()], {"packages": {"torch": "2.9"}, "data": {"fingerprint": "f" * 64}})
    runs = load_runs(tmp_path)
    assert runs["packages.torch"].tolist() == ["2.9"]
    assert runs["path"].tolist() == [str(folder)]
    merged = load_results(tmp_path).merge(runs, on="cell", suffixes=("", "_run"))
    assert merged["data.fingerprint"].tolist() == ["f" * 64]


@pytest.mark.parametrize("name", ["photographs", "openmoji-lines", "digits", "reference"])
def test_runs_are_what_the_file_says(tmp_path: Path, name: str) -> None:
    """Columns, their order and values are those that pandas makes of the JSON, of records of `run` and of `evaluate` of
    schema 1 but for its number; extra fields of a package are columns too."""
    shutil.copytree(FIXTURES / name, tmp_path / name)
    (file,) = tmp_path.rglob("run.json")
    run = json.loads(file.read_text()) | {"schema_version": 2, "acme": {"by": None, "turned": 40}}
    file.write_text(json.dumps(run, sort_keys=True))
    stated = {key: run[key] for key in sorted(run) if key != "files"}
    expected = pd.json_normalize([{**stated, "path": str(file.parent)}])
    pd.testing.assert_frame_equal(load_runs(tmp_path), expected)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """A typing mistake must not look like "no results"."""
    if kind == "file":
        (tmp_path / "results").write_text("")
    with pytest.raises(InputError, match=r"there is no folder .*results"):
        load_results(tmp_path / "results")


def test_the_same_cell_twice_is_refused(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A copied results folder would count every seed twice; both places are named."""
    folder = land(tmp_path / "a", [make_row()])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(InputError, match="the same cell is in") as caught:
        load_results(tmp_path)
    assert str(folder) in str(caught.value)
    assert str(tmp_path / "b") in str(caught.value)


def test_links_are_followed_once(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Results behind a link count, a circle of links ends, and a folder reached twice counts once."""
    land(tmp_path / "elsewhere", [make_row()])
    (tmp_path / "results").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "results" / "linked")
    os.symlink(tmp_path / "elsewhere", tmp_path / "results" / "again")
    os.symlink(tmp_path / "results", tmp_path / "results" / "circle")
    assert len(load_results(tmp_path / "results")) == 1


def test_an_edited_number_is_refused(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """12.5 becomes 2.5 by hand: the table still parses, the sha256 in run.json tells."""
    path = land(tmp_path, [make_row()]) / "metrics.csv"
    path.write_text(path.read_text().replace("12.5", "2.5"))
    with pytest.raises(InputError, match=r"metrics.csv is not what run.json lists") as caught:
        load_results(tmp_path)
    assert str(path) in str(caught.value)


def test_rows_of_another_cell_are_refused(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """A metrics.csv taken over from another cell, with its sha256 mended in run.json, and that one sealed again."""
    folder = land(tmp_path / "a", [make_row()])
    other = land(tmp_path / "b", [make_row(cell="b" * 16)])
    shutil.copy(other / "metrics.csv", folder / "metrics.csv")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["metrics.csv"] = file_sha256(folder / "metrics.csv")
    write_run_json(folder / "run.json", sealed(run))
    with pytest.raises(InputError, match="rows of another cell than 00112233aabbccdd"):
        load_results(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "message"),
    [("run.json", r"metrics.csv has no run.json beside it"), ("metrics.csv", r"metrics.csv cannot be read")],
)
def test_half_a_record_is_refused(
    tmp_path: Path, make_row: MakeRow, land: Land, name: str, message: str
) -> None:
    """Either file gone; a table that silently lacks a run is worse than none."""
    (land(tmp_path, [make_row()]) / name).unlink()
    with pytest.raises(InputError, match=message):
        load_results(tmp_path)


def test_another_schema_version_is_refused_by_name(tmp_path: Path, make_row: MakeRow, land: Land) -> None:
    """Columns may mean something else there."""
    land(tmp_path, [make_row()])
    path = land(tmp_path, [make_row(cell="b" * 16)]) / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(InputError, match="schema version 3 but this benchbench reads 2") as caught:
        load_results(tmp_path)
    assert str(path) in str(caught.value)


def test_garbage_is_looked_for_again(tmp_path: Path) -> None:
    """Not while records are read, and afterwards as before, whatever came of it."""
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            load_results(tmp_path)
            assert gc.isenabled() == enabled
            with pytest.raises(InputError):
                load_results(tmp_path / "gone")
            assert gc.isenabled() == enabled
        finally:
            gc.enable()
