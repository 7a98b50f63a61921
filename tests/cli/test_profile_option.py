"""`--profile`: where the time went, on standard error, and nothing else is another."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchbench
from benchbench.cli import main

LITE = "efficientnet_lite0"
Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The console script in a folder with images, in this process: what it said on either stream."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for side in ("made", "real"):
        (tmp_path / side).mkdir()
        for name in range(8):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / f"{name}.png")

    def call(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["benchbench", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 0
        done = capsys.readouterr()
        return done.out, done.err

    return call


def line_of(told: str, part: str) -> list[str]:
    (line,) = [line for line in told.splitlines() if line.split("  ")[0].strip() == part]
    return line.removeprefix(part).split()


@pytest.mark.costly
def test_each_part_has_a_line_and_numbers_stay(run: Run) -> None:
    """Images, the network and the metrics, whose shares are of the sum in the last line; the table of numbers and the
    key are those of a call without the option."""
    asked = ("evaluate", "made", "--reference", "real", "--metrics", "fd,precision,mse", "--device", "cpu")
    out, told = run(*asked, "--profile", "--out", "a")
    assert "where the time went" in told
    for part in ("images, read or made", LITE):
        assert float(line_of(told, part)[0]) > 0
    assert line_of(told, "all")[1::2] == ["100.0%", "100.0%"]
    plain, silent = run(*asked, "--out", "b")
    assert "where the time went" not in silent
    assert out.replace("a/folder", "b/folder") == plain


@pytest.mark.costly
def test_a_run_has_its_model_in_it(run: Run) -> None:
    """Of the control that copies training images as of any model; what it makes is charged as images are."""
    out, told = run(
        *("run", "--model", "noise", "--dataset", "digits", "--samples", "16", "--metrics", "swd"),
        *("--device", "cpu", "--profile", "--out", "c"),
    )
    assert "record: c/digits/noise/" in out
    assert LITE in told
    assert line_of(told, "all")[1] == "100.0%"
    assert len(benchbench.load_results("c"))
