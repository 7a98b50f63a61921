"""Outputs that are one file, or an input, or part of a record: refused before anything is written."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from verbs_tried import Console

from benchbench.cli import cli
from benchbench.core.errors import InputError

CHECK = ["check", "runs", "--baseline", "base"]


def refused(*words: str) -> str:
    result = CliRunner().invoke(cli, [*words])
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.permutations(["--junit", "--json", "--summary"], 2)]
)
def test_two_outputs_are_two_files(first: str, second: str, world: Path) -> None:
    """One name, another spelling, through a link to the file or to its folder, a hard link, a stream of the shell."""
    Path("link").symlink_to("same")
    Path("here").symlink_to(".")
    for name in ("same", "./same", str(world / "same"), "link", "here/same", "images/../same"):
        assert "are one file" in refused(*CHECK, first, "same", second, name)
        assert not Path("same").exists()
    Path("one").write_text("")
    os.link("one", "two")
    assert "are one file" in refused(*CHECK, first, "one", second, "two")
    assert Path("one").read_text() == ""
    assert CliRunner().invoke(cli, [*CHECK, first, "/dev/null", second, "/dev/null"]).exit_code == 0
    assert CliRunner().invoke(cli, [*CHECK, first, "x", second, "y"]).exit_code == 0


def test_an_output_is_no_input(world: Path) -> None:
    """The gate of a check, the images of statistics, by another spelling too; and nothing is written into a record."""
    gate = Path("gate.toml").read_bytes()
    assert "would overwrite --tolerance" in refused(
        *CHECK, "--tolerance", "gate.toml", "--json", "./gate.toml"
    )
    assert Path("gate.toml").read_bytes() == gate
    record = next(Path("runs").glob("*/*/*/run.json")).parent
    sealed = {file.name: file.read_bytes() for file in record.iterdir()}
    for name in ("metrics.csv", "run.json", "board.md"):
        target = str(record / name)
        for words in (
            ["leaderboard", "--output", target],
            ["report", "--output", target],
            [*CHECK, "--json", target],
            [*CHECK, "--summary", target],
        ):
            assert "lies in a record" in refused(*words)
    assert {file.name: file.read_bytes() for file in record.iterdir()} == sealed


def test_files_of_others_that_are_called_so_are_no_record(world: Path) -> None:
    """A `run.json` and a `metrics.csv` of another program, in the folder above the records: one may write beside them,
    and over what is ours. Half a record is still one."""
    Path("runs/run.json").write_text('{"run": "of another tracker"}')
    Path("runs/metrics.csv").write_text("step,loss\n1,2\n")
    assert CliRunner().invoke(cli, ["leaderboard", "--output", "runs/board.md"]).exit_code == 0
    assert Path("runs/board.md").is_file()
    record = next(Path("runs").glob("*/*/*/run.json")).parent
    (record / "metrics.csv").unlink()
    assert "lies in a record" in refused("leaderboard", "--output", str(record / "metrics.csv"))


def test_statistics_do_not_replace_their_images(world: Path) -> None:
    """`stats images.npz --out images.npz` would leave neither."""
    import numpy as np

    np.savez("images.npz", np.zeros((4, 8, 8, 3), np.uint8))
    whole = Path("images.npz").read_bytes()
    assert "would overwrite the reference" in refused("stats", "images.npz", "--out", "./images.npz")
    assert Path("images.npz").read_bytes() == whole


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_as_a_file(name: str, world: Path, console: Console) -> None:
    """What is asked for is all there is on it; the table of a check and the line of a report go to stderr."""
    import json

    code, out, err = console(*CHECK, "--json", name)
    assert code == 0
    assert json.loads(out)["exit_code"] == 0
    assert b"passed" in err
    code, out, err = console("report", "--output", name)
    assert code == 0
    assert out.lower().startswith(b"<!doctype html>")
    assert b"report: " in err
    assert not Path("-").exists()
    assert "are one file" in refused(*CHECK, "--json", name, "--junit", "-")


def test_a_device_may_be_the_file_of_statistics(world: Path) -> None:
    """Its name cannot end in .npz."""
    assert CliRunner().invoke(cli, ["stats", "digits", "--out", "/dev/null"]).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["leaderboard", "--output", "images"],
        ["report", "--output", "images"],
        ["stats", "digits", "--out", "images"],
        [*CHECK, "--junit", "images"],
        [*CHECK, "--json", "."],
        [*CHECK, "--summary", "/"],
    ],
)
def test_a_folder_is_refused_before_the_work(words: list[str], world: Path) -> None:
    """It is named, and so is what to do."""
    assert "is a folder; name a file" in refused(*words)
