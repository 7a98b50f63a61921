"""Which folder a verb means when none is named: `runs`, and never the published store."""

from __future__ import annotations

import inspect
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows
from benchbench.runner.run import run_cells

READERS = {
    "leaderboard": "leaderboard results",
    "report": "report results",
    "cite": "cite results",
    "compare model=vae 'model=beta-vae'": "compare model=vae model=beta-vae --results results",
    "compare --plan model=vae": "compare model=vae --results results",
}
NOT_YET = "no records in runs yet; benchbench run, suite and evaluate write there, or name another folder"


@pytest.fixture
def land(
    tmp_path: Path, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Puts a record below a folder of the working folder; returns the record's own."""
    monkeypatch.chdir(tmp_path)

    def write(root: str) -> Path:
        row, store = make_row(), Store(root)
        run: dict[str, Any] = {"data": {"fingerprint": "f" * 64}}
        with store.write(row.dataset, row.model, row.cell, RunFacts(**run)) as folder:
            write_rows(folder / "metrics.csv", [row])
        return store.cell_dir(row.dataset, row.model, row.cell)

    return write


def sentence(command: str) -> str:
    """What a command says that fails for bad input."""
    error = CliRunner().invoke(cli, shlex.split(command)).exception
    assert isinstance(error, InputError), error
    return str(error)


def folders_by_default() -> dict[str, Path]:
    """Of every verb each argument that is a folder of records and has a default."""
    return {
        f"{name} {parameter.name}": Path(parameter.default)
        for name, verb in cli.commands.items()
        if name != "init"  # whose folder is a project
        for parameter in verb.params
        if parameter.name in ("out", "folder", "candidate", "baseline", "results")
        if isinstance(parameter.default, str | Path)
    }


def test_every_verb_and_python_mean_the_same_folder() -> None:
    """Those that write and those that read. No option of any verb has the published store as its default."""
    writers = {f"{verb} out" for verb in ("run", "suite", "profile", "evaluate")}
    readers = {"report folder", "verify folder", "check candidate", "compare results", "diff results"}
    assert folders_by_default() == dict.fromkeys(writers | readers, Path("runs"))
    assert inspect.signature(run_cells).parameters["out"].default == Path("runs")
    for verb in (benchbench.leaderboard, benchbench.cite):
        assert inspect.signature(verb).parameters["folder"].default == Path("runs")
    for verb in cli.commands.values():
        assert isinstance(verb, click.Command)
        assert not [x.name for x in verb.params if str(x.default).strip("/") == "results"]


@pytest.mark.parametrize("command", READERS)
def test_records_of_an_older_habit_are_pointed_to(land: Callable[[str], Path], command: str) -> None:
    """None in `runs`, whether or not that is there, and some in `results`: the sentence is the command to type."""
    land("results")
    for _ in range(2):
        assert sentence(command) == f"no records in runs; results holds some: benchbench {READERS[command]}"
        Path("runs").mkdir(exist_ok=True)


@pytest.mark.parametrize("command", READERS)
def test_no_records_anywhere(land: Callable[[str], Path], command: str) -> None:
    """Neither folder is there, or both are empty: who writes records is named."""
    for _ in range(2):
        assert sentence(command) == NOT_YET
        for name in ("runs", "results"):
            Path(name).mkdir(exist_ok=True)


def test_what_is_there_is_read(land: Callable[[str], Path]) -> None:
    """`runs` alone, whatever is in `results`; a folder that was named is taken at its word."""
    land("runs")
    (land("results") / "run.json").write_text("{")
    done = CliRunner().invoke(cli, ["leaderboard", "--format", "csv"])
    assert done.exit_code == 0, done.output
    assert sentence("leaderboard nowhere") == (
        "there is no folder nowhere; name one that benchbench wrote results into"
    )


def test_the_default_folder_beside_others_may_be_empty(land: Callable[[str], Path]) -> None:
    """As the how-tos have it, `runs results`: the board is that of the one that holds records, with a note. Where none
    does, or what is named beside it is not there, it is an error."""
    land("results")
    for _ in range(2):
        done = CliRunner().invoke(cli, ["leaderboard", "runs", "results", "--format", "csv"])
        assert done.exit_code == 0, done.output
        assert done.stderr == "note: no records in runs\n"
        assert "fd_efficientnet_lite0" in done.stdout
        assert sentence("leaderboard runs nowhere").startswith("no records in runs; results holds some")
        Path("runs").mkdir(exist_ok=True)


def test_a_damaged_record_is_no_missing_one(land: Callable[[str], Path]) -> None:
    """In `runs` its own sentence names it; in `results` it is a record all the same."""
    run = land("runs") / "run.json"
    run.write_text("{")
    assert "is not JSON" in sentence("leaderboard")
    run.unlink()
    assert "has no run.json beside it" in sentence("leaderboard")
    Path("runs").rename("results")
    assert "results holds some" in sentence("leaderboard")


def test_folders_that_are_named_need_no_other(land: Callable[[str], Path]) -> None:
    """A comparison of two folders asks nothing of `runs`, where there may be none or an empty one."""
    land("mine")
    land("theirs")
    for _ in range(2):
        assert CliRunner().invoke(cli, ["compare", "mine", "theirs", "--format", "csv"]).exit_code == 0
        Path("runs").mkdir(exist_ok=True)


def test_a_revision_without_runs_names_the_published_folder(
    land: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`git:REV` is `runs` of that revision, which git seldom has: what it has under `results` is pointed to, and that
    text works."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    land("results")
    git = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for arguments in (["init", "-q"], ["add", "results"], ["commit", "-q", "-m", "published"]):
        subprocess.run([*git, *arguments], check=True)
    land("runs")
    assert sentence("compare git:HEAD model=vae") == (
        "there are no records in HEAD:runs; HEAD:results holds some, say that instead"
    )
    assert CliRunner().invoke(cli, ["compare", "HEAD:results", "model=vae"]).exit_code == 0
