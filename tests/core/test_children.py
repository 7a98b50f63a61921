"""Python processes of ours in a working directory that is full of somebody's modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchbench.core.children import python_command, python_environment

NAMES = ("torch", "random", "json", "typing", "click", "numpy", "rich", "sitecustomize")


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A folder with modules of common names, a package benchbench among them, that say so and end the process."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('poisoned')")
    (tmp_path / "benchbench").mkdir()
    (tmp_path / "benchbench" / "__init__.py").write_text("raise SystemExit('poisoned')")
    return tmp_path


def test_a_child_is_the_same_benchbench(poisoned: Path) -> None:
    """It answers as its parent's package does."""
    from benchbench import __version__

    command = [*python_command("benchbench.cli"), "--version"]
    done = subprocess.run(command, cwd=poisoned, capture_output=True, text=True, env=python_environment())
    assert (done.stdout.split()[-1:], done.returncode) == ([__version__], 0), done.stderr


@pytest.mark.costly
def test_python_m_reads_nothing_from_the_working_directory(tmp_path: Path) -> None:
    """`python -m benchbench` where somebody's random.py, rich.py and numpy.py lie. (What Python itself imports before
    it comes to us, and a folder benchbench, nobody can keep it from but `-P`.)"""
    for name in ("random", "rich", "numpy", "torch", "click", "pandas"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('poisoned')")
    command = [sys.executable, "-m", "benchbench", "list", "datasets"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "digits" in done.stdout


@pytest.mark.costly
def test_a_cell_of_a_suite_is_carried_out_there(poisoned: Path) -> None:
    """The cell of a suite, as it is started, with an encoding that lacks most characters: a record is written, by
    a child of a fork server and by an interpreter of its own."""
    (poisoned / "suite.toml").write_text(
        'models = ["noise"]\ndatasets = ["digits"]\n[settings]\nsamples = 16\nmetrics = ["swd"]\n'
    )
    suite = [*python_command("benchbench.cli"), "suite", "suite.toml", "--device", "cpu", "--out"]
    done = subprocess.run(
        [*suite, "out"], cwd=poisoned, capture_output=True, text=True, env=python_environment()
    )
    assert done.returncode == 0, done.stderr
    assert list((poisoned / "out").glob("digits/noise/*/run.json"))
    [file] = (poisoned / "out" / ".logs").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "out": str(poisoned / "again")}))
    job = [*python_command("benchbench.cli"), "job", str(file)]
    done = subprocess.run(job, cwd=poisoned, capture_output=True, text=True, env=python_environment())
    assert done.returncode == 0, done.stdout
    assert list((poisoned / "again").glob("digits/noise/*/run.json"))


def test_what_is_put_on_the_path_on_purpose_counts(tmp_path: Path) -> None:
    """A plugin's folder on PYTHONPATH."""
    (tmp_path / "acme.py").write_text("def main():\n    return 7\n")
    environment = python_environment(PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}")
    assert subprocess.run(python_command("acme"), env=environment).returncode == 7
