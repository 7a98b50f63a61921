"""What Tab does: by Click's protocol, which every shell's script speaks, and in a real bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, ShellComplete
from click.testing import CliRunner

from benchbench.cli import cli
from benchbench.core.registry import Registry


def answers(*words: str) -> list[str]:
    """What the last of some words, which is not finished, is completed to."""
    complete = ShellComplete(cli, {}, "benchbench", "_BENCHBENCH_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_verbs_and_their_options() -> None:
    """All that begin so."""
    assert set(answers("")) == set(cli.commands)
    assert answers("lea") == ["leaderboard"]
    assert answers("run", "--mod") == ["--model"]
    assert answers("list", "m") == ["models", "metrics"]
    assert answers("list", "models", "flo") == ["flow-matching"]
    assert answers("list", "tasks", "gen") == ["generation"]
    assert answers("evaluate", "x", "--task-o") == ["--task-option"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("run", "--model"), "model"),
        (("run", "--dataset"), "dataset"),
        (("run", "--metrics"), "metric"),
        (("run", "--extractor"), "extractor"),
        (("run", "--task"), "task"),
        (("evaluate",), "dataset"),
        (("evaluate", "x", "--reference"), "dataset"),
        (("stats", "x", "--extractor"), "extractor"),
        (("leaderboard", "--models"), "model"),
        (("cite", "--metrics"), "metric"),
        (("init", "--dataset"), "dataset"),
    ],
)
def test_names_of_things(words: tuple[str, ...], kind: str) -> None:
    """All that are registered, plugins' too."""
    assert answers(*words, "") == Registry(kind).names()


def test_lists_and_files() -> None:
    """The last of several names, not one that is there; where no name begins so, a file may."""
    assert answers("run", "--metrics", "fd,kd,fd") == [
        "fd,kd,fd_infinity",
        "fd,kd,fd_ratio",
        "fd,kd,fd_ratio_mean",
    ]
    assert answers("run", "--model=vae-m") == ["vae-mlp"]
    assert answers("run", "--dataset", "digi") == ["digits"]
    complete = ShellComplete(cli, {}, "benchbench", "_BENCHBENCH_COMPLETE")
    (item,) = complete.get_completions(["run", "--dataset"], "my-im")
    assert (item.value, item.type) == ("my-im", "file")


def test_it_imports_nothing_heavy() -> None:
    """Someone waits at every Tab; what would be slow is imports. Nothing is said on either stream but the answer."""
    code = (
        "import sys, os; sys.argv = ['benchbench']\n"
        "from benchbench.cli import cli\n"
        "try: cli.main()\n"
        "finally: print(sorted({'torch', 'pandas', 'numpy', 'rich', 'scipy'} & set(sys.modules)))"
    )
    words = {
        "_BENCHBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": "benchbench run --model vae-m",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("plain,vae-mlp\n[]\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    """It asks in the variable that the program listens to, and completes the program."""
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert re.search(rf"_BENCHBENCH_COMPLETE={shell}_complete", result.stdout)
    assert re.search(r"\bbenchbench\b", result.stdout)


def test_in_bash(tmp_path: Path) -> None:
    """The script is read and its function called as bash calls it at Tab: the reply is what the line may become."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    version = subprocess.run(
        ["bash", "-c", 'printf %s "${BASH_VERSION}"'], capture_output=True, text=True, check=True
    ).stdout
    if tuple(map(int, version.split(".")[:2])) < (4, 4):
        pytest.skip(f"bash {version} is older than {BashComplete.__name__} knows")
    program = tmp_path / "benchbench"
    program.write_text(f"#!{sys.executable}\nfrom benchbench.cli import main\nmain()\n")
    program.chmod(0o755)
    typed = (
        'eval "$(benchbench completion bash)"; complete -p benchbench\n'
        "COMP_WORDS=(benchbench run --model vae-); COMP_CWORD=3; _benchbench_completion benchbench run --model\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", typed], env=environment, capture_output=True, text=True, check=True)
    registered, *reply = done.stdout.splitlines()
    assert registered == "complete -o nosort -F _benchbench_completion benchbench"
    assert reply == ["vae-discretized", "vae-mlp"]
    assert done.stderr == ""
