"""`benchbench init`: what it writes is read by the verbs that it is for, and nothing of anybody's is touched."""

from __future__ import annotations

import errno
import os
import re
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import benchbench
from benchbench.cli import cli
from benchbench.core.errors import InputError
from benchbench.core.files import create
from benchbench.results.claims.gate_config import load_gate
from benchbench.runner.suite import load_suite
from benchbench.verbs.project_files import WORKFLOW

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def in_force(text: str) -> str:
    """A file with every line that is only proposed in force: those that are TOML behind `# `."""
    return re.sub(r"^# ((?:\w+ = |\[\[).*)$", r"\1", text, flags=re.MULTILINE)


def test_what_it_writes_is_read() -> None:
    """The suite as it stands and with every proposed line in force; the gate is the built-in one."""
    project = benchbench.init("project")
    assert [path.name for path in project.written] == ["suite.toml", "gate.toml"]
    suite = load_suite(project.written[0])
    assert (suite.models, suite.datasets, suite.seeds) == (["vae", "dcgan", "real"], ["digits"], [0, 1, 2])
    assert tomllib.loads(project.written[0].read_text(encoding="utf-8"))["settings"] == {}
    assert load_gate(project.written[1]) == load_gate()
    text = in_force(project.written[0].read_text(encoding="utf-8"))
    project.written[0].write_text(text, encoding="utf-8")
    proposed = load_suite(project.written[0])
    assert {"size", "samples", "metrics", "sweep"} <= proposed.settings.model_fields_set
    assert (len(proposed.override), len(proposed.exclude)) == (1, 1)


def test_the_workflow_is_that_of_the_docs() -> None:
    """To the byte; docs/check.md explains it."""
    assert (ROOT / "docs" / "github-workflow.yml").read_text(encoding="utf-8") == WORKFLOW
    project = benchbench.init(workflow="github")
    assert project.written[-1].read_text(encoding="utf-8") == WORKFLOW
    assert project.written[-1] == Path(".github/workflows/benchbench.yml")


@pytest.mark.costly
def test_a_folder_of_images_is_found_from_the_suite(tmp_path: Path) -> None:
    """Wherever the suite lies and whatever the folder is called: its cells are planned, at a side that is stated."""
    images = tmp_path / 'my "images" # 1'
    images.mkdir()
    for i in range(8):
        Image.fromarray(np.full((40, 40, 3), 30 * i, np.uint8)).save(images / f"{i}.png")
    for name, dataset in (("near", images.name), ("at", str(images)), ("marked", f"folder:{images.name}")):
        benchbench.init(name, dataset=dataset, models="noise")
        assert tomllib.loads(Path(name, "suite.toml").read_text(encoding="utf-8"))["settings"] == {"size": 32}
        cells = benchbench.suite(Path(name, "suite.toml"), dry_run=True, device="cpu")
        assert cells["state"].tolist() == ["new"] * 3
    with pytest.raises(InputError, match=r"holds images; say benchbench init --dataset"):
        benchbench.init(images)


@pytest.mark.slow
def test_the_suite_runs_and_the_gate_checks() -> None:
    """As the command says it: the baseline, the same again, and a check that passes, for nothing changed. Fewer images
    and numbers than as written; processes are what takes the time."""
    result = CliRunner().invoke(cli, ["init", "--models", "noise"])
    text = Path("suite.toml").read_text(encoding="utf-8")
    Path("suite.toml").write_text(text.replace("[settings]", '[settings]\nsamples = 16\nmetrics = ["swd"]'))
    commands = [line.strip() for line in result.stdout.splitlines() if line.startswith("  benchbench ")]
    for command in " && ".join(commands).split(" && "):
        done = CliRunner().invoke(cli, command.split()[1:])
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert "passed" in done.output


def test_nothing_is_overwritten() -> None:
    """A file, a dangling link, a FIFO and a folder of such a name stay, and are named; the others are written."""
    Path("suite.toml").write_text("mine")
    os.symlink("nowhere", "gate.toml")
    result = CliRunner().invoke(cli, ["init"])
    assert result.exit_code == 0
    assert "kept suite.toml" in result.stdout
    assert "kept gate.toml" in result.stdout
    assert "wrote" not in result.stdout
    assert Path("suite.toml").read_text() == "mine"
    assert not Path("nowhere").exists()
    os.mkfifo("fifo")
    os.rename("fifo", "gate.toml")
    Path("suite.toml").unlink()
    Path("suite.toml").mkdir()
    again = benchbench.init()
    assert again.written == ()
    assert not [name for name in os.listdir() if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--models", "vea"], "did you mean 'vae'"),
        (["--models", "vae,"], None),
        (["--models", "vae,vae"], "names vae twice"),
        (["--models", ","], "a name is empty"),
        (["--dataset", "digitz"], "did you mean 'digits'"),
        (["--dataset", "folder:nowhere"], "nowhere is not there"),
        (["file/below"], "cannot write file/below/suite.toml"),
        (["repository/below", "--workflow", "github"], "say benchbench init .*repository --workflow github"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: list[str], sentence: str | None) -> None:
    """Before anything is written."""
    Path("file").touch()
    Path("repository", ".git").mkdir(parents=True)
    result = CliRunner().invoke(cli, ["init", *words])
    if sentence is None:
        assert result.exit_code == 0
        return
    assert isinstance(result.exception, InputError)
    assert re.search(sentence, str(result.exception))
    assert sorted(map(str, Path().rglob("*"))) == ["file", "repository", "repository/.git"]


def test_of_two_at_once_one_writes() -> None:
    """Both ask whether the file is there, both find that it is not: the text of one stands there, whole."""
    texts = [f"{n}\n" * 20_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(lambda text: create(Path("one.toml"), text), texts))
    assert sum(wrote) == 1
    assert Path("one.toml").read_text() == texts[wrote.index(True)]
    assert os.listdir() == ["one.toml"]


def test_without_hard_links_nothing_is_overwritten_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT; a disk that is full meanwhile is one sentence, and nothing half is left."""

    def refused(code: int) -> Callable[..., None]:
        def link(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return link

    monkeypatch.setattr(os, "link", refused(errno.EPERM))
    assert create(Path("a"), "mine")
    assert not create(Path("a"), "theirs")
    assert Path("a").read_text() == "mine"
    monkeypatch.setattr(os, "link", refused(errno.ENOSPC))
    with pytest.raises(InputError, match="cannot write b: No space left"):
        create(Path("b"), "mine")
    assert os.listdir() == ["a"]
