"""What run.json says about a run, and what it must not say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import benchbench
from benchbench.results import provenance
from benchbench.results.provenance import (
    code_revision,
    collect_provenance,
    command_line,
    utc_now,
    write_run_json,
)


def test_provenance_names_versions_and_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions as importlib.metadata and the interpreter state them; a package that is absent is null."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/benchbench", "run", "--model", "vae"])
    monkeypatch.setattr("benchbench.results.provenance.PACKAGES", ("numpy", "no-such-package"))
    found = collect_provenance()
    assert found["benchbench"] == benchbench.__version__
    assert found["packages"] == {"numpy": version("numpy"), "no-such-package": None}
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["command"] == "benchbench run --model vae"
    json.dumps(found, allow_nan=False)


def test_times_are_utc() -> None:
    """ISO 8601 with Z, so that records of two machines sort."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("/home/ada/data", "'~/data'"),
        ("--out=/home/ada", "'--out=~'"),
        ("/home/adam/data", "/home/adam/data"),
        ("https://ada:hunter2@host/w.pt", "https://host/w.pt"),
        ("https://bucket/w.pt?X-Signature=abc", "'https://bucket/w.pt?...'"),
        ("beta=4", "beta=4"),
        ("two words", "'two words'"),
    ],
)
def test_the_command_line_keeps_secrets(monkeypatch: pytest.MonkeyPatch, word: str, shown: str) -> None:
    """Home folders, credentials and signatures in URLs stay out; what is left could be typed again
    (quoting as shlex.quote has it)."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert command_line(["/home/ada/bin/benchbench", word]) == f"benchbench {shown}"


def _git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_the_revision_is_that_of_the_package_s_own_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits as git itself prints them. Dirty means the package's files, tracked or not; the user's current
    folder, its repository and GIT_DIR of a hook have no say."""
    package, theirs = tmp_path / "benchbench", tmp_path / "theirs"
    for folder in (package, theirs):
        folder.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "benchbench"\n')
    _git(theirs, "init")
    _git(theirs, "commit", "--allow-empty", "-m", "theirs")
    monkeypatch.chdir(theirs)
    assert code_revision(package) is None
    _git(tmp_path, "init")
    _git(tmp_path, "add", "benchbench", "pyproject.toml")
    _git(tmp_path, "commit", "-m", "ours")
    head = _git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(theirs / ".git"))
    assert code_revision(package) == head
    (tmp_path / "notes.txt").write_text("not code")
    assert code_revision(package) == head
    (package / "new.py").write_text("code")
    assert code_revision(package) == f"{head}-dirty"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
def test_a_repository_around_an_installation_is_not_ours(tmp_path: Path) -> None:
    """A vendored or installed copy inside somebody's project states no revision: it would be theirs."""
    (tmp_path / "benchbench").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "their-paper"\n')
    _git(tmp_path, "init")
    _git(tmp_path, "commit", "--allow-empty", "-m", "theirs")
    assert code_revision(tmp_path / "benchbench") is None


def test_git_is_asked_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite forks a child for every cell from one process, which has imported the code: the revision of that is
    looked up there, and not by two processes more a cell."""
    first = collect_provenance()["code_revision"]
    monkeypatch.setattr(provenance, "code_revision", lambda package: pytest.fail("git was asked again"))
    assert collect_provenance()["code_revision"] == first


def test_run_json_is_sorted_and_holds_no_nan(tmp_path: Path) -> None:
    """Sorted keys and two spaces, so that records diff well; NaN is not JSON and leaves no file behind."""
    write_run_json(tmp_path / "run.json", {"b": 1, "a": {"d": None, "c": 2.5}})
    expected = '{\n  "a": {\n    "c": 2.5,\n    "d": null\n  },\n  "b": 1\n}\n'
    assert (tmp_path / "run.json").read_text() == expected
    with pytest.raises(ValueError, match="JSON compliant"):
        write_run_json(tmp_path / "bad.json", {"loss": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
