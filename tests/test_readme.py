"""What the README and the Makefile tell people to type, typed in a copy of the checkout: it works, git sees nothing of
it, and the published store stays as it was."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import benchbench
from benchbench.cli import cli
from benchbench.core.files import atomic_write
from benchbench.models import MODELS
from benchbench.results.load import load_runs
from benchbench.tasks import TASKS

ROOT = Path(__file__).parents[1]
# What a command asks for that a test cannot have; all others are run.
NOT_HERE = {
    "cifar10": "needs a download",
    "my-project": "is the reader's own",
    "beta=2": "takes minutes",
    "my-images/": "is the reader's own",
    "set5": "is got from elsewhere",
    "restored/": "is the reader's own",
    "theirs": "is the reader's own",
    "facades/": "is the reader's own",
    "suite.toml": "is the reader's own",
    "openmoji-lines": "takes minutes",
}
# A run in seconds: the same command and as many images, fewer steps and numbers, of the smallest network.
SHORTER = {"vae": ["--set", "epochs=1"], "dcgan": ["--set", "steps=60"]}
WRITTEN = {"runs/", "card/", "my-study/", "report.html", "figure.pdf", "junit.xml"}


def test_every_model_and_task_is_named() -> None:
    """Whatever `benchbench list` shows of ours, a reader finds on the first page, in backticks or as a word; of an open
    family, whose members are files, the option that takes one."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    written = {name: f"--{name.removesuffix(':*')}" if name.endswith(":*") else name for name in MODELS}
    assert {name for name, own in written.items() if f"`{own}`" not in page} == set()
    assert {name for name in TASKS if not re.search(rf"\b{name}\b", page)} == set()


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder, whatever its user has set."""
    settings = (
        "user.name=a",
        "user.email=a@example.org",
        "commit.gpgSign=false",
        "core.hooksPath=",
        "core.excludesFile=",
    )
    own = [word for setting in settings for word in ("-c", setting)]
    done = subprocess.run(["git", *own, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def typed() -> list[list[str]]:
    """The arguments of every `benchbench` command of the README, in order, and of the demo."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [
        line
        for block in re.findall(r"^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    lines += [line.strip().replace("$(BIN)/", "") for line in (ROOT / "Makefile").read_text().splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("benchbench ")]
    return [
        [alternative if "|" in word else word for word in command]
        for command in commands
        for alternative in next((word.split("|") for word in command if "|" in word), [""])
    ]


def short(command: list[str]) -> list[str]:
    """The command, of a run one that takes seconds."""
    if command[0] == "profile":
        quick = ["--most-batch", "1", "--samples", "64", "--metrics", "fd", "--extractor", "cnn_digits"]
        return [*command, *quick, "--device", "cpu"]
    if command[0] == "audit":
        return [*command, "--metrics", "density", "--experiments", "sphere-torus"]
    if command[0] != "run":
        return command
    fewer = [] if "--pretrained" in command else SHORTER[command[command.index("--model") + 1]]
    return [*command, *fewer, "--metrics", "fd", "--extractor", "cnn_digits", "--device", "cpu"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the working tree that are or would be under version control, committed in a repository of their
    own: what is being written is tested, not what was committed last."""
    folder = tmp_path_factory.mktemp("checkout")
    try:
        listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout, or there is no git")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is")
    return folder


def published(folder: Path) -> dict[str, bytes]:
    """Every file of the published store, those that git ignores as well."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "results").rglob("*")
        if path.is_file()
    }


@pytest.mark.costly
def test_commands_leave_a_checkout_clean(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them one after the other, as a reader goes through the page, and a run from Python: none is refused,
    records are below `runs`, and `git status` has nothing to say. What git ignores is what the commands say they write.
    """
    monkeypatch.chdir(checkout)
    before = published(checkout)
    done = []
    for command in typed():
        if any(thing in word for thing in NOT_HERE for word in command):
            continue
        result = CliRunner().invoke(cli, short(command))
        sentence = f"benchbench {shlex.join(command)}: {result.output} {result.exception}"
        code = getattr(result.exception, "exit_code", result.exit_code)
        # A check of shortened runs finds what it finds.
        assert code in ((0, 1, 3) if command[0] == "check" else (0,)), sentence
        done.append(command[0])
    assert {"run", "leaderboard", "compare", "check", "report", "list", "doctor"} <= set(done)
    benchbench.run("noise", "digits", samples=16, metrics=["swd"], device="cpu")
    assert {"vae", "dcgan", "noise"} <= set(load_runs("runs")["model"])
    assert git(checkout, "status", "--porcelain") == ""
    ignored = git(checkout, "status", "--porcelain", "--ignored").splitlines()
    assert {line.removeprefix("!! ") for line in ignored} == WRITTEN
    assert published(checkout) == before


def test_make_clean_leaves_records(checkout: Path) -> None:
    """They may be a week of training, or published."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    before = published(checkout)
    atomic_write(checkout / "runs" / "digits" / "vae" / "kept", "a week")
    subprocess.run(["make", "clean"], cwd=checkout, capture_output=True, check=True)
    assert (checkout / "runs" / "digits" / "vae" / "kept").read_text() == "a week"
    assert published(checkout) == before
