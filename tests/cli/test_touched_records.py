"""Folders of records as people, editors, git and file managers leave them, as every verb meets them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from verbs_tried import SUITE

from benchbench.cli import cli
from benchbench.core.errors import InputError, SkippedWarning
from benchbench.results.load import load_failures, load_results
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.suite import load_suite, plan_suite

MakeRow = Callable[..., Row]
KEYS = ("ab" * 8, "cd" * 8)
VERBS = {
    "leaderboard": ["leaderboard", "runs", "--format", "csv"],
    "report": ["report", "runs", "--output", "report.html"],
    "check": ["check", "--baseline", "good", "runs"],
    "compare": ["compare", "runs", "good"],
    "migrate": ["migrate", "runs"],
}


@pytest.fixture
def runs(tmp_path: Path, make_row: MakeRow, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`runs` and `good` with two seeds of one model; the working folder is the one around them."""
    monkeypatch.chdir(tmp_path)
    facts = {"data": {"fingerprint": "f" * 64, "train": {"n": 8}, "held_out": {"n": 9}}, "extractors": {}}
    facts |= {"machine": {"device_name": "a processor", "cores": 2, "device": "cpu"}, "variant": ""}
    facts |= {"provenance": {"benchbench": "0", "code_revision": None, "python": "3", "packages": {}}}
    for root in ("good", "runs"):
        for seed, key in enumerate(KEYS):
            row = make_row(model="noise", seed=seed, cell=key, value=12.5 + seed)
            with Store(tmp_path / root).write("digits", "noise", key, RunFacts(**facts, seed=seed)) as folder:
                write_rows(folder / "metrics.csv", [row])
                (folder / "curves.csv").write_text("epoch,step,loss\n0,1,2.0\n")
    return tmp_path / "runs"


def ask(name: str) -> Result:
    return CliRunner().invoke(cli, VERBS[name], catch_exceptions=True)


@cache
def untouched(name: str) -> Result:
    """What a verb answers in the folder of `runs`, which is the same for every test."""
    return ask(name)


def cell(runs: Path) -> Path:
    return runs / "digits" / "noise" / KEYS[0]


def foreign_table(runs: Path) -> None:
    """What `leaderboard --format csv --output runs/metrics.csv` leaves."""
    (runs / "metrics.csv").write_text("dataset,model,value\ndigits,noise,1.0\n")


def foreign_run(runs: Path) -> None:
    """Another tool's run.json, above the cells."""
    (runs / "digits" / "run.json").write_text('{"id": 1}')


def foreign_list(runs: Path) -> None:
    (runs / "run.json").write_text("[1, 2]")


def foreign_text(runs: Path) -> None:
    (runs / "run.json").write_text("not JSON at all")


def foreign_of_a_version(runs: Path) -> None:
    """A file that numbers its schema too."""
    (runs / "run.json").write_text('{"schema_version": "1.0"}')


def foreign_both(runs: Path) -> None:
    """A folder of another tool with both names, called by a date, which is hexadecimal too."""
    (runs / "20260101").mkdir()
    (runs / "20260101" / "run.json").write_text("{}")
    (runs / "20260101" / "metrics.csv").write_text("step,loss\n1,2\n")


def foreign_empty(runs: Path) -> None:
    (runs / "digits" / "noise" / "metrics.csv").write_text("")
    (runs / "digits" / "noise" / "run.json").write_text("")


NOTED = (
    *(foreign_table, foreign_run, foreign_list, foreign_text),
    *(foreign_of_a_version, foreign_both, foreign_empty),
)


