"""What killed runs leave in a store: it is no cell, hinders nobody, and the next run takes it away."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchbench.core import files
from benchbench.core.errors import InputError, SkippedWarning
from benchbench.results.load import load_failures, which_seed
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import FAILED, RUN, Store
from benchbench.results.tables import write_rows

MakeRow = Callable[..., Row]
KEY, OTHER, TRAINING = "00112233aabbccdd", "ffeeddccbbaa9988", "aa" * 32


def finished(store: Store, make_row: MakeRow, key: str = KEY, **facts: object) -> Path:
    """A cell of digits and vae."""
    with store.write("digits", "vae", key, RunFacts.model_validate(facts)) as folder:
        write_rows(folder / "metrics.csv", [make_row()])
    return store.cell_dir("digits", "vae", key)


def dead(name: str) -> str:
    """A temporary name for `name` of a process of this machine that is no more."""
    return re.sub(r"-\d+-\d+-", f"-{2**31 - 1}-1-", files.temporary_name(Path(name)).name)


@pytest.mark.parametrize(
    "left",
    [
        (),
        ("failed.json",),
        (".failed.json.{0}.tmp",),
        (".failed.json.0123456789abcdef0123456789abcdef.tmp",),
        ("failed.json", ".failed.json.0123456789abcdef0123456789abcdef.tmp"),
    ],
)
def test_a_kill_while_a_failure_is_written_down_hinders_nobody(
    tmp_path: Path, make_row: MakeRow, left: tuple[str, ...]
) -> None:
    """The cell's folder is there, empty or with `failed.json` or half of it: that is no cell and no damage, the failure
    can be written down again, and the cell lands in its place."""
    store = Store(tmp_path)
    folder = store.cell_dir("digits", "vae", KEY)
    folder.mkdir(parents=True)
    for name in left:
        (folder / (dead("failed.json") if "{0}" in name else name)).write_text("{")
    assert store.find("digits", "vae", KEY) is None
    store.record_failure("digits", "vae", KEY, {"reason": "no memory"})
    assert store.find("digits", "vae", KEY) is None
    assert finished(store, make_row) == store.find("digits", "vae", KEY)
    assert sorted(os.listdir(folder)) == ["metrics.csv", "run.json"]


def test_a_cell_that_lands_nowhere_is_said(
    tmp_path: Path, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes that the cell failed in the moment in which ours lands: its numbers are not dropped in
    silence."""
    store = Store(tmp_path)
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        if Path(target) == store.cell_dir("digits", "vae", KEY):
            store.record_failure("digits", "vae", KEY, {"reason": "no memory"})
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", late)
    with pytest.raises(
        InputError, match="was written by somebody else meanwhile; run the same command again"
    ):
        finished(store, make_row)


def test_a_failure_that_two_forget_at_once(
    tmp_path: Path, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find `failed.json`, both remove it, one of them the folder; the other's cell lands there all the same."""
    store = Store(tmp_path)
    folder = store.record_failure("digits", "vae", KEY, {"reason": "no memory"})
    unlink = Path.unlink

    def other_first(self: Path, missing_ok: bool = False) -> None:
        unlink(self, missing_ok)
        if self.name == FAILED:
            folder.rmdir()

    monkeypatch.setattr(Path, "unlink", other_first)
    assert finished(store, make_row) == folder
    assert not (folder / FAILED).exists()
    assert (folder / RUN).exists()


def test_the_next_run_takes_away_what_kills_left(tmp_path: Path, make_row: MakeRow) -> None:
    """Temporary files and folders of dead processes wherever the store makes some; what a living one makes, and what is
    not ours, stays."""
    store = Store(tmp_path)
    cell = finished(store, make_row)
    failed = store.record_failure("digits", "gan", OTHER, {"reason": "no memory"})
    work = store.workdir(TRAINING)
    (work / "checkpoint.pt").write_text("")
    places = [tmp_path, tmp_path / ".work", work, tmp_path / "digits", tmp_path / "digits" / "vae", failed]
    for place in places:
        (place / dead("x")).mkdir()
        (place / dead("y")).write_text("")
    alive = tmp_path / "digits" / "vae" / files.temporary_name(Path(OTHER)).name
    alive.mkdir()
    store.tidy()
    assert list(tmp_path.rglob("*.tmp")) == [alive]
    assert (work / "checkpoint.pt").exists()
    assert store.find("digits", "vae", KEY) == cell
    assert (failed / "failed.json").exists()


@pytest.mark.parametrize(
    ("training", "newer", "kept"),
    [(TRAINING, False, False), (TRAINING, True, True), ("bb" * 32, False, True), (None, False, True)],
)
def test_work_of_a_finished_cell_goes(
    tmp_path: Path, make_row: MakeRow, training: str | None, newer: bool, kept: bool
) -> None:
    """A kill between the record and the end: the checkpoint is older than the record of that training, and nobody will
    go on from it. One that is newer is of somebody who trains the same again, and one of another training is needed."""
    store = Store(tmp_path)
    work = store.workdir(TRAINING)
    (work / "checkpoint.pt").write_text("")
    cell = finished(store, make_row, training_key=training)
    landed = (cell / "run.json").stat().st_mtime
    for path in (work / "checkpoint.pt", work):
        os.utime(path, (landed + (1 if newer else -1),) * 2)
    store.tidy()
    assert work.exists() == kept


def test_a_store_that_is_not_there_or_damaged_is_not_touched(tmp_path: Path, make_row: MakeRow) -> None:
    """Nothing is made where nothing is; a record that cannot be read is left to whoever asks for it."""
    Store(tmp_path / "nowhere").tidy()
    assert not (tmp_path / "nowhere").exists()
    store = Store(tmp_path)
    cell = finished(store, make_row, training_key=TRAINING)
    (cell / "run.json").write_text("{")
    store.workdir(TRAINING)
    store.tidy()
    assert (cell / "run.json").read_text() == "{"
    assert store.work_path(TRAINING).exists()


def failed_below(root: Path, place: str, text: str) -> None:
    folder = root / place
    folder.mkdir(parents=True)
    (folder / "failed.json").write_text(text)


def test_a_lost_seed_changes_no_other(tmp_path: Path) -> None:
    """A table with a hole makes fractions of whole numbers, and `seed=0` would not find "0.0": seeds stay what they
    are, and the failure that lost its own goes by the key of its cell."""
    failed_below(tmp_path, "digits/vae/0123456789abcdef", "{{")
    failed_below(tmp_path, "digits/vae/1123456789abcdef", '{"cell": "1123456789abcdef", "seed": 0}')
    failures = load_failures(tmp_path)
    assert failures["seed"].tolist() == [None, 0]
    assert [type(seed) for seed in failures["seed"]] == [type(None), int]
    assert [which_seed(line) for line in failures.to_dict("records")] == ["key 0123456789abcdef", "seed 0"]


@pytest.mark.parametrize("place", ["mine", "digits/notes", "digits/vae/tried", "2026/11/28"])
@pytest.mark.parametrize("text", ["[]", "", '{"failed": 3}', '{"reason": "of another program"}', "no JSON"])
def test_a_failed_json_of_somebody_else_is_no_failed_cell(tmp_path: Path, place: str, text: str) -> None:
    """It lies in no cell's folder and names no cell: it is skipped, with a note that names it."""
    failed_below(tmp_path, place, text)
    with pytest.warns(SkippedWarning, match="failed.json names no cell"):
        assert load_failures(tmp_path).empty
