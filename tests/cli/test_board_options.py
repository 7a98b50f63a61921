"""`leaderboard` and `cite` of several folders, of some records, models and metrics."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.hashing import digest
from benchbench.results.manifest import RunFacts
from benchbench.results.record import Row
from benchbench.results.store import Store
from benchbench.results.tables import write_rows


@pytest.fixture
def folders(tmp_path: Path, make_row: Callable[..., Row], monkeypatch: pytest.MonkeyPatch) -> Path:
    """`a` with a VAE of two settings, `b` with a GAN, each with a distance and a recall."""
    monkeypatch.chdir(tmp_path)
    for root, model, lr in (("a", "vae", 0.001), ("a", "vae", 0.01), ("b", "gan", 0.001)):
        key = digest([root, model, lr])[:16]
        own = {"model": model, "cell": key, "low": None, "high": None, "interval": None}
        rows = [
            make_row(**own),
            make_row(
                metric="recall_efficientnet_lite0",
                aspect="diversity",
                higher_is_better=True,
                value=0.5,
                **own,
            ),
        ]
        facts = RunFacts(variant="", seed=0, settings={"lr": lr}, data={"fingerprint": "f" * 64})  # type: ignore[arg-type]
        with Store(root).write("digits", model, key, facts) as folder:
            write_rows(folder / "metrics.csv", rows)
    return tmp_path


def said(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    if isinstance(done.exception, InputError):
        return f"refused: {done.exception}"
    assert done.exit_code == 0, done.output
    return done.stdout


def test_several_folders_are_one_board(folders: Path) -> None:
    """Models of both; a folder within another adds nothing; a copy of a record is refused and named."""
    board = said("leaderboard", "a", "b", "--format", "markdown")
    assert all(f"| {name} |" in board for name in ("gan", "vae lr=0.001", "vae lr=0.01"))
    assert said("leaderboard", "a", "b", "a/digits", "--format", "markdown") == board
    shutil.copytree("b", "c")
    assert said("leaderboard", "b", "c").startswith("refused: the same cell is in b/digits/gan/")
    assert set(benchbench.leaderboard(["a", "b"])["model"]) == {"vae", "gan"}


def test_some_records_models_and_metrics(folders: Path) -> None:
    """By a setting, a default or not; by name and pattern; both are errors where they mean nothing."""
    csv = ("leaderboard", "a", "b", "--format", "csv")
    by_setting = said(*csv, "--where", "model=vae,lr=0.01")
    assert len(by_setting.splitlines()) == 3
    assert len(said(*csv, "--models", "g*", "--metrics", "fd").splitlines()) == 2
    assert len(said(*csv, "--models", "gan", "--models", "vae", "--metrics", "fd,recall").splitlines()) == 7
    assert "did you mean 'vae'" in said(*csv, "--where", "model=vea")
    assert "is no group of records" in said(*csv, "--where", "vae")
    assert "did you mean 'gan'" in said(*csv, "--models", "gna")
    assert "columns of their own" in said(*csv, "--columns", "fd")


def test_cite_is_of_the_board(folders: Path) -> None:
    """Only what is on it, after benchbench itself; the option of `leaderboard` writes the same bytes, and Python."""
    text = said("cite", "a", "b", "--models", "gan", "--metrics", "fd")
    assert "@misc{benchbench," in text
    assert "{goodfellow2014gan," in text
    assert "{heusel2017fid," in text
    assert "kingma" not in text
    assert "kynkaanniemi" not in text
    assert said("leaderboard", "a", "b", "--models", "gan", "--metrics", "fd", "--cite") == text
    assert benchbench.cite(["a", "b"], models="gan", metrics="fd", output="board.bib") == text
    assert Path("board.bib").read_text() == text
    Path("empty").mkdir()
    assert said("cite", "empty") == "refused: there are no numbers to cite papers for: the results are empty"