@pytest.mark.costly
@pytest.mark.parametrize("leave", NOTED, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("name", VERBS)
def test_what_is_no_record_is_skipped_with_a_note(
    runs: Path, name: str, leave: Callable[[Path], None]
) -> None:
    """Each verb does as without the file; all but `migrate`, which goes by the places of cells, say that it was passed
    over, and none advises to delete anything."""
    before = untouched(name)
    leave(runs)
    after = ask(name)
    assert (after.exit_code, after.stdout) == (before.exit_code, before.stdout)
    assert after.exit_code == 0
    assert "delete" not in after.output
    if name != "migrate":
        assert "is no record" in after.stderr


def junk(runs: Path) -> None:
    """What file managers, editors and synchronisers put beside files."""
    for folder in (runs, runs / "digits", runs / "digits" / "noise", cell(runs)):
        for file in (".DS_Store", "._run.json", "run.json~", "run.json.bak", "#run.json#", ".run.json.swp"):
            (folder / file).write_bytes(b"\0junk")
        for file in ("metrics (1).csv", "desktop.ini", "Thumbs.db", "metrics.csv.orig", "notes.md"):
            (folder / file).write_bytes(b"\0junk")
    for folder in (".git", ".ipynb_checkpoints", "__MACOSX", "empty", "lost+found"):
        (runs / folder).mkdir()
    (runs / ".ipynb_checkpoints" / "run.json").write_text("{")


@pytest.mark.costly
@pytest.mark.parametrize("name", VERBS)
def test_junk_is_passed_over_in_silence(runs: Path, name: str) -> None:
    """The same answer, and no note: such files are everywhere."""
    before = untouched(name)
    junk(runs)
    after = ask(name)
    assert (after.exit_code, after.stdout) == (before.exit_code, before.stdout)
    assert "is no record" not in after.output


def test_python_is_told_as_well(runs: Path) -> None:
    """A warning of its own kind, that names the file."""
    foreign_table(runs)
    with pytest.warns(
        SkippedWarning, match=r"runs/metrics\.csv is no record: there is no run\.json beside it"
    ):
        assert len(load_results(runs)) == 2


UNCHANGED = {
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "a byte-order mark": lambda text: b"\xef\xbb\xbf" + text,
    "both": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
    "CR": lambda text: text.replace(b"\n", b"\r"),
    "no last line end": lambda text: text.rstrip(b"\n"),
    "another last line end": lambda text: text + b"\n",
}


@pytest.mark.costly
@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
@pytest.mark.parametrize("name", VERBS)
def test_line_ends_change_no_number(runs: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """What git's autocrlf and editors do to text files: all of a record's are read as they were written."""
    before = untouched(name)
    for file in [*runs.rglob("*.csv"), *runs.rglob("*.json")]:
        file.write_bytes(change(file.read_bytes()))
    after = ask(name)
    assert (after.exit_code, after.output) == (before.exit_code, before.output)
    assert Store(runs).find("digits", "noise", KEYS[0]) == cell(runs)


CHANGED = {
    "a number": (lambda text: text.replace(b"12.5", b"2.5"), "its sha256 differs"),
    "a spreadsheet": (
        lambda text: text.replace(b",", b";"),
        "parted by a semicolon, as spreadsheets save them",
    ),
    "decimal commas": (lambda text: text.replace(b"12.5", b'"12,5"'), "has '12,5' as its value"),
    "fewer digits": (lambda text: text.replace(b"12.5", b"1E+01"), "its sha256 differs"),
    "capitals": (lambda text: text.replace(b"false", b"FALSE"), "spreadsheets write it so"),
    "a merge": (
        lambda text: b"<<<<<<< HEAD\n" + text + b"=======\n" + text + b">>>>>>> other\n",
        "holds a merge conflict",
    ),
    "UTF-16": (lambda text: text.decode().encode("utf-16"), "is not UTF-8 text but UTF-16"),
    "LFS": (lambda text: b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    "nothing": (lambda text: b"", "is empty"),
    "zeros": (lambda text: b"\0" * len(text), "is full of zeros"),
    "beyond": (lambda text: text.replace(b"12.5", b"1e308"), "its sha256 differs"),
}


@pytest.mark.costly
@pytest.mark.parametrize(("change", "said"), CHANGED.values(), ids=CHANGED)
def test_what_changed_is_said(runs: Path, change: Callable[[bytes], bytes], said: str) -> None:
    """Each verb names the file and the cause, and the one folder that may be deleted, which holds that cell alone."""
    table = cell(runs) / "metrics.csv"
    table.write_bytes(change(table.read_bytes()))
    for name in VERBS:
        done = ask(name)
        assert isinstance(done.exception, InputError), name
        assert said in str(done.exception)
        assert f"or delete the folder {cell(Path('runs'))} and run the cell again" in str(done.exception)


@pytest.mark.parametrize("name", ["run.json", "metrics.csv"])
def test_a_folder_of_several_cells_is_never_to_be_deleted(runs: Path, name: str) -> None:
    """A damaged record of ours lies in the folder of all: it is named, and may be moved away."""
    for file in cell(runs).iterdir():
        shutil.copy(file, runs / file.name)
    shutil.rmtree(cell(runs))
    assert len(load_results(runs)) == 2  # a record may lie anywhere
    (runs / name).write_bytes((runs / name).read_bytes()[:200])
    with pytest.raises(InputError) as caught:
        load_results(runs)
    assert str(runs / name) in str(caught.value)
    assert "delete" not in str(caught.value)
    assert "move it away" in str(caught.value)


@pytest.mark.parametrize("text", ["1e308", "-1e308", "1e151", str(2**80) + "0" * 200])
def test_a_number_beyond_all_is_named(runs: Path, text: str) -> None:
    """Sums of squares of such numbers are infinite; the row and the column are named."""
    table = cell(runs) / "metrics.csv"
    table.write_text(table.read_text().replace("12.5", text))
    run = json.loads((cell(runs) / "run.json").read_text())
    run["files"]["metrics.csv"] = hashlib.sha256(table.read_bytes()).hexdigest()
    del run["content_sha256"]
    (cell(runs) / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"metrics\.csv row 2 has .* as its value, more than any number is"):
        load_results(runs)


FAILURES = {
    "empty": "",
    "half": '{"cell": "abababababababab", "rea',
    "a list": "[]",
    "types": '{"reason": 3, "seed": "x"}',
    "deep": "[" * 100_000,
    "conflict": "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
}


@pytest.mark.parametrize("text", FAILURES.values(), ids=FAILURES)
def test_a_damaged_failure_stops_nobody(runs: Path, make_row: MakeRow, text: str) -> None:
    """A kill, a full disk or an editor: the cell failed all the same, the reason is lost, and nothing has to be
    deleted before it is run again."""
    shutil.rmtree(cell(runs))
    cell(runs).mkdir()
    (cell(runs) / "failed.json").write_text(text)
    (line,) = load_failures(runs).to_dict("records")
    assert (line["cell"], line["dataset"], line["model"]) == (KEYS[0], "digits", "noise")
    assert "the reason is lost" in line["reason"]
    assert ask("leaderboard").exit_code == 0
    Path("suite.toml").write_text(SUITE)
    for _ in range(2):  # the second time with the same file in its own place
        (planned,) = plan_suite(load_suite(Path("suite.toml")), Store(runs), device=torch.device("cpu"))
        assert planned.state == "new"
        place = Store(runs).cell_dir("digits", "noise", planned.key)
        place.mkdir(exist_ok=True)
        (place / "failed.json").write_text(text)
    shutil.rmtree(place)
    with Store(runs).write("digits", "noise", KEYS[0], RunFacts(seed=0)) as folder:
        write_rows(folder / "metrics.csv", [make_row(model="noise", cell=KEYS[0])])
    assert len(load_results(runs)) == 2
    assert load_failures(runs).empty


def test_what_lies_in_the_place_of_a_cell_moves_along(runs: Path, make_row: MakeRow) -> None:
    """A kill left a temporary file, a file manager its own, and somebody a note: the cell lands, the note is kept."""
    for file in cell(runs).iterdir():
        file.unlink()
    for name in ("failed.json", f".failed.json.{'0' * 32}.tmp", ".DS_Store", "note.txt"):
        (cell(runs) / name).write_text("")
    assert Store(runs).find("digits", "noise", KEYS[0]) is None
    with Store(runs).write("digits", "noise", KEYS[0], RunFacts(seed=0)) as folder:
        write_rows(folder / "metrics.csv", [make_row(model="noise", cell=KEYS[0])])
    names = {file.name for file in cell(runs).iterdir()}
    assert names == {"run.json", "metrics.csv", ".DS_Store", "note.txt"}
    assert Store(runs).find("digits", "noise", KEYS[0]) == cell(runs)


def test_a_run_json_that_leads_out_of_the_record_is_refused(runs: Path) -> None:
    """A record of somebody else may list any path; none outside its folder is opened."""
    run = json.loads((cell(runs) / "run.json").read_text())
    for name in ("../../../../etc/passwd", "/etc/passwd", "a/../../b", "nul\0"):
        (cell(runs) / "run.json").write_text(json.dumps({**run, "files": {**run["files"], name: "0" * 64}}))
        with pytest.raises(InputError, match=r"states a wrong files: .* is no file of the record"):
            Store(runs).find("digits", "noise", KEYS[0])
