"""A dataset's name that is also a folder's: every command refuses it with exit code 2 and says both spellings."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchbench.cli import main
from benchbench.runner.resolve import resolve
from benchbench.runner.spec import CellSpec

pytestmark = pytest.mark.costly  # commands load torch

COMMANDS = [
    ("run", "--model", "noise", "--dataset", "digits"),
    ("run", "--model", "identity", "--dataset", "openmoji-lines"),
    ("evaluate", "digits", "--reference", "grid25"),
    ("evaluate", "digits:test", "--reference", "grid25"),
    ("evaluate", "grid25", "--reference", "digits"),
    ("evaluate", "grid25", "--reference", "digits:train"),
    ("stats", "digits"),
    ("suite", "suite.toml", "--dry-run"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence on stderr, nothing on stdout, no file written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    for name in ("digits", "openmoji-lines"):
        (tmp_path / name).mkdir()
    (tmp_path / "suite.toml").write_text('models = ["noise"]\ndatasets = ["digits"]\n')
    monkeypatch.setattr("sys.argv", ["benchbench", *command])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert not said.out
    name = next(
        word for word in (*command, "digits") if word.partition(":")[0] in ("digits", "openmoji-lines")
    )
    assert f"write dataset:{name} for the dataset, ./{name} for the files" in " ".join(said.err.split())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["suite.toml"]


def test_the_prefix_is_no_part_of_the_name() -> None:
    """The shipped recipe of a dataset is found by its name whether the prefix is written or not, and so are its
    weights."""
    asked = [CellSpec.of(model="vae", dataset=name) for name in ("digits", "dataset:digits")]
    assert resolve(asked[0]).recipe == resolve(asked[1]).recipe
