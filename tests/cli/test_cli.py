"""The front door as a user meets it: its two streams and its exit code. One run is a process of its own; elsewhere the
console script is called in this one, for a process takes four seconds to import what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from verbs_tried import Console

from benchbench.cli import cli

pytestmark = pytest.mark.costly


def benchbench(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from benchbench.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.mark.parametrize(("arguments", "imported"), [(["--help"], "[]"), (["run", "--help"], "['pydantic']")])
def test_help_imports_nothing_heavy(arguments: list[str], imported: str) -> None:
    """What makes `--help` slow is imports; none of the heavy ones may happen. The options of `run` are made from a
    pydantic model, which takes a tenth of a second to import. (Wall time is in benchmarks/.)"""
    code = (
        f"import sys; from benchbench.cli import cli; cli.main({arguments}, standalone_mode=False);"
        "print(sorted({'torch', 'pandas', 'numpy', 'rich', 'scipy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == imported
    assert "--model" in done.stdout or "run" in done.stdout


@pytest.mark.parametrize("what", ["models", "datasets", "metrics", "extractors"])
def test_list_names_what_is_registered(what: str, console: Console) -> None:
    """Every registered name has a line with a sentence about it."""
    from benchbench.core.registry import Registry

    code, out, _ = console("list", what)
    assert code == 0
    for name in Registry(what.removesuffix("s")).names():
        line = next(line for line in out.decode().splitlines() if line.startswith(name))
        assert len(line.split(maxsplit=1)) == 2, f"{name} has no description"


def test_ways_to_bring_images_are_named(console: Console) -> None:
    """Each prefix that the catalogue knows has a line in the list, and so has the layout of two domains; `run --help`
    names the commonest."""
    from benchbench.data.catalogue import FILES

    asked, listed = (console(*line.split())[1].decode() for line in ("run --help", "list datasets"))
    assert "folder:PATH" in asked
    for kind in FILES:
        assert [line for line in listed.splitlines() if line.startswith(f"{kind}:PATH")]
    assert "trainA/" in listed


def test_doctor_says_what_is_there_and_what_is_missing(console: Console) -> None:
    """The bundled network is at hand by its sha256; CIFAR-10 says how to get it where it is not."""
    code, out, err = console("doctor")
    assert code == 0
    assert b"579344248a93" in out
    assert b"cifar10" in out
    assert b"what pays" in out
    assert b"Traceback" not in err


def test_doctor_finds_photographs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sets of photographs come with no package: they are where somebody put them, under BENCHBENCH_DATA."""
    from benchbench.verbs import doctor

    monkeypatch.setattr(doctor, "_networks", dict)  # which takes seconds
    monkeypatch.setattr(doctor, "_precisions", lambda device: {})
    monkeypatch.delenv("BENCHBENCH_DATA", raising=False)
    assert doctor.doctor()["data"]["set5"].startswith("not there: its images belong into a folder set5")
    (tmp_path / "Set5").mkdir()
    monkeypatch.setenv("BENCHBENCH_DATA", str(tmp_path))
    found = doctor.doctor()["data"]
    assert found["set5"] == f"there, in {tmp_path / 'Set5'}"
    assert found["set12"].startswith("not there")
    assert found["digits"] == "there, comes with the packages"


def test_doctor_says_that_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, while networks are read, and on stderr alone; in a log nothing."""
    from benchbench.verbs import doctor

    monkeypatch.setattr(doctor, "doctor", lambda: {"data": {"digits": "there"}})
    silent = CliRunner().invoke(cli, ["doctor"])
    assert (silent.exit_code, silent.stderr) == (0, "")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes it for a terminal
    told = CliRunner().invoke(cli, ["doctor"])
    assert "looking at the device" in told.stderr
    assert "looking" not in told.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--model", "vea", "--dataset", "digits"], "did you mean 'vae'"),
        (["run", "--model", "vae", "--dataset", "digitz"], "did you mean 'digits'"),
        (["run", "--modle", "vae", "--dataset", "digits"], "--model"),
        (["rum"], "did you mean 'run'"),
        (["run", "--model", "vae", "--dataset", "digits", "--samples", "1"], "--samples 1 is too few"),
        (["run", "--model", "vae", "--dataset", "folder:nowhere"], "nowhere"),
        (["run", "--model", "vae", "--dataset", "digits", "--device", "cuda:9"], "'cuda:9' is not there"),
        (["run", "--model", "vae", "--dataset", "photographs"], "holds contents and styles, not one set"),
        (["run", "--model", "vae", "--dataset", "digits", "--name", "beta=4"], "comma or an equals sign"),
        (["list", "modles"], "models"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence is on stderr and names the thing; no traceback, nothing on stdout, nothing in runs/."""
    monkeypatch.chdir(tmp_path)
    code, out, err = console(*arguments)
    assert code == 2
    assert sentence in err.decode()
    assert b"Traceback" not in err
    assert out == b""
    assert not list(tmp_path.rglob("*.csv"))


def test_run_prints_a_table_and_where_the_record_is(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data on stdout, progress on stderr; the path on the last line exists."""
    line = "run --model noise --dataset digits --samples 16 --metrics fd --device cpu --out mine"
    arguments = line.split()
    done = benchbench(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fd_efficientnet_lite0" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("record: mine/digits/noise/")
    assert (tmp_path / last.removeprefix("record: ") / "metrics.csv").is_file()
    assert "computing metrics" in done.stderr
    monkeypatch.chdir(tmp_path)
    assert console(*arguments)[1].decode().splitlines()[-1].startswith("already done: mine/digits/noise/")


def test_leaderboard_puts_models_side_by_side(tmp_path: Path) -> None:
    """Two controls on 16 images: on every format each model is named, and on a terminal they are landmarks, so that
    none is starred. The judge of digits has the first column. An empty folder is one sentence."""
    from benchbench import run
    from benchbench.cli import cli
    from benchbench.core.errors import InputError

    for model in ("real", "noise"):
        run(model, "digits", samples=16, metrics=["fd"], device="cpu", out=tmp_path / "mine")
    shown = {}
    for form in ("terminal", "markdown", "latex", "html", "csv"):
        done = CliRunner().invoke(cli, ["leaderboard", str(tmp_path / "mine"), "--format", form])
        assert done.exit_code == 0, done.output
        shown[form] = done.stdout
        assert "real" in done.stdout
        assert "noise" in done.stdout
    assert "*" not in shown["terminal"]
    assert "landmarks, not ranked: noise, real" in shown["terminal"]
    assert "[1] 16 images against 898, cnn_digits" in shown["terminal"]
    mine = ["leaderboard", str(tmp_path / "mine")]
    assert "@inproceedings{heusel2017fid," in CliRunner().invoke(cli, [*mine, "--cite"]).stdout
    board = tmp_path / "boards" / "board.parquet"
    assert CliRunner().invoke(cli, [*mine, "--format", "parquet", "--output", str(board)]).exit_code == 0
    assert set(pd.read_parquet(board)["model"]) == {"real", "noise"}
    nowhere = CliRunner().invoke(cli, [*mine, "--format", "parquet"])
    assert isinstance(nowhere.exception, InputError)
    assert "--output" in str(nowhere.exception)
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(cli, ["leaderboard", str(tmp_path / "empty")])
    assert isinstance(done.exception, InputError)
    assert "there are no numbers to rank" in str(done.exception)
