"""What was read of records before is kept: the same table without reading them, and never an old one.

Expected is always what is read with an empty cache. Files are a moment old here, so `SETTLED` is set such that they
count as settled, but where that is the question.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import benchbench
from benchbench.core.errors import InputError
from benchbench.results import kept, load, rows
from benchbench.results.load import load_results, load_runs
from benchbench.results.manifest import RunManifest
from benchbench.results.provenance import read_manifest, sealed, write_run_json
from benchbench.results.record import Row
from benchbench.views.report import render_report

MakeRow = Callable[..., Row]
Land = Callable[..., Path]
LONG_AGO = -3600.0


@pytest.fixture
def store(
    tmp_path: Path, make_row: MakeRow, land: Land, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Six records of two models: failed numbers, settings, names of one's own, nulls."""
    monkeypatch.setattr(load, "FEW", 1)
    monkeypatch.setattr(kept, "SETTLED", LONG_AGO)
    for seed in range(3):
        for n, model in enumerate(("vae", "mine")):
            own = {"model": model, "seed": seed, "cell": f"{n}{seed:015x}"}
            rows = [
                make_row(**own),
                make_row(**own, metric="kd", value=None, reason='a "reason", and a comma'),
            ]
            facts = {
                "settings": {"lr": 10.0**-n, "width": seed // 2},
                "data": {
                    "fingerprint": f"{n}" * 64,
                    "train": {"n": 898},
                    "held_out": {"n": 899},
                    "notes": [],
                },
                "seed": seed,
                "variant": "",
                "extractors": {},
                "machine": {"device_name": "a processor", "cores": 2, "device": "cpu"},
                "provenance": {
                    "benchbench": "0.1.0",
                    "code_revision": None,
                    "python": "3.11",
                    "packages": {},
                },
            }
            land(tmp_path / "store", rows, facts | ({"name": "mine"} if n else {}))
    return tmp_path / "store"


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be read from here on."""

    def read(*_: object) -> None:
        raise AssertionError("a record was read again")

    monkeypatch.setattr(load, "read_manifest", read)
    monkeypatch.setattr(rows, "rows_of", read)


def without_cache(root: Path, monkeypatch: pytest.MonkeyPatch, empty: Path) -> pd.DataFrame:
    """The table as it is read with an empty cache."""
    with monkeypatch.context() as patch:
        patch.setenv("BENCHBENCH_CACHE", str(empty))
        return load_results(root)


def a_metrics(store: Path, model: str = "mine") -> Path:
    return sorted(store.glob(f"*/{model}/*/metrics.csv"))[1]


def test_the_same_table_without_reading(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, dtypes, order and index; relative and absolute folders, and a part of it, too."""
    first = load_results(store)
    assert first["variant"].nunique() > 1  # told apart by what is kept of their settings
    forbid(monkeypatch)
    pd.testing.assert_frame_equal(load_results(store), first)
    monkeypatch.chdir(store)
    pd.testing.assert_frame_equal(load_results("."), first)
    board = benchbench.leaderboard(".")
    assert set(board["model"]) == {"vae", "mine"}


def test_runs_without_reading(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What run.json says is kept with the lines: the same table of runs, and a report, without a look into a record."""
    first, page = load_runs(store), render_report(store)
    forbid(monkeypatch)
    pd.testing.assert_frame_equal(load_runs(store), first)
    assert render_report(store) == page


def test_an_edited_manifest_is_seen(store: Path) -> None:
    """By who reads runs alone as well, with the size as it was."""
    load_results(store)
    run = a_metrics(store).with_name("run.json")
    content = run.read_bytes()
    assert b'"seed": 1' in content
    run.write_bytes(content.replace(b'"seed": 1', b'"seed": 2'))
    for look in (load_runs, render_report, load_results):
        with pytest.raises(InputError, match="was changed after it was written"):
            look(store)


def test_all_that_a_manifest_says_is_kept() -> None:
    """Of every published record, field by field: what was said and what was not, and names that nobody here knows."""
    files = sorted((Path(__file__).parents[2] / "results").rglob("run.json"))
    assert files
    for file in files:
        run = read_manifest(file)
        again = RunManifest.model_validate_json(kept.as_text(run))
        assert again == run
        assert again.as_json() == run.as_json()


@pytest.mark.parametrize("restore", [False, True])
def test_an_edited_record_is_seen(store: Path, restore: bool) -> None:
    """One digit, so that the size stays; with the time of change set back as well: what the kernel notes of an inode
    nobody can set."""
    load_results(store)
    file = a_metrics(store)
    before, content = file.stat(), file.read_bytes()
    assert b",12.5," in content
    file.write_bytes(content.replace(b",12.5,", b",12.4,", 1))
    if restore:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match="sha256 differs"):
        load_results(store)


def test_what_came_went_and_changed(
    store: Path, make_row: MakeRow, land: Land, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One record goes, one comes in between, one is another one now: as if nothing had been kept, and the next table
    needs no reading."""
    load_results(store)
    doomed = a_metrics(store).parent
    shutil.rmtree(doomed)
    land(store, [make_row(model="gan", cell="1" * 16, seed=9, value=3.0)])
    run = a_metrics(store, "vae").with_name("run.json")
    said = benchbench.results.provenance.read_run_json(run)
    said["settings"] = {"lr": 5.0}
    write_run_json(run, sealed({name: own for name, own in said.items() if name != "content_sha256"}))
    there = without_cache(store, monkeypatch, tmp_path / "empty")
    assert doomed.name not in set(there["cell"])
    pd.testing.assert_frame_equal(load_results(store), there)
    forbid(monkeypatch)
    pd.testing.assert_frame_equal(load_results(store), there)


def test_a_record_that_was_moved_is_read_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is part of what it is known by: two places of one cell are refused, kept or not."""
    load_results(store)
    folder = a_metrics(store).parent
    shutil.copytree(folder, store / "copies" / folder.name)
    with pytest.raises(InputError, match="the same cell is in"):
        load_results(store)
    shutil.rmtree(store / "copies")
    os.symlink(store / "digits", store / "link")
    before = load_results(store)
    assert before["cell"].nunique() == 6


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "pipe", "folder", "other version"])
def test_a_damaged_cache_costs_time_alone(store: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_results(store)
    (file,) = kept.cache_folder().glob("records/*.arrow")
    content = file.read_bytes()
    file.unlink()
    if damage == "pipe":
        os.mkfifo(file)
    elif damage == "folder":
        file.mkdir()
    else:
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        file.write_bytes(
            {"cut": content[: len(content) // 2], "flipped": changed, "empty": b""}.get(damage, content)
        )
    if damage == "other version":
        monkeypatch.setattr(kept, "_version", lambda: "0" * 64)
    pd.testing.assert_frame_equal(load_results(store), first)


def test_versions_do_not_pile_up(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_results(store)
    monkeypatch.setattr(kept, "_version", lambda: "0" * 64)
    load_results(store)
    assert len(list(kept.cache_folder().glob("records/*.arrow"))) == 1


def test_nothing_is_kept_of_what_may_still_change(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second change within one tick of a clock would not show, so files that were written just now are read again."""
    monkeypatch.setattr(kept, "SETTLED", 60.0)
    load_results(store)
    assert not list(kept.cache_folder().glob("records/*"))


def test_a_few_records_leave_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "FEW", 7)
    load_results(store)
    assert not list(kept.cache_folder().glob("records/*"))


def test_a_cache_that_cannot_be_written(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file where the folder should be."""
    first = load_results(store)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHBENCH_CACHE", str(tmp_path / "file"))
    pd.testing.assert_frame_equal(load_results(store), first)


def test_inodes_of_64_bits(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Network and layered file systems give out numbers beyond 2⁶³, which no signed column holds: the same table."""
    stat = os.stat

    def high(path: object) -> object:
        found = stat(path)  # type: ignore[call-overload]
        return SimpleNamespace(
            st_ino=found.st_ino + 2**63,
            st_size=found.st_size,
            st_mtime_ns=found.st_mtime_ns,
            st_ctime_ns=found.st_ctime_ns,
        )

    expected = without_cache(store, monkeypatch, tmp_path / "empty")
    monkeypatch.setattr(kept, "os", SimpleNamespace(stat=high, path=os.path))
    load_results(store)
    forbid(monkeypatch)
    pd.testing.assert_frame_equal(load_results(store), expected)
